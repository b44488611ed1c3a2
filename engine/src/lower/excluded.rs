//! Scorers that are only asked whether they match: of what a query must not match, and of the gates
//! of ranked terms.
//!
//! tantivy asks an excluded scorer about documents before the one it stands on, which its phrase
//! scorers do not allow (a debug assertion; undefined answers without). This stands between.

use tantivy::query::{Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED};

/// Makes the scorers of a weight safe to ask about any ascending documents.
pub(super) struct ExcludedWeight(pub(super) Box<dyn Weight>);

impl Weight for ExcludedWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let scorer = self.0.scorer(reader, boost)?;
        // Scorers of everything and nothing are recognised by tantivy.
        if scorer.is::<tantivy::query::AllScorer>() || scorer.is::<tantivy::query::EmptyScorer>() {
            return Ok(scorer);
        }
        let next = scorer.doc();
        Ok(Box::new(ExcludedScorer {
            scorer,
            next,
            is_valid: true,
        }))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, doc)
    }
}

struct ExcludedScorer {
    scorer: Box<dyn Scorer>,
    /// No document before this one is excluded that has not been asked about.
    next: DocId,
    /// Whether the scorer stands on `next`.
    is_valid: bool,
}

impl ExcludedScorer {
    fn stand_on(&mut self, doc: DocId) -> DocId {
        (self.next, self.is_valid) = (doc, true);
        doc
    }
}

impl DocSet for ExcludedScorer {
    fn advance(&mut self) -> DocId {
        debug_assert!(
            self.is_valid,
            "only asked about documents until one is found"
        );
        let doc = self.scorer.advance();
        self.stand_on(doc)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        debug_assert!(
            self.is_valid,
            "only asked about documents until one is found"
        );
        if self.next >= target {
            return self.next;
        }
        let doc = self.scorer.seek(target);
        self.stand_on(doc)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= TERMINATED {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if self.next > target {
            return SeekDangerResult::SeekLowerBound(self.next);
        }
        if self.is_valid && self.next == target {
            return SeekDangerResult::Found;
        }
        let found = self.scorer.seek_danger(target);
        match found {
            SeekDangerResult::Found => {
                self.stand_on(target);
            }
            SeekDangerResult::SeekLowerBound(bound) => {
                (self.next, self.is_valid) = (bound, false);
            }
        }
        found
    }

    fn doc(&self) -> DocId {
        self.next
    }

    fn size_hint(&self) -> u32 {
        self.scorer.size_hint()
    }
}

impl Scorer for ExcludedScorer {
    fn score(&mut self) -> Score {
        self.scorer.score()
    }
}
