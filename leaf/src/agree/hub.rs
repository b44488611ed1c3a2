//! All copies of a leaf that agree with others: their drivers, the streams between leaves, time, entries and nodes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use gleaner_coordinator::entries::{EntryTable, StoredEntry};
use gleaner_coordinator::marks::CopyMark;
use gleaner_coordinator::{CoordinatorError, CopyMarks, ShardEntries};
use gleaner_log::ShardLog;
use gleaner_model::{ClusterState, CopyId, Entry, NodeUuid, ShardKey};
use gleaner_proto::ReplicationClient;
use gleaner_replication::{Identity, Moment, Settings};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::CopyDriver;
use super::marking::NotedMarks;
use super::upstream::Upstream;
use crate::NodeIdentity;
use crate::node::Role;
use crate::replicate::peers::Peers;

/// Copies up to which one in sync is enough, where the index does not say otherwise.
const MANY_COPIES: usize = 2;

/// How often a machine hears that time has passed.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// A beat is sent with each fifth tick: every 250 ms.
const TICKS_PER_BEAT: u32 = 5;

/// How long a side of a stream says nothing at most.
pub(super) const LIFE_SIGN: Duration = Duration::from_millis(250);

/// How long a stream may be silent before it is closed.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// What the copies of a leaf agree by.
pub(crate) struct AgreeingOptions {
    pub(crate) entries: Arc<dyn ShardEntries>,
    pub(crate) identity: NodeIdentity,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) state: watch::Receiver<Arc<ClusterState>>,
    /// How long a copy may promise to roots that it shows nothing newer; the same on all leaves.
    pub(crate) search_lease: Duration,
}

/// The copies of a leaf that agree with others.
pub(crate) struct Agreeing {
    pub(crate) entries: Arc<dyn ShardEntries>,
    pub(super) log: Arc<dyn ShardLog>,
    pub(super) identity: NodeIdentity,
    peers: Arc<dyn Peers>,
    table: watch::Receiver<Arc<EntryTable>>,
    state: watch::Receiver<Arc<ClusterState>>,
    search_lease: Duration,
    /// Moments count from here.
    origin: Instant,
    drivers: Mutex<BTreeMap<ShardKey, Arc<CopyDriver>>>,
    upstreams: Mutex<BTreeMap<NodeUuid, Arc<Upstream>>>,
    numbers: AtomicU64,
    /// Whether this leaf has stopped: its streams are ended.
    is_over: watch::Sender<bool>,
    /// Where it is kept what copies were known to hold.
    pub(super) marks: Arc<dyn CopyMarks>,
    pub(super) noted: NotedMarks,
    /// The rule that a planted error breaks.
    #[cfg(test)]
    pub(super) omitted: Option<super::rules::Rule>,
}

impl Agreeing {
    /// Returns the copies of a leaf that has opened none yet.
    pub(crate) fn new(options: AgreeingOptions) -> Arc<Self> {
        let AgreeingOptions {
            entries,
            identity,
            log,
            peers,
            state,
            search_lease,
        } = options;
        Arc::new(Self {
            table: entries.watch(),
            state,
            search_lease,
            marks: entries.marks(),
            noted: NotedMarks::default(),
            entries,
            log,
            identity,
            peers,
            origin: Instant::now(),
            drivers: Mutex::default(),
            upstreams: Mutex::default(),
            numbers: AtomicU64::new(0),
            is_over: watch::Sender::new(false),
            #[cfg(test)]
            omitted: None,
        })
    }

    /// Ends the streams of a leaf that has stopped, for good: others are to look for the process that comes after it.
    pub(crate) fn end_streams(&self) {
        self.is_over.send_replace(true);
        for upstream in self.upstreams.lock().values() {
            upstream.close();
        }
    }

    /// Waits until the streams are to end.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut is_over = self.is_over.subscribe();
        async move { drop(is_over.wait_for(|is_over| *is_over).await) }
    }

    /// Returns the newest cluster state known here.
    pub(super) fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.borrow())
    }

    /// Returns how many members the in-sync set of a shard keeps, by its index's setting and the number of its copies.
    pub(super) fn min_in_sync(&self, shard: ShardKey, num_copies: usize) -> usize {
        let state = self.state();
        let index = state.indices.get(&shard.index);
        match index.and_then(|index| index.settings.min_in_sync) {
            Some(asked) => asked as usize,
            None if num_copies > MANY_COPIES => 2,
            None => 1,
        }
    }

    /// Returns the settings of a machine whose in-sync set keeps so many members.
    pub(super) fn settings(&self, min_in_sync: usize) -> Settings {
        Settings {
            min_in_sync,
            search_lease: self.search_lease,
            ..Settings::default()
        }
    }

    /// Returns the newest entries and nodes known here.
    pub(crate) fn table(&self) -> Arc<EntryTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Returns a channel that always holds them.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.table.clone()
    }

    /// Returns what this node's copy of a shard was known to hold, from the store.
    ///
    /// # Errors
    /// Those of [`CopyMarks::of_copy`].
    pub(super) async fn mark_of(
        &self,
        shard: ShardKey,
    ) -> Result<Option<CopyMark>, CoordinatorError> {
        self.marks.of_copy(self.identity.node, shard).await
    }

    /// Returns the copy that this node is to hold, by the entry.
    pub(crate) fn own_copy(&self, entry: &Entry) -> Option<CopyId> {
        let own = |meta: &gleaner_model::CopyMeta| meta.node == self.identity.node;
        let copy = entry.copies.iter().find(|(_, meta)| own(meta));
        copy.map(|(copy, _)| *copy)
    }

    /// Returns what this node is to hold of a shard; `None` when it is to hold no copy.
    pub(crate) fn role(&self, shard: ShardKey) -> Option<Role> {
        let table = self.table.borrow();
        let entry = &table.shards.get(&shard)?.entry;
        let copy = self.own_copy(entry)?;
        Some(match copy == entry.primary {
            true => Role::Primary,
            false => Role::Replica,
        })
    }

    /// Returns whether a shard has an entry that names no copy on this node.
    pub(crate) fn is_without(&self, shard: ShardKey) -> bool {
        let table = self.table.borrow();
        let stored = table.shards.get(&shard);
        stored.is_some_and(|stored| self.own_copy(&stored.entry).is_none())
    }

    /// Returns the leaf of a shard's primary, when that is another one that can be called.
    pub(crate) fn primary(&self, shard: ShardKey) -> Option<Arc<dyn ReplicationClient>> {
        let table = self.table();
        let entry = &table.shards.get(&shard)?.entry;
        let node = entry.node_of(entry.primary)?;
        self.peer(node).filter(|_| node != self.identity.node)
    }

    /// Returns who a copy of this node is.
    pub(super) fn identity_of(&self, copy: CopyId) -> Identity {
        Identity {
            copy,
            node: self.identity.node,
            incarnation: self.identity.incarnation,
        }
    }

    /// Returns the time on this process's clock.
    pub(super) fn now(&self) -> Moment {
        Moment(self.origin.elapsed())
    }

    /// Waits until what an earlier process of this node may have been allowed to answer has run out for those who allowed it: a
    /// copy must not be removed from its entry before. What this process was allowed ends with each copy that it closes.
    pub(super) async fn earlier_rights_over(&self) {
        let settings = self.settings(1);
        let lasts = settings.copy_right + settings.search_lease;
        // Rights allow for clocks that differ by a tenth.
        tokio::time::sleep_until(self.origin + lasts + lasts / 10).await;
    }

    /// Returns a number that was not returned before.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the leaf of a node, where its name and address are known.
    pub(crate) fn peer(&self, node: NodeUuid) -> Option<Arc<dyn ReplicationClient>> {
        let table = self.table();
        self.peers.replication(table.name_of(node)?)
    }

    /// Returns the driver of the open copy of a shard.
    pub(crate) fn driver(&self, shard: ShardKey) -> Option<Arc<CopyDriver>> {
        self.drivers.lock().get(&shard).cloned()
    }

    /// Returns the drivers of all open copies.
    pub(crate) fn drivers(&self) -> Vec<Arc<CopyDriver>> {
        self.drivers.lock().values().cloned().collect()
    }

    /// Adds the driver of a copy that was opened, and tells it the entry in force and who is alive.
    pub(super) fn add(&self, driver: &Arc<CopyDriver>, stored: &StoredEntry) {
        self.drivers.lock().insert(driver.shard, Arc::clone(driver));
        driver.feed(&self.table(), Some(stored));
        // What has come since it was read.
        let table = self.table();
        driver.feed(&table, table.shards.get(&driver.shard));
    }

    /// Forgets the driver of a copy that was closed.
    pub(super) fn forget(&self, shard: ShardKey, copy: CopyId) {
        let mut drivers = self.drivers.lock();
        if drivers
            .get(&shard)
            .is_some_and(|driver| driver.copy == copy)
        {
            drivers.remove(&shard);
        }
    }

    /// Returns the stream to the leaf of a node.
    pub(super) fn upstream(self: &Arc<Self>, node: NodeUuid) -> Arc<Upstream> {
        let mut upstreams = self.upstreams.lock();
        let upstream = upstreams.entry(node);
        Arc::clone(upstream.or_insert_with(|| Upstream::new(self, node)))
    }

    /// Passes time and news on to all copies, until the leaf is gone.
    pub(crate) async fn run(me: Weak<Self>, mut table: watch::Receiver<Arc<EntryTable>>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number: u32 = 0;
        loop {
            let is_news = tokio::select! {
                biased;
                _ = ticks.tick() => false,
                changed = table.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            let Some(hub) = me.upgrade() else {
                return;
            };
            let news = is_news.then(|| Arc::clone(&table.borrow_and_update()));
            number = number.wrapping_add(u32::from(news.is_none()));
            let is_called = hub.peers.is_called();
            for driver in hub.drivers() {
                match &news {
                    Some(table) => driver.feed(table, table.shards.get(&driver.shard)),
                    None => driver.tick(is_called),
                }
                if news.is_none() && number.is_multiple_of(TICKS_PER_BEAT) {
                    driver.beat();
                }
            }
        }
    }
}
