//! Fetching the winners of some shards from one leaf.

use std::sync::Arc;

use futures::future::join_all;
use gleaner_proto::LeafFault;
use gleaner_proto::search::{FetchCall, FetchFrom, FetchHits, FetchWhat, ShardView};
use gleaner_query::answer::FetchedHits;

use crate::merge::RankedHit;
use crate::plan::PlannedShard;
use crate::scatter::LeafCall;

/// The winners of one shard.
pub(super) struct ShardWinners<'a> {
    pub(super) plan: usize,
    pub(super) shard: &'a PlannedShard,
    /// Their positions among all winners.
    pub(super) positions: Vec<usize>,
    pub(super) ranked: Vec<&'a RankedHit>,
}

impl ShardWinners<'_> {
    /// Returns what to ask for: the places where they stand in the view that ranked them; of another
    /// copy their numbers, which are the same on all.
    fn from(&self, shard: ShardView) -> FetchFrom {
        let ranked = self.ranked.iter().map(|ranked| &ranked.hit);
        let hits = match shard.view {
            Some(_) => FetchHits::Places(ranked.map(|hit| hit.place).collect()),
            None => FetchHits::Numbers(ranked.map(|hit| hit.seq_no.0).collect()),
        };
        FetchFrom { shard, hits }
    }
}

/// Fetches from one leaf, per shard of `call` in order; `wanted` are the winners of those shards. What
/// is too large for one answer is asked for shard by shard.
pub(super) async fn fetch_from(
    wanted: &[&ShardWinners<'_>],
    call: LeafCall,
    what: Arc<FetchWhat>,
) -> Vec<Result<FetchedHits, LeafFault>> {
    let shards = wanted.iter().zip(call.shards);
    let shards: Vec<FetchFrom> = shards.map(|(wanted, shard)| wanted.from(shard)).collect();
    let fetch = |shards| {
        call.located.client.fetch(FetchCall {
            shards,
            what: Arc::clone(&what),
            remaining: call.remaining,
        })
    };
    let mut answers = fetch(shards.clone()).await;
    let is_too_large = |answer| matches!(answer, &Err(LeafFault::TooLarge { .. }));
    if shards.len() > 1 && answers.iter().all(is_too_large) {
        let each = shards.into_iter().map(|from| fetch(vec![from]));
        answers = join_all(each).await.into_iter().flatten().collect();
        // Each call told its own time.
        let cpu = answers.iter().flatten().map(|fetched| fetched.cpu).sum();
        answers
            .iter_mut()
            .flatten()
            .for_each(|fetched| fetched.cpu = cpu);
    }
    for (wanted, answer) in wanted.iter().zip(&mut answers) {
        if matches!(answer, Ok(fetched) if fetched.hits.len() != wanted.positions.len()) {
            let reason = "the leaf fetched another number of hits than asked".to_owned();
            let shard = wanted.shard.shard;
            *answer = Err(LeafFault::Internal { shard, reason });
        }
    }
    answers
}
