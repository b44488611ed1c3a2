//! Clauses tantivy cannot score: a docset finds candidates, the canonical cursor decides and scores.
//! Where the cursor is cut short within a document, the scorer ends before it.

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_partial::score::model::Model;
use gleaner_query::resolved::Clause;
use tantivy::query::{Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError};

use super::Scope;
use crate::View;
use crate::filter_cache::FilterCache;
use crate::score::canonical::{Asked, Cursor};

/// Returns a weight that matches those documents of `candidates` which `clause` matches, with its
/// canonical score times `boost`.
pub(super) fn scored(
    scope: &Scope<'_>,
    clause: &Clause,
    boost: f64,
    candidates: Box<dyn Weight>,
) -> Box<dyn Weight> {
    Box::new(parts(scope, clause, boost, candidates))
}

fn parts(
    scope: &Scope<'_>,
    clause: &Clause,
    boost: f64,
    candidates: Box<dyn Weight>,
) -> Candidates {
    Candidates {
        is_scored: true,
        candidates,
        clause: clause.clone(),
        boost,
        view: Arc::clone(scope.view),
        model: Arc::clone(scope.model),
        control: Arc::clone(scope.control),
        filters: Arc::clone(scope.filters),
    }
}

/// Returns a weight that matches those documents of `candidates` which `clause` matches, a phrase or
/// intervals; their scores are 0. It needs no statistics.
pub(super) fn matching(
    scope: &Scope<'_>,
    clause: &Clause,
    candidates: Box<dyn Weight>,
) -> Box<dyn Weight> {
    Box::new(Candidates {
        is_scored: false,
        ..parts(scope, clause, 1.0, candidates)
    })
}

struct Candidates {
    is_scored: bool,
    candidates: Box<dyn Weight>,
    clause: Clause,
    boost: f64,
    view: Arc<View>,
    model: Arc<Model>,
    control: Arc<Control>,
    filters: Arc<FilterCache>,
}

impl Weight for Candidates {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let scope = Scope {
            view: &self.view,
            model: &self.model,
            control: &self.control,
            filters: &self.filters,
        };
        let boost = self.boost * f64::from(boost);
        let cursor = match &self.clause {
            Clause::Phrase {
                field,
                positions,
                slop,
            } if !self.is_scored => {
                Cursor::open_phrase_match(&scope, reader, field, positions, *slop)
            }
            Clause::Intervals(intervals) if !self.is_scored => {
                Cursor::open_interval_match(&scope, reader, intervals)
            }
            clause => Cursor::open(&scope, reader, clause, boost, Asked::Any),
        };
        let cursor = cursor.map_err(|error| TantivyError::InternalError(error.to_string()))?;
        let docs = self.candidates.scorer(reader, 1.0)?;
        let mut scorer = CandidateScorer {
            docs,
            cursor,
            score: 0.0,
            control: Arc::clone(&self.control),
            has_ended: false,
        };
        let first = scorer.docs.doc();
        scorer.settle(first);
        Ok(Box::new(scorer))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        // Explanations are made from canonical scores.
        Err(TantivyError::InvalidArgument(
            "not explained by tantivy".to_owned(),
        ))
    }
}

struct CandidateScorer {
    docs: Box<dyn Scorer>,
    cursor: Cursor,
    score: Score,
    control: Arc<Control>,
    /// Whether the evaluation was cut short: no more documents come.
    has_ended: bool,
}

impl CandidateScorer {
    /// Goes on from candidate `doc` to the first that matches.
    fn settle(&mut self, mut doc: DocId) -> DocId {
        while doc != TERMINATED && !self.has_ended {
            if self.accepts(doc) {
                return doc;
            }
            doc = self.docs.advance();
        }
        TERMINATED
    }

    fn accepts(&mut self, doc: DocId) -> bool {
        let score = self.cursor.score(doc);
        self.has_ended = self.control.check_whole().is_err();
        self.score = score.unwrap_or_default() as Score;
        score.is_some() && !self.has_ended
    }
}

impl DocSet for CandidateScorer {
    fn advance(&mut self) -> DocId {
        if self.has_ended {
            return TERMINATED;
        }
        let next = self.docs.advance();
        self.settle(next)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.has_ended {
            return TERMINATED;
        }
        if self.docs.doc() >= target {
            let doc = self.docs.doc();
            return self.settle(doc);
        }
        let next = self.docs.seek(target);
        self.settle(next)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= TERMINATED || self.has_ended {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        let mut doc = self.docs.doc();
        if doc < target {
            doc = self.docs.seek(target);
        }
        if doc != target {
            SeekDangerResult::SeekLowerBound(doc)
        } else if self.accepts(doc) {
            SeekDangerResult::Found
        } else if self.has_ended {
            SeekDangerResult::SeekLowerBound(TERMINATED)
        } else {
            SeekDangerResult::SeekLowerBound(target + 1)
        }
    }

    fn doc(&self) -> DocId {
        match self.has_ended {
            true => TERMINATED,
            false => self.docs.doc(),
        }
    }

    fn size_hint(&self) -> u32 {
        self.docs.size_hint()
    }
}

impl Scorer for CandidateScorer {
    fn score(&mut self) -> Score {
        self.score
    }
}
