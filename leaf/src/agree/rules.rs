//! The rules of the driver that safety rests on. Each is consulted at its one place, and each is left out by a test that
//! must then find a violation. Those of the machines are in `replication`.

use super::driver::CopyDriver;
use super::hub::Agreeing;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A write is answered when it is agreed.
    AnswerWhenAgreed,
    /// What was not agreed when a reign ended has an unknown outcome.
    AgreedBeforeEnd,
    /// A copy applies only what is agreed.
    ApplyAgreed,
    /// Only a primary that holds the read right tells a document's state.
    TellByRight,
    /// Only a copy that holds a serving right answers searches without a flag.
    ServeByRight,
    /// A refresh is answered when every copy that serves shows it.
    RefreshEverywhere,
    /// A member counts until the store has taken it out.
    ShrinkByStore,
    /// A follower confirms what its log has made durable.
    ConfirmDurable,
    /// A fence is durable before a copy acts under it.
    FenceDurable,
    /// A batch is planned by all that was ordered before it.
    RememberOrdered,
    /// A new primary plans by what was ordered before its reign.
    InheritVersions,
    /// What a follower says counts only by the stream that it has joined by.
    HearJoinedStream,
    /// A copy that lacks what it was known to hold is not opened while its entry counts it as in sync.
    MarkIsCompared,
    /// Nor is one in a folder that an older one has taken the place of.
    StartsAreCounted,
}

impl CopyDriver {
    /// Returns whether a test leaves the rule out. Never outside tests.
    pub(crate) fn omits(&self, rule: Rule) -> bool {
        self.hub.omits(rule)
    }
}

impl Agreeing {
    /// Returns whether a test leaves the rule out. Never outside tests.
    pub(crate) fn omits(&self, rule: Rule) -> bool {
        #[cfg(test)]
        return self.omitted == Some(rule);
        #[cfg(not(test))]
        {
            let _ = rule;
            false
        }
    }
}
