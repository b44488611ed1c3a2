//! A copy that follows: files of the primary, then its log.
//!
//! ```text
//! state        on                                   next
//! opening      own files and log fit                catching up
//!              none, or they do not fit             copying
//! copying      all files here and checked           opening
//! catching up  all that the primary had and showed  serving
//!              the primary is away, or has lost
//!              what this copy holds                 serving what it has
//!              log trimmed                          copying
//! serving      log trimmed                          copying
//! any          damage                               failed: opened again later
//!              not wanted any more, leaf stops      closed
//! ```
//!
//! The copy serves only in *serving*, and goes on doing so when the primary is away. Where it cannot
//! follow, what it serves may be old, and its state says so. It is copied anew only when the primary's
//! history holds all its records: a copy never gives up what the primary does not have. Calls that
//! fail are repeated after growing pauses. The records it gets are made durable in its own log,
//! under the same positions and terms, before they are applied; a refresh record makes them
//! visible, so all copies come to show the same states.

pub(crate) mod files;
pub(crate) mod follow;
mod own;
mod pause;
mod restore;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::ReplicationClient;

use crate::Leaf;
use crate::copy::opening::OpeningProgress;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::replica::Replica;
use crate::lifecycle::recovery::PrimaryOpening;
use follow::Follower;
use pause::Pause;

/// Why a copy does not go on as it is.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It is not wanted any more, or the leaf stops.
    Closed,
    /// Something that may pass: another try may do.
    Later(String),
    /// What it has does not lead to what the primary has: it must begin again from files.
    Files(String),
    /// It cannot follow now, and keeps and serves what it has.
    Kept(String),
    /// It is damaged, or this node's disk is.
    Broken(String),
}

impl Halt {
    /// Returns the halt of an error that may pass.
    fn later(error: &dyn std::error::Error) -> Self {
        Self::Later(crate::copy::applier::with_causes(error))
    }

    /// Returns why, for people.
    fn reason(self) -> String {
        match self {
            Self::Closed => "it is not wanted any more".to_owned(),
            Self::Later(reason)
            | Self::Files(reason)
            | Self::Kept(reason)
            | Self::Broken(reason) => reason,
        }
    }

    /// Returns the halt of an error that opening the copy again may cure.
    fn broken(error: &dyn std::error::Error) -> Self {
        Self::Broken(crate::copy::applier::with_causes(error))
    }
}

/// What came of one life of a copy.
enum Next {
    /// Somebody else sees to it, or nobody has to.
    End,
    /// Try again at once.
    Again,
    /// Try again after a pause.
    Pause,
}

impl Leaf {
    /// Makes, opens and keeps the replica of `key` until it is closed or has failed.
    pub(crate) async fn keep_replica(
        self: Arc<Self>,
        key: ShardKey,
        opening: Arc<OpeningProgress>,
    ) {
        let mut keeper = Keeper {
            leaf: self,
            key,
            opening,
            since: Instant::now(),
            source: None,
        };
        let mut pause = Pause::default();
        loop {
            match keeper.live().await {
                Next::End => return,
                Next::Again => pause.reset(),
                Next::Pause => {
                    if keeper.until_closed(pause.wait()).await.is_err() {
                        return keeper.give_up("it is not wanted any more");
                    }
                }
            }
        }
    }
}

/// For how long the primary of a copy that is being opened may be away before that is worth a warning: leaves
/// that are started together are not ready together.
const STARTING: Duration = Duration::from_secs(30);

/// Looks after one replica.
struct Keeper {
    leaf: Arc<Leaf>,
    key: ShardKey,
    /// What its slot says while it does not serve.
    opening: Arc<OpeningProgress>,
    /// When it began to be looked after.
    since: Instant,
    /// Whose copy it is made from; `None`: the primary's.
    source: Option<NodeId>,
}

impl Keeper {
    /// Returns one that gets files and records for a primary, from the copy on `source` where one is named.
    fn of(opening: &PrimaryOpening, source: Option<NodeId>) -> Self {
        Self {
            leaf: Arc::clone(&opening.leaf),
            key: opening.key,
            opening: Arc::clone(&opening.opening),
            since: Instant::now(),
            source,
        }
    }

    /// One life of the copy: opened, caught up, serving.
    async fn live(&mut self) -> Next {
        let replica = match self.open().await {
            Ok(replica) => replica,
            Err(halt) => return self.halted(halt),
        };
        self.leaf.copies.note_unserved(&replica);
        let mut follower = Follower::new(&self.leaf, &replica, &self.opening);
        let caught_up = match follower.replay().await {
            Ok(()) => follower.catch_up().await,
            Err(halt) => Err(halt),
        };
        if let Err(Halt::Kept(reason)) = caught_up {
            replica.link.part(reason);
        } else if let Err(halt) = caught_up {
            drop(follower);
            // Nobody else has it; its folder must be free before it is opened again.
            return match self.leaf.release(OpenCopy::Replica(replica)).await {
                Ok(()) => self.halted(halt),
                Err(reason) => self.halted(Halt::Broken(reason)),
            };
        }
        // It may hold more than the process before has shown.
        replica.shard.applier.leases.show().wait().await;
        let open = CopyState::Open(OpenCopy::Replica(Arc::clone(&replica)));
        if !self.leaf.end_opening(self.key, open) {
            return Next::End;
        }
        let visible = replica.shard.engine().view().generation().visible;
        tracing::info!(shard = %self.key, %visible, "replica serves");
        drop(replica);
        match follower.serve().await {
            Halt::Files(reason) => {
                drop(follower);
                self.leave(reason).await
            }
            // The slot tells a failure, and failed copies are opened again by the leaf.
            Halt::Closed | Halt::Later(_) | Halt::Kept(_) | Halt::Broken(_) => Next::End,
        }
    }

    /// Takes a copy that cannot follow any more out of service; it is to be made from files.
    async fn leave(&mut self, reason: String) -> Next {
        let Some((state, opening)) = self.leaf.copies.begin_opening(self.key) else {
            return Next::End;
        };
        self.opening = opening;
        let released = self.leaf.release_state(self.key, state).await;
        match released.map_err(Halt::Broken) {
            Ok(()) => {
                self.halted(Halt::Files(reason));
                Next::Again
            }
            Err(halt) => self.halted(halt),
        }
    }

    /// Decides what follows a halt of a copy that does not serve.
    fn halted(&self, halt: Halt) -> Next {
        match halt {
            Halt::Closed => {
                self.give_up("it is not wanted any more");
                Next::End
            }
            Halt::Later(reason) | Halt::Kept(reason) => {
                let key = &self.key;
                match self.since.elapsed() < STARTING {
                    true => tracing::info!(shard = %key, reason, "replica is tried again"),
                    false => tracing::warn!(shard = %key, reason, "replica is tried again"),
                }
                self.opening.tell(reason);
                Next::Pause
            }
            Halt::Files(reason) => {
                tracing::warn!(shard = %self.key, reason, "replica begins again from files");
                self.opening.tell(reason);
                if let Err(error) = files::begin(&self.leaf.node.folders(self.key).incoming) {
                    tracing::warn!(shard = %self.key, %error, "no folder for the files");
                }
                Next::Pause
            }
            Halt::Broken(reason) => {
                self.leaf
                    .end_opening(self.key, CopyState::Failed(reason.into()));
                Next::End
            }
        }
    }

    /// Ends an opening that is not wanted any more: whoever closed it has what is there removed. A
    /// leaf that stops leaves its copies as they are.
    fn give_up(&self, reason: &str) {
        if !self.leaf.node.is_stopping() {
            self.leaf
                .end_opening(self.key, CopyState::Failed(reason.into()));
        }
    }

    /// Returns whose copy it is made from.
    fn source(&self) -> Result<Arc<dyn ReplicationClient>, Halt> {
        let source = match &self.source {
            Some(node) => self.leaf.node.peers.replication(node),
            None => self.leaf.node.primary_of(self.key),
        };
        source.ok_or_else(|| Halt::Later(follow::NO_PRIMARY.to_owned()))
    }

    async fn open(&self) -> Result<Arc<Replica>, Halt> {
        let folders = self.leaf.node.folders(self.key);
        if folders.has_lost_commit() {
            let reason = "the shard's folder is damaged: `meta.json` is missing";
            self.leaf.note_damage(self.key, reason);
        }
        if folders.is_to_be_copied() {
            let permit = self.until_closed(self.leaf.copying.acquire()).await?;
            self.copy_files(&folders).await?;
            drop(permit);
        }
        self.open_own().await
    }

    /// Waits for `work` unless the copy is not wanted any more.
    async fn until_closed<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.opening.closed() => Err(Halt::Closed),
            () = self.leaf.node.stopped() => Err(Halt::Closed),
        }
    }
}

#[cfg(test)]
mod tests;
