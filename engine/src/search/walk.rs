//! Looking at every match of a segment, in blocks.

use std::sync::atomic::Ordering;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::Control;
use gleaner_query::resolved::Clause;
use tantivy::query::Scorer;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, TERMINATED};

use super::count;
use super::order::Order;
use super::prune::holds;
use super::rank::Ranker;
use super::request::{Request, Shard};
use super::sorting::SegmentSorter;
use crate::EngineError;
use crate::aggregate::SegmentAggregator;
use crate::doc_order::column::OfView;
use crate::lower;
use crate::view::SegmentView;

/// Documents of a block, at most.
const BLOCK: usize = 4_096;
/// Looks at the clock within documents after which a block ends: some milliseconds. What is cut short
/// costs the block that it happens in, so blocks of costly documents are small.
const LOOKS_PER_BLOCK: u64 = 64;

/// Evaluates a segment by `docs`, its matches: totals, aggregations, hits.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    mut docs: Box<dyn Scorer>,
) -> Result<(), EngineError> {
    let mut walk = Walk::open(request, shard, segment)?;
    if let Some(num_matches) = walk.aggregate_at_once()?
        && matches!(request.order, Order::None)
    {
        count::add(request, shard, num_matches);
        return walk.finish();
    }
    let mut block = Block::default();
    let mut outcome = Ok(());
    while docs.doc() != TERMINATED {
        if let Err(stop) = request.env.control.check() {
            outcome = Err(stop.into());
            break;
        }
        block.fill(docs.as_mut(), segment, request);
        let taken = match request.env.control.check_whole() {
            Ok(()) => walk.take(&mut block),
            // Not all of it need match.
            Err(stop) => Err(stop.into()),
        };
        match taken {
            Ok(false) => {}
            Ok(true) => break,
            Err(late @ EngineError::Evaluation(EvaluationError::DeadlineExceeded)) => {
                outcome = Err(late);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    // What was seen before a stop is part of the answer.
    walk.finish()?;
    outcome
}

/// Live matches, ascending.
#[derive(Default)]
struct Block {
    docs: Vec<DocId>,
    /// Beside `docs` when scores are needed; canonical once `is_exact`.
    scores: Vec<f32>,
    is_exact: bool,
}

impl Block {
    fn fill(&mut self, docs: &mut dyn Scorer, segment: &SegmentView, request: &Request<'_>) {
        self.docs.clear();
        self.scores.clear();
        self.is_exact = false;
        let control: &Control = request.env.control;
        let most_looks = control.num_looks() + LOOKS_PER_BLOCK;
        if !request.needs_scores {
            return self.fill_without_scores(docs, segment, control, most_looks);
        }
        let mut doc = docs.doc();
        while doc != TERMINATED && self.docs.len() < BLOCK && control.num_looks() < most_looks {
            if segment.is_alive(doc) {
                self.docs.push(doc);
                self.scores.push(docs.score());
            }
            doc = docs.advance();
        }
    }

    fn fill_without_scores(
        &mut self,
        docs: &mut dyn Scorer,
        segment: &SegmentView,
        control: &Control,
        most_looks: u64,
    ) {
        let mut buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
        while self.docs.len() + buffer.len() <= BLOCK {
            let num_filled = docs.fill_buffer(&mut buffer);
            let found = buffer[..num_filled].iter().copied();
            self.docs.extend(found.filter(|&doc| segment.is_alive(doc)));
            if num_filled < buffer.len() || control.num_looks() >= most_looks {
                break;
            }
        }
    }

    /// Keeps the documents (with their scores) that `keep` says yes to.
    fn retain(&mut self, mut keep: impl FnMut(DocId, Option<f32>) -> bool) {
        let mut kept = 0;
        for at in 0..self.docs.len() {
            if keep(self.docs[at], self.scores.get(at).copied()) {
                self.docs[kept] = self.docs[at];
                if !self.scores.is_empty() {
                    self.scores[kept] = self.scores[at];
                }
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    fn truncate(&mut self, len: usize) {
        self.docs.truncate(len);
        self.scores.truncate(len);
    }
}

/// What is done with the matches of a segment.
struct Walk<'r, 'q> {
    request: &'r Request<'q>,
    shard: &'r Shard<'q>,
    segment: &'r SegmentView,
    ranker: Ranker<'r, 'q>,
    gate: Option<Box<dyn Scorer>>,
    aggregator: Option<SegmentAggregator<'r>>,
    sorter: Option<SegmentSorter<'r>>,
    max_score: Option<f32>,
}

impl<'r, 'q> Walk<'r, 'q> {
    fn open(
        request: &'r Request<'q>,
        shard: &'r Shard<'q>,
        segment: &'r SegmentView,
    ) -> Result<Self, EngineError> {
        let reader = segment.reader();
        let sorter = match &request.order {
            Order::Keys(sorting) => {
                Some(sorting.segment(request.query, shard.target, segment, request.env)?)
            }
            _ => None,
        };
        Ok(Self {
            request,
            shard,
            segment,
            ranker: Ranker::new(request, shard, segment),
            gate: shard
                .post_filter
                .as_ref()
                .map(|gate| gate.scorer(reader, 1.0))
                .transpose()?,
            aggregator: match &shard.aggregations {
                Some(plan) => Some(plan.segment(segment.ord())?),
                None => None,
            },
            sorter,
            max_score: None,
        })
    }

    /// Aggregates all matches by orders, where they are everything or a range; returns how many they are if that was enough for all
    /// aggregations.
    fn aggregate_at_once(&mut self) -> Result<Option<u64>, EngineError> {
        let Some(aggregator) = &mut self.aggregator else {
            return Ok(None);
        };
        if !self.request.takes_matches(self.shard, self.segment) {
            return Ok(None);
        }
        let clause = lower::only_filter(self.request.clause);
        let within = match clause {
            Clause::MatchAll => None,
            clause => {
                let view = &self.shard.target.view;
                let segment = self.segment;
                let memory = Some(self.request.env.memory);
                let Some(ranked) = (OfView { view, segment }).of_range(clause, memory)? else {
                    return Ok(None);
                };
                Some(ranked)
            }
        };
        aggregator.collect_all(within)
    }

    /// Takes a block; returns whether `terminate_after` ends the shard here.
    fn take(&mut self, block: &mut Block) -> Result<bool, EngineError> {
        self.score_exactly(block)?;
        self.apply_min_score(block);
        let is_terminated = self.apply_terminate_after(block);
        if let Some(aggregator) = &mut self.aggregator {
            let scores = block.is_exact.then_some(block.scores.as_slice());
            aggregator.collect_block(&block.docs, scores)?;
        }
        if let Some(gate) = &mut self.gate {
            block.retain(|doc, _| holds(gate.as_mut(), doc));
            self.request.env.control.check_whole()?;
        }
        count::add(self.request, self.shard, block.docs.len() as u64);
        self.rank(block)?;
        Ok(is_terminated)
    }

    /// Replaces approximate scores where every one of them is looked at.
    fn score_exactly(&mut self, block: &mut Block) -> Result<(), EngineError> {
        let sorts_by_score =
            matches!(&self.request.order, Order::Keys(sorting) if sorting.needs_scores());
        let is_needed = sorts_by_score
            || self.request.query.min_score.is_some()
            || self.request.aggregations_need_scores;
        if !is_needed {
            return Ok(());
        }
        for (doc, score) in block.docs.iter().zip(&mut block.scores) {
            *score = self.ranker.score(*doc)?;
        }
        block.is_exact = true;
        Ok(())
    }

    fn apply_min_score(&self, block: &mut Block) {
        if let Some(least) = self.request.query.min_score {
            block.retain(|_, score| score.is_some_and(|score| score >= least));
        }
    }

    fn apply_terminate_after(&self, block: &mut Block) -> bool {
        let Some(limit) = self.request.query.terminate_after else {
            return false;
        };
        let before = self
            .shard
            .seen
            .fetch_add(block.docs.len() as u64, Ordering::Relaxed);
        let rest = usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX);
        let is_terminated = block.docs.len() >= rest;
        if is_terminated {
            block.truncate(rest);
            self.shard.is_terminated.store(true, Ordering::Relaxed);
        }
        is_terminated
    }

    fn rank(&mut self, block: &Block) -> Result<(), EngineError> {
        match &self.request.order {
            Order::None => {}
            Order::Score(_) => {
                for (&doc, &score) in block.docs.iter().zip(&block.scores) {
                    if block.is_exact {
                        self.ranker.enter(doc, score)?;
                    } else {
                        self.ranker.consider(doc, score)?;
                    }
                }
            }
            Order::Keys(_) => {
                self.raise_max_score(block)?;
                if let Some(sorter) = &mut self.sorter {
                    for (at, &doc) in block.docs.iter().enumerate() {
                        sorter.offer(doc, block.scores.get(at).copied())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the largest score of all matches, where hits come with scores.
    fn raise_max_score(&mut self, block: &Block) -> Result<(), EngineError> {
        for (&doc, &approximate) in block.docs.iter().zip(&block.scores) {
            let most = self.max_score.unwrap_or(f32::NEG_INFINITY);
            let score = if block.is_exact {
                approximate
            } else if self.request.slack.may_reach(approximate, most) {
                self.ranker.score(doc)?
            } else {
                continue;
            };
            self.max_score = Some(most.max(score));
        }
        Ok(())
    }

    fn finish(self) -> Result<(), EngineError> {
        let sorted = match self.sorter {
            Some(sorter) => sorter.finish(self.shard.index, &self.request.texts)?,
            None => Vec::new(),
        };
        if let Order::Keys(sorting) = &self.request.order {
            sorting.rise(self.request.query, &sorted);
        }
        let aggregated = self.aggregator.map(SegmentAggregator::finish).transpose();
        let mut found = self.shard.found.lock();
        // Hits are whole even where there was no time to finish the aggregations.
        found.sorted.extend(sorted);
        found.raise_max_score(self.max_score);
        let aggregated = aggregated?.map(|partial| (self.segment.ord(), partial));
        found.aggregations.extend(aggregated);
        Ok(())
    }
}
