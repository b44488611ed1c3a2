//! Who is alive, who owns what, and the metadata everyone agrees on.
//!
//! Does: hold the [`ClusterState`] and change it by compare-and-swap; tell watchers of each change.
//! Does not: interpret the state, place shards, open sockets of its own.
//! Called by `leaf` (new fields, primary terms), `root` (names, settings) and `api` (index
//! administration). Read [`Coordinator`] first; [`embedded`] keeps the state in one file of one
//! process, and the entries of a cluster in one process, and [`conformance`] is what every implementation must pass.

pub mod conformance;
pub mod embedded;
pub mod entries;
pub mod marks;
pub mod size;
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::{ClusterState, FaultKind};
use tokio::sync::watch;

pub use embedded::{Embedded, EmbeddedEntries};
pub use entries::ShardEntries;
pub use marks::CopyMarks;
pub use store::StoreProblem;

/// Why metadata could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The state has moved on since it was read; read it again and decide anew.
    #[error("cluster state is at version {current}, not at {expected}")]
    Conflict {
        /// Version the caller had read.
        expected: u64,
        /// Version in force.
        current: u64,
    },
    /// The state could not be kept durably; nothing has changed.
    // With its cause: who is told of this seldom asks for causes, and a full disk is one that he can do something about.
    #[error("cluster state could not be written to `{path}`: {source}")]
    Store {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Who keeps the state cannot be reached; a change may or may not have been made.
    #[error("cluster state cannot be changed now: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The stored state cannot be read.
    #[error("cluster state in `{path}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The state would be too large to be sent to other nodes; nothing has changed.
    #[error("{reason}")]
    TooLarge {
        /// How large, what is allowed, and what to delete.
        reason: String,
    },
    /// Who keeps the state is full and refuses what adds to it; nothing has changed.
    #[error("{reason}")]
    OutOfQuota {
        /// How full, and what to do.
        reason: String,
    },
    /// Too many others changed the state at the same time.
    #[error("cluster state kept changing: gave up after {attempts} attempts")]
    Contention {
        /// Attempts made.
        attempts: u32,
    },
}

impl CoordinatorError {
    /// Returns whose fault it is and whether to try again.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::TooLarge { .. } => FaultKind::CLIENT,
            _ => FaultKind::COORDINATOR,
        }
    }
}

/// A state that was written again where the store held an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtBack {
    /// Version that the store held.
    pub held: u64,
    /// Version that was known.
    pub known: u64,
    /// Names of the indices that differed.
    pub indices: Vec<String>,
}

/// The agreed metadata of a cluster.
///
/// Implementations are linearizable: a state that `compare_and_swap` returned is seen by every
/// later call on any node that reads through the store, and by watchers soon after.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// Returns the newest state known here; may lag behind the store.
    fn state(&self) -> Arc<ClusterState>;

    /// Returns the state in force, from where it is kept; [`Coordinator::state`] is no older from then
    /// on.
    ///
    /// # Errors
    /// [`CoordinatorError::Unavailable`] when who keeps the state cannot be asked.
    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError>;

    /// Returns a channel that always holds the newest state known here.
    fn watch(&self) -> watch::Receiver<Arc<ClusterState>>;

    /// Returns for how long nothing was heard from where the state is kept: [`Coordinator::state`] may lack
    /// changes as old as that. Zero where this process keeps it.
    fn unheard_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns what is wrong with where the state is kept, worst first, as far as is known here without asking. Where this
    /// process keeps it, nothing is.
    fn store_problems(&self) -> Vec<StoreProblem> {
        Vec::new()
    }

    /// Waits until all roots and fronts show `version` of the state or a later one, a second at most. One that is silent for that
    /// long is not waited for again before it shows something new. Where this process keeps the state there is nothing
    /// to wait for.
    async fn wait_shown(&self, _version: u64) {}

    /// Returns the entries of shards, through which the copies of a shard agree. `None`: one process holds the only
    /// copy of each.
    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        None
    }

    /// Writes the state that this process has seen where the store holds an older one, as after a backup was restored, under a
    /// version above both; `None` where it holds none, or this process keeps the state. With `is_dry`, it only says so.
    ///
    /// # Errors
    /// As [`Coordinator::compare_and_swap`].
    async fn bring_back(&self, _is_dry: bool) -> Result<Option<BroughtBack>, CoordinatorError> {
        Ok(None)
    }

    /// Replaces the state when it is still at version `expected`; on `Ok` the change is durable and
    /// visible through [`Coordinator::state`]. The new state's version is `expected + 1`, whatever
    /// `next.version` says.
    ///
    /// # Errors
    /// [`CoordinatorError::Conflict`]: read again; [`CoordinatorError::Store`],
    /// [`CoordinatorError::TooLarge`] and [`CoordinatorError::OutOfQuota`]: nothing changed;
    /// [`CoordinatorError::Unavailable`]: the version of the state read next tells.
    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError>;
}

/// Largest number of attempts of [`update`].
const MAX_ATTEMPTS: u32 = 64;

/// Changes the state by `change`, again from the newest state whenever someone else was faster.
///
/// Returns once all roots and fronts show the state: what is acknowledged through one of them holds through any other.
///
/// `change` returns `None` when there is nothing to change. That, and what it fails with, is taken as
/// final for the state in force only: one known here may lag behind. It may run several times.
///
/// # Errors
/// Whatever `change` fails with, and [`CoordinatorError`] through `E::from`; among them
/// [`CoordinatorError::Unavailable`] when it cannot be told whether there is nothing to change.
pub async fn update<E, F>(
    coordinator: &dyn Coordinator,
    mut change: F,
) -> Result<Arc<ClusterState>, E>
where
    E: From<CoordinatorError>,
    F: FnMut(&ClusterState) -> Result<Option<ClusterState>, E>,
{
    for _ in 0..MAX_ATTEMPTS {
        let current = coordinator.state();
        let next = match change(&current) {
            Ok(Some(next)) => next,
            unchanged => {
                if coordinator.latest().await?.version == current.version {
                    if unchanged.is_ok() {
                        coordinator.wait_shown(current.version).await;
                    }
                    return unchanged.map(|_| current);
                }
                continue;
            }
        };
        if let Some(state) = swap(coordinator, current.version, next).await? {
            coordinator.wait_shown(state.version).await;
            return Ok(state);
        }
    }
    Err(CONTENTION.into())
}

/// As [`update`], but nobody is waited for, and where `change` changes nothing, or fails, on the state known here, that is
/// final: for changes that are tried again by themselves and must not wait for who keeps the state.
///
/// # Errors
/// Whatever `change` fails with, and [`CoordinatorError`] through `E::from`.
pub async fn update_known<E, F>(
    coordinator: &dyn Coordinator,
    mut change: F,
) -> Result<Arc<ClusterState>, E>
where
    E: From<CoordinatorError>,
    F: FnMut(&ClusterState) -> Result<Option<ClusterState>, E>,
{
    for _ in 0..MAX_ATTEMPTS {
        let current = coordinator.state();
        let Some(next) = change(&current)? else {
            return Ok(current);
        };
        if let Some(state) = swap(coordinator, current.version, next).await? {
            return Ok(state);
        }
    }
    Err(CONTENTION.into())
}

const CONTENTION: CoordinatorError = CoordinatorError::Contention {
    attempts: MAX_ATTEMPTS,
};

/// Replaces the state; `None` when someone else was faster.
async fn swap(
    coordinator: &dyn Coordinator,
    expected: u64,
    next: ClusterState,
) -> Result<Option<Arc<ClusterState>>, CoordinatorError> {
    match coordinator.compare_and_swap(expected, next).await {
        Ok(state) => Ok(Some(state)),
        Err(CoordinatorError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
