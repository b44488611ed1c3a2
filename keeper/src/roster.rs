//! A cluster that was just begun, until all of its leaves have joined.
//!
//! A keeper on an empty folder cannot know whether it begins a cluster or has lost one. Its leaves know:
//! they say whose data they hold when they join. Until all of them have, no change of the state is
//! acknowledged, and a leaf that holds data of another cluster ends it.
//!
//! Called by: [`crate::Keeper`] and the node that keeps the state. Read first: [`Roster`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::{Coordinator, CoordinatorError};
use gleaner_model::{ClusterState, NodeId};
use tokio::sync::watch;

/// Which leaves of a new cluster have not joined yet.
pub struct Roster {
    stage: watch::Sender<Stage>,
}

/// How far a new cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// These leaves have not said yet whose data they hold.
    Waiting(BTreeSet<NodeId>),
    /// A leaf holds data of another cluster; says which.
    Refused(String),
}

impl Roster {
    /// Begins to wait for `leaves`; none when the cluster was begun before.
    pub fn new(leaves: BTreeSet<NodeId>) -> Self {
        Self {
            stage: watch::Sender::new(Stage::Waiting(leaves)),
        }
    }

    /// Takes note of whose data `node` holds: that of the cluster `held`, or nobody's.
    ///
    /// # Errors
    /// When it is that of another cluster than `own`.
    pub fn join(&self, node: &NodeId, held: Option<&str>, own: &str) -> Result<(), String> {
        let other = held.filter(|held| *held != own);
        self.stage.send_modify(|stage| {
            if let Stage::Waiting(leaves) = stage {
                match other {
                    Some(other) if !leaves.is_empty() => *stage = Stage::Refused(lost(node, other)),
                    Some(_) => {}
                    None => drop(leaves.remove(node)),
                }
            }
        });
        other.map_or(Ok(()), |other| {
            Err(format!(
                "`{node}` holds data of the cluster [{other}], this is the cluster [{own}]"
            ))
        })
    }

    /// Returns whether the state may be changed.
    ///
    /// # Errors
    /// Who is waited for, or what is wrong.
    fn check(&self) -> Result<(), String> {
        match &*self.stage.borrow() {
            Stage::Waiting(leaves) if leaves.is_empty() => Ok(()),
            Stage::Waiting(leaves) => {
                let names: Vec<&str> = leaves.iter().map(|node| &*node.0).collect();
                Err(format!(
                    "the cluster is a new one, and these leaves have not joined it yet, which may hold \
                     data of another: {}",
                    names.join(", ")
                ))
            }
            Stage::Refused(reason) => Err(reason.clone()),
        }
    }

    /// Waits until all leaves have joined.
    pub async fn joined(&self) {
        let mut stage = self.stage.subscribe();
        let is_empty = |stage: &Stage| matches!(stage, Stage::Waiting(leaves) if leaves.is_empty());
        // An error means that the sender is gone, and it lives in `self`.
        drop(stage.wait_for(is_empty).await);
    }

    /// Waits until it is known whether the state may be changed.
    async fn ended(&self) {
        tokio::select! {
            () = self.joined() => {}
            _ = self.refused() => {}
        }
    }

    /// Waits until a leaf turns out to hold data of another cluster; returns what to do.
    pub async fn refused(&self) -> String {
        let mut stage = self.stage.subscribe();
        let refused = stage.wait_for(|stage| matches!(stage, Stage::Refused(_)));
        match refused.await.as_deref() {
            Ok(Stage::Refused(reason)) => reason.clone(),
            // The sender lives in `self`.
            Ok(Stage::Waiting(_)) | Err(_) => String::new(),
        }
    }
}

fn lost(node: &NodeId, other: &str) -> String {
    format!(
        "this keeper has begun a new cluster on an empty folder, and the leaf `{node}` holds data of the \
         cluster [{other}]: start the keeper with the data folder that it had, or give all leaves empty \
         folders to begin anew"
    )
}

/// A coordinator that changes nothing while leaves are waited for: a change waits for them, up to a bound.
pub struct JoinGate {
    /// Keeps the state.
    pub state: Arc<dyn Coordinator>,
    /// Who is waited for.
    pub joining: Arc<Roster>,
    /// How long a change waits until it is refused.
    pub patience: Duration,
}

#[async_trait]
impl Coordinator for JoinGate {
    fn state(&self) -> Arc<ClusterState> {
        self.state.state()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.watch()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        // Nodes that are started together are not ready together.
        drop(tokio::time::timeout(self.patience, self.joining.ended()).await);
        let checked = self.joining.check();
        checked.map_err(|reason| CoordinatorError::Unavailable { reason })?;
        self.state.compare_and_swap(expected, next).await
    }
}

#[cfg(test)]
mod tests {
    use gleaner_coordinator::Embedded;

    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId(name.into())
    }

    fn gated(leaves: &[&str]) -> JoinGate {
        let leaves = leaves.iter().map(|name| node(name)).collect();
        JoinGate {
            state: Arc::new(Embedded::in_memory(ClusterState::default())),
            joining: Arc::new(Roster::new(leaves)),
            patience: Duration::ZERO,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_changed_until_all_leaves_have_joined() {
        let gated = gated(&["a", "b"]);
        let swap = || gated.compare_and_swap(0, ClusterState::default());
        gated
            .joining
            .join(&node("a"), None, "new")
            .expect("it is empty");
        let refused = swap().await.expect_err("one is missing").to_string();
        assert!(refused.ends_with("data of another: b"), "{refused}");
        gated
            .joining
            .join(&node("b"), Some("new"), "new")
            .expect("its own");
        gated.joining.joined().await;
        swap().await.expect("all are here");
        // One that strays in later ends nothing.
        gated
            .joining
            .join(&node("c"), Some("old"), "new")
            .expect_err("another's");
        let next = gated.compare_and_swap(1, ClusterState::default()).await;
        next.expect("it goes on");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_waits_until_the_last_leaf_has_joined() {
        let gated = JoinGate {
            patience: Duration::from_secs(60),
            ..gated(&["a"])
        };
        let joining = Arc::clone(&gated.joining);
        let swap = gated.compare_and_swap(0, ClusterState::default());
        let join = async {
            tokio::task::yield_now().await;
            joining.join(&node("a"), None, "new").expect("it is empty");
        };
        let (swapped, ()) = tokio::join!(swap, join);
        swapped.expect("all are here");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_leaf_with_data_of_another_cluster_ends_a_new_one() {
        let gated = gated(&["a", "b"]);
        let joined = gated.joining.join(&node("a"), Some("old"), "new");
        assert!(joined.expect_err("another's").contains("[old]"));
        let reason = gated.joining.refused().await;
        assert!(
            reason.contains("`a`") && reason.contains("[old]"),
            "{reason}"
        );
        gated
            .joining
            .join(&node("b"), None, "new")
            .expect("it is empty");
        let refused = gated.compare_and_swap(0, ClusterState::default()).await;
        refused.expect_err("for good");
    }
}
