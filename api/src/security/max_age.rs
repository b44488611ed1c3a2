//! For how long keys are taken after the cluster state was last heard of.
//!
//! A node that is cut off does not hear that a key was revoked. Does: return the cluster state as long as its keys are
//! taken, and log when that ends and when it begins again. Does not: find out when the state was last heard of (coordinators
//! do), refuse requests. Called by: [`crate::service`] before it reads credentials, and by fronts before they serve an
//! answer that is kept. Read first: [`MaxAge::state`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gleaner_coordinator::Coordinator;
use gleaner_model::ClusterState;

/// Limits how old the cluster state may be whose keys are taken. A state without keys may be of any age.
#[derive(Debug)]
pub struct MaxAge {
    limit: Duration,
    consequence: &'static str,
    /// Was the state too old when it was read last?
    is_exceeded: AtomicBool,
}

/// The cluster has keys, and nothing was heard of its state for so long that some of them may have been revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster state was not heard of for [{unheard_for:.0?}], and keys are taken for [{limit:?}] after it was"
)]
pub struct Unheard {
    unheard_for: Duration,
    limit: Duration,
}

impl MaxAge {
    /// Takes keys for `limit` after the state was last heard of. `consequence` is what the node does afterwards, for its
    /// log.
    pub fn new(limit: Duration, consequence: &'static str) -> Self {
        Self {
            limit,
            consequence,
            is_exceeded: AtomicBool::new(false),
        }
    }

    /// Returns the cluster state as `coordinator` knows it.
    ///
    /// # Errors
    /// [`Unheard`]: the state has keys and is too old; no key may be taken, and no request without one either.
    pub fn state(&self, coordinator: &dyn Coordinator) -> Result<Arc<ClusterState>, Unheard> {
        // Before the state is read: what is heard in between is in it.
        let unheard_for = coordinator.unheard_for();
        let state = coordinator.state();
        let is_exceeded = state.security.is_some() && unheard_for > self.limit;
        self.note(is_exceeded, unheard_for);
        match is_exceeded {
            true => Err(Unheard {
                unheard_for,
                limit: self.limit,
            }),
            false => Ok(state),
        }
    }

    /// Logs a change, once.
    fn note(&self, is_exceeded: bool, unheard_for: Duration) {
        // Most requests change nothing, and only read what all of them share.
        if self.is_exceeded.load(Ordering::Relaxed) == is_exceeded
            || self.is_exceeded.swap(is_exceeded, Ordering::Relaxed) == is_exceeded
        {
            return;
        }
        match is_exceeded {
            true => tracing::warn!(
                ?unheard_for,
                "the cluster state was not heard of for too long: {}",
                self.consequence
            ),
            false => tracing::info!("the cluster state is heard of again"),
        }
    }
}
