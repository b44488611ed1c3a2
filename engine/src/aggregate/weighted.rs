//! `weighted_avg`.

use gleaner_partial::control::Meter;
use gleaner_partial::key::ValueFormat;
use gleaner_partial::request::formats;
use gleaner_partial::{Partial, Weighted};
use gleaner_query::aggregation::WeightedAverage;

use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use super::source::Numbers;
use crate::error::EngineError;

pub(super) fn build<'a>(
    request: &'a WeightedAverage,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let (values, format) = Numbers::open(&request.value, "weighted_avg", context)?;
    let (weights, _) = Numbers::open(&request.weight, "weighted_avg", context)?;
    Ok(Box::new(WeightedNode {
        values,
        weights,
        format: formats::of_weighted(format, request)?,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct WeightedNode<'a> {
    values: Numbers,
    weights: Numbers,
    format: ValueFormat,
    owners: Vec<Weighted>,
    meter: Meter<'a>,
}

impl Node for WeightedNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, Weighted::default)?;
        let mut weights: Vec<Option<f64>> = vec![None; block.docs.len()];
        let mut has_several = false;
        self.weights.visit(block.docs, |i, weight| {
            has_several |= weights[i].replace(weight).is_some();
        });
        if has_several {
            return Err(EngineError::query(
                "Encountered more than one weight for a single document. Use a script to combine multiple \
                 weights-per-doc into a single value.",
            ));
        }
        let owners = &mut self.owners;
        self.values.visit(block.docs, |i, value| {
            if let Some(weight) = weights[i] {
                owners[block.owners[i] as usize].add(value, weight);
            }
        });
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize_with(num_owners, Weighted::default);
        let with_format = |mut sums: Weighted| {
            sums.format.clone_from(&self.format);
            sums
        };
        let partials = self.owners.into_iter().map(with_format);
        Ok(partials.map(Partial::Weighted).collect())
    }
}
