//! What the figures are to be, in one place, and whether they are.

/// A bound of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// p50 with slow leaves and all means on, as a multiple of the healthy one.
pub(super) const MEDIAN: Target = Target::AtMost(1.1);
/// p99.9, likewise.
pub(super) const TAIL: Target = Target::AtMost(1.5);
/// Second requests among the first ones: the root's default share.
pub(super) const EXTRA_REQUESTS: Target = Target::AtMost(0.05);
/// Searches that fail, or miss shards, while a copy of each shard is left.
pub(super) const NONE: Target = Target::AtMost(0.0);
/// Milliseconds after its deadline in which a partial answer is there.
pub(super) const BEYOND_DEADLINE_MS: Target = Target::AtMost(25.0);
/// Answers that name exactly the shards that are missing.
pub(super) const ALL: Target = Target::AtLeast(1.0);
/// Answers to a deadline of 50 ms that are there within 60 ms.
pub(super) const WITHIN_60_MS: Target = Target::AtLeast(0.99);
/// And within 75 ms.
pub(super) const WITHIN_75_MS: Target = Target::AtLeast(0.999);
/// Milliseconds in which a search ends that was called off, at p99.
pub(super) const CANCELLED_MS: Target = Target::AtMost(20.0);
/// Throughput over the network, as a share of one process's.
pub(super) const NETWORK_THROUGHPUT: Target = Target::AtLeast(0.5);
/// CPU per query over the network, as a multiple of one process's.
pub(super) const NETWORK_CPU: Target = Target::AtMost(1.7);
/// Median latency over the network at a low rate, as a multiple of one process's.
pub(super) const NETWORK_P50: Target = Target::AtMost(2.5);

impl Target {
    /// Returns whether `seen` keeps the bound; a figure that is none does not.
    pub(super) fn is_met(self, seen: f64) -> bool {
        match self {
            Self::AtMost(bound) => seen <= bound,
            Self::AtLeast(bound) => seen >= bound,
        }
    }

    /// Returns the figure's cell: what was seen, the bound, the verdict.
    pub(super) fn cell(self, seen: f64) -> String {
        let (sign, bound) = match self {
            Self::AtMost(bound) => ("≤", bound),
            Self::AtLeast(bound) => ("≥", bound),
        };
        let verdict = if self.is_met(seen) {
            "met"
        } else {
            "**missed**"
        };
        // What is shown must not round a miss to a hit.
        let rounded = format!("{seen:.2}");
        let is_faithful = seen.abs() >= 0.1
            && rounded
                .parse()
                .is_ok_and(|rounded| self.is_met(rounded) == self.is_met(seen));
        let shown = match seen {
            seen if seen.fract() == 0.0 => format!("{seen}"),
            _ if is_faithful => rounded,
            _ => format!("{seen:.5}"),
        };
        format!("{shown} (target {sign} {bound}: {verdict})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_itself_is_met_and_what_is_no_figure_is_not() {
        assert_eq!(NETWORK_CPU.cell(1.7), "1.70 (target ≤ 1.7: met)");
        assert_eq!(NONE.cell(0.0), "0 (target ≤ 0: met)");
        assert_eq!(
            NETWORK_THROUGHPUT.cell(0.36),
            "0.36 (target ≥ 0.5: **missed**)"
        );
        for target in [NETWORK_CPU, NETWORK_THROUGHPUT, NONE, ALL] {
            assert!(!target.is_met(f64::NAN));
        }
        assert!(ALL.is_met(1.0) && !ALL.is_met(0.9999));
    }

    #[test]
    fn rounding_hides_no_miss() {
        assert_eq!(EXTRA_REQUESTS.cell(0.00312), "0.00312 (target ≤ 0.05: met)");
        assert_eq!(ALL.cell(0.9999), "0.99990 (target ≥ 1: **missed**)");
        assert_eq!(
            NETWORK_CPU.cell(1.701),
            "1.70100 (target ≤ 1.7: **missed**)"
        );
    }
}
