//! A copy on its way: how far it is, and whether it is still wanted; and what is told of it once it serves.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use gleaner_model::SeqNo;
use gleaner_proto::read::{CopyRecovery, RecoverySource};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::copy::shard::Shard;
use crate::node::Role;

/// What is known of a copy that does not serve yet.
pub(crate) struct OpeningProgress {
    begun: Instant,
    progress: Mutex<Cow<'static, str>>,
    closed: watch::Sender<bool>,
}

impl Default for OpeningProgress {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            progress: Mutex::new("its log is being replayed".into()),
            closed: watch::Sender::new(false),
        }
    }
}

impl OpeningProgress {
    /// Says how far it is, for people.
    pub(crate) fn tell(&self, progress: impl Into<Cow<'static, str>>) {
        *self.progress.lock() = progress.into();
    }

    /// Returns how far it is.
    pub(crate) fn progress(&self) -> String {
        self.progress.lock().clone().into_owned()
    }

    /// Returns how the copy came to serve, which it does from now on.
    pub(crate) fn ended(&self, shard: &Shard, role: Role) -> EndedOpening {
        let (from, next) = (shard.opened_at, shard.applier.next());
        let source = match role {
            _ if next == SeqNo(0) => RecoverySource::Empty,
            Role::Replica => RecoverySource::Peer,
            Role::Primary => RecoverySource::Existing,
        };
        EndedOpening {
            source,
            took: self.begun.elapsed(),
            ended: Instant::now(),
            num_replayed: next.0.saturating_sub(from.0),
        }
    }

    /// Says that the copy is not wanted any more: who opens it gives up when that is safe.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the copy is not wanted any more.
    pub(crate) async fn closed(&self) {
        // An error means that the sender is gone, and it lives in `self`.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }
}

/// How a copy came to serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedOpening {
    source: RecoverySource,
    took: Duration,
    ended: Instant,
    num_replayed: u64,
}

impl EndedOpening {
    /// Returns what is told of it now.
    pub(crate) fn told(&self) -> CopyRecovery {
        CopyRecovery {
            source: self.source,
            since: self.ended.elapsed(),
            took: self.took,
            num_replayed: self.num_replayed,
        }
    }
}
