//! One cluster state for many processes: kept by one of them, followed by the others.
//!
//! [`Keeper`] answers for a coordinator of its own process; [`Follower`] is a coordinator whose state
//! lies with a keeper elsewhere.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_model::ClusterState;
use tokio::sync::watch;

use crate::metadata::{MetadataClient, MetadataFault, StateStream};

/// Shortest and longest pause before a follower looks for its keeper again; it doubles in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Answers other nodes out of the coordinator of this process.
pub struct Keeper(pub Arc<dyn Coordinator>);

#[async_trait]
impl MetadataClient for Keeper {
    async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault> {
        Ok(self.0.state())
    }

    async fn watch(&self) -> Result<StateStream, MetadataFault> {
        let receiver = self.0.watch();
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
        if next.cluster_uuid != self.0.state().cluster_uuid {
            let reason = format!("the state is of another cluster, [{}]", next.cluster_uuid);
            return Err(MetadataFault::Store { reason });
        }
        let swapped = self.0.compare_and_swap(expected, next).await;
        swapped.map_err(|error| match error {
            CoordinatorError::Conflict { current, .. } => MetadataFault::Conflict { current },
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
    /// Asks `keeper` for the state, again until it answers, and follows it from then on.
    ///
    /// # Cancel safety
    /// Dropping the future gives up.
    pub async fn start(keeper: Arc<dyn MetadataClient>) -> Self {
        let mut pause = PAUSES.0;
        let first = loop {
            match keeper.state().await {
                Ok(state) => break state,
                Err(fault) => tracing::warn!(%fault, "waiting for the cluster state"),
            }
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        };
        Self::from(keeper, first)
    }

    /// Follows `keeper` from a state that it was in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn from(keeper: Arc<dyn MetadataClient>, first: Arc<ClusterState>) -> Self {
        let state = Arc::new(watch::Sender::new(first));
        let following = tokio::spawn(follow(Arc::clone(&keeper), Arc::clone(&state)));
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
            *current = Arc::clone(state);
        }
        is_newer
    });
}

async fn follow(keeper: Arc<dyn MetadataClient>, known: Arc<watch::Sender<Arc<ClusterState>>>) {
    let mut pause = PAUSES.0;
    loop {
        let broken = match keeper.watch().await {
            Ok(mut states) => loop {
                match states.next().await {
                    Some(Ok(state)) => {
                        take(&known, &state);
                        pause = PAUSES.0;
                    }
                    Some(Err(fault)) => break fault.to_string(),
                    None => break "the stream ended".to_owned(),
                }
            },
            Err(fault) => fault.to_string(),
        };
        tracing::warn!(
            reason = broken,
            "the cluster state is not followed; trying again"
        );
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
        let quiet = Arc::new(Quiet(Keeper(Arc::clone(&kept)), false.into()));
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
            Follower::from(Arc::new(Keeper(kept)), first)
        };
        gleaner_coordinator::conformance::suite(fresh).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_of_one_is_seen_by_the_other_and_a_lost_race_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper: Arc<dyn MetadataClient> = Arc::new(Keeper(embedded(folder.path())));
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
        let keeper: Arc<dyn MetadataClient> = Arc::new(Keeper(Arc::clone(&kept)));
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
