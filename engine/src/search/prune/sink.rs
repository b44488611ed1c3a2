//! Where the documents that pass go: live ones, through the gates, counted, and offered to the top.

use smallvec::SmallVec;
use tantivy::DocId;

use super::finalists::Finalists;
use crate::EngineError;
use crate::lower::Gate;
use crate::score::bound;
use crate::search::count;
use crate::search::countdown::Countdown;
use crate::search::order::{AfterScore, Order};
use crate::search::rank;
use crate::search::request::{Request, Shard};
use crate::search::sorting::SegmentSorter;
use crate::view::SegmentView;

/// What matches must pass beside their terms; asked about ascending documents.
#[derive(Default)]
pub(super) struct Gates(SmallVec<[(Gate, bool); 1]>);

impl Gates {
    /// Adds one that must match, or must not.
    pub(super) fn push(&mut self, gate: Gate, is_wanted: bool) {
        self.0.push((gate, is_wanted));
    }

    /// Returns whether everything gets through.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns roughly how many documents get through, at most.
    pub(super) fn num_let_through(&self) -> u64 {
        let wanted = self.0.iter().filter(|(_, is_wanted)| *is_wanted);
        let sizes = wanted.map(|(gate, _)| gate.size());
        sizes.min().unwrap_or(u64::MAX)
    }

    fn let_through(&mut self, doc: DocId) -> bool {
        let mut gates = self.0.iter_mut();
        gates.all(|(gate, is_wanted)| gate.holds(doc) == *is_wanted)
    }
}

/// Who counts the matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CountMode {
    /// The sink: all of them must be brought to it.
    Here,
    /// Nobody any more: none are wanted, or enough were counted.
    Done,
    /// A tally ([`crate::search::tally`]), from lists of its own.
    Elsewhere,
}

/// Takes the matches of one segment.
pub(super) struct Sink<'r, 'q> {
    request: &'r Request<'q>,
    shard: &'r Shard<'q>,
    segment: &'r SegmentView,
    gates: Gates,
    has_deletes: bool,
    after: Option<&'r AfterScore>,
    /// Orders by the score and further keys; `None` where the score and the tie-break are all.
    sorter: Option<SegmentSorter<'r>>,
    max_score: Option<f32>,
    finalists: Finalists,
    reach: f32,
    counting: CountMode,
    num_counted: u64,
    countdown: Countdown,
}

impl<'r, 'q> Sink<'r, 'q> {
    pub(super) fn new(
        request: &'r Request<'q>,
        shard: &'r Shard<'q>,
        segment: &'r SegmentView,
        gates: Gates,
        sorter: Option<SegmentSorter<'r>>,
    ) -> Self {
        let after = match &request.order {
            Order::Score(after) => after.as_ref(),
            _ => None,
        };
        Self {
            request,
            shard,
            segment,
            gates,
            has_deletes: segment.reader().has_deletes(),
            after,
            sorter,
            max_score: None,
            finalists: Finalists::new(request.query.top.max(1)),
            reach: request.top.reach(),
            counting: if count::is_enough(request) {
                CountMode::Done
            } else {
                CountMode::Here
            },
            num_counted: 0,
            countdown: Countdown::new(),
        }
    }

    /// Leaves the counting of matches to a tally: then only those that may be among the best need be
    /// brought here.
    pub(super) fn leave_counting(&mut self) {
        self.counting = CountMode::Elsewhere;
    }

    /// Returns whether a tally counts the matches.
    fn is_counted_elsewhere(&self) -> bool {
        self.counting == CountMode::Elsewhere
    }

    /// Returns the score below which no document gets in; only grows.
    pub(super) fn reach(&self) -> f32 {
        self.reach
    }

    /// Learns what other segments have found.
    pub(super) fn update_reach(&mut self) -> f32 {
        let shared = self.request.top.reach();
        self.reach = self.reach.max(shared).max(self.finalists.floor());
        self.reach
    }

    /// Returns whether every match has to be brought here, whatever its score.
    pub(super) fn is_counting(&self) -> bool {
        self.counting == CountMode::Here
    }

    /// Returns whether documents may come in any order.
    pub(super) fn takes_any_order(&self) -> bool {
        self.gates.is_empty()
    }

    /// Notes that postings were decoded or skipped; stops the evaluation when its time is over.
    #[inline]
    pub(super) fn passed(&mut self, num_postings: u32) -> Result<(), EngineError> {
        if self.countdown.ends_with(num_postings) {
            return self.pause();
        }
        Ok(())
    }

    #[cold]
    fn pause(&mut self) -> Result<(), EngineError> {
        self.request.env.control.check()?;
        if self.is_counting() {
            self.add_counted();
            if count::is_enough(self.request) {
                self.counting = CountMode::Done;
            }
        }
        Ok(())
    }

    /// Returns whether a match is a hit, and counts it; documents ascend if there are gates.
    #[inline]
    pub(super) fn admits(&mut self, doc: DocId) -> bool {
        let is_hit = self.lets_through(doc);
        self.num_counted += u64::from(is_hit);
        is_hit
    }

    /// Returns whether a document is a hit if it matches; documents ascend if there are gates.
    #[inline]
    pub(super) fn lets_through(&mut self, doc: DocId) -> bool {
        (!self.has_deletes || self.segment.is_alive(doc))
            && (self.gates.is_empty() || self.passes_gates(doc))
    }

    /// Returns whether the gates let a document through; none once one of them was cut short.
    #[inline]
    fn passes_gates(&mut self, doc: DocId) -> bool {
        self.gates.let_through(doc) && self.request.env.control.check_whole().is_ok()
    }

    /// Counts a match that was let through.
    pub(super) fn note_match(&mut self) {
        self.num_counted += 1;
    }

    /// Takes an admitted document with its canonical score.
    #[inline]
    pub(super) fn offer(&mut self, doc: DocId, score: f32) -> Result<(), EngineError> {
        debug_assert!(!self.finalists.has_unsettled(), "scores are settled first");
        if score < self.reach || !self.comes_after(doc, score)? {
            return Ok(());
        }
        self.finalists.push(doc, score);
        self.finalists.settle();
        self.finalists.count(score);
        self.update_reach();
        if self.finalists.is_crowded() && self.finalists.clean() {
            self.hand_in()?;
        }
        Ok(())
    }

    /// Takes an admitted document whose score is at most `ceiling`; [`Sink::settle`] must follow.
    #[inline]
    pub(super) fn offer_unsettled(&mut self, doc: DocId, ceiling: f32) {
        self.finalists.push(doc, ceiling);
        // Whether it comes after the starting point is told by its canonical score alone.
        if self.after.is_none() {
            self.finalists.count(bound::least(ceiling));
            self.update_reach();
        }
    }

    /// Replaces the bounds of documents taken since the last time by what `score` says; it is asked
    /// in order of arrival.
    pub(super) fn settle(
        &mut self,
        mut score: impl FnMut(DocId) -> Result<f64, EngineError>,
    ) -> Result<(), EngineError> {
        if !self.finalists.has_unsettled() {
            return Ok(());
        }
        self.finalists.clean();
        for (doc, ceiling) in self.finalists.take_unsettled() {
            if ceiling < self.reach {
                continue;
            }
            let score = score(doc)? as f32;
            debug_assert!(score <= ceiling && score >= bound::least(ceiling));
            if !self.comes_after(doc, score)? {
                continue;
            }
            self.finalists.push(doc, score);
            if self.after.is_some() {
                self.finalists.count(score);
                self.update_reach();
            }
        }
        self.finalists.settle();
        if self.finalists.is_crowded() && self.finalists.clean() {
            self.hand_in()?;
        }
        Ok(())
    }

    /// Hands in what is left.
    pub(super) fn finish(mut self) -> Result<(), EngineError> {
        self.add_counted();
        // Unsettled ones are there only after a stop.
        drop(self.finalists.take_unsettled());
        self.finalists.clean();
        self.hand_in()?;
        self.finalists.recycle();
        let Some(sorter) = self.sorter else {
            return Ok(());
        };
        let sorted = sorter.finish(self.shard.index, &self.request.texts)?;
        let mut found = self.shard.found.lock();
        found.sorted.extend(sorted);
        found.raise_max_score(self.max_score);
        Ok(())
    }

    fn comes_after(&self, doc: DocId, score: f32) -> Result<bool, EngineError> {
        let Some(after) = self.after else {
            return Ok(true);
        };
        if f64::from(score) != after.score {
            return Ok(f64::from(score) < after.score);
        }
        let entry = rank::entry(self.shard, self.segment, doc, score);
        rank::comes_after(self.request, after, &entry)
    }

    fn add_counted(&mut self) {
        let counted = std::mem::take(&mut self.num_counted);
        if !self.is_counted_elsewhere() {
            count::add(self.request, self.shard, counted);
        }
    }

    /// Offers the finalists to the top of all segments, and to the sorter where more than the score orders them.
    fn hand_in(&mut self) -> Result<(), EngineError> {
        let (request, shard, segment) = (self.request, self.shard, self.segment);
        let entries: SmallVec<[(DocId, f32); 16]> = self.finalists.take().collect();
        if let Some(sorter) = &mut self.sorter {
            for &(doc, score) in &entries {
                sorter.offer(doc, Some(score))?;
                let most = self.max_score.unwrap_or(score);
                self.max_score = Some(most.max(score));
            }
        }
        let entries = entries.into_iter();
        let entries =
            entries.map(|(doc, score)| (score, move || rank::entry(shard, segment, doc, score)));
        request
            .top
            .offer_all(entries, |a, b| request.compare_ids(a, b));
        Ok(())
    }
}
