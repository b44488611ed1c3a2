//! What is wrong with where the state is kept.
//!
//! Does: name the problems, worst first. Does not: find them (the crate `etcd` does). Called by `api`, which tells them.

use std::fmt;

/// What is wrong with where the state is kept, as far as this process sees; with the reason, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreProblem {
    /// It does not answer: nothing that is agreed can change, and what others have changed may not be known here.
    Unavailable(String),
    /// It is full, and refuses what adds to it.
    OutOfQuota(String),
    /// It will be full soon.
    NearQuota(String),
}

impl StoreProblem {
    /// Returns whether changes of the state fail.
    pub fn prevents_changes(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::OutOfQuota(_) => true,
            Self::NearQuota(_) => false,
        }
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        let (Self::Unavailable(reason) | Self::OutOfQuota(reason) | Self::NearQuota(reason)) = self;
        reason
    }
}

impl fmt::Display for StoreProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
