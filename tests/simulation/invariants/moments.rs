//! The numbers that an answer is scored with are those of the moments it was answered from.

use std::collections::BTreeMap;

use gleaner_model::{SeqNo, ShardKey};
use gleaner_query::resolved::{Statistics, StatisticsRequest};
use gleaner_root::SearchResponse;

use super::each_search;
use crate::expected::{failed, passes, skippable};
use crate::history::Search;
use crate::run::Run;
use crate::scoring;

/// Missing shards of an answer whose share in the numbers is still looked for.
const MAX_MISSING: usize = 2;

pub(super) fn check(run: &Run) -> Vec<String> {
    each_search(run, |search| {
        let response = search.ended.as_ref()?.outcome.as_ref().ok()?;
        // An answer that had no time for numbers of its moments says that it was cut short.
        if response.coverage.shards_cut > 0 {
            return None;
        }
        // Where all shards were left out of the last pass or came too late for it, no leaf has told its
        // numbers, and nothing was scored by them.
        let has_unseen = response.shards.skipped > 0 && !response.shards.failures.is_empty();
        if has_unseen && response.hits.is_empty() {
            return None;
        }
        let mut wanted = StatisticsRequest::default();
        wanted.collect(search.clause()?);
        let of_last = passes(search).pop()?;
        if wanted.fields.is_empty() || is_explained(run, search, response, (&wanted, &of_last)) {
            return None;
        }
        let moments = moments(search, &of_last);
        Some(format!("{of_last:?} are not the numbers of {moments:?}"))
    })
}

/// Returns the moments that each shard answered from in the pass of these numbers.
fn moments(search: &Search, numbers: &Statistics) -> BTreeMap<ShardKey, Vec<SeqNo>> {
    let mut moments: BTreeMap<ShardKey, Vec<SeqNo>> = BTreeMap::new();
    let of_pass = search
        .seen
        .iter()
        .filter(|seen| *seen.query.statistics == *numbers);
    for seen in of_pass {
        let visible = seen.hits.generation.visible;
        let of_shard = moments.entry(seen.shard).or_default();
        if !of_shard.contains(&visible) {
            of_shard.push(visible);
        }
    }
    moments
}

/// Returns whether the numbers are the sum over the shards covered, and over any moments of those
/// that are missing: these may have been lost after they were counted.
fn is_explained(
    run: &Run,
    search: &Search,
    response: &SearchResponse,
    (wanted, numbers): (&StatisticsRequest, &Statistics),
) -> bool {
    let failed = failed(response);
    if failed.len() > MAX_MISSING {
        return true;
    }
    let mut answered = moments(search, numbers);
    if response.shards.skipped > 0 {
        for shard in run.schedule().shards() {
            let of_shard = answered.entry(shard).or_default();
            of_shard.extend(skippable(run, search, shard));
            of_shard.sort_unstable();
            of_shard.dedup();
        }
    }
    let mut truth = run.cluster.truth.lock();
    let mut sums = vec![Statistics::default()];
    for shard in run.schedule().shards() {
        let of_shard = match failed.contains(&shard) {
            true => truth.moments(shard),
            false => answered.get(&shard).cloned().unwrap_or_default(),
        };
        let counted = of_shard.iter().map(|visible| {
            let documents = truth.at(shard, *visible);
            scoring::count(&documents, wanted)
        });
        let mut counted: Vec<Statistics> = counted.collect();
        if failed.contains(&shard) {
            counted.push(Statistics::default());
        }
        let longer = sums.iter().flat_map(|sum| {
            counted.iter().map(move |of_shard| {
                let mut sum = sum.clone();
                sum.merge(of_shard);
                sum
            })
        });
        sums = longer.collect();
        sums.dedup();
    }
    sums.iter().any(|sum| sum == numbers)
}
