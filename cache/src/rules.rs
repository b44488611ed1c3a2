//! The rules by which no answer is stale, by name: tests leave one out and see that it is missed.

/// A rule of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What is kept is served while its edition is the current one.
    HoldAgainstCurrent,
    /// An answer is kept under the edition that it came with, and not under the one that is current then.
    #[cfg(test)]
    KeepAsItCame,
    /// Requests share an evaluation when they saw the same edition.
    ShareSameEdition,
    /// What comes from beyond memory is held against the current edition as well.
    HoldBeyondAgainstCurrent,
}

impl Rule {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [
        Self::HoldAgainstCurrent,
        Self::KeepAsItCame,
        Self::ShareSameEdition,
        Self::HoldBeyondAgainstCurrent,
    ];
}

/// The rules that a cache goes by: all of them but in tests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    #[cfg(test)]
    pub(crate) omitted: Option<Rule>,
}

impl Rules {
    /// Does the cache go by `rule`?
    pub(crate) fn have(self, rule: Rule) -> bool {
        self.left_out() != Some(rule)
    }

    #[cfg(test)]
    fn left_out(self) -> Option<Rule> {
        self.omitted
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "in tests it says")]
    fn left_out(self) -> Option<Rule> {
        None
    }
}
