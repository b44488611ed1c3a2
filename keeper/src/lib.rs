//! One cluster state for many processes: kept by one of them, followed by the others.
//!
//! [`Keeper`] answers for a coordinator of its own process; [`Follower`] is a coordinator whose state
//! lies with a keeper elsewhere.
//!
//! Does: answer joins, reads and changes of the state; hold back changes until the leaves have joined.
//! Does not: store the state (`coordinator` does), know messages (`proto` does).
//! Read [`Keeper`] first.

mod roster;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use gleaner_coordinator::{Coordinator, CoordinatorError, size};
use gleaner_model::{ClusterState, NodeId, names};
use gleaner_proto::metadata::{MetadataClient, MetadataFault, StateStream};
use tokio::sync::watch;

pub use roster::{JoinGate, Roster};

/// For how long a keeper may be away before that is worth a warning.
const STARTING: Duration = Duration::from_secs(10);

/// Shortest and longest pause before a follower looks for its keeper again; it doubles in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Answers other nodes out of the coordinator of this process.
pub struct Keeper {
    state: Arc<dyn Coordinator>,
    joining: Arc<Roster>,
}

impl Keeper {
    /// Answers out of `state`; a cluster that is begun waits for the leaves of `joining`.
    pub fn new(state: Arc<dyn Coordinator>, joining: Arc<Roster>) -> Self {
        Self { state, joining }
    }

    /// Answers out of the `state` of a cluster that was begun before.
    pub fn of(state: Arc<dyn Coordinator>) -> Self {
        Self::new(state, Arc::new(Roster::new(BTreeSet::new())))
    }
}

#[async_trait]
impl MetadataClient for Keeper {
    async fn join(&self, node: &NodeId, held: Option<&str>) -> Result<(), MetadataFault> {
        let own = &self.state.state().cluster_uuid;
        let joined = self.joining.join(node, held, own);
        joined.map_err(|reason| MetadataFault::Store { reason })
    }

    async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault> {
        Ok(self.state.state())
    }

    async fn watch(&self) -> Result<StateStream, MetadataFault> {
        let receiver = self.state.watch();
        let states =
            futures::stream::unfold((receiver, true), |(mut receiver, is_first)| async move {
                if !is_first {
                    receiver.changed().await.ok()?;
                }
                let state = Arc::clone(&receiver.borrow_and_update());
                Some((Ok(state), (receiver, false)))
            });
        Ok(states.boxed())
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, MetadataFault> {
        if next.cluster_uuid != self.state.state().cluster_uuid {
            let reason = format!("the state is of another cluster, [{}]", next.cluster_uuid);
            return Err(MetadataFault::Store { reason });
        }
        let swapped = self.state.compare_and_swap(expected, next).await;
        swapped.map_err(|error| match error {
            CoordinatorError::Conflict { current, .. } => MetadataFault::Conflict { current },
            CoordinatorError::TooLarge { reason } => MetadataFault::TooLarge { reason },
            other => MetadataFault::Store {
                reason: other.to_string(),
            },
        })
    }
}

/// A coordinator that follows a keeper: it shows the newest state it was told, also while the keeper
/// is away, and changes it there.
pub struct Follower {
    keeper: Arc<dyn MetadataClient>,
    state: Arc<watch::Sender<Arc<ClusterState>>>,
    following: tokio::task::JoinHandle<()>,
}

impl Follower {
    /// Asks `keeper` for the state, again until it answers, and follows it from then on. A node that holds
    /// data says first whose they are.
    ///
    /// # Cancel safety
    /// Dropping the future gives up.
    pub async fn start(keeper: Arc<dyn MetadataClient>) -> Self {
        let first = first_state(&keeper).await;
        Self::from(keeper, first)
    }

    /// As [`Follower::start`], for the member `node`, which holds data of the cluster `held` or of none.
    ///
    /// # Cancel safety
    /// Dropping the future gives up.
    pub async fn join(keeper: Arc<dyn MetadataClient>, node: NodeId, held: Option<&str>) -> Self {
        let mut pause = PAUSES.0;
        // What else a keeper answers, its state tells too.
        while let Err(fault @ MetadataFault::Unreachable { .. }) = keeper.join(&node, held).await {
            tracing::info!(%fault, "waiting for the keeper of the cluster state");
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        }
        let first = first_state(&keeper).await;
        Self::follow(keeper, first, Some(node))
    }

    /// Follows `keeper` from a state that it was in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn from(keeper: Arc<dyn MetadataClient>, first: Arc<ClusterState>) -> Self {
        Self::follow(keeper, first, None)
    }

    fn follow(
        keeper: Arc<dyn MetadataClient>,
        first: Arc<ClusterState>,
        node: Option<NodeId>,
    ) -> Self {
        names::learn(&first);
        let state = Arc::new(watch::Sender::new(first));
        let following = tokio::spawn(follow(Arc::clone(&keeper), Arc::clone(&state), node));
        Self {
            keeper,
            state,
            following,
        }
    }

    fn saw(&self, state: &Arc<ClusterState>) {
        take(&self.state, state);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn first_state(keeper: &Arc<dyn MetadataClient>) -> Arc<ClusterState> {
    let (mut pause, began) = (PAUSES.0, Instant::now());
    loop {
        match keeper.state().await {
            Ok(state) => return state,
            // Nodes that are started together wait for the keeper for a moment.
            Err(fault) if began.elapsed() < STARTING => {
                tracing::info!(%fault, "waiting for the cluster state");
            }
            Err(fault) => tracing::warn!(%fault, "waiting for the cluster state"),
        }
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(PAUSES.1)
}

/// Takes `state` over unless it is older than what is known, or of another cluster: a keeper that was
/// started with another folder knows nothing of the indices here, and they would be deleted.
fn take(known: &watch::Sender<Arc<ClusterState>>, state: &Arc<ClusterState>) {
    known.send_if_modified(|current| {
        if state.cluster_uuid != current.cluster_uuid {
            tracing::error!(
                own = current.cluster_uuid,
                keepers = state.cluster_uuid,
                "the keeper has the state of another cluster, which is not followed; start it with \
                 the data folder that it had"
            );
            return false;
        }
        let is_newer = state.version > current.version;
        if is_newer {
            names::learn(state);
            *current = Arc::clone(state);
        }
        is_newer
    });
}

async fn follow(
    keeper: Arc<dyn MetadataClient>,
    known: Arc<watch::Sender<Arc<ClusterState>>>,
    node: Option<NodeId>,
) {
    let (mut pause, mut away_since) = (PAUSES.0, None);
    let mut is_known = true;
    loop {
        // The keeper may be another process now, on another folder.
        if let Some(node) = node.as_ref().filter(|_| !std::mem::take(&mut is_known)) {
            let held = known.borrow().cluster_uuid.clone();
            if let Err(fault) = keeper.join(node, Some(&held)).await {
                tracing::warn!(%fault, "the keeper does not let this node join");
            }
        }
        let broken = match keeper.watch().await {
            Ok(mut states) => loop {
                match states.next().await {
                    Some(Ok(state)) => {
                        take(&known, &state);
                        (pause, away_since) = (PAUSES.0, None);
                    }
                    Some(Err(fault)) => break fault.to_string(),
                    None => break "the stream ended".to_owned(),
                }
            },
            Err(fault) => fault.to_string(),
        };
        // A keeper that is started again, or stopped before this node is, is away for a moment.
        let away = away_since.get_or_insert_with(Instant::now).elapsed();
        match away < STARTING {
            true => tracing::info!(
                reason = broken,
                "the cluster state is not followed; trying again"
            ),
            false => tracing::warn!(
                reason = broken,
                "the cluster state is not followed; trying again"
            ),
        }
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

#[async_trait]
impl Coordinator for Follower {
    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.borrow())
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        let state = self.keeper.state().await.map_err(error_of)?;
        if state.cluster_uuid != self.state().cluster_uuid {
            let reason = format!("its keeper has that of [{}]", state.cluster_uuid);
            return Err(CoordinatorError::Unavailable { reason });
        }
        self.saw(&state);
        Ok(self.state())
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.subscribe()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        // What is too large for a message would come to nothing on its way.
        let known = self.state();
        let checked = tokio::task::spawn_blocking(move || {
            size::check(&known, &next, size::bytes_of(&next)).map(|()| next)
        });
        let next = checked
            .await
            .map_err(|error| CoordinatorError::Unavailable {
                reason: error.to_string(),
            })??;
        match self.keeper.compare_and_swap(expected, next).await {
            Ok(state) => {
                self.saw(&state);
                Ok(state)
            }
            Err(MetadataFault::Conflict { current }) => {
                // Whoever tries again must decide on what is in force.
                if let Ok(state) = self.keeper.state().await {
                    self.saw(&state);
                }
                Err(CoordinatorError::Conflict { expected, current })
            }
            Err(fault) => Err(error_of(fault)),
        }
    }
}

fn error_of(fault: MetadataFault) -> CoordinatorError {
    match fault {
        MetadataFault::Unreachable { .. } => CoordinatorError::Unavailable {
            reason: fault.to_string(),
        },
        MetadataFault::TooLarge { reason } => CoordinatorError::TooLarge { reason },
        fault => CoordinatorError::Store {
            path: "the keeper of the cluster state".to_owned(),
            source: std::io::Error::other(fault),
        },
    }
}

#[cfg(test)]
mod tests {
    use gleaner_coordinator::{Embedded, update};

    use super::*;

    /// A keeper that says nothing of changes by itself, and may be away.
    struct Quiet(Keeper, std::sync::atomic::AtomicBool);

    #[async_trait]
    impl MetadataClient for Quiet {
        async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault> {
            match self.1.load(std::sync::atomic::Ordering::Relaxed) {
                false => self.0.state().await,
                true => Err(MetadataFault::Unreachable {
                    reason: "it is away".to_owned(),
                }),
            }
        }

        async fn watch(&self) -> Result<StateStream, MetadataFault> {
            Ok(futures::stream::pending().boxed())
        }

        async fn compare_and_swap(
            &self,
            expected: u64,
            next: ClusterState,
        ) -> Result<Arc<ClusterState>, MetadataFault> {
            self.0.compare_and_swap(expected, next).await
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_an_old_state_says_is_asked_of_the_keeper() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = embedded(folder.path());
        let quiet = Arc::new(Quiet(Keeper::of(Arc::clone(&kept)), false.into()));
        let late = Follower::from(Arc::clone(&quiet) as _, kept.state());
        let named = |name: &'static str| {
            move |state: &ClusterState| {
                let next = renamed(state, name);
                Ok::<_, CoordinatorError>((next != *state).then_some(next))
            }
        };
        let first = kept.state().cluster_name.clone();
        update(&*kept, named("barley")).await.expect("nobody else");
        assert_eq!(late.state().cluster_name, first, "it has not heard");
        let refused = update::<CoordinatorError, _>(&late, |state| match &*state.cluster_name {
            "barley" => Ok(Some(renamed(state, "oats"))),
            _ => Err(CoordinatorError::Contention { attempts: 0 }),
        });
        assert_eq!(refused.await.expect("oats").cluster_name, "oats");
        update(&*kept, named("barley")).await.expect("nobody else");
        update(&late, named("oats")).await.expect("told the truth");
        assert_eq!(kept.state().cluster_name, "oats");
        quiet.1.store(true, std::sync::atomic::Ordering::Relaxed);
        let unknown = update(&late, named("oats")).await;
        assert!(matches!(unknown, Err(CoordinatorError::Unavailable { .. })));
    }

    fn embedded(folder: &std::path::Path) -> Arc<dyn Coordinator> {
        let initial = ClusterState::default();
        std::fs::create_dir_all(folder).expect("a folder");
        Arc::new(Embedded::open(folder, initial).expect("an empty folder"))
    }

    fn renamed(state: &ClusterState, name: &str) -> ClusterState {
        ClusterState {
            cluster_name: name.to_owned(),
            ..state.clone()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn followers_pass_the_suite_of_coordinators() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut number = 0;
        let fresh = || {
            number += 1;
            let kept = embedded(&folder.path().join(number.to_string()));
            let first = kept.state();
            Follower::from(Arc::new(Keeper::of(kept)), first)
        };
        gleaner_coordinator::conformance::suite(fresh).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_of_one_is_seen_by_the_other_and_a_lost_race_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper: Arc<dyn MetadataClient> = Arc::new(Keeper::of(embedded(folder.path())));
        let one = Follower::start(Arc::clone(&keeper)).await;
        let other = Follower::start(keeper).await;
        let old = one.state();
        let new = one
            .compare_and_swap(old.version, renamed(&old, "barley"))
            .await
            .expect("nobody else");
        let mut seen = other.watch();
        seen.wait_for(|state| state.version == new.version)
            .await
            .expect("it follows");
        let lost = other
            .compare_and_swap(old.version, renamed(&old, "oats"))
            .await;
        assert!(
            matches!(lost, Err(CoordinatorError::Conflict { current, .. }) if current == new.version)
        );
        assert_eq!(other.state().cluster_name, "barley");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_state_of_another_cluster_is_not_followed_and_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = embedded(folder.path());
        let keeper: Arc<dyn MetadataClient> = Arc::new(Keeper::of(Arc::clone(&kept)));
        let own = ClusterState {
            cluster_uuid: "of this cluster".to_owned(),
            ..ClusterState::default()
        };
        let follower = Follower::from(Arc::clone(&keeper), Arc::new(own.clone()));
        let refused = follower.compare_and_swap(0, renamed(&own, "barley")).await;
        assert!(matches!(refused, Err(CoordinatorError::Store { .. })));
        let newer = renamed(&kept.state(), "oats");
        let newer = kept.compare_and_swap(0, newer).await.expect("nobody else");
        assert!(newer.version > follower.state().version);
        follower.saw(&newer);
        assert_eq!(*follower.state(), own);
    }
}
