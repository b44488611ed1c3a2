//! Figures of several turns: in order, and where a share of them lies.

/// Returns the values in order.
pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the value at a share of a sorted list, 0 to 1; 0 for an empty one.
pub(crate) fn at_share(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(at.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle() {
        assert_eq!(at_share(&[1.0, 2.0, 9.0], 0.5), 2.0);
        assert_eq!(at_share(&sorted([3.0, 1.0, 2.0].into_iter()), 1.0), 3.0);
        assert_eq!(at_share(&[], 0.9), 0.0);
    }
}
