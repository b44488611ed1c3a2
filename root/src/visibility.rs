//! Making writes visible on every copy of their shard.
//!
//! The primary writes a refresh record into the log; the other copies reach the same generation when
//! they have applied it. A copy that does not within the time is named in the answer, and no search
//! through this root is answered with less from then on (see [`crate::shown`]).

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{Generation, NodeId, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::read::WaitForRefreshCall;
use tokio::time::timeout;

use crate::RootError;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::health::Book;
use crate::leaves::LeafHandle;
use crate::plan::Target;
use crate::planner::Planner;
use crate::shown::VisibleFloor;

/// Longest wait for a copy that is not the primary, within the deadline: ten refreshes by default.
const COPY_PATIENCE: Duration = Duration::from_secs(10);

/// What became of an operation on one copy of a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyOutcome {
    /// The shard.
    pub shard: ShardKey,
    /// The leaf; `None` where the shard has none.
    pub node: Option<NodeId>,
    /// What happened.
    pub outcome: Result<(), LeafFault>,
}

/// How the primary is made to show writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ShowMode {
    /// By a refresh now, of all there is.
    Now,
    /// By its next refresh, up to this operation.
    Next(SeqNo),
}

/// Makes writes visible on every copy.
pub struct Refresher {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) health: Arc<Book>,
    pub(crate) shown: Arc<VisibleFloor>,
}

impl Refresher {
    pub(crate) fn new(shared: &SharedParts, planner: &Arc<Planner>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            planner: Arc::clone(planner),
            health: Arc::clone(&shared.health),
            shown: Arc::clone(&shared.shown),
        }
    }
}

impl Refresher {
    /// Refreshes all shards of the indices named on all their copies.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub async fn refresh(&self, target: &Target) -> Result<Vec<CopyOutcome>, RootError> {
        let plans = self.planner.targets_at(target, None)?;
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        Ok(self.show_all(shards.map(|asked| asked.shard)).await)
    }

    /// Makes writes of `shards` visible on all copies.
    pub(crate) async fn show_all(
        &self,
        shards: impl Iterator<Item = ShardKey>,
    ) -> Vec<CopyOutcome> {
        let deadline = Deadline::after(self.cluster.options.write_timeout);
        let shown = shards.map(|shard| self.show(shard, ShowMode::Now, deadline));
        join_all(shown).await.into_iter().flatten().collect()
    }

    /// Makes writes of `shard` visible on all copies; the first outcome is the primary's. When that
    /// failed the others are not tried.
    pub(crate) async fn show(
        &self,
        shard: ShardKey,
        how: ShowMode,
        deadline: Deadline,
    ) -> Vec<CopyOutcome> {
        let (primary, shown) = loop {
            let primary = self.cluster.primary(shard);
            let shown = match &primary {
                Ok(primary) => self.show_on_primary(primary, shard, how, deadline).await,
                Err(fault) => Err(fault.clone()),
            };
            match shown {
                Err(fault)
                    if self
                        .cluster
                        .is_repeated(shard, &of_refresh(&fault), deadline)
                        .await => {}
                shown => break (primary.ok().map(|primary| primary.node), shown),
            }
        };
        // Searches on others say that they may be old.
        let copies = self.cluster.leaves.in_sync(shard);
        let is_other = |copy: &&LeafHandle| Some(&copy.node) != primary.as_ref();
        let others: Vec<&LeafHandle> = copies.iter().filter(is_other).collect();
        let mut outcomes = vec![CopyOutcome {
            shard,
            node: primary.clone(),
            outcome: shown.as_ref().map(|_| ()).map_err(Clone::clone),
        }];
        if let Ok(generation) = shown
            && !others.is_empty()
        {
            self.shown
                .acknowledge(shard, generation, &self.cluster.state());
            let followed = others.iter().map(|copy| async move {
                CopyOutcome {
                    shard,
                    node: Some(copy.node.clone()),
                    outcome: self
                        .show_on_copy(copy, shard, generation.visible, deadline)
                        .await,
                }
            });
            outcomes.extend(join_all(followed).await);
        }
        outcomes
    }

    async fn show_on_primary(
        &self,
        primary: &LeafHandle,
        shard: ShardKey,
        how: ShowMode,
        deadline: Deadline,
    ) -> Result<Generation, LeafFault> {
        let remaining = deadline.remaining();
        let client = &primary.client;
        let shown = match how {
            ShowMode::Now => client.refresh(shard),
            ShowMode::Next(seq_no) => {
                client.wait_for_refresh(WaitForRefreshCall::by_primary(shard, seq_no, remaining))
            }
        };
        let late = |_| LeafFault::DeadlinePassed { shard };
        timeout(remaining, shown).await.map_err(late)?
    }

    async fn show_on_copy(
        &self,
        copy: &LeafHandle,
        shard: ShardKey,
        visible: SeqNo,
        deadline: Deadline,
    ) -> Result<(), LeafFault> {
        let Some(last) = visible.0.checked_sub(1) else {
            return Ok(());
        };
        if self.health.open().is_out(&copy.node, shard) {
            let reason = "it has not answered lately and is tried again later".to_owned();
            return Err(LeafFault::Unreachable { shard, reason });
        }
        let patience = deadline.remaining().min(COPY_PATIENCE);
        let call = WaitForRefreshCall::on_copy(shard, SeqNo(last), patience);
        let shown = copy.client.wait_for_refresh(call);
        let late = |_| LeafFault::DeadlinePassed { shard };
        let outcome = timeout(patience, shown).await.map_err(late)?;
        if let Err(LeafFault::Unreachable { .. }) = &outcome {
            self.health.open().unreachable(&copy.node);
        }
        let seen = outcome?.visible;
        if seen >= visible {
            return Ok(());
        }
        Err(LeafFault::Behind {
            shard,
            wanted: visible,
            visible: seen,
        })
    }
}

/// Returns the fault as it counts for a refresh: one of which the outcome is not known, as its primary changed meanwhile, may
/// be made twice.
fn of_refresh(fault: &LeafFault) -> LeafFault {
    match fault {
        LeafFault::Indeterminate { shard, reason } => LeafFault::Recovering {
            shard: *shard,
            progress: reason.clone(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
