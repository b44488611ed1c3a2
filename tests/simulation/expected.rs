//! What an answer must be, given what leaves told the root and what the truth is.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_model::{SeqNo, ShardKey};
use gleaner_query::resolved::Statistics;
use gleaner_root::SearchResponse;

use crate::history::{Search, Seen};
use crate::run::Run;
use crate::scoring;

/// Combinations looked at for one answer, at most: eight shards of three options each are 6,561.
const MAX_COMBINATIONS: usize = 20_000;

/// A hit as it is ordered: the best first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) score: f32,
    pub(crate) tie: u64,
    pub(crate) shard: ShardKey,
    pub(crate) seq_no: SeqNo,
}

impl Hit {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score
            .then_with(|| self.tie.cmp(&other.tie))
            .then_with(|| self.shard.cmp(&other.shard))
    }
}

/// How well an answer fits the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It is of no combination of what leaves answered.
    None,
    /// The numbers are right, the hits are not.
    Counts,
    /// It is right.
    Exact,
}

/// One leaf's answer for one shard, as it should have been.
#[derive(PartialEq)]
struct Part {
    shard: ShardKey,
    total: u64,
    hits: Vec<Hit>,
}

/// Returns how well an answer fits the best combination of the moments that leaves answered from,
/// and that combination's count and hits, for people.
pub(crate) fn fit(run: &Run, search: &Search, response: &SearchResponse) -> (Fit, String) {
    let failed: BTreeSet<ShardKey> = failed(response);
    let found = found(response);
    let mut best = (
        Fit::None,
        "no leaf answered for a shard that counts".to_owned(),
    );
    for numbers in passes(search).into_iter().rev() {
        let options: Vec<Vec<Option<Part>>> = run
            .schedule()
            .shards()
            .map(|shard| {
                let mut options = options(run, search, (shard, &numbers), response);
                options.extend(failed.contains(&shard).then_some(None));
                options
            })
            .collect();
        for combination in combinations(&options) {
            let total: u64 = combination.iter().map(|part| part.total).sum();
            let mut hits: Vec<Hit> = combination
                .iter()
                .flat_map(|part| &part.hits)
                .copied()
                .collect();
            hits.sort_by(Hit::compare);
            hits.truncate(search.size);
            hits.retain(|hit| !failed.contains(&hit.shard));
            let counted = response.total.map(|total| total.value);
            let fit = match () {
                () if counted != Some(total) || found.len() != hits.len() => Fit::None,
                () if found != hits => Fit::Counts,
                () => Fit::Exact,
            };
            if fit == Fit::Exact {
                return (fit, String::new());
            }
            if fit > best.0 || best.0 == Fit::None {
                let shards: Vec<u32> = combination.iter().map(|p| p.shard.shard.0).collect();
                let what = format!(
                    "{} hits of {counted:?}, the oracle has {} of {total} in {shards:?}; {found:?}, \
                     the oracle {hits:?}",
                    found.len(),
                    hits.len()
                );
                best = (fit, what);
            }
        }
    }
    best
}

/// Returns the shards that an answer names as missing.
pub(crate) fn failed(response: &SearchResponse) -> BTreeSet<ShardKey> {
    let failures = response.shards.failures.iter();
    failures.map(|failure| failure.shard).collect()
}

fn found(response: &SearchResponse) -> Vec<Hit> {
    let hits = response.hits.iter();
    hits.map(|hit| Hit {
        score: hit.score.unwrap_or(f32::NAN),
        tie: gleaner_model::hash::tie_break_hash(hit.content.id.as_str()),
        shard: crate::schedule::shard(hit.shard),
        seq_no: hit.content.seq_no,
    })
    .collect()
}

/// Returns the numbers that leaves were given, in the order they came up: each pass of a search has
/// its own.
pub(crate) fn passes(search: &Search) -> Vec<Arc<Statistics>> {
    let mut passes: Vec<Arc<Statistics>> = Vec::new();
    for seen in &search.seen {
        let numbers = &seen.query.statistics;
        passes.retain(|known| known != numbers);
        passes.push(Arc::clone(numbers));
    }
    if passes.is_empty() {
        passes.push(Arc::default());
    }
    passes
}

/// Returns the answers of one pass that can stand for a shard; `None` is that it gave nothing.
fn options(
    run: &Run,
    search: &Search,
    (shard, numbers): (ShardKey, &Arc<Statistics>),
    response: &SearchResponse,
) -> Vec<Option<Part>> {
    let mut options = Vec::new();
    let mut known = BTreeSet::new();
    let of_pass = |seen: &&Seen| seen.shard == shard && seen.query.statistics == *numbers;
    for seen in search.seen.iter().filter(of_pass) {
        if known.insert((seen.hits.generation, seen.hits.timed_out, seen.hits.total)) {
            if !seen.hits.timed_out {
                options.push(Some(part(seen.shard, matching(run, seen), search.size)));
            }
            // Of a shard that was cut short it is as the leaf says: the deadline or another shard's hits
            // kept it from more. If its contents could not be fetched after that, it is named as missing;
            // its hits have taken their places all the same.
            let is_cut = seen.hits.timed_out || response.coverage.shards_cut > 0;
            if is_cut || (response.timed_out && failed(response).contains(&shard)) {
                let told = Some(Part {
                    total: seen.hits.total,
                    ..part(seen.shard, told(seen), search.size)
                });
                // Combinations are bounded: nothing is looked at twice.
                if !options.contains(&told) {
                    options.push(told);
                }
            }
        }
    }
    if response.shards.skipped > 0 {
        let query = search.seen.first().map(|seen| &seen.query.query);
        let is_empty = |visible: &SeqNo| {
            let documents = run.cluster.truth.lock().at(shard, *visible);
            !documents.iter().any(|stored| {
                let score = query.and_then(|query| scoring::score(query, stored, numbers));
                score.is_some()
            })
        };
        if skippable(run, search, shard).iter().any(is_empty) {
            options.push(Some(part(shard, Vec::new(), search.size)));
        }
    }
    options
}

/// Returns the moments of a shard that a search may rely on without asking for hits.
pub(crate) fn skippable(run: &Run, search: &Search, shard: ShardKey) -> Vec<SeqNo> {
    let ended = search.ended.as_ref().map_or(search.begun, |ended| ended.at);
    run.cluster.shown(shard, (search.begun, ended))
}

/// Returns what a shard's hits come to; no answer shows more of them than it has room for.
fn part(shard: ShardKey, mut hits: Vec<Hit>, size: usize) -> Part {
    let total = hits.len() as u64;
    hits.sort_by(Hit::compare);
    hits.truncate(size);
    Part { shard, total, hits }
}

/// Returns the hits that a leaf answered.
fn told(seen: &Seen) -> Vec<Hit> {
    let hits = seen.hits.hits.iter().map(|hit| Hit {
        score: hit.score.unwrap_or(f32::NAN),
        tie: hit.tie.hash,
        shard: seen.shard,
        seq_no: hit.seq_no,
    });
    hits.collect()
}

/// Returns every document that matches, at the moment that an answer names.
fn matching(run: &Run, seen: &Seen) -> Vec<Hit> {
    let visible = seen.hits.generation.visible;
    let documents = run.cluster.truth.lock().at(seen.shard, visible);
    let query = &seen.query;
    let matching = documents.iter().filter_map(|stored| {
        let score = scoring::score(&query.query, stored, &query.statistics)?;
        Some(Hit {
            score,
            tie: stored.tie,
            shard: seen.shard,
            seq_no: stored.seq_no,
        })
    });
    matching.collect()
}

/// Returns every choice of one option per shard, up to a limit; none where a shard has no option.
fn combinations(options: &[Vec<Option<Part>>]) -> Vec<Vec<&Part>> {
    let mut all: Vec<Vec<&Part>> = vec![Vec::new()];
    for of_shard in options {
        let longer = all.iter().flat_map(|chosen| {
            of_shard.iter().map(move |option| {
                let mut chosen = chosen.clone();
                chosen.extend(option);
                chosen
            })
        });
        all = longer.take(MAX_COMBINATIONS).collect();
    }
    all
}
