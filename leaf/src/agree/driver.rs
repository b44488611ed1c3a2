//! The driver of one copy: events go into its machine, and what that wants is done, in order.
//!
//! Everything is done under one lock and nothing of it blocks: the log is asked by queueing ([`super::log_lane`]
//! reports what became of it), messages go into outboxes, changes of the entry are asked for by tasks.
//!
//! Does: order batches of the primary, pass messages on, tell who leads and what is agreed. Does not: apply, read the
//! log, open copies. Called by the write path, streams, the life of the copy. Read first: [`CopyDriver::handle`].

mod events;
mod perform;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gleaner_log::{Append, Appended, LogError};
use gleaner_model::{CopyId, Entry, HistoryId, NodeUuid, PrimaryTerm, Revision, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_replication::{Event, ShardCopy};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::downstream::FollowerStream;
use super::hub::Agreeing;
use super::identity::{HeldCopy, log_state};
use super::log_lane::{LogLane, LogWork};
use super::rules::Rule;
use super::upstream::Upstream;
use crate::replicate::followers::Followers;

/// Bytes of records that may wait to become durable here before the stream that brings them is held up.
const BACKLOG_BYTES: u64 = 16 << 20;

/// How often a primary looks whether it holds the right to read.
const RIGHT_LOOKS: Duration = Duration::from_millis(5);

/// One copy of a shard that agrees with others.
pub(crate) struct CopyDriver {
    pub(crate) shard: ShardKey,
    pub(crate) copy: CopyId,
    /// The history of its records, for as long as it is open.
    pub(crate) history: HistoryId,
    pub(super) hub: Arc<Agreeing>,
    me: Weak<CopyDriver>,
    machine: Mutex<Machine>,
    status: watch::Sender<Status>,
    /// Told when that has changed.
    changed: Notify,
    /// Bytes that wait to become durable.
    backlog: watch::Sender<u64>,
    /// For whom the log is kept.
    followers: Arc<Followers>,
}

/// The machine with what the driver keeps for it.
struct Machine {
    copy: ShardCopy,
    /// Where the work on the log is awaited, in order; `None` once the driver has ended.
    lane: Option<mpsc::UnboundedSender<LogWork>>,
    /// Streams of the followers that have joined by them.
    streams: BTreeMap<CopyId, FollowerStream>,
    /// The stream to the primary that is followed.
    upstream: Option<(CopyId, Arc<Upstream>)>,
    /// Revision of the newest entry given to the machine.
    revision: Option<Revision>,
    entry: Option<Arc<Entry>>,
    /// Nodes of the entry's copies, and whether they were said to be alive.
    alive: BTreeMap<NodeUuid, bool>,
    told: Status,
    /// As it is set in the machine.
    min_in_sync: usize,
    /// Whether roots call this leaf, as the machine was told.
    is_called: bool,
}

/// What others see of a copy.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Status {
    /// Everything below is agreed.
    pub(crate) agreed: SeqNo,
    /// The term that it leads; `None` while it follows.
    pub(crate) reign: Option<Reign>,
    /// The last term that it led, when it leads it no longer.
    pub(crate) ended: Option<EndedReign>,
    /// Whether new records may be ordered.
    pub(crate) may_order: bool,
    /// The agreed point that a primary announced when it was first followed.
    pub(crate) goal: Option<SeqNo>,
    /// Records from here on must be kept: other copies may need them.
    pub(crate) keep_from: SeqNo,
    /// Unflagged searches everywhere see all below.
    pub(crate) refreshed: SeqNo,
    /// Why the copy cannot go on as it is.
    pub(crate) end: Option<DriverEnd>,
}

impl Status {
    fn leads(&self, term: PrimaryTerm) -> bool {
        self.reign.is_some_and(|reign| reign.term == term)
    }
}

/// A term that a copy leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) term: PrimaryTerm,
    /// The end of the log when it began.
    pub(crate) start: SeqNo,
}

/// A term that a copy leads no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedReign {
    pub(crate) term: PrimaryTerm,
    /// Everything below was agreed when it ended.
    pub(crate) agreed: SeqNo,
}

/// Why a copy cannot go on as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DriverEnd {
    /// It is closed.
    Closed,
    /// Its log has failed.
    LogFailed(Arc<str>),
    /// It is to be made from the files of the primary.
    Files,
    /// The entry names another copy on this node.
    Replaced,
    /// The entry names another history than that of the records here.
    OtherHistory,
}

/// A batch that was ordered.
pub(crate) struct Ordered {
    durable: oneshot::Receiver<Result<Appended, LogError>>,
}

impl Ordered {
    /// Waits until the batch is durable here.
    ///
    /// # Errors
    /// Those of the log; [`LogError::Closed`] when the copy is closed meanwhile.
    pub(crate) async fn durable(self) -> Result<Appended, LogError> {
        self.durable.await.unwrap_or(Err(LogError::Closed))
    }
}

/// Why a batch was not ordered; nothing is in the log.
#[derive(Debug)]
pub(crate) enum NotOrdered {
    /// The copy does not lead that term, or hands it over.
    NotPrimary,
    /// The log did not take it.
    Log(LogError),
}

impl CopyDriver {
    /// Opens the machine of a copy on what its log has kept, and returns its driver. The copy's last commit holds all before
    /// `committed`.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) async fn open(
        hub: &Arc<Agreeing>,
        shard: ShardKey,
        held: HeldCopy,
        committed: SeqNo,
        followers: Arc<Followers>,
    ) -> Result<Arc<Self>, LogError> {
        let log = log_state(&*hub.log, shard, held.history, committed).await?;
        let identity = hub.identity_of(held.copy);
        let machine = ShardCopy::open(identity, hub.settings(1), log, hub.now());
        Ok(Self::start(hub, shard, held, machine, followers))
    }

    /// Returns the driver of an opened machine, and begins to report what becomes of the log.
    fn start(
        hub: &Arc<Agreeing>,
        shard: ShardKey,
        held: HeldCopy,
        machine: ShardCopy,
        followers: Arc<Followers>,
    ) -> Arc<Self> {
        let told = Status {
            agreed: machine.agreed(),
            ..Status::default()
        };
        let (lane, works) = mpsc::unbounded_channel();
        let driver = Arc::new_cyclic(|me| Self {
            shard,
            copy: held.copy,
            history: held.history,
            hub: Arc::clone(hub),
            me: Weak::clone(me),
            machine: Mutex::new(Machine {
                copy: machine,
                lane: Some(lane),
                streams: BTreeMap::new(),
                upstream: None,
                revision: None,
                entry: None,
                alive: BTreeMap::new(),
                told: told.clone(),
                min_in_sync: 1,
                is_called: true,
            }),
            status: watch::Sender::new(told),
            changed: Notify::new(),
            backlog: watch::Sender::new(0),
            followers,
        });
        let lane = LogLane {
            driver: Arc::downgrade(&driver),
            log: Arc::clone(&hub.log),
            shard,
        };
        tokio::spawn(lane.run(works));
        driver
    }

    /// Gives the machine an event, and does what it wants.
    pub(crate) fn handle(&self, event: Event) {
        self.run(&mut self.machine.lock(), event);
    }

    /// Returns what others see of the copy, as it changes.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Returns what others see of the copy now.
    pub(crate) fn status_now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns the newest entry that the machine was given.
    pub(crate) fn entry(&self) -> Option<(Arc<Entry>, Revision)> {
        let machine = self.machine.lock();
        machine.entry.clone().zip(machine.revision)
    }

    /// Returns the newest entry that the machine was given, the agreed point, and the term of the record before it.
    pub(super) fn agreed_by_entry(&self) -> Option<(Arc<Entry>, SeqNo, Option<PrimaryTerm>)> {
        let machine = self.machine.lock();
        let entry = machine.entry.clone()?;
        Some((entry, machine.copy.agreed(), machine.copy.agreed_term()))
    }

    /// Returns how many members the in-sync set keeps.
    pub(crate) fn min_in_sync(&self) -> usize {
        self.machine.lock().min_in_sync
    }

    /// Orders a batch of the primary of `term`: queues it in the log, before anything else can be ordered or the
    /// role can go.
    pub(crate) fn order(&self, term: PrimaryTerm, append: Append) -> Result<Ordered, NotOrdered> {
        let mut machine = self.machine.lock();
        if machine.copy.leads() != Some(term) || !machine.copy.may_order() {
            return Err(NotOrdered::NotPrimary);
        }
        let Some(lane) = machine.lane.clone() else {
            return Err(NotOrdered::NotPrimary);
        };
        let num_records = append.batch.len() as u64;
        let first = append.expected_last.map_or(SeqNo(0), SeqNo::next);
        let next = SeqNo(first.0 + num_records);
        let ticket = self.hub.log.queue(append).map_err(NotOrdered::Log)?;
        let (tell, durable) = oneshot::channel();
        // An error means that the lane has ended, and with it the copy.
        drop(lane.send(LogWork::Own { ticket, next, tell }));
        self.run(&mut machine, Event::Appended { next });
        Ok(Ordered { durable })
    }

    /// Waits until everything below `next` is agreed under `term`.
    ///
    /// # Errors
    /// [`LeafFault::Indeterminate`] when the copy leads that term no longer, and it was not agreed by then: it may come
    /// to be agreed or not.
    pub(crate) async fn wait_agreed(
        &self,
        term: PrimaryTerm,
        next: SeqNo,
    ) -> Result<(), LeafFault> {
        // Where the role is handed over, all was agreed first, and this may hear of both at once.
        let was_agreed = |status: &Status| {
            let ended = status.ended.filter(|ended| ended.term == term);
            ended.is_some_and(|ended| ended.agreed >= next || self.omits(Rule::AgreedBeforeEnd))
        };
        let known = self.wait_status(|status| match status.leads(term) {
            true => (status.agreed >= next).then_some(true),
            false => Some(was_agreed(status)),
        });
        match known.await {
            true => Ok(()),
            false => Err(LeafFault::Indeterminate {
                shard: self.shard,
                reason: "the primary has changed before its copies had confirmed the write"
                    .to_owned(),
            }),
        }
    }

    /// Waits until every copy whose answers are not flagged shows all below `shown`, which is shown here.
    ///
    /// # Errors
    /// [`LeafFault::NotHere`] when the copy leads `term` no longer.
    pub(crate) async fn wait_refreshed(
        &self,
        term: PrimaryTerm,
        shown: SeqNo,
    ) -> Result<(), LeafFault> {
        self.handle(Event::Shown { visible: shown });
        self.handle(Event::Refresh { position: shown });
        if self.omits(Rule::RefreshEverywhere) {
            return Ok(());
        }
        let known = self.wait_status(|status| match status.leads(term) {
            true => (status.refreshed >= shown).then_some(true),
            false => Some(false),
        });
        match known.await {
            true => Ok(()),
            false => Err(LeafFault::NotHere { shard: self.shard }),
        }
    }

    /// Waits while a hand-over holds writes back. Returns whether the copy leads `term` then.
    pub(crate) async fn wait_to_order(&self, term: PrimaryTerm) -> bool {
        let known = self.wait_status(|status| match status.leads(term) {
            true => status.may_order.then_some(true),
            false => Some(false),
        });
        known.await
    }

    /// Waits until `look` finds something in what others see of the copy. Those who wait are woken in the order in which
    /// they came, so that a run of a simulation can be repeated.
    async fn wait_status<T>(&self, mut look: impl FnMut(&Status) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&self.status.borrow()) {
                return found;
            }
            changed.await;
        }
    }

    /// Tells others of what they see of the copy, where that has changed.
    fn publish(&self, machine: &Machine) {
        let has_changed = self.status.send_if_modified(|status| {
            let has_changed = *status != machine.told;
            if has_changed {
                status.clone_from(&machine.told);
            }
            has_changed
        });
        if has_changed {
            self.changed.notify_waiters();
        }
    }

    /// Returns whether a copy may still answer searches without a flag; see [`ShardCopy::may_have_right`].
    pub(super) fn may_have_right(&self, copy: CopyId) -> bool {
        let machine = self.machine.lock();
        machine.copy.may_have_right(copy, self.hub.now())
    }

    /// Waits until the primary of `term` may tell what it has read, of which all below `read` is to be agreed. It is
    /// asked after the reading.
    ///
    /// # Errors
    /// [`LeafFault::Recovering`] when it may not by `until`, or leads no longer.
    pub(crate) async fn wait_to_tell(
        &self,
        term: PrimaryTerm,
        read: SeqNo,
        until: std::time::Instant,
    ) -> Result<(), LeafFault> {
        let until = Instant::from_std(until);
        let late = |progress: &str| LeafFault::Recovering {
            shard: self.shard,
            progress: progress.to_owned(),
        };
        let agreed = tokio::time::timeout_at(until, self.wait_agreed(term, read));
        match agreed.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(late("its primary has changed")),
            Err(_) => return Err(late("its copies have not confirmed what was written last")),
        }
        loop {
            let may_read = {
                let machine = self.machine.lock();
                let leads = machine.copy.leads() == Some(term);
                leads.then(|| machine.copy.may_read(self.hub.now()))
            };
            if may_read == Some(true) || self.omits(Rule::TellByRight) {
                return Ok(());
            }
            if may_read.is_none() {
                return Err(late("its primary has changed"));
            }
            if Instant::now() >= until {
                return Err(late(
                    "its primary does not know whether another copy has taken its place",
                ));
            }
            tokio::time::sleep(RIGHT_LOOKS).await;
        }
    }

    /// Waits until there is room for more records of a primary.
    pub(super) async fn wait_for_room(&self) {
        let mut backlog = self.backlog.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(backlog.wait_for(|bytes| *bytes < BACKLOG_BYTES).await);
    }

    /// Notes that bytes wait to become durable no longer.
    pub(super) fn release(&self, bytes: u64) {
        self.backlog
            .send_modify(|held| *held = held.saturating_sub(bytes));
    }

    /// Returns whether searches on this copy are as new as any. To be asked after the search.
    pub(crate) fn may_serve(&self) -> bool {
        self.machine.lock().copy.may_serve(self.hub.now()) || self.omits(Rule::ServeByRight)
    }

    /// Tells the primary that is followed not to wait for this copy, which is about to end.
    pub(super) fn leave(&self) {
        let mut machine = self.machine.lock();
        let effects = machine.copy.leave(self.hub.now());
        self.perform_all(&mut machine, effects);
    }

    /// Says why the copy cannot go on as it is; its machine goes on until it is closed.
    pub(super) fn end_with(&self, end: DriverEnd) {
        let mut machine = self.machine.lock();
        machine.told.end.get_or_insert(end);
        self.publish(&machine);
    }

    /// Ends: who waits for the copy hears of it, and it does nothing any more.
    pub(crate) fn end(&self) {
        let mut machine = self.machine.lock();
        let machine = &mut *machine;
        // The stream stands for other shards: what was confirmed by it must not count any more.
        let effects = machine.copy.leave(self.hub.now());
        self.perform_all(machine, effects);
        machine.lane = None;
        // Who waits for room is not to wait for a log that is asked for nothing any more.
        self.backlog.send_replace(0);
        machine.streams = BTreeMap::new();
        if let Some((_, upstream)) = machine.upstream.take() {
            upstream.leave(self.shard);
        }
        machine.end_reign();
        machine.told.may_order = false;
        machine.told.end.get_or_insert(DriverEnd::Closed);
        self.publish(machine);
        self.hub.forget(self.shard, self.copy);
    }
}
