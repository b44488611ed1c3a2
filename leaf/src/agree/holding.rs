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
//! back. Called by maintenance. Read first: [`Leaf::keep_agreeing`], then [`super::roles`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_coordinator::entries::StoredEntry;
use gleaner_log::RecordBatch;
use gleaner_model::{SeqNo, ShardKey};
use gleaner_replication::{Event, Settings, ShardCopy};

use super::driver::{CopyDriver, DriverEnd, Status};
use super::hub::Agreeing;
use super::identity::log_state;
use super::placing::PlacingRound;
use super::roles::CopyRole;
use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::copy::opening::OpeningProgress;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::lifecycle::healing::Unsound;
use crate::lifecycle::recovery::{
    CopyStart, PAGE_BYTES, PrimaryOpening, check_mapping, check_tail,
};
use crate::replicate::replica::Halt;
use crate::replicate::replica::files::begin as begin_incoming;
use crate::replicate::replica::follow::Follower;

/// How long a copy waits for its primary when it is opened; then it serves what it has, which may be old.
const SERVE_OLD_AFTER: Duration = Duration::from_secs(2);

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

/// What a copy is, and whether its slot says that it serves.
struct ServedRole {
    now: CopyRole,
    is_serving: bool,
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
            Err(Halt::Later(reason) | Halt::Kept(reason)) => {
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
        self.claim_folder(copy, &stored).await?;
        let state = self.leaf.node.coordinator.state();
        let index = state.indices.get(&self.key.index).ok_or(Halt::Closed)?;
        let opening = Arc::clone(&self.opening);
        let opening = PrimaryOpening::new(&self.leaf, self.key, Arc::clone(index), opening);
        let opening = opening.map_err(Halt::Broken)?;
        if self.leaf.node.folders(self.key).incoming.exists() {
            self.wait_for_leave(&stored, copy).await?;
            opening.copy_files(stored.entry.term).await?;
        }
        // An error means that the semaphore is closed, which nobody does.
        let _permit = self
            .until_closed(self.leaf.opener.permits.acquire())
            .await?;
        let shard = self.open_shard(&opening).await?;
        let committed = shard.flushes.committed();
        let log = log_state(&*self.leaf.node.log, self.key, committed).await;
        let log = log.map_err(|error| Halt::Broken(with_causes(&error)))?;
        let identity = self.hub.identity_of(copy);
        let machine = ShardCopy::open(identity, Settings::default(), log, self.hub.now());
        let followers = Arc::clone(&shard.followers);
        let driver = CopyDriver::start(&self.hub, (self.key, copy), machine, followers);
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
    async fn open_shard(&self, opening: &PrimaryOpening) -> Result<Arc<Shard>, Halt> {
        let (engine, checkpoint) = match opening.open_sound().await {
            Ok(opened) => opened,
            Err(Unsound::Damaged(damage)) => return Err(self.damaged(damage).await),
            Err(Unsound::Other(reason)) => return Err(Halt::Broken(reason)),
        };
        let tail = self.leaf.node.log.tail(self.key).await;
        let tail = tail.map_err(|error| Halt::Broken(with_causes(&error)))?;
        check_mapping(opening.index.mapping.version, checkpoint.generation.mapping)
            .map_err(Halt::Later)?;
        if let Err(damage) = check_tail(checkpoint, tail) {
            return Err(self.damaged(damage).await);
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
        let opener = &self.leaf.opener;
        let shard = opener.shard(start);
        let is_marked = opener.is_refresh_before(self.key, committed).await;
        if is_marked.map_err(Halt::Broken)? {
            shard.applier.mark(committed);
        }
        Ok(shard)
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
        let mut role = ServedRole {
            now: CopyRole::Follower,
            is_serving: false,
        };
        let ended = self.follow_machine(&mut role, &replica, &driver).await;
        if let CopyRole::Primary(primary) = &role.now {
            primary.end_reign();
        }
        match ended {
            // Whoever closes it sees to the rest.
            Halt::Closed if role.is_serving => Next::End,
            Halt::Broken(reason) if role.is_serving => {
                // The slot tells the failure, and failed copies are opened again by the leaf.
                replica.shard.applier.stop(&reason);
                Next::End
            }
            ended if role.is_serving => {
                drop((role, replica));
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
            Halt::Later(reason) | Halt::Kept(reason) => {
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

    /// Does what the machine's state asks for, step by step; returns why no further step is to be made.
    async fn follow_machine(
        &self,
        role: &mut ServedRole,
        replica: &Arc<Replica>,
        driver: &Arc<CopyDriver>,
    ) -> Halt {
        let shard = &replica.shard;
        let (mut status, mut visible) = (driver.status(), shard.applier.visible());
        let mut applying = Follower::new(&self.leaf, replica, &self.opening);
        let mut placing = PlacingRound::begin();
        let serve_by = Instant::now() + SERVE_OLD_AFTER;
        loop {
            let now = status.borrow_and_update().clone();
            if let Some(end) = &now.end {
                return halt_of(end);
            }
            match self.change_role(&mut role.now, replica, &now).await {
                Ok(true) => {
                    role.is_serving = true;
                    continue;
                }
                Ok(false) => {}
                Err(halt) => return halt,
            }
            match self.apply(&mut applying, shard, limit(&now)).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(halt) => return halt,
            }
            let has_goal = now.goal.is_some_and(|goal| shard.applier.next() >= goal);
            if !role.is_serving && (has_goal || Instant::now() >= serve_by) {
                if !self.serve(replica).await {
                    return Halt::Closed;
                }
                role.is_serving = true;
            }
            if role.is_serving {
                let visible = visible.borrow_and_update().visible;
                driver.handle(Event::Shown { visible });
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return Halt::Closed },
                changed = visible.changed() => if changed.is_err() { return Halt::Closed },
                () = tokio::time::sleep_until(serve_by.into()), if !role.is_serving => {}
                () = placing.due() => self.place(driver).await,
                () = self.opening.closed() => return Halt::Closed,
                () = shard.applier.stopped() => return Halt::Closed,
                () = self.leaf.node.stopped() => return Halt::Closed,
            }
        }
    }

    /// Applies a page of what the log holds below `limit`; returns whether there was any.
    async fn apply(
        &self,
        applying: &mut Follower,
        shard: &Arc<Shard>,
        limit: SeqNo,
    ) -> Result<bool, Halt> {
        let next = shard.applier.next();
        if next >= limit {
            return Ok(false);
        }
        let page = self.leaf.node.log.read_batches(self.key, next, PAGE_BYTES);
        let page = page
            .await
            .map_err(|error| Halt::Broken(with_causes(&error)))?;
        if page.first_available > next {
            let first = page.first_available;
            let damage = format!("its log begins at {first}, but {next} is needed");
            return Err(self.damaged(damage).await);
        }
        let is_below = |batch: &&RecordBatch| batch.next() <= limit;
        let batches = page.batches.iter().take_while(is_below);
        let records = batches.flat_map(|batch| (batch.first.0..).zip(&batch.payloads));
        let records = records.filter(|(position, _)| *position >= next.0);
        let payloads: Vec<_> = records.map(|(_, payload)| payload).collect();
        if payloads.is_empty() {
            return Ok(false);
        }
        applying.apply(payloads.into_iter()).await?;
        self.opening.tell(format!(
            "what is agreed is applied up to {}",
            shard.applier.next()
        ));
        Ok(true)
    }

    /// Has the copy serve as a follower; returns whether it is still wanted.
    async fn serve(&self, replica: &Arc<Replica>) -> bool {
        // It may hold more than the process before has shown.
        replica.shard.applier.leases.show().wait().await;
        let open = CopyState::Open(OpenCopy::Replica(Arc::clone(replica)));
        let is_wanted = self.leaf.end_opening(self.key, open);
        if is_wanted {
            let visible = replica.shard.engine().view().generation().visible;
            tracing::info!(shard = %self.key, %visible, "copy serves");
        }
        is_wanted
    }
}

/// Returns up to where the copy applies by itself. A primary hands on what it has ordered when that is agreed.
fn limit(status: &Status) -> SeqNo {
    match status.reign {
        Some(reign) => status.agreed.min(reign.start),
        None => status.agreed,
    }
}

fn halt_of(end: &DriverEnd) -> Halt {
    match end {
        DriverEnd::Closed => Halt::Closed,
        DriverEnd::LogFailed(reason) => Halt::Broken(reason.to_string()),
        DriverEnd::Replaced => {
            Halt::Later("the shard's entry names another copy on this node now".to_owned())
        }
        DriverEnd::Files => {
            Halt::Files("the primary's log does not reach back to where this one ends".to_owned())
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
