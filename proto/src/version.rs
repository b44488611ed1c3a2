//! Which versions of the wire a node speaks.

use std::fmt;

/// A range of wire versions, both ends included.
///
/// Two nodes understand each other when their ranges meet. Within a version, messages only gain
/// fields that are safe to ignore and variants that an older node refuses by name, so a new version
/// is needed only for a change that neither of these can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Oldest, ≥ 1.
    pub min: u32,
    /// Newest, ≥ `min`.
    pub max: u32,
}

impl Versions {
    /// What this program speaks.
    pub const OURS: Self = Self { min: 1, max: 1 };

    /// Returns whether the ranges have a version in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// Reads `1` or `1-3`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let versions = Self {
            min: min.parse().ok()?,
            max: max.parse().ok()?,
        };
        (1..=versions.max)
            .contains(&versions.min)
            .then_some(versions)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max } = self;
        if min == max {
            write!(f, "{min}")
        } else {
            write!(f, "{min}-{max}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_survive_their_text_and_nonsense_is_none() {
        for text in ["1", "1-2", "7-9"] {
            let versions = Versions::parse(text).expect("a range");
            assert_eq!(versions.to_string(), text);
        }
        for bad in ["", "0", "2-1", "1-", "-1", "one", "1-2-3", "0-3"] {
            assert_eq!(Versions::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_meet_when_they_share_a_version() {
        let of = |text| Versions::parse(text).expect("a range");
        assert!(of("1-2").meets(of("2-3")) && of("2").meets(of("1-3")));
        assert!(!of("1").meets(of("2-3")) && !of("2-3").meets(of("1")));
    }
}
