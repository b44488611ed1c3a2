//! What shards are asked again, and how its answers are joined with those of before.

use gleaner_query::aggregation::{Aggregation, AggregationKind};

use super::{Aggregations, Partial, texts};
use crate::error::EvaluationError;

impl Aggregations {
    /// Returns the aggregations to ask all shards again, where counts of terms are not exact yet, or the terms of
    /// `significant_text` are to be compared. What stands beside a request ([`crate::with_live_keys`]) is to be
    /// added anew.
    ///
    /// `asked` is what the partial results answer. The new list has the same shape, so that the
    /// resolved filters of the request fit it too.
    ///
    /// # Errors
    /// When partial results of two requests were merged.
    pub fn refine(
        &mut self,
        asked: &[Aggregation],
    ) -> Result<Option<Vec<Aggregation>>, EvaluationError> {
        self.settle_terms()?;
        let mut again = asked.to_vec();
        let mut is_open = false;
        for (partial, aggregation) in self.0.iter().zip(&mut again) {
            if let (Partial::Terms(terms), AggregationKind::Terms(request)) =
                (partial, &mut aggregation.kind)
            {
                is_open |= terms.refine(request);
            }
        }
        // Which terms there are to compare is known once the buckets are.
        is_open = is_open || texts::compare(self, &mut again)?;
        Ok(is_open.then_some(again))
    }

    /// Joins the answers to `asked`, which [`Aggregations::refine`] made, merged over all shards, with these.
    #[must_use]
    pub fn refined_by(self, answer: Self, asked: &[Aggregation]) -> Self {
        let is_compared = texts::are_compared(asked);
        let pairs = self.0.into_iter().zip(answer.0).zip(asked);
        let joined = pairs.map(|((first, second), asked)| match asked.kind {
            AggregationKind::Background { .. } => second,
            _ if is_compared => first,
            _ => first.refined_by(second),
        });
        Self(joined.collect())
    }
}

impl Partial {
    fn refined_by(self, second: Self) -> Self {
        match (self, second) {
            (Self::Terms(first), Self::Terms(second)) => Self::Terms(first.refined_by(second)),
            (first, _) => first,
        }
    }
}
