//! What lies under the prefix, as this process knows it: views, each of one revision, and the states they show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gleaner_coordinator::CoordinatorError;
use gleaner_coordinator::entries::EntryTable;
use gleaner_model::{ClusterState, names};
use gleaner_proto::etcd::{Event, Listing, Revision};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::entries::{Entries, Problem};
use crate::keys::Keys;
use crate::rules::Rule;
use crate::shown::ShownVersions;

/// The keys of the state at one revision.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// All changes up to this one are in it.
    pub(crate) revision: Revision,
    /// The keys.
    pub(crate) entries: Entries,
    /// The state that they make.
    state: Result<Arc<ClusterState>, Problem>,
}

impl View {
    /// Returns what a listing shows.
    pub(crate) fn of(keys: Keys, listing: Listing) -> Self {
        let revision = listing.revision;
        let mut entries = Entries::new(keys);
        entries.replace(listing);
        Self {
            revision,
            state: entries.state().map(Arc::new),
            entries,
        }
    }

    /// Returns the state.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] with the key that cannot be read; it is left as it is.
    pub(crate) fn state(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.clone().map_err(|problem| {
            let Problem { key, reason } = problem;
            CoordinatorError::Unreadable { path: key, reason }
        })
    }

    /// Makes the state anew, where `check` lets it pass.
    fn assemble(&mut self, check: impl FnOnce(ClusterState) -> Result<ClusterState, Problem>) {
        let state = self.entries.state();
        self.state = state.and_then(check).map(Arc::new);
        if let Err(Problem { key, reason }) = &self.state {
            tracing::error!(
                key,
                reason,
                "etcd holds what this node cannot follow, its cluster state stays as it is"
            );
        }
    }
}

/// Refuses a state that cannot come after the one that was `shown`: indices would be taken for deleted.
fn follows(shown: &ClusterState, state: ClusterState) -> Result<ClusterState, Problem> {
    let problem = |key: &str, reason: String| Problem {
        key: key.to_owned(),
        reason,
    };
    if state.cluster_uuid != shown.cluster_uuid {
        let reason = format!(
            "it is that of the cluster [{}], this node belongs to [{}]",
            state.cluster_uuid, shown.cluster_uuid
        );
        return Err(problem("cluster", reason));
    }
    if state.version < shown.version {
        let reason = format!(
            "it is at version {}, this node has seen {}: was a backup of etcd restored?",
            state.version, shown.version
        );
        return Err(problem("meta", reason));
    }
    Ok(state)
}

/// The newest view, and the newest state that could be read.
pub(crate) struct Mirror {
    /// Held until the state of a new view is published: who has seen a state finds no older view.
    view: Mutex<Arc<View>>,
    states: watch::Sender<Arc<ClusterState>>,
    tables: watch::Sender<Arc<EntryTable>>,
    shown: watch::Sender<Arc<ShownVersions>>,
    /// That of the view. Who has seen one finds no older state.
    revision: watch::Sender<Revision>,
    /// When etcd last gave a sign of life.
    heard: Mutex<Instant>,
    /// Whether a watch is there that tells of changes.
    is_followed: AtomicBool,
    /// The rule that a planted error breaks.
    #[cfg(test)]
    pub(crate) omitted: Option<Rule>,
}

impl Mirror {
    /// Begins with a view.
    ///
    /// # Errors
    /// When it shows no state.
    pub(crate) fn new(first: View) -> Result<Self, CoordinatorError> {
        let state = first.state()?;
        names::learn(&state);
        Ok(Self {
            states: watch::Sender::new(state),
            tables: watch::Sender::new(Arc::clone(&first.entries.table)),
            shown: watch::Sender::new(Arc::clone(&first.entries.shown)),
            revision: watch::Sender::new(first.revision),
            view: Mutex::new(Arc::new(first)),
            heard: Mutex::new(Instant::now()),
            is_followed: AtomicBool::new(true),
            #[cfg(test)]
            omitted: None,
        })
    }

    /// Returns the newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock())
    }

    /// Notes a sign of life of etcd: what it had to say until then is known, or on its way.
    pub(crate) fn note_heard(&self, at: Instant) {
        *self.heard.lock() = at;
    }

    /// Returns for how long etcd gave no sign of life.
    pub(crate) fn unheard_for(&self) -> Duration {
        self.heard.lock().elapsed()
    }

    /// Notes whether a watch is there that tells of changes.
    pub(crate) fn note_followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::Relaxed);
    }

    /// Returns whether a watch is there, as far as is known: it may have become silent.
    pub(crate) fn is_followed(&self) -> bool {
        self.is_followed.load(Ordering::Relaxed)
    }

    /// Returns the newest states, as they come.
    pub(crate) fn states(&self) -> &watch::Sender<Arc<ClusterState>> {
        &self.states
    }

    /// Returns the newest entries and nodes, as they come.
    pub(crate) fn tables(&self) -> &watch::Sender<Arc<EntryTable>> {
        &self.tables
    }

    /// Returns which version of the state each root and front shows, as that changes.
    pub(crate) fn shown(&self) -> watch::Receiver<Arc<ShownVersions>> {
        self.shown.subscribe()
    }

    /// Takes changes over: what one revision changes is one change of the state. Those that are known already are
    /// left out.
    pub(crate) fn apply(&self, events: &[Event]) {
        for same in events.chunk_by(|one, next| one.revision == next.revision) {
            self.advance(same[0].revision, |entries| {
                let mut is_changed = false;
                for event in same {
                    is_changed |= entries.apply(event.clone());
                }
                is_changed
            });
        }
    }

    /// Takes over all keys there are: those that are missing were removed.
    pub(crate) fn replace(&self, listing: Listing) {
        self.advance(listing.revision, |entries| {
            entries.replace(listing);
            true
        });
    }

    /// Takes over all keys of an etcd that has gone back, as one does that was emptied or restored: nothing of its
    /// history is what was known.
    pub(crate) fn begin_again(&self, listing: Listing) {
        let mut current = self.view.lock();
        let view = Arc::make_mut(&mut current);
        view.revision = listing.revision;
        view.entries.begin_again(listing);
        self.finish(view, true);
    }

    /// Goes on to `revision`, unless it is known; `change` returns whether the state is another one.
    pub(crate) fn advance(&self, revision: Revision, change: impl FnOnce(&mut Entries) -> bool) {
        let mut current = self.view.lock();
        if revision <= current.revision {
            return;
        }
        let view = Arc::make_mut(&mut current);
        view.revision = revision;
        let is_changed = change(&mut view.entries);
        self.finish(view, is_changed);
    }

    /// Shows a view that was changed.
    fn finish(&self, view: &mut View, is_changed: bool) {
        if is_changed {
            let shown = Arc::clone(&self.states.borrow());
            let is_unchecked = self.omits(Rule::FollowNewerStates);
            view.assemble(|state| match is_unchecked {
                true => Ok(state),
                false => follows(&shown, state),
            });
        }
        self.publish(view);
        // After the state: an entry is not seen before its index.
        replace_other(&self.tables, &view.entries.table);
        replace_other(&self.shown, &view.entries.shown);
        self.revision.send_replace(view.revision);
    }

    fn publish(&self, view: &View) {
        let Ok(state) = &view.state else {
            return;
        };
        names::learn(state);
        self.states.send_if_modified(|current| {
            let is_newer = state.version > current.version;
            if is_newer {
                *current = Arc::clone(state);
            }
            is_newer
        });
    }

    /// Returns the newest revision, as it comes.
    #[cfg(test)]
    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Waits for a view of `revision` or a later one, at most for `patience`.
    pub(crate) async fn reached(
        &self,
        revision: Revision,
        patience: Duration,
    ) -> Option<Arc<View>> {
        let mut revisions = self.revision.subscribe();
        let reached = revisions.wait_for(|known| *known >= revision);
        // The revision is not held on to: a view is not taken while it is.
        let is_reached = tokio::time::timeout(patience, reached).await.is_ok();
        is_reached.then(|| self.view())
    }
}

/// Publishes `value` where another one is shown.
fn replace_other<T>(sender: &watch::Sender<Arc<T>>, value: &Arc<T>) {
    sender.send_if_modified(|current| {
        let is_other = !Arc::ptr_eq(current, value);
        if is_other {
            *current = Arc::clone(value);
        }
        is_other
    });
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_proto::etcd::KeyValue;

    use super::*;
    use crate::change;

    fn keys() -> Keys {
        Keys::of("barley").expect("a good name")
    }

    fn listing(revision: i64, state: &ClusterState) -> Listing {
        let beginning = change::beginning(&keys(), state).expect("it has a form");
        let pairs = beginning.operations.into_iter().filter_map(|operation| {
            let gleaner_proto::etcd::Operation::Put { key, value, .. } = operation else {
                return None;
            };
            Some(KeyValue {
                key: key.into(),
                value,
                revision: Revision(revision),
                lease: None,
            })
        });
        Listing {
            revision: Revision(revision),
            pairs: pairs.collect(),
            has_more: false,
        }
    }

    fn state(uuid: &str, version: u64) -> ClusterState {
        ClusterState {
            cluster_uuid: uuid.to_owned(),
            version,
            ..ClusterState::default()
        }
    }

    fn mirror() -> Mirror {
        let first = View::of(keys(), listing(5, &state("a", 3)));
        Mirror::new(first).expect("a state")
    }

    #[test]
    fn it_is_found_that_an_older_state_is_followed() {
        let mut mirror = mirror();
        mirror.omitted = Some(Rule::FollowNewerStates);
        mirror.replace(listing(6, &state("a", 2)));
        let followed = mirror.view().state().expect("nothing refuses it");
        assert_eq!(followed.version, 2);
    }

    #[test]
    fn another_cluster_and_older_states_are_refused_and_the_last_one_stays() {
        let mirror = mirror();
        for (revision, other, word) in [(6, state("b", 9), "[b]"), (7, state("a", 2), "version 2")]
        {
            mirror.replace(listing(revision, &other));
            let refused = mirror.view().state().expect_err(word).to_string();
            assert!(refused.contains(word), "{refused}");
            assert_eq!(**mirror.states().borrow(), state("a", 3));
        }
        mirror.replace(listing(8, &state("a", 4)));
        assert_eq!(mirror.states().borrow().version, 4);
        let empty = Listing {
            revision: Revision(9),
            pairs: Vec::new(),
            has_more: false,
        };
        mirror.replace(empty);
        assert!(mirror.view().state().is_err(), "nothing is left");
        assert_eq!(mirror.states().borrow().version, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_sign_of_life() {
        let (mirror, pause) = (mirror(), Duration::from_secs(90));
        tokio::time::advance(pause).await;
        assert_eq!(mirror.unheard_for(), pause);
        mirror.note_heard(Instant::now());
        assert_eq!(mirror.unheard_for(), Duration::ZERO);
    }

    #[tokio::test]
    async fn what_is_known_is_not_taken_again_and_foreign_keys_move_the_revision_only() {
        let mirror = mirror();
        let event = |revision: i64, key: String| Event {
            key: key.into(),
            revision: Revision(revision),
            value: Some(Bytes::from_static(b"{}")),
        };
        mirror.apply(&[event(4, keys().meta()), event(5, keys().meta())]);
        mirror.view().state().expect("both are in it already");
        mirror.apply(&[event(6, format!("{}later/1", keys().prefix()))]);
        mirror.view().state().expect("the key is no part of it");
        let view = mirror.reached(Revision(6), Duration::ZERO).await;
        assert_eq!(view.expect("it was reached").revision, Revision(6));
        assert!(mirror.reached(Revision(7), Duration::ZERO).await.is_none());
    }
}
