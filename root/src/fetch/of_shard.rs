//! Fetching the winners of one shard from one of its copies.

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::postings::{LocateCall, LocateIn, LocateSet};
use gleaner_proto::search::{FetchCall, FetchWhat};
use gleaner_query::answer::{FetchedHit, ViewId};

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

/// Fetches from one copy: the one that ranked, or another that looks the documents up.
pub(super) async fn fetch_from(
    wanted: &Wanted<'_>,
    call: LeafCall,
    what: Arc<FetchWhat>,
) -> Result<Vec<FetchedHit>, LeafFault> {
    let (planned, shard) = (wanted.shard, wanted.shard.shard);
    let client = &call.located.client;
    let has_ranked = planned.node.as_ref() == Some(&call.located.node);
    let (view, places) = match planned.view {
        Some(view) if has_ranked => {
            let places = wanted.ranked.iter().map(|ranked| ranked.hit.place);
            (view, places.collect())
        }
        _ => locate(wanted, &call).await?,
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

/// Looks the winners up by number on a copy that did not rank them; returns its view and their places
/// there.
///
/// A number stands for one version of a document, so what is found is what was ranked, whatever else
/// that copy shows by now.
async fn locate(wanted: &Wanted<'_>, call: &LeafCall) -> Result<(ViewId, Vec<u64>), LeafFault> {
    let shard = wanted.shard.shard;
    let seq_nos = wanted.ranked.iter().map(|ranked| ranked.hit.seq_no.0);
    let set = LocateSet {
        documents: seq_nos.collect(),
        top: wanted.ranked.len(),
    };
    let asked = LocateIn {
        shard: call.shards[0],
        sets: vec![set],
    };
    let locate = LocateCall {
        shards: vec![asked],
        remaining: call.remaining,
    };
    let answer = call.located.client.locate(locate).await.pop();
    let none = || LeafFault::Internal {
        shard,
        reason: "the leaf answered for no shard".to_owned(),
    };
    let mut found = answer.ok_or_else(none)??;
    let view = found.view;
    let documents = found.sets.pop().unwrap_or_default();
    let place_of = |ranked: &&Ranked| {
        let mut documents = documents.iter();
        let same = documents.find(|document| document.seq_no == ranked.hit.seq_no);
        same.map(|document| document.place)
    };
    let places: Option<Vec<u64>> = wanted.ranked.iter().map(place_of).collect();
    let gone = LeafFault::ViewMissing {
        shard,
        view: view.0,
    };
    Ok((view, places.ok_or(gone)?))
}
