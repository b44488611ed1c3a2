//! A request that is written part by part, and shown to searches once, at its end.
//!
//! Does: remembers from one part to the next what was written to which shard, how long each was waited
//! for in vain, and which indices were made; makes what was written visible. Does not: write.
//! Called by: [`super`], and by `api`, which cuts a bulk into parts. Read first: [`Parts`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{ClusterState, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteFault, WriteOutcome};
use gleaner_query::QueryError;
use gleaner_query::names::NewName;
use parking_lot::Mutex;

use super::full::Full;
use super::{IngestOptions, IngestResult, RefreshPolicy};
use crate::RootError;
use crate::deadline::Deadline;
use crate::ingest::Ingester;
use crate::visibility::{CopyOutcome, ShowMode};

/// What the parts of one request share.
pub struct Parts {
    refresh: RefreshPolicy,
    /// How long each shard is waited for, in all parts together; then once more until it shows them.
    patience: Duration,
    shards: Mutex<BTreeMap<ShardKey, OfShard>>,
    /// Names of the indices and data streams that its writes made.
    made: Mutex<BTreeSet<String>>,
    /// That there is no room for another index, once that was found out.
    full: Mutex<Option<Full>>,
    /// The name that its path has with date math.
    new_name: Option<NewName>,
}

/// What is known of a shard.
#[derive(Default)]
struct OfShard {
    /// The greatest position that was written.
    last: Option<SeqNo>,
    /// For how long it was waited for in vain.
    waited: Duration,
}

impl Parts {
    /// Returns by when a part that begins now is to be written to `shard`.
    pub(super) fn deadline(&self, shard: ShardKey) -> Deadline {
        Deadline::after(self.patience.saturating_sub(self.waited(shard)))
    }

    /// Refuses a shard that earlier parts have waited for as long as the request may.
    pub(super) fn check(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let waited = self.waited(shard);
        if waited.is_zero() || waited < self.patience {
            return Ok(());
        }
        Err(LeafFault::Recovering {
            shard,
            progress: "earlier parts of the request have waited for it in vain".to_owned(),
        })
    }

    /// Returns how long each shard is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    fn waited(&self, shard: ShardKey) -> Duration {
        let shards = self.shards.lock();
        shards
            .get(&shard)
            .map_or(Duration::ZERO, |known| known.waited)
    }

    /// Notes what became of a part on its shard, and that it took until now since the deadline `begun` was set.
    pub(super) fn note(
        &self,
        shard: ShardKey,
        written: &Result<Vec<Result<WriteOutcome, WriteFault>>, LeafFault>,
        begun: Deadline,
    ) {
        let mut shards = self.shards.lock();
        let known = shards.entry(shard).or_default();
        match written {
            Ok(outcomes) => {
                let written = outcomes.iter().flatten().map(|outcome| outcome.seq_no);
                known.last = known.last.max(written.max());
            }
            Err(_) => known.waited += begun.elapsed(),
        }
    }

    /// Returns how the request gives the name of an index that a write makes.
    pub(super) fn new_name(&self, name: &str) -> NewName {
        let given = self.new_name.as_ref().filter(|given| given.name == name);
        given.cloned().unwrap_or_else(|| NewName::from(name))
    }

    /// Notes that a write of the request made an index or a data stream.
    pub(super) fn note_made(&self, name: &str) {
        self.made.lock().insert(name.to_owned());
    }

    /// Notes why an index could not be made under `state`, where that holds for others too.
    pub(super) fn note_full(&self, state: &Arc<ClusterState>, error: &RootError) {
        if let Some(full) = Full::of(state, error) {
            *self.full.lock() = Some(full);
        }
    }

    /// Refuses a name that nothing bears, where an earlier write of the request has found that there is no room for another
    /// index.
    pub(super) fn check_room(
        &self,
        state: &Arc<ClusterState>,
        name: &str,
    ) -> Result<(), QueryError> {
        let full = self.full.lock();
        let refusal = full.as_ref().and_then(|full| full.refusal(state, name));
        refusal.map_or(Ok(()), Err)
    }

    /// Returns the names of the indices and data streams that writes of the request made, in their order.
    pub fn made(&self) -> Vec<String> {
        self.made.lock().iter().cloned().collect()
    }

    /// Notes that a shard was waited for in vain since the deadline `begun` was set.
    pub(super) fn note_in_vain(&self, shard: ShardKey, begun: Deadline) {
        let mut shards = self.shards.lock();
        shards.entry(shard).or_default().waited += begun.elapsed();
    }
}

/// What became of the refreshes that a request asked for.
#[derive(Debug, Default)]
pub struct RefreshOutcomes {
    refresh: RefreshPolicy,
    shards: BTreeMap<ShardKey, Arc<[CopyOutcome]>>,
}

impl RefreshOutcomes {
    /// Tells results what became of their shards.
    pub fn tell(&self, results: &mut [IngestResult]) {
        for result in results {
            if let Some(shown) = result.shard.and_then(|shard| self.shards.get(&shard)) {
                result.forced_refresh = self.is_forced(shown);
                result.shown = Arc::clone(shown);
            }
        }
    }

    /// Returns the shards of which it came otherwise than `expected`: what became of them on each copy, and
    /// whether they were refreshed for the request.
    pub fn unlike(
        &self,
        expected: &Self,
    ) -> impl Iterator<Item = (ShardKey, &Arc<[CopyOutcome]>, bool)> {
        let others = self.shards.iter();
        let others = others.filter(|(shard, shown)| expected.shards.get(shard) != Some(shown));
        others.map(|(shard, shown)| (*shard, shown, self.is_forced(shown)))
    }

    fn is_forced(&self, shown: &[CopyOutcome]) -> bool {
        let is_refreshed = shown.first().is_some_and(|primary| primary.outcome.is_ok());
        is_refreshed && self.refresh == RefreshPolicy::Immediate
    }
}

impl Ingester {
    /// Begins a request that is written by [`Ingester::ingest_part`] and ends with [`Ingester::show_parts`].
    pub fn begin_parts(&self, options: &IngestOptions) -> Parts {
        Parts {
            refresh: options.refresh,
            patience: options
                .timeout
                .unwrap_or(self.cluster.options.write_timeout),
            shards: Mutex::default(),
            made: Mutex::default(),
            full: Mutex::default(),
            new_name: options.new_name.clone(),
        }
    }

    /// Makes what the parts wrote visible, as the request asks: each shard once.
    pub async fn show_parts(&self, parts: &Parts) -> RefreshOutcomes {
        let refresh = parts.refresh;
        let written: Vec<(ShardKey, SeqNo)> = {
            let shards = parts.shards.lock();
            let written = shards.iter();
            written
                .filter_map(|(shard, known)| Some((*shard, known.last?)))
                .collect()
        };
        let deadline = Deadline::after(parts.patience);
        let shown = written.into_iter().filter_map(|(shard, last)| {
            let how = match refresh {
                RefreshPolicy::None => return None,
                RefreshPolicy::Immediate => ShowMode::Now,
                RefreshPolicy::WaitFor => ShowMode::Next(last),
            };
            Some(async move {
                (
                    shard,
                    self.refresher.show(shard, how, deadline).await.into(),
                )
            })
        });
        let shards: BTreeMap<_, Arc<[CopyOutcome]>> = join_all(shown).await.into_iter().collect();
        for CopyOutcome {
            shard,
            node,
            outcome,
        } in shards.values().flat_map(|shown| shown.iter())
        {
            if let Err(fault) = outcome {
                tracing::warn!(%shard, ?node, %fault, "written documents are durable but not visible on a copy yet");
            }
        }
        RefreshOutcomes { refresh, shards }
    }

    /// Adds the shards of `results` to what is expected of [`Ingester::show_parts`]: that every copy shows them.
    pub fn expect_shown(
        &self,
        parts: &Parts,
        results: &[IngestResult],
        expected: &mut RefreshOutcomes,
    ) {
        expected.refresh = parts.refresh;
        if parts.refresh == RefreshPolicy::None {
            return;
        }
        for shard in results.iter().filter_map(|result| result.shard) {
            expected.shards.entry(shard).or_insert_with(|| {
                let copies = self.cluster.leaves.copies(shard);
                let shown = copies.iter().map(|copy| CopyOutcome {
                    shard,
                    node: Some(copy.node.clone()),
                    outcome: Ok(()),
                });
                shown.collect()
            });
        }
    }
}

#[cfg(test)]
mod tests;
