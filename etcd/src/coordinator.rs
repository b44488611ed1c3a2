//! The cluster state in etcd as a [`Coordinator`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::{BroughtBack, Coordinator, CoordinatorError, ShardEntries, StoreProblem};
use gleaner_model::ClusterState;
use gleaner_proto::etcd::{Client, Fault, Outcome, Range, Revision, Transaction};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::change::{self, Change};
use crate::entries::StateEntry;
use crate::error_of;
use crate::follow::{IfAbsent, Pauses, first_view, follow, read_all};
use crate::keys::Keys;
use crate::meta::{ChangeId, Meta};
use crate::mirror::{Mirror, View};
use crate::shown::Waiting;
use crate::table::EtcdEntries;
use crate::value::META;
use crate::vitals::{DEFAULT_QUOTA, Vitals};

/// How long the watch may take to show what a call has shown: a member can answer calls while its watches hang.
const WATCH_PATIENCE: Duration = Duration::from_secs(1);

/// How long a change waits until its outcome is known.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(15);

/// How long a change is sent again that surely did nothing, as no member knows a leader: an election fits in.
const ELECTION: Duration = Duration::from_secs(3);

/// How many changes later the outcome of one is still looked for.
const MAX_STEPS_BACK: u32 = 128;

/// Keeps the cluster state in etcd.
///
/// Every node of a cluster has one. Where etcd is away, the state stays the last one known, and changes fail.
///
/// A change that etcd did not answer is looked for; where it was not made, `meta` is *touched*: its version grows and
/// nothing else. What still travels finds another revision of `meta` then, so it is known that it never will be made.
pub struct EtcdCoordinator {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    pub(crate) mirror: Arc<Mirror>,
    open_changes: OpenChanges,
    waiting: Waiting,
    vitals: Arc<Vitals>,
    tasks: [JoinHandle<()>; 2],
}

impl EtcdCoordinator {
    /// Waits until etcd answers, sees to it that it holds a cluster under `keys`, and follows that. Members that do not
    /// tell the quota of their database have [`DEFAULT_QUOTA`].
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for keys of a newer version, or where there is no cluster and there must be
    /// one ([`IfAbsent::Refuse`]); [`CoordinatorError::Store`] when etcd refuses to begin one.
    ///
    /// # Cancel safety
    /// Dropping the future gives up; the cluster may have been begun.
    pub async fn open(
        client: Client,
        keys: Keys,
        absent: IfAbsent,
    ) -> Result<Self, CoordinatorError> {
        Self::open_with_quota(client, keys, absent, DEFAULT_QUOTA).await
    }

    /// As [`Self::open`]; members that do not tell the quota of their database have `quota` bytes.
    ///
    /// # Errors
    /// As [`Self::open`].
    ///
    /// # Cancel safety
    /// As [`Self::open`].
    pub async fn open_with_quota(
        client: Client,
        keys: Keys,
        absent: IfAbsent,
        quota: u64,
    ) -> Result<Self, CoordinatorError> {
        let first = first_view(&client, &keys, &absent).await?;
        let mirror = Arc::new(Mirror::new(first)?);
        let following = follow(client.clone(), keys.clone(), Arc::clone(&mirror));
        let vitals = Vitals::new(client.clone(), keys.clone(), Arc::clone(&mirror), quota);
        let vitals = Arc::new(vitals);
        let watching = Arc::clone(&vitals).watch_over();
        Ok(Self {
            client,
            keys,
            mirror,
            open_changes: OpenChanges::default(),
            waiting: Waiting::default(),
            vitals,
            tasks: [tokio::spawn(following), tokio::spawn(watching)],
        })
    }

    /// Returns a view of `revision` or a later one.
    async fn reach(&self, revision: Revision) -> Result<Arc<View>, CoordinatorError> {
        if let Some(view) = self.mirror.reached(revision, WATCH_PATIENCE).await {
            return Ok(view);
        }
        let listing = read_all(&self.client, &self.keys).await;
        self.mirror.replace(listing.map_err(error_of)?);
        Ok(self.mirror.view())
    }

    /// Reads `meta` as it is, or as it was at a revision.
    async fn read_meta(&self, at: Option<Revision>) -> Result<StateEntry<Meta>, CoordinatorError> {
        let range = Range::key(&self.keys.meta());
        let range = match at {
            Some(revision) => range.at(revision),
            None => range,
        };
        let known = self.mirror.view().revision;
        let listing = self.client.range(range).await.map_err(error_of)?;
        if at.is_none() && listing.revision < known {
            let reason = "etcd does not have a revision that this node has seen: it was emptied, or a backup restored";
            return Err(CoordinatorError::Unavailable {
                reason: reason.to_owned(),
            });
        }
        let pair = listing.pairs.into_iter().next();
        let pair = pair.ok_or_else(|| CoordinatorError::Unreadable {
            path: self.keys.meta(),
            reason: "it is not there".to_owned(),
        })?;
        Ok(StateEntry::new(META, pair.value, pair.revision))
    }

    /// Reads `meta` when no change of unknown outcome can come after it any more.
    async fn meta_in_force(&self) -> Result<StateEntry<Meta>, CoordinatorError> {
        loop {
            let stored = self.read_meta(None).await?;
            if stored.revision > self.open_changes.newest() {
                return Ok(stored);
            }
            let touch = change::touch(&self.keys, &stored)?;
            // Committed or not, the revision has moved. Where it may not have, the caller comes again.
            self.client.transaction(touch).await.map_err(error_of)?;
        }
    }

    /// Finds out whether a change was made; returns `meta` as it is now, where it was.
    async fn find_out(
        &self,
        id: &ChangeId,
        version: u64,
    ) -> Result<Option<StateEntry<Meta>>, CoordinatorError> {
        let (until, mut pauses) = (Instant::now() + OUTCOME_PATIENCE, Pauses::new());
        let newest = loop {
            match self.meta_in_force().await {
                Err(CoordinatorError::Unavailable { .. }) if Instant::now() < until => {
                    pauses.pause().await;
                }
                known => break known?,
            }
        };
        // Each version is made by one change, which it names.
        let mut stored = newest.clone();
        for _ in 0..MAX_STEPS_BACK {
            let Ok(meta) = &stored.read else {
                break;
            };
            if meta.version <= version {
                let is_ours = meta.version == version && meta.change == *id;
                return Ok(is_ours.then_some(newest));
            }
            stored = self.read_meta(Some(stored.revision.previous())).await?;
        }
        Err(CoordinatorError::Unavailable {
            reason: "etcd has not answered, and others have changed the state since".to_owned(),
        })
    }

    async fn in_force(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        let meta = self.meta_in_force().await?;
        self.reach(meta.revision).await?.state()
    }

    /// Returns an error with its cause, where that is how etcd does.
    async fn explained(&self, error: CoordinatorError) -> CoordinatorError {
        match error {
            CoordinatorError::Unavailable { reason } => {
                let is_cause = |problem: &_| matches!(problem, StoreProblem::Unavailable(_));
                let cause = self.vitals.cause(is_cause).await;
                CoordinatorError::Unavailable {
                    reason: cause.unwrap_or(reason),
                }
            }
            CoordinatorError::OutOfQuota { reason } => {
                let is_cause = |problem: &_| matches!(problem, StoreProblem::OutOfQuota(_));
                let cause = self.vitals.cause(is_cause).await;
                CoordinatorError::OutOfQuota {
                    reason: cause.unwrap_or(reason),
                }
            }
            other => other,
        }
    }

    /// Returns the state in force, as what a change of `expected` has met.
    async fn conflict(&self, expected: u64) -> CoordinatorError {
        match self.in_force().await {
            Ok(state) => CoordinatorError::Conflict {
                expected,
                current: state.version,
            },
            Err(error) => error,
        }
    }

    /// Makes changes together, waiting for an election where there is one.
    async fn send(&self, transaction: Transaction) -> Result<Outcome, Fault> {
        let (until, mut pauses) = (Instant::now() + ELECTION, Pauses::new());
        loop {
            match self.client.transaction(transaction.clone()).await {
                Err(Fault::Unreachable { .. }) if Instant::now() < until => pauses.pause().await,
                answer => return answer,
            }
        }
    }

    async fn swap(&self, change: Change) -> Result<Arc<ClusterState>, CoordinatorError> {
        let Change {
            id,
            base,
            state,
            transaction,
        } = change;
        let mut pending = self.open_changes.ask(base);
        let answer = self.send(transaction).await;
        pending.is_answered = !matches!(answer, Err(Fault::Unknown { .. }));
        drop(pending);
        let revision = match answer {
            Ok(Outcome::Committed(revision)) => revision,
            Ok(Outcome::Conflict) => return Err(self.conflict(state.version - 1).await),
            Err(Fault::Unknown { .. }) => match self.find_out(&id, state.version).await? {
                Some(newest) => newest.revision,
                None => return Err(self.conflict(state.version - 1).await),
            },
            Err(fault) => return Err(error_of(fault)),
        };
        let shown = self.reach(revision).await?.state()?;
        // Others may have changed it since.
        match shown.version == state.version {
            true => Ok(shown),
            false => Ok(Arc::new(state)),
        }
    }
}

impl Drop for EtcdCoordinator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[async_trait]
impl Coordinator for EtcdCoordinator {
    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.mirror.states().borrow())
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        match self.in_force().await {
            Err(error) => Err(self.explained(error).await),
            known => known,
        }
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.mirror.states().subscribe()
    }

    fn unheard_for(&self) -> Duration {
        self.mirror.unheard_for()
    }

    fn store_problems(&self) -> Vec<StoreProblem> {
        self.vitals.problems()
    }

    async fn wait_shown(&self, version: u64) {
        self.waiting.until_shown(version, self.mirror.shown()).await;
    }

    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        Some(Arc::new(EtcdEntries {
            client: self.client.clone(),
            keys: self.keys.clone(),
            mirror: Arc::clone(&self.mirror),
        }))
    }

    async fn bring_back(&self, is_dry: bool) -> Result<Option<BroughtBack>, CoordinatorError> {
        self.write_back(is_dry).await
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        let view = self.mirror.view();
        let state = view.state()?;
        if state.version != expected {
            return Err(CoordinatorError::Conflict {
                expected,
                current: state.version,
            });
        }
        if next.cluster_uuid != state.cluster_uuid {
            let reason = format!("the state is of another cluster, [{}]", next.cluster_uuid);
            return Err(CoordinatorError::Store {
                path: self.keys.prefix().to_owned(),
                source: std::io::Error::other(reason),
            });
        }
        let keys = self.keys.clone();
        let prepared = tokio::task::spawn_blocking(move || Change::prepare(&keys, &view, next));
        let prepared = prepared
            .await
            .map_err(|error| CoordinatorError::Unavailable {
                reason: error.to_string(),
            })?;
        match self.swap(prepared?).await {
            Err(error) => Err(self.explained(error).await),
            made => made,
        }
    }
}

/// The newest revision of `meta` from which a change of unknown outcome goes out; 0 for none. Once `meta` has a later
/// one, no such change can be made any more.
#[derive(Default)]
struct OpenChanges(AtomicI64);

impl OpenChanges {
    fn newest(&self) -> Revision {
        Revision(self.0.load(Ordering::SeqCst))
    }

    /// A change that goes out from `base` is sent.
    fn ask(&self, base: Revision) -> PendingChange<'_> {
        PendingChange {
            open_changes: self,
            base,
            is_answered: false,
        }
    }
}

/// A change that was sent. Dropped without an answer, its outcome is unknown.
struct PendingChange<'a> {
    open_changes: &'a OpenChanges,
    base: Revision,
    is_answered: bool,
}

impl Drop for PendingChange<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.open_changes.0.fetch_max(self.base.0, Ordering::SeqCst);
        }
    }
}
