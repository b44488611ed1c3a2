//! `significant_terms` and `significant_text`: the terms of some documents.

use gleaner_partial::control::Meter;
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{Aggregation, SignificantTermsAggregation};

use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use super::{terms, texts};
use crate::error::EngineError;

pub(super) fn build<'a>(
    request: &'a SignificantTermsAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    if request.background.is_some() {
        // It is answered beside the request.
        context.next_filter()?;
    }
    Ok(Box::new(SignificantNode {
        terms: match &request.text {
            None => terms::build(&request.terms(), sub, context)?,
            Some(text) => texts::build(request, text, sub, context)?,
        },
        sizes: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct SignificantNode<'a> {
    terms: Box<dyn Node + 'a>,
    /// Per owner, how many documents there are.
    sizes: Vec<u64>,
    meter: Meter<'a>,
}

impl Node for SignificantNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.sizes, block, &mut self.meter, || 0)?;
        for owner in block.owners {
            self.sizes[*owner as usize] += 1;
        }
        self.terms.collect(block)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.sizes.resize(num_owners, 0);
        let terms = self.terms.finish(num_owners)?;
        let with_size = |(doc_count, terms)| {
            Partial::Single(Bucket {
                doc_count,
                sub: Aggregations(vec![terms]),
            })
        };
        Ok(self.sizes.into_iter().zip(terms).map(with_size).collect())
    }
}
