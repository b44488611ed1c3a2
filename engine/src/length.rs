//! How long work takes, by what it looks at: decided before it begins, so that short work does not wait behind long work.

use gleaner_query::resolved::Pattern;

/// Postings or documents that a brief search looks at, at most: half a millisecond of a core where
/// nothing is pruned.
pub(crate) const MOST_WORK: u64 = 98_304;

/// Of so many postings a pruned search looks at one.
pub(crate) const PASSED_OVER: u64 = 4;

/// What building an automaton counts as: more than a brief search may look at, also where most is passed
/// over. It takes up to some 50 ms.
pub(crate) const BUILDING: u64 = PASSED_OVER * (MOST_WORK + 1);

/// Bytes of a prefix whose automaton is built in no time.
const SHORT_PREFIX: usize = 64;

/// Postings that a long search looks at, at least, or what takes as long: some two milliseconds of a core.
pub(crate) const LONG_WORK: u64 = 393_216;

/// How long a search takes of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Length {
    /// About half a millisecond at most.
    Brief,
    /// About two milliseconds at most.
    Short,
    /// Longer.
    Long,
}

impl Length {
    /// Returns how long other work takes that looks at so many postings, or does as much. It calls none brief: what is
    /// looked up may have to come from a disk.
    pub(crate) fn of_work(looked_at: u64) -> Self {
        match looked_at < LONG_WORK {
            true => Self::Short,
            false => Self::Long,
        }
    }
}

/// Returns what building the automaton of a pattern counts as.
pub(crate) fn building(pattern: &Pattern) -> u64 {
    match pattern {
        Pattern::Prefix { prefix, .. } if prefix.len() <= SHORT_PREFIX => 0,
        _ => BUILDING,
    }
}
