//! Fetching the winners of one shard from one of its copies.

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::search::{FetchCall, FetchWhat, SearchCall};
use gleaner_query::answer::{FetchedHit, ViewId};
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::TrackTotal;

use crate::merge::Ranked;
use crate::plan::PlannedShard;
use crate::scatter::LeafCall;

/// The winners of one shard.
pub(super) struct Wanted<'a> {
    pub(super) plan: usize,
    pub(super) shard: &'a PlannedShard,
    /// Their positions among all winners.
    pub(super) positions: Vec<usize>,
    pub(super) ranked: Vec<&'a Ranked>,
}

/// Fetches from one copy: the one that ranked, or another that ranks once more.
pub(super) async fn fetch_from(
    wanted: &Wanted<'_>,
    call: LeafCall,
    what: Arc<FetchWhat>,
    query: impl Fn() -> ShardQuery,
) -> Result<Vec<FetchedHit>, LeafFault> {
    let (planned, shard) = (wanted.shard, wanted.shard.shard);
    let client = &call.located.client;
    let has_ranked = planned.node.as_ref() == Some(&call.located.node);
    let (view, places) = match planned.view {
        Some(view) if has_ranked => {
            let places = wanted.ranked.iter().map(|ranked| ranked.hit.place);
            (view, places.collect())
        }
        _ => rank_again(wanted, &call, query()).await?,
    };
    let fetch = FetchCall {
        shard,
        view,
        places,
        what,
        remaining: call.remaining,
    };
    let hits = client.fetch(fetch).await?;
    if hits.len() == wanted.positions.len() {
        return Ok(hits);
    }
    let reason = "the leaf fetched another number of hits than asked".to_owned();
    Err(LeafFault::Internal { shard, reason })
}

/// Ranks a shard on another copy; returns its view and the winners' places there.
async fn rank_again(
    wanted: &Wanted<'_>,
    call: &LeafCall,
    query: ShardQuery,
) -> Result<(ViewId, Vec<u64>), LeafFault> {
    let shard = wanted.shard.shard;
    let query = Arc::new(ShardQuery {
        aggregations: Arc::default(),
        aggregation_filters: Arc::default(),
        track_total: TrackTotal::No,
        ..query
    });
    let search = SearchCall {
        shards: call.shards.clone(),
        query,
        remaining: call.remaining,
    };
    let answer = call.located.client.search(search).await.pop();
    let reason = || "the leaf answered for no shard".to_owned();
    let none = || LeafFault::Internal {
        shard,
        reason: reason(),
    };
    let hits = answer.ok_or_else(none)??;
    let moved_on = LeafFault::ViewMissing {
        shard,
        view: hits.view.0,
    };
    if Some(hits.generation) != wanted.shard.generation || hits.timed_out {
        return Err(moved_on);
    }
    let place_of = |ranked: &&Ranked| {
        let same = hits.hits.iter().find(|hit| hit.seq_no == ranked.hit.seq_no);
        same.map(|hit| hit.place)
    };
    let places: Option<Vec<u64>> = wanted.ranked.iter().map(place_of).collect();
    Ok((hits.view, places.ok_or(moved_on)?))
}
