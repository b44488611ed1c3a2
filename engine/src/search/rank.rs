//! From a candidate to an entry of the top: canonical score, tie-break, starting point.

use std::cmp::Ordering;
use std::sync::Arc;

use gleaner_model::DocumentId;
use gleaner_partial::control::Control;
use tantivy::DocId;

use super::order::{AfterScore, Order};
use super::request::{Request, Shard};
use crate::EngineError;
use crate::lower::Scope;
use crate::score::canonical::{Asked, Cursor};
use crate::score::top::ScoredDocument;
use crate::view::{SegmentView, place};

/// Ranks candidates of one segment, in ascending order of documents.
pub(super) struct Ranker<'r, 'q> {
    request: &'r Request<'q>,
    shard: &'r Shard<'q>,
    segment: &'r SegmentView,
    /// Opened with the first candidate.
    cursor: Option<Cursor>,
}

impl<'r, 'q> Ranker<'r, 'q> {
    pub(super) fn new(
        request: &'r Request<'q>,
        shard: &'r Shard<'q>,
        segment: &'r SegmentView,
    ) -> Self {
        Self {
            request,
            shard,
            segment,
            cursor: None,
        }
    }

    /// Offers a matching live document, if its score may be enough.
    pub(super) fn consider(&mut self, doc: DocId, approximate: f32) -> Result<(), EngineError> {
        if self
            .request
            .slack
            .may_reach(approximate, self.request.top.reach())
        {
            let score = self.score(doc)?;
            self.enter(doc, score)?;
        }
        Ok(())
    }

    /// Offers a matching live document whose canonical score is `score`.
    pub(super) fn enter(&self, doc: DocId, score: f32) -> Result<(), EngineError> {
        if score < self.request.top.reach() {
            return Ok(());
        }
        let entry = entry(self.shard, self.segment, doc, score);
        if !self.request.top.may_enter(score, entry.hash) {
            return Ok(());
        }
        if let Order::Score(Some(after)) = &self.request.order
            && !comes_after(self.request, after, &entry)?
        {
            return Ok(());
        }
        self.request
            .top
            .offer(entry, |a, b| self.request.compare_ids(a, b));
        Ok(())
    }

    /// Returns the canonical score of a matching document; documents never fall.
    ///
    /// # Errors
    /// When the time is over within a document, or the index cannot be read.
    pub(super) fn score(&mut self, doc: DocId) -> Result<f32, EngineError> {
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            none => {
                let control = self.request.env.control;
                none.insert(open(self.request, self.shard, self.segment, control)?)
            }
        };
        let score = cursor.score(doc);
        self.request.env.control.check_whole()?;
        score.map(|score| score as f32).ok_or_else(|| {
            EngineError::internal(format!("document {doc} matches and has no canonical score"))
        })
    }
}

/// Returns the entry of a document: reads its tie-break hash.
pub(super) fn entry(
    shard: &Shard<'_>,
    segment: &SegmentView,
    doc: DocId,
    score: f32,
) -> ScoredDocument {
    ScoredDocument {
        score,
        hash: segment.id_hashes().get_val(doc),
        target: shard.index,
        place: place(segment.ord(), doc),
    }
}

/// Opens a cursor for documents that match the query; `control` ends it.
pub(super) fn open(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    control: &Arc<Control>,
) -> Result<Cursor, EngineError> {
    let scope = Scope {
        control,
        ..request.scope(shard.target)
    };
    Cursor::open(
        &scope,
        segment.reader(),
        request.clause,
        request.boost,
        Asked::Matching,
    )
}

/// Returns whether `entry` stands behind the point to go on after.
pub(super) fn comes_after(
    request: &Request<'_>,
    after: &AfterScore,
    entry: &ScoredDocument,
) -> Result<bool, EngineError> {
    let score = f64::from(entry.score);
    if score != after.score {
        return Ok(score < after.score);
    }
    let Some(tie) = &after.tie else {
        return Ok(false);
    };
    let by_tie = match (entry.hash.cmp(&tie.hash), &tie.id) {
        (Ordering::Equal, Some(id)) => request.id_of(entry.target, entry.place)?.cmp(id),
        (ordering, _) => ordering,
    };
    let shard = request.shards[entry.target].target.key.shard;
    let is_in_later_shard = after.shard.is_some_and(|last| shard > last);
    Ok(by_tie.is_gt() || (by_tie.is_eq() && is_in_later_shard))
}

impl Request<'_> {
    /// Reads a document's id.
    pub(super) fn id_of(&self, target: usize, place: u64) -> Result<DocumentId, EngineError> {
        Ok(self.shards[target].target.view.document(place)?.id)
    }

    /// Orders two documents of equal hash: by id, then (the same id in two shards) by shard.
    pub(super) fn compare_ids(&self, a: &ScoredDocument, b: &ScoredDocument) -> Ordering {
        let places = (a.target, a.place).cmp(&(b.target, b.place));
        if places == Ordering::Equal {
            return places;
        }
        match (self.id_of(a.target, a.place), self.id_of(b.target, b.place)) {
            (Ok(one), Ok(other)) => one.cmp(&other).then(places),
            // What cannot be read here will fail to be fetched, with its reason.
            _ => places,
        }
    }
}
