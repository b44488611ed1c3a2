//! Ranges by the order of their column: the matches of a narrow one are known without a look at all values.

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_query::resolved::Clause;
use tantivy::query::{AllScorer, EmptyScorer, Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED};

use super::gather::Gathering;
use super::{Scope, cached};
use crate::View;
use crate::doc_order::column::{OfView, Ranked};
use crate::filter_cache::BitmapDocSet;

/// Of so many documents one matches a narrow range, at most: to gather those costs less than to look at all values.
const NARROW: usize = 8;

/// A range that is looked up in the order of its column where a segment has one.
pub(super) struct Interval {
    /// Looks at all values.
    inner: Box<dyn Weight>,
    clause: Clause,
    view: Arc<View>,
    control: Arc<Control>,
}

impl Interval {
    /// Returns the weight of a range, `inner` being one that looks at values.
    pub(super) fn new(scope: &Scope<'_>, clause: &Clause, inner: Box<dyn Weight>) -> Self {
        Self {
            inner,
            clause: clause.clone(),
            view: Arc::clone(scope.view),
            control: Arc::clone(scope.control),
        }
    }
}

impl Weight for Interval {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let ranked = self.view.segment_of(reader).and_then(|segment| {
            let segment = OfView {
                view: &self.view,
                segment,
            };
            segment.of_range(&self.clause, self.control.memory())
        });
        let Some(ranked) = ranked.map_err(cached::carried)? else {
            return self.inner.scorer(reader, boost);
        };
        let max_doc = reader.max_doc();
        Ok(match ranked.len() {
            0 => Box::new(EmptyScorer),
            all if all == max_doc as usize => Box::new(AllScorer::new(max_doc)),
            wide if wide > max_doc as usize / NARROW => self.inner.scorer(reader, boost)?,
            _ => Box::new(IntervalScorer {
                doc: ranked.docs().min().unwrap_or(TERMINATED),
                ranked,
                score: boost,
                max_doc,
                control: Arc::clone(&self.control),
                walked: None,
            }),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}

/// The matches of a range: gathered once they are walked, looked at one by one where they are only asked about.
struct IntervalScorer {
    ranked: Ranked,
    score: Score,
    max_doc: u32,
    control: Arc<Control>,
    doc: DocId,
    walked: Option<BitmapDocSet>,
}

impl IntervalScorer {
    fn walked(&mut self) -> &mut BitmapDocSet {
        let (ranked, control) = (&self.ranked, &self.control);
        self.walked.get_or_insert_with(|| {
            let mut gathering = Gathering::new(self.max_doc, control);
            let gathered = gathering.extend(ranked.docs());
            let bitmap = gathered.and_then(|()| gathering.finish());
            if bitmap.is_err() {
                // A scorer has no errors: its caller asks whether all of them were whole.
                control.cut_short();
            }
            BitmapDocSet::new(Arc::new(bitmap.unwrap_or_default()))
        })
    }

    fn stand_on(&mut self, doc: DocId) -> DocId {
        self.doc = doc;
        doc
    }
}

impl DocSet for IntervalScorer {
    fn advance(&mut self) -> DocId {
        match self.doc {
            TERMINATED => TERMINATED,
            doc => self.seek(doc + 1),
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        let doc = self.walked().seek(target);
        self.stand_on(doc)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if let Some(walked) = &mut self.walked {
            let found = walked.seek_danger(target);
            self.doc = walked.doc();
            return found;
        }
        if target >= self.max_doc {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if target < self.doc {
            return SeekDangerResult::SeekLowerBound(self.doc);
        }
        match self.ranked.holds(target) {
            true => {
                self.stand_on(target);
                SeekDangerResult::Found
            }
            false => SeekDangerResult::SeekLowerBound(target + 1),
        }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.ranked.len() as u32
    }
}

impl Scorer for IntervalScorer {
    fn score(&mut self) -> Score {
        self.score
    }
}
