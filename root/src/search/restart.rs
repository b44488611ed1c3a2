//! Why a search is begun again, and how often.

use crate::RootError;
use crate::deadline::{Deadline, MAX_RESTARTS};

/// Why a search is begun again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Answers, or the numbers that they are scored by, are of moments that do not fit.
    Torn,
    /// Copies asked in one call, under one threshold, showed different moments.
    Mixed,
    /// A copy lost what it had answered from.
    Lost,
    /// An index that the search names was deleted or closed meanwhile.
    Vanished,
    /// Shards show documents of a newer mapping than the query was resolved by.
    Outgrown,
}

/// Why an attempt at a search ended without an answer.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The search is to begin again.
    Restart(Restart),
    /// It has failed.
    Failed(RootError),
}

impl Stop {
    /// Returns the error of a search that cannot begin again.
    pub(crate) fn into_error(self) -> RootError {
        match self {
            Self::Failed(error) => error,
            Self::Restart(reason) => {
                RootError::Internal(format!("the search was to begin again: {reason:?}"))
            }
        }
    }
}

impl From<RootError> for Stop {
    fn from(error: RootError) -> Self {
        Self::Failed(error)
    }
}

/// How often names were looked up again. Restarts for moments are counted by the search's trip, which says
/// whether there may be one more.
#[derive(Debug, Default)]
pub(crate) struct LookUps(usize);

impl LookUps {
    /// Counts one more; returns `false` when there were enough, or there is no time.
    pub(crate) fn allow_another(&mut self, deadline: Deadline) -> bool {
        self.0 += 1;
        self.0 <= MAX_RESTARTS && deadline.allows_another()
    }
}
