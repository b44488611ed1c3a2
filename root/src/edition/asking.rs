//! Asking leaves what is current: one call to each that holds a primary.
//!
//! Does: find the primaries of targets, ask all their leaves at once, give up at the first that cannot tell. Does not:
//! ask another copy, which may show less than was acknowledged. Read first: [`Editions::ask`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::try_join_all;
use gleaner_model::{Edition, Generation, NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::read::{GenerationsCall, ShownGeneration};
use gleaner_query::canonical::edition::Targets;
use tokio::time::timeout;

use super::Editions;
use crate::leaves::LeafHandle;

/// A shard whose primary does not tell what it shows.
struct NotTold;

/// The shards of one leaf.
struct LeafShards {
    leaf: LeafHandle,
    shards: Vec<ShardKey>,
}

impl Editions {
    /// Returns the edition of an answer that would be evaluated on `targets` now, by what the primaries say within
    /// `patience`; `None` where one does not say, is away, rests, or an index is gone or closed.
    ///
    /// # Cancel safety
    /// Dropping the future drops the calls.
    pub(crate) async fn ask(&self, targets: &Targets, patience: Duration) -> Option<Edition> {
        // Before the leaves are looked up: no primary that is asked is of an older term than the edition has.
        let state = self.cluster.state();
        let leaves = self.primaries(targets)?;
        let asked = leaves.into_values().map(|leaf| leaf.ask(patience));
        let told = timeout(patience, try_join_all(asked)).await.ok()?.ok()?;
        let shown: HashMap<ShardKey, Generation> = told.into_iter().flatten().collect();
        let shown = |shard| shown.get(&shard).copied();
        self.maker.edition_at(&state, targets, shown)
    }

    /// Returns the leaves that hold the primaries; `None` where one has none, or its leaf has not answered lately.
    fn primaries(&self, targets: &Targets) -> Option<BTreeMap<NodeId, LeafShards>> {
        let mut leaves: BTreeMap<NodeId, LeafShards> = BTreeMap::new();
        let book = self.health.open();
        for shard in targets.shards() {
            let leaf = self.cluster.leaves.primary(shard)?;
            if book.is_out(&leaf.node, shard) {
                return None;
            }
            let entry = leaves.entry(leaf.node.clone());
            let of_leaf = entry.or_insert_with(|| LeafShards {
                leaf,
                shards: Vec::new(),
            });
            of_leaf.shards.push(shard);
        }
        Some(leaves)
    }
}

impl LeafShards {
    async fn ask(self, remaining: Duration) -> Result<Vec<(ShardKey, Generation)>, NotTold> {
        let Self { leaf, shards } = self;
        let call = GenerationsCall {
            shards: shards.clone(),
            remaining,
        };
        let answers = leaf.client.generations(call).await;
        let told = shards.into_iter().zip(answers);
        told.map(|(shard, answer)| Ok((shard, awake(&answer)?)))
            .collect()
    }
}

/// Returns what a shard shows that does not rest: a search of one that does would show more.
fn awake(answer: &Result<ShownGeneration, LeafFault>) -> Result<Generation, NotTold> {
    match answer {
        Ok(ShownGeneration {
            generation,
            is_resting: false,
        }) => Ok(*generation),
        Ok(_) | Err(_) => Err(NotTold),
    }
}

#[cfg(test)]
mod tests;
