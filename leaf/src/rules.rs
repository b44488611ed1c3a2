//! Rules of a leaf beside those of its driver ([`crate::agree`]): by those of reading no lease hides what a client was told
//! is visible, nor what a search would find, and a copy that has lost its files is not one that is in sync. Each is
//! consulted at its one place, and each is left out by a test that must then find a violation. Those of the leases
//! themselves are in `leases`.

use crate::node::Node;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A shard that rests is not leased: a search would show more.
    LeaseAwake,
    /// A primary leases, and tells what is current, while it may answer searches without a flag.
    TellByRight,
    /// A primary acknowledges when the leases of the one before have run out, whichever process that was of.
    OutlastEarlier,
    /// A copy whose folder is empty is not opened while its entry counts it as in sync.
    LostIsNotInSync,
}

impl Node {
    /// Returns whether a test leaves the rule out. Never outside tests.
    pub(crate) fn omits(&self, rule: Rule) -> bool {
        #[cfg(test)]
        return self.options.omitted == Some(rule);
        #[cfg(not(test))]
        {
            let _ = rule;
            false
        }
    }
}
