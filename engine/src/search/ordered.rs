//! Hits that are found along an order of the segment's documents, and not by looking at every match.
//!
//! The order is that of the first sort key, or, where all matches have one score, that of the hashes of ids. Documents are
//! taken from it in batches, and the query is asked about each: so a search looks at some `top` · documents / matches of
//! them, wherever it begins. That is done where it costs less than looking at all matches; where an estimate was wrong it
//! is given up, and they are looked at after all. Totals are counted apart.
//!
//! Called by: a request, before it walks a segment. Read first: [`segment`].

mod nearest;

use std::convert::Infallible;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::query::{Scorer, Weight};
use tantivy::{DocId, DocSet as _, SeekDangerResult, TERMINATED};

use super::count;
use super::order::{AfterScore, Order};
use super::proximity::Proximity;
use super::rank::Ranker;
use super::request::{Request, Shard};
use super::sorting::Sorting;
use crate::EngineError;
use crate::doc_order::{DocOrder, FEW_DOCUMENTS, OrderKey};
use crate::filter_cache::BitmapScorer;
use crate::view::SegmentView;

/// Matches that are looked at in the time that one document of an order is asked about.
pub(super) const PROBE: u64 = 8;
/// Documents that are asked about at least before the order is given up.
const LEAST_PROBES: u64 = 1_024;
/// Documents of a batch: each batch opens the lists of the query once more.
const LEAST_BATCH: u64 = 64;
const MOST_BATCH: u64 = 16_384;

/// What matches in a segment.
enum Matches<'s> {
    /// Scorers of this are asked.
    Of(&'s dyn Weight),
    /// They were gathered, as the weight's scorers would do each time.
    Gathered(Arc<RoaringBitmap>),
}

/// One segment, searched along an order.
struct Probing<'s, 'q> {
    request: &'s Request<'q>,
    shard: &'s Shard<'q>,
    segment: &'s SegmentView,
    matches: Matches<'s>,
    /// Documents of the next batch.
    batch: u64,
    /// Documents that may be asked about yet.
    left: u64,
}

/// Evaluates a segment along an order, where that costs less than a walk over `docs`, the matches of `weight`. Returns them
/// where it does not.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    weight: &dyn Weight,
    docs: Box<dyn Scorer>,
) -> Result<Option<Box<dyn Scorer>>, EngineError> {
    let num_documents = u64::from(segment.reader().max_doc());
    if segment.reader().max_doc() < FEW_DOCUMENTS || docs.doc() == TERMINATED {
        return Ok(Some(docs));
    }
    let num_matches = u64::from(docs.size_hint()).clamp(1, num_documents);
    let expected = (request.query.top as u64).saturating_mul(num_documents) / num_matches;
    let most = (num_matches / PROBE).max(LEAST_PROBES.min(num_matches));
    if expected.saturating_mul(2) > most {
        return Ok(Some(docs));
    }
    let bitmap = docs.downcast_ref::<BitmapScorer>();
    let mut probing = Probing {
        request,
        shard,
        segment,
        matches: match bitmap {
            Some(scorer) => Matches::Gathered(Arc::clone(scorer.bitmap())),
            None => Matches::Of(weight),
        },
        batch: (expected + expected / 2).clamp(LEAST_BATCH, MOST_BATCH),
        left: most,
    };
    let is_done = match &request.order {
        Order::Keys(sorting) => probing.by_keys(sorting)?,
        Order::Score(after) => match Proximity::of(&shard.target.view, request.clause) {
            None => probing.by_hash(after.as_ref(), docs.doc())?,
            Some(proximity) if after.is_none() => probing.by_proximity(&proximity)?,
            Some(_) => false,
        },
        Order::None => false,
    };
    if !is_done {
        return Ok(Some(docs));
    }
    if !count::is_enough(request) && !count::counted_by_order(request, shard, segment)? {
        count::matches(request, shard, segment, docs)?;
    }
    Ok(None)
}

impl Probing<'_, '_> {
    /// Finds the best by sort keys; returns whether it did.
    fn by_keys(&mut self, sorting: &Sorting) -> Result<bool, EngineError> {
        let Request { query, env, .. } = self.request;
        let mut sorter = sorting.segment(query, self.shard.target, self.segment, env)?;
        let Some(mut ranks) = sorter.ranks(query, self.shard.target, env)? else {
            return Ok(false);
        };
        let mut outcome = Ok(());
        while !sorter.is_done(&mut ranks)? {
            if self.left == 0 {
                return Ok(false);
            }
            let docs = sorter.take(&mut ranks, self.next_batch())?;
            match self.matching(docs) {
                Ok(docs) => {
                    for doc in docs {
                        sorter.offer(doc, None)?;
                    }
                }
                Err(stop) => {
                    outcome = Err(stop);
                    break;
                }
            }
        }
        // What was found before a stop is the best there is.
        let hits = sorter.finish(self.shard.index, &self.request.texts)?;
        sorting.rise(query, &hits);
        self.shard.found.lock().sorted.extend(hits);
        outcome.map(|()| true)
    }

    /// Finds the best where all matches have the score of `first`, one of them; returns whether it did.
    fn by_hash(&mut self, after: Option<&AfterScore>, first: DocId) -> Result<bool, EngineError> {
        let mut ranker = Ranker::new(self.request, self.shard, self.segment);
        let score = ranker.score(first)?;
        let tie = match after {
            Some(after) if f64::from(score) > after.score => return Ok(true),
            Some(after) if f64::from(score) == after.score => match &after.tie {
                None => return Ok(true),
                Some(tie) => Some(tie.hash),
            },
            _ => None,
        };
        let Some(order) = self.hash_order()? else {
            return Ok(false);
        };
        let hashes = self.segment.id_hashes();
        let hash_at = |rank: usize| hashes.get_val(order.doc(rank));
        let mut at = match tie {
            None => 0,
            Some(tie) => {
                let is_before = |doc| Ok::<_, Infallible>(hashes.get_val(doc) < tie);
                let Ok(at) = order.partition_point(0..order.len(), is_before);
                at
            }
        };
        // They enter together: where this is given up, the walk finds them again.
        let mut found = Vec::new();
        // What has the hash of the hit gone on after may be that hit.
        let mut num_behind = 0;
        let top = &self.request.top;
        let mut outcome = Ok(());
        while at < order.len() && num_behind < self.request.query.top {
            if score < top.reach() || !top.may_enter(score, hash_at(at)) {
                break;
            }
            if self.left == 0 {
                return Ok(false);
            }
            let end = order.len().min(at + self.next_batch());
            match self.matching((at..end).map(|rank| order.doc(rank)).collect()) {
                Ok(docs) => {
                    let behind = docs.iter().filter(|doc| Some(hashes.get_val(**doc)) != tie);
                    num_behind += behind.count();
                    found.extend(docs);
                }
                Err(stop) => {
                    outcome = Err(stop);
                    break;
                }
            }
            at = end;
        }
        for doc in found {
            ranker.enter(doc, score)?;
        }
        outcome.map(|()| true)
    }

    fn hash_order(&self) -> Result<Option<Arc<DocOrder>>, EngineError> {
        let (orders, hashes) = (self.segment.orders(), &**self.segment.id_hashes());
        let memory = Some(self.request.env.memory);
        orders.get(&OrderKey::IdHash, hashes, memory, || Ok(None))
    }

    fn next_batch(&mut self) -> usize {
        let batch = self.batch.min(self.left);
        self.left -= batch;
        self.batch = (self.batch * 2).min(MOST_BATCH);
        batch as usize
    }

    /// Keeps the live documents that match, ascending.
    fn matching(&self, mut docs: Vec<DocId>) -> Result<Vec<DocId>, EngineError> {
        let control = self.request.env.control;
        control.check()?;
        docs.sort_unstable();
        let reader = self.segment.reader();
        let mut matches = match &self.matches {
            Matches::Of(weight) => Probe::new(weight.scorer(reader, 1.0)?),
            Matches::Gathered(bitmap) => Probe::Bitmap(bitmap),
        };
        let gate = self.shard.post_filter.as_ref();
        let gate = gate.map(|gate| gate.scorer(reader, 1.0)).transpose()?;
        let mut gate = gate.map(Probe::new);
        docs.retain(|&doc| {
            self.segment.is_alive(doc)
                && matches.holds(doc)
                && gate.as_mut().is_none_or(|gate| gate.holds(doc))
        });
        // Not all that were kept need match where a scorer was cut short.
        control.check_whole()?;
        Ok(docs)
    }
}

/// Asks about documents, without a look for the match behind them.
enum Probe<'b> {
    Bitmap(&'b RoaringBitmap),
    List {
        docs: Box<dyn Scorer>,
        /// No document that was not asked about yet and is below it is in the list.
        next: DocId,
    },
}

impl Probe<'_> {
    fn new(docs: Box<dyn Scorer>) -> Self {
        let next = docs.doc();
        Self::List { docs, next }
    }

    /// Returns whether `doc`, which always rises, is there.
    fn holds(&mut self, doc: DocId) -> bool {
        let (docs, next) = match self {
            Self::Bitmap(bitmap) => return bitmap.contains(doc),
            Self::List { docs, next } => (docs, next),
        };
        if doc < *next {
            return false;
        }
        match docs.seek_danger(doc) {
            SeekDangerResult::Found => {
                *next = doc;
                true
            }
            SeekDangerResult::SeekLowerBound(bound) => {
                *next = bound;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
