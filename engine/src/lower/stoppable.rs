//! Scorers that end when their evaluation is called off.
//!
//! A driver looks at the control between blocks. One document of a phrase costs many times what one of a
//! term does, and tantivy fills a window of thousands of documents of a union, and of each of its
//! phrases, before its caller has the next one. So phrases look at the flag themselves, at each step.
//! So do they once one of them was cut short by the deadline. What they leave out then is of no matter:
//! nobody waits for the answer, or [`Control::check_whole`] is asked before anything is made of it, and no
//! bitmap is kept of it.

use std::sync::Arc;

use gleaner_partial::control::Control;
use tantivy::query::{EmptyScorer, Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED};

/// Makes the scorers of a weight end once `control` is cancelled, or something under it was cut short.
pub(super) struct Stoppable {
    pub(super) inner: Box<dyn Weight>,
    pub(super) control: Arc<Control>,
}

impl Stoppable {
    fn wrap(&self, scorer: Box<dyn Scorer>) -> Box<dyn Scorer> {
        // tantivy recognises a scorer of nothing.
        if scorer.is::<EmptyScorer>() {
            return scorer;
        }
        Box::new(StoppableScorer {
            scorer,
            control: Arc::clone(&self.control),
            has_stopped: false,
        })
    }
}

impl Weight for Stoppable {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if self.control.check_whole().is_err() {
            // To find the first document of a phrase may take long.
            return Ok(Box::new(EmptyScorer));
        }
        Ok(self.wrap(self.inner.scorer(reader, boost)?))
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        boost: Score,
    ) -> tantivy::Result<(SeekDangerResult, Box<dyn Scorer>)> {
        if self.control.check_whole().is_err() {
            let none = SeekDangerResult::SeekLowerBound(TERMINATED);
            return Ok((none, Box::new(EmptyScorer)));
        }
        let (found, scorer) = self.inner.scorer_danger(reader, target, boost)?;
        Ok((found, self.wrap(scorer)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}

struct StoppableScorer {
    scorer: Box<dyn Scorer>,
    control: Arc<Control>,
    has_stopped: bool,
}

impl StoppableScorer {
    fn is_over(&mut self) -> bool {
        self.has_stopped = self.has_stopped || self.control.check_whole().is_err();
        self.has_stopped
    }
}

impl DocSet for StoppableScorer {
    fn advance(&mut self) -> DocId {
        if self.is_over() {
            return TERMINATED;
        }
        self.scorer.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.is_over() {
            return TERMINATED;
        }
        self.scorer.seek(target)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if self.is_over() {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        self.scorer.seek_danger(target)
    }

    fn doc(&self) -> DocId {
        match self.has_stopped {
            true => TERMINATED,
            false => self.scorer.doc(),
        }
    }

    fn size_hint(&self) -> u32 {
        self.scorer.size_hint()
    }

    fn cost(&self) -> u64 {
        self.scorer.cost()
    }
}

impl Scorer for StoppableScorer {
    fn score(&mut self) -> Score {
        self.scorer.score()
    }
}

#[cfg(test)]
mod tests {
    use tantivy::query::AllScorer;

    use super::*;

    fn scorer() -> (StoppableScorer, Arc<Control>) {
        let control = Arc::new(Control::unlimited());
        let scorer = StoppableScorer {
            scorer: Box::new(AllScorer::new(100)),
            control: Arc::clone(&control),
            has_stopped: false,
        };
        (scorer, control)
    }

    #[test]
    fn it_is_as_what_it_wraps_until_it_is_called_off() {
        let (mut scorer, control) = scorer();
        assert_eq!((scorer.doc(), scorer.advance()), (0, 1));
        assert_eq!(scorer.seek(50), 50);
        assert!(matches!(scorer.seek_danger(60), SeekDangerResult::Found));
        assert_eq!(scorer.size_hint(), 100);
        control.cancel();
        assert_eq!((scorer.doc(), scorer.advance()), (60, TERMINATED));
        assert_eq!(scorer.doc(), TERMINATED);
        assert_eq!(scorer.advance(), TERMINATED);
    }

    #[test]
    fn it_ends_when_another_was_cut_short() {
        let (mut scorer, control) = scorer();
        assert_eq!(scorer.advance(), 1);
        control.cut_short();
        assert_eq!((scorer.advance(), scorer.doc()), (TERMINATED, TERMINATED));
    }

    #[test]
    fn whichever_way_it_is_moved_it_ends_when_it_is_called_off() {
        let (mut sought, control) = scorer();
        control.cancel();
        assert_eq!((sought.seek(50), sought.doc()), (TERMINATED, TERMINATED));
        let (mut tried, control) = scorer();
        control.cancel();
        let end = SeekDangerResult::SeekLowerBound(TERMINATED);
        assert_eq!(tried.seek_danger(50), end);
    }
}
