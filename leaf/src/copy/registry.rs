//! The copies that this leaf has, and the state of each.
//!
//! ```text
//! state      on                                           next
//! (none)     the cluster state gives this node a copy     opening
//! opening    opened, and as a replica caught up           open, as primary or as replica
//!            it cannot be opened                          failed
//! open       it has failed, is damaged, or must be made   opening
//!            from files
//! failed     its time has come, or it was repaired        opening
//! any        the cluster state takes the copy away        closing
//! closing    its files are removed                        (none)
//! ```
//!
//! Does: keeps the states, wakes callers that wait for one. Does not: open or close copies.
//! Called by: every part of the leaf. Read first: [`CopyState`].

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::copy::opening::OpeningProgress;
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::node::{Node, Role};
use crate::read::views::Staleness;
use crate::write::Primary;

/// How long a call for an index that this node has not heard of waits for the cluster state: the caller may
/// have heard of a new index first.
const NEWS_PATIENCE: Duration = Duration::from_secs(1);

/// The state of a shard's copy on this leaf.
#[derive(Clone)]
pub(crate) enum CopyState {
    /// Its index is being opened, its log replayed, its files copied or its primary caught up with.
    Opening(Arc<OpeningProgress>),
    /// It serves.
    Open(OpenCopy),
    /// It cannot serve; says why.
    Failed(Arc<str>),
    /// It is not wanted here any more and is being removed.
    Closing,
}

/// A copy that serves, by its role.
#[derive(Clone)]
pub(crate) enum OpenCopy {
    /// It orders the shard's writes.
    Primary(Arc<Primary>),
    /// It follows the primary.
    Replica(Arc<Replica>),
}

impl OpenCopy {
    /// Returns what both roles have: the index, what searches see, the log.
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        match self {
            Self::Primary(primary) => &primary.shard,
            Self::Replica(replica) => &replica.shard,
        }
    }

    /// Returns its role.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Primary(_) => Role::Primary,
            Self::Replica(_) => Role::Replica,
        }
    }

    /// Returns whether what it serves may lack acknowledged writes: it has no right to answer as one that shows all.
    pub(crate) fn may_be_stale(&self) -> bool {
        let driver = self.shard().driver();
        driver.is_some_and(|driver| !driver.may_serve())
    }

    /// Returns the same, with when it was looked at.
    pub(crate) fn staleness(&self) -> Staleness {
        Staleness {
            at: Instant::now(),
            may_be_stale: self.may_be_stale(),
        }
    }

    /// Returns why what it serves may be old.
    pub(crate) fn cut_off(&self) -> Option<String> {
        let reason = "it does not know whether it shows what was acknowledged last";
        self.may_be_stale().then(|| reason.to_owned())
    }

    /// Notes that searches read it. A primary whose refreshes rest is refreshed first, by `deadline` at most.
    pub(crate) async fn wake(&self, deadline: Instant) {
        match self {
            Self::Primary(primary) => primary.wake(deadline).await,
            Self::Replica(_) => {}
        }
    }

    /// Takes no more writes and waits for those under way. Nothing is made durable.
    pub(crate) async fn close(&self) {
        match self {
            Self::Primary(primary) => primary.close().await,
            Self::Replica(replica) => replica.close().await,
        }
    }
}

/// The copies of a leaf.
pub(crate) struct CopyRegistry {
    node: Arc<Node>,
    copies: Mutex<BTreeMap<ShardKey, CopyState>>,
    /// Counts changes, so that a call for a copy that is being opened can wait.
    changes: watch::Sender<u64>,
    /// Replicas whose own files are open and that do not serve yet: a damaged primary may copy them.
    unserved: Mutex<BTreeMap<ShardKey, Weak<Replica>>>,
}

impl CopyRegistry {
    /// Returns the registry of a node without copies.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            copies: Mutex::default(),
            changes: watch::Sender::new(0),
            unserved: Mutex::default(),
        }
    }

    /// Returns the open copy, waiting up to `patience` while it is being opened.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn copy(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<OpenCopy, LeafFault> {
        let begun = Instant::now();
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let state = self.get(key);
            let (patience, late) = match state {
                Some(CopyState::Open(copy)) => return Ok(copy),
                Some(CopyState::Failed(reason)) => {
                    return Err(LeafFault::Stopped {
                        shard: key,
                        reason: reason.to_string(),
                    });
                }
                Some(CopyState::Opening(opening)) => {
                    (patience, recovering(key, opening.progress()))
                }
                // Where the copy is wanted again, it is opened after that.
                Some(CopyState::Closing) if !self.is_wanted(key) => {
                    return Err(LeafFault::NotHere { shard: key });
                }
                Some(CopyState::Closing) | None => self.missing(key, patience)?,
            };
            let left = patience.saturating_sub(begun.elapsed());
            if !matches!(
                tokio::time::timeout(left, changes.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(late);
            }
        }
    }

    /// Returns the copy as [`Self::copy`] does when it is the primary; another copy is `NotHere`, so that the
    /// caller goes to the primary.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn primary(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Primary>, LeafFault> {
        let not_here = LeafFault::NotHere { shard: key };
        // Before the wait: a replica may take long to open.
        if self.node.role(&self.node.coordinator.state(), key) == Some(Role::Replica) {
            return Err(not_here);
        }
        // Another copy may take over meanwhile: the caller looks where the primary is then.
        let patience = match &self.node.agreeing {
            Some(_) => patience.min(NEWS_PATIENCE),
            None => patience,
        };
        match self.copy(key, patience).await? {
            OpenCopy::Primary(primary) => Ok(primary),
            OpenCopy::Replica(_) => Err(not_here),
        }
    }

    fn is_wanted(&self, key: ShardKey) -> bool {
        let state = self.node.coordinator.state();
        self.node.role(&state, key).is_some()
    }

    /// Returns how long to wait for a copy that is not here, and what to answer then.
    fn missing(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<(Duration, LeafFault), LeafFault> {
        let state = self.node.coordinator.state();
        let not_here = LeafFault::NotHere { shard: key };
        if self.is_wanted(key) {
            let progress = "it is about to be opened".to_owned();
            return Ok((patience, recovering(key, progress)));
        }
        let is_known = state.indices.contains_key(&key.index) || state.deleted.contains(&key.index);
        if is_known || self.node.options.node.is_none() {
            return Err(not_here);
        }
        Ok((patience.min(NEWS_PATIENCE), not_here))
    }

    /// Returns the states of all copies, which stay as they are while the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardKey, CopyState>> {
        self.copies.lock()
    }

    /// Returns the state of a copy; `None` when there is none.
    pub(crate) fn get(&self, key: ShardKey) -> Option<CopyState> {
        self.lock().get(&key).cloned()
    }

    /// Returns the copy if it is open now.
    pub(crate) fn open_now(&self, key: ShardKey) -> Option<OpenCopy> {
        match self.get(key) {
            Some(CopyState::Open(copy)) => Some(copy),
            _ => None,
        }
    }

    /// Returns whether `copy` is the one that is open now.
    pub(crate) fn is_open(&self, copy: &OpenCopy) -> bool {
        let now = self.open_now(copy.shard().key);
        now.is_some_and(|now| Arc::ptr_eq(now.shard(), copy.shard()))
    }

    /// Returns the copies that are open now.
    pub(crate) fn open(&self) -> Vec<OpenCopy> {
        let open = |state: &CopyState| match state {
            CopyState::Open(copy) => Some(copy.clone()),
            CopyState::Opening(_) | CopyState::Failed(_) | CopyState::Closing => None,
        };
        self.lock().values().filter_map(open).collect()
    }

    /// Adds the copies among `keys` that are not here, as being opened; returns them.
    pub(crate) fn add(
        &self,
        keys: impl Iterator<Item = ShardKey>,
    ) -> Vec<(ShardKey, Arc<OpeningProgress>)> {
        let mut copies = self.lock();
        let mut added = Vec::new();
        for key in keys {
            copies.entry(key).or_insert_with(|| {
                let opening = Arc::new(OpeningProgress::default());
                added.push((key, Arc::clone(&opening)));
                CopyState::Opening(opening)
            });
        }
        drop(copies);
        if !added.is_empty() {
            self.note_change();
        }
        added
    }

    /// Marks a copy as being opened again; returns its state before. `None` when it is being opened
    /// already, or removed.
    pub(crate) fn begin_opening(&self, key: ShardKey) -> Option<(CopyState, Arc<OpeningProgress>)> {
        let opening = Arc::new(OpeningProgress::default());
        let before = match self.lock().get_mut(&key)? {
            CopyState::Opening(_) | CopyState::Closing => return None,
            state => std::mem::replace(state, CopyState::Opening(Arc::clone(&opening))),
        };
        self.note_change();
        Some((before, opening))
    }

    /// Ends the opening of a copy with its new state.
    ///
    /// # Errors
    /// The state, when the copy is not wanted any more.
    pub(crate) fn end_opening(&self, key: ShardKey, state: CopyState) -> Result<(), CopyState> {
        let ended = match self.lock().get_mut(&key) {
            Some(known @ CopyState::Opening(_)) => {
                if let (CopyState::Opening(opening), CopyState::Open(copy)) = (&*known, &state) {
                    let ended = opening.ended(copy.shard(), copy.role());
                    // One that serves again has told how it came to.
                    copy.shard().opening.get_or_init(|| ended);
                }
                *known = state;
                Ok(())
            }
            _ => Err(state),
        };
        self.note_change();
        ended
    }

    /// Gives an open copy another role, its index and what searches see of it stay. Returns whether it was open.
    pub(crate) fn change_role(&self, copy: OpenCopy) -> bool {
        let has_changed = match self.lock().get_mut(&copy.shard().key) {
            Some(CopyState::Open(open)) if Arc::ptr_eq(open.shard(), copy.shard()) => {
                *open = copy;
                true
            }
            _ => false,
        };
        self.note_change();
        has_changed
    }

    /// Marks a copy as being removed; returns its state before. `None` when it is not here.
    pub(crate) fn begin_closing(&self, key: ShardKey) -> Option<CopyState> {
        let mut copies = self.lock();
        let before = std::mem::replace(copies.get_mut(&key)?, CopyState::Closing);
        drop(copies);
        self.note_change();
        Some(before)
    }

    /// Forgets a copy that was removed.
    pub(crate) fn forget(&self, key: ShardKey) {
        self.lock().remove(&key);
        self.note_change();
    }

    /// Says that a replica's own files are open, before it serves.
    pub(crate) fn note_unserved(&self, replica: &Arc<Replica>) {
        let mut unserved = self.unserved.lock();
        unserved.retain(|_, replica| replica.strong_count() > 0);
        unserved.insert(replica.shard.key, Arc::downgrade(replica));
        drop(unserved);
        self.note_change();
    }

    /// Returns a copy whose own files are open, whether it serves or not.
    ///
    /// # Errors
    /// [`LeafFault::Recovering`] when there is none within `patience`.
    pub(crate) async fn with_files(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<OpenCopy, LeafFault> {
        let begun = Instant::now();
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let unserved = || self.unserved.lock().get(&key).and_then(Weak::upgrade);
            let unserved = || unserved().map(OpenCopy::Replica);
            if let Some(copy) = self.open_now(key).or_else(unserved) {
                return Ok(copy);
            }
            let left = patience.saturating_sub(begun.elapsed());
            if !matches!(
                tokio::time::timeout(left, changes.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(recovering(key, "its files are not open".to_owned()));
            }
        }
    }

    /// Returns a watch that changes with the state of any copy.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn note_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

fn recovering(shard: ShardKey, progress: String) -> LeafFault {
    LeafFault::Recovering { shard, progress }
}

#[cfg(test)]
mod tests {
    use gleaner_model::NodeId;

    use super::*;
    use crate::testing::{Fixture, PATIENCE, index, key};

    #[tokio::test(flavor = "multi_thread")]
    async fn news_are_waited_for_where_an_index_is_unknown_and_not_where_it_was_deleted() {
        let fixture = Fixture::with(|options| options.node = Some(NodeId("a".into())));
        let unknown = fixture.leaf.copies.missing(key(1), PATIENCE);
        let (patience, _) = unknown.expect("it may be new");
        assert_eq!(patience, NEWS_PATIENCE);
        fixture
            .change(|state| {
                let mut elsewhere = index(1);
                elsewhere.copies = vec![vec![NodeId("b".into())]];
                state.indices.insert(elsewhere.uuid, Arc::new(elsewhere));
            })
            .await;
        fixture
            .change(|state| state.delete_index(&key(1).index))
            .await;
        let deleted = fixture.leaf.copies.missing(key(1), PATIENCE);
        let fault = deleted.expect_err("nothing will come");
        assert_eq!(fault, LeafFault::NotHere { shard: key(1) });
    }
}
