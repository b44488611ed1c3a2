//! The rules by which nothing older than what was acknowledged is gone by, by name: tests leave one out and see that it is
//! missed.

/// A rule of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An acknowledgement waits for those who have not heard, also where another has shown and told it before.
    WaitForWhatOthersTold,
    /// What a holder says it has heard counts if this process said it, and not one before it.
    HeardOfThisProcess,
    /// What a grantor leases is what its newest answer says, and nothing that it said before.
    NewestAnswerAlone,
    /// A holder that hears of a newer cluster state than its own uses no lease until it has read that state.
    NoticeNewerState,
    /// What is leased to this process no longer counts as heard when those who follow it have heard that.
    TellWhatIsWithdrawn,
}

impl Rule {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [
        Self::WaitForWhatOthersTold,
        Self::HeardOfThisProcess,
        Self::NewestAnswerAlone,
        Self::NoticeNewerState,
        Self::TellWhatIsWithdrawn,
    ];
}

/// The rules that a process goes by: all of them but in tests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    #[cfg(test)]
    pub(crate) omitted: Option<Rule>,
}

impl Rules {
    /// Does the process go by `rule`?
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
