//! Which of several values counts (`mode`). A column keeps a document's values ascending.

use gleaner_query::search::SortMode;

/// Of whole numbers; means and medians are rounded, halves up (Elasticsearch's `MultiValueMode`).
pub(super) fn whole(mode: SortMode, mut values: impl Iterator<Item = i64>) -> Option<i64> {
    match mode {
        SortMode::Min => values.next(),
        SortMode::Max => values.last(),
        SortMode::Sum => values.reduce(i64::saturating_add),
        SortMode::Avg => mean(values.map(i128::from)).map(|mean| mean as i64),
        SortMode::Median => {
            let (low, high) = middle(values)?;
            mean([low, high].into_iter().map(i128::from)).map(|mean| mean as i64)
        }
    }
}

/// Of whole numbers without sign; as [`whole`].
pub(super) fn unsigned(mode: SortMode, mut values: impl Iterator<Item = u64>) -> Option<u64> {
    match mode {
        SortMode::Min => values.next(),
        SortMode::Max => values.last(),
        SortMode::Sum => values.reduce(u64::saturating_add),
        SortMode::Avg => mean(values.map(i128::from)).map(|mean| mean as u64),
        SortMode::Median => {
            let (low, high) = middle(values)?;
            mean([low, high].into_iter().map(i128::from)).map(|mean| mean as u64)
        }
    }
}

/// Returns the whole number nearest to the mean, exactly: of two as near the greater one.
fn mean(values: impl Iterator<Item = i128>) -> Option<i128> {
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| (2 * sum + count).div_euclid(2 * count))
}

/// Of fractions.
pub(crate) fn fraction(mode: SortMode, mut values: impl Iterator<Item = f64>) -> Option<f64> {
    match mode {
        SortMode::Min => values.next(),
        SortMode::Max => values.last(),
        SortMode::Sum => values.reduce(|a, b| a + b),
        SortMode::Avg => {
            let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
            (count > 0.0).then(|| sum / count)
        }
        SortMode::Median => {
            let (low, high) = middle(values)?;
            Some(f64::midpoint(low, high))
        }
    }
}

/// Returns the two values in the middle, which are one where their number is odd.
fn middle<T: Copy>(values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let values: Vec<T> = values.collect();
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2], values[last.div_ceil(2)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_picks_its_value() {
        let values = || [1i64, 2, 4, 8].into_iter();
        let picked = |mode| whole(mode, values());
        assert_eq!(picked(SortMode::Min), Some(1));
        assert_eq!(picked(SortMode::Max), Some(8));
        assert_eq!(picked(SortMode::Sum), Some(15));
        assert_eq!(picked(SortMode::Avg), Some(4));
        assert_eq!(picked(SortMode::Median), Some(3));
        assert_eq!(whole(SortMode::Avg, std::iter::empty()), None);
        assert_eq!(
            fraction(SortMode::Median, [1.0, 2.5].into_iter()),
            Some(1.75)
        );
    }

    #[test]
    fn the_median_of_an_odd_number_of_values_keeps_every_digit() {
        let large = (1_i64 << 53) + 1;
        let values = [large - 2, large, large + 2];
        assert_eq!(whole(SortMode::Median, values.into_iter()), Some(large));
        let values = [u64::MAX - 1];
        assert_eq!(
            unsigned(SortMode::Median, values.into_iter()),
            Some(u64::MAX - 1)
        );
        assert_eq!(whole(SortMode::Median, std::iter::empty()), None);
    }

    #[test]
    fn halves_below_zero_round_up_too() {
        for mode in [SortMode::Avg, SortMode::Median] {
            assert_eq!(whole(mode, [-3, -2].into_iter()), Some(-2), "{mode:?}");
            assert_eq!(whole(mode, [2, 3].into_iter()), Some(3), "{mode:?}");
            assert_eq!(unsigned(mode, [2, 3].into_iter()), Some(3), "{mode:?}");
        }
    }
}
