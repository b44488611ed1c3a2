//! The life of a copy that agrees with others: opened on what it holds, driven, shown, opened again.
//!
//! ```text
//! state      on                                                next
//! waiting    the entry names a copy on this node               opening
//! opening    own files and log are sound                       following
//!            they are not, or are to be replaced               leaving
//! leaving    the entry has another primary, and this copy is   copying
//!            not in sync any more
//! copying    all files here and checked                        opening
//! following  it leads a term                                   leading
//! leading    it leads that term no longer                      following
//! either     its log fails, or reaches back too little         opened again
//! any        damage, and it does not count as in sync          copying
//!            damage, and it does                               failed: gives its role away, opened again later
//! ```
//!
//! Engine and views stay open while the role changes. Only what is agreed is applied, so no engine is ever rolled
//! back. Called by maintenance. Read first: [`Leaf::keep_agreeing`], then [`super::host`].

use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::entries::StoredEntry;
use gleaner_engine::copy::Checkpoint;
use gleaner_model::{SeqNo, ShardKey};

use super::driver::CopyDriver;
use super::host::{CopyLoop, Standing};
use super::hub::Agreeing;
use super::roles::EngineHost;
use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::copy::opening::OpeningProgress;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::lifecycle::healing::Unsound;
use crate::lifecycle::opening_order::Urgency;
use crate::lifecycle::recovery::{CopyStart, PrimaryOpening, check_mapping, check_tail};
use crate::replicate::files::begin as begin_incoming;
use crate::replicate::halt::Halt;

/// How long until a copy that could not be opened is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Looks after one copy.
pub(super) struct CopyHolder {
    pub(super) leaf: Arc<Leaf>,
    pub(super) hub: Arc<Agreeing>,
    pub(super) key: ShardKey,
    /// What its slot says while it does not serve.
    pub(super) opening: Arc<OpeningProgress>,
}

/// What comes after a life of a copy.
enum Next {
    /// Somebody else sees to it, or nobody has to.
    End,
    /// It is opened again.
    Again,
}

impl Leaf {
    /// Opens the copy of `key` and drives it until it is closed or has failed.
    pub(crate) async fn keep_agreeing(
        self: Arc<Self>,
        hub: Arc<Agreeing>,
        key: ShardKey,
        opening: Arc<OpeningProgress>,
    ) {
        let mut holder = CopyHolder {
            leaf: self,
            hub,
            key,
            opening,
        };
        loop {
            match holder.live().await {
                Next::End => return,
                Next::Again => {
                    let pause = tokio::time::sleep(AGAIN_AFTER);
                    if holder.until_closed(pause).await.is_err() {
                        return holder.give_up();
                    }
                }
            }
        }
    }
}

impl CopyHolder {
    async fn live(&mut self) -> Next {
        match self.open().await {
            Ok((replica, driver)) => self.drive(replica, driver).await,
            Err(Halt::Closed) => {
                self.give_up();
                Next::End
            }
            Err(Halt::Later(reason)) => {
                tracing::info!(shard = %self.key, reason, "copy is not open yet");
                self.opening.tell(reason);
                Next::Again
            }
            Err(Halt::Files(reason)) => {
                self.begin_files(&reason).await;
                self.opening.tell(reason);
                Next::Again
            }
            Err(Halt::Broken(reason)) => {
                self.leave_to_others().await;
                let failed = CopyState::Failed(reason.into());
                self.leaf.end_opening(self.key, failed);
                Next::End
            }
        }
    }

    /// Ends an opening that is not wanted any more: whoever closed it has what is there removed. A leaf that
    /// stops leaves its copies as they are.
    fn give_up(&self) {
        if !self.leaf.node.is_stopping() {
            let failed = CopyState::Failed("it is not wanted any more".into());
            self.leaf.end_opening(self.key, failed);
        }
    }

    /// Waits for `work` unless the copy is not wanted any more.
    pub(super) async fn until_closed<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.opening.closed() => Err(Halt::Closed),
            () = self.leaf.node.stopped() => Err(Halt::Closed),
        }
    }

    /// Returns the entry in force, from the store: what this copy has known of it may be lost.
    pub(super) async fn stored(&self) -> Result<StoredEntry, Halt> {
        let read = self.until_closed(self.hub.entries.read(self.key)).await?;
        let stored = read.map_err(|error| Halt::Later(error.to_string()))?;
        stored.ok_or_else(|| Halt::Later("the shard has no entry yet".to_owned()))
    }

    /// Opens the copy that the entry names, with its driver.
    async fn open(&self) -> Result<(Arc<Replica>, Arc<CopyDriver>), Halt> {
        let stored = self.stored().await?;
        let copy = self.hub.own_copy(&stored.entry);
        let copy = copy.ok_or_else(|| {
            Halt::Later("the shard's entry names no copy on this node".to_owned())
        })?;
        let (node, marks) = (&self.leaf.node, &*self.hub.marks);
        let looked = node.starts.look(marks, self.hub.identity.node);
        self.until_closed(looked).await??;
        let held = self.claim_folder(copy, &stored).await?;
        self.check_age(&stored).await?;
        let state = self.leaf.node.coordinator.state();
        let index = state.indices.get(&self.key.index).ok_or(Halt::Closed)?;
        let opening = Arc::clone(&self.opening);
        let opening = PrimaryOpening::new(&self.leaf, self.key, Arc::clone(index), opening);
        let opening = opening.map_err(Halt::Broken)?;
        if self.leaf.node.folders(self.key).incoming.exists() {
            self.wait_for_leave(&stored, copy).await?;
            opening.copy_files(stored.entry.term).await?;
        }
        let urgency = Urgency::of(&self.leaf.node, self.key).await;
        let turn = self.leaf.opener.order.turn(urgency);
        let _permit = self.until_closed(turn).await?;
        let shard = self.open_shard(&opening, &stored).await?;
        let committed = shard.flushes.committed();
        let followers = Arc::clone(&shard.followers);
        let driver = CopyDriver::open(&self.hub, self.key, held, committed, followers).await;
        let driver = driver.map_err(|error| Halt::Broken(with_causes(&error)))?;
        shard.set_driver(&driver);
        let replica = Arc::new(Replica::new(shard));
        self.leaf.copies.note_unserved(&replica);
        // Once more: it may have changed while the files were opened.
        match self.stored().await {
            Ok(stored) => self.hub.add(&driver, &stored),
            Err(halt) => {
                driver.end();
                let released = self.leaf.release(OpenCopy::Replica(replica)).await;
                return Err(released.err().map_or(halt, Halt::Broken));
            }
        }
        Ok((replica, driver))
    }

    /// Opens engine and log; what is damaged is mended first, if that can be done.
    async fn open_shard(
        &self,
        opening: &PrimaryOpening,
        stored: &StoredEntry,
    ) -> Result<Arc<Shard>, Halt> {
        let (engine, checkpoint) = match opening.open_sound().await {
            Ok(opened) => opened,
            Err(Unsound::Damaged(damage)) => return Err(self.damaged(damage).await),
            Err(Unsound::Other(reason)) => return Err(Halt::Broken(reason)),
        };
        self.check_memory(stored, checkpoint).await?;
        let tail = self.leaf.node.log.tail(self.key).await;
        let tail = tail.map_err(|error| Halt::Broken(with_causes(&error)))?;
        check_mapping(opening.index.mapping.version, checkpoint.generation.mapping)
            .map_err(Halt::Later)?;
        if let Err(damage) = check_tail(checkpoint, tail) {
            return Err(self.damaged(damage).await);
        }
        if let Some(reason) = self.set_aside_at(checkpoint) {
            return Err(self.damaged(reason).await);
        }
        if tail.is_none() {
            // Nothing was written yet: whatever comes is indexed with all its fields.
            engine.set_complete();
        }
        let committed = checkpoint.next_seq_no;
        let start = CopyStart {
            engine: Arc::new(engine),
            index: Arc::clone(&opening.index),
            analyzers: Arc::clone(&opening.analyzers),
            next: tail.map_or(SeqNo(0), SeqNo::next),
            applied: committed,
            committed,
        };
        let shard = self.leaf.opener.shard(start).await;
        shard.map_err(Halt::Broken)
    }

    /// Returns why the copy is set aside, unless its files have the operation for which it was.
    fn set_aside_at(&self, checkpoint: Checkpoint) -> Option<String> {
        let set_aside = &self.leaf.node.set_aside;
        if set_aside.operation(self.key)? >= checkpoint.next_seq_no {
            return set_aside.reason(self.key);
        }
        if let Err(error) = set_aside.forget(self.key) {
            tracing::warn!(shard = %self.key, %error, "that a copy was set aside stays noted");
        }
        None
    }

    /// Notes that the copy is to be made from files.
    async fn begin_files(&self, reason: &str) {
        tracing::warn!(shard = %self.key, reason, "copy begins again from files");
        let incoming = self.leaf.node.folders(self.key).incoming;
        if let Err(halt) = blocking(move || begin_incoming(&incoming)).await {
            tracing::warn!(shard = %self.key, ?halt, "no folder for the files");
        }
    }

    /// Applies what is agreed, changes the role as the machine does, until the copy ends.
    async fn drive(&mut self, replica: Arc<Replica>, driver: Arc<CopyDriver>) -> Next {
        let mut standing = Standing::default();
        let ended = {
            let engine = EngineHost::new(self, &replica);
            let copy_loop = CopyLoop {
                driver: &driver,
                log: &self.leaf.node.log,
                host: &engine,
            };
            let ended = tokio::select! {
                biased;
                ended = copy_loop.run(&mut standing) => ended,
                ended = self.keep_placed(&driver) => ended,
            };
            engine.end_reign();
            ended
        };
        match ended {
            // Whoever closes it sees to the rest.
            Halt::Closed if standing.is_serving => Next::End,
            Halt::Broken(reason) if standing.is_serving => {
                // The slot tells the failure, and failed copies are opened again by the leaf.
                replica.shard.applier.stop(&reason);
                Next::End
            }
            ended if standing.is_serving => {
                drop(replica);
                let Some((state, opening)) = self.leaf.copies.begin_opening(self.key) else {
                    return Next::End;
                };
                self.opening = opening;
                let released = self.leaf.release_state(self.key, state).await;
                self.closed(released, ended).await
            }
            ended => {
                driver.end();
                let released = self.leaf.release(OpenCopy::Replica(replica)).await;
                self.closed(released, ended).await
            }
        }
    }

    /// Decides what follows the end of a copy that was closed.
    async fn closed(&self, released: Result<(), String>, ended: Halt) -> Next {
        let ended = match released {
            Ok(()) => ended,
            Err(reason) => Halt::Broken(reason),
        };
        match ended {
            Halt::Closed => {
                self.give_up();
                Next::End
            }
            Halt::Files(reason) => {
                self.begin_files(&reason).await;
                Next::Again
            }
            Halt::Later(reason) => {
                self.opening.tell(reason);
                Next::Again
            }
            Halt::Broken(reason) => {
                self.leave_to_others().await;
                let failed = CopyState::Failed(reason.into());
                self.leaf.end_opening(self.key, failed);
                Next::End
            }
        }
    }
}

/// Runs work on files where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Halt> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Halt::Broken(error.to_string())),
        Err(error) => Err(Halt::Broken(error.to_string())),
    }
}
