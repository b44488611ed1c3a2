//! No hit is wrong, invented or there twice, and the order is exact.

use std::collections::BTreeSet;

use gleaner_query::answer::Hit;
use gleaner_root::SearchResponse;

use super::each_search;
use crate::expected::{Fit, fit};
use crate::history::Search;
use crate::run::Run;

pub(super) fn check(run: &Run) -> Vec<String> {
    each_search(run, |search| {
        let response = search.ended.as_ref()?.outcome.as_ref().ok()?;
        let mut ids = BTreeSet::new();
        for hit in &response.hits {
            if !ids.insert(&hit.content.id) {
                return Some(format!("{} is there twice", hit.content.id));
            }
            if let Some(wrong) = of_hit(run, search, hit) {
                return Some(wrong);
            }
        }
        of_order(run, search, response)
    })
}

/// Looks the hit up among the documents of a moment that its shard answered from.
fn of_hit(run: &Run, search: &Search, hit: &Hit) -> Option<String> {
    let shard = crate::schedule::shard(hit.shard);
    let content = &hit.content;
    let mut truth = run.cluster.truth.lock();
    let is_there = search
        .seen
        .iter()
        .filter(|seen| seen.shard == shard)
        .any(|seen| {
            let documents = truth.at(shard, seen.hits.generation.visible);
            documents.iter().any(|stored| {
                stored.id == content.id
                    && stored.seq_no == content.seq_no
                    && stored.version == content.version
                    && Some(&stored.source) == hit.source.as_ref()
            })
        });
    let at = content.seq_no;
    (!is_there).then(|| format!("{} of operation {at} is no document of {shard}", content.id))
}

fn of_order(run: &Run, search: &Search, response: &SearchResponse) -> Option<String> {
    let (fit, what) = fit(run, search, response);
    (fit == Fit::Counts).then_some(what)
}
