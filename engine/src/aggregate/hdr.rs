//! `percentiles` and `percentile_ranks` with `hdr`.

use gleaner_partial::Partial;
use gleaner_partial::control::Meter;
use gleaner_partial::hdr::Hdr;
use gleaner_partial::key::ValueFormat;
use gleaner_query::aggregation::ValueSource;

use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use super::source::Numbers;
use crate::error::EngineError;

pub(super) fn build<'a>(
    source: &'a ValueSource,
    digits: u8,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let (numbers, format) = Numbers::open(source, "percentiles", context)?;
    Ok(Box::new(HdrNode {
        numbers,
        format,
        digits,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct HdrNode<'a> {
    numbers: Numbers,
    format: ValueFormat,
    digits: u8,
    owners: Vec<Hdr>,
    meter: Meter<'a>,
}

impl Node for HdrNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let digits = self.digits;
        grow(&mut self.owners, block, &mut self.meter, || {
            Hdr::new(digits)
        })?;
        let owners = &mut self.owners;
        let mut grown = 0;
        let mut refused = Ok(());
        self.numbers.visit(block.docs, |i, value| {
            let histogram = &mut owners[block.owners[i] as usize];
            let before = histogram.num_bytes();
            if let Err(refusal) = histogram.add(value) {
                refused = Err(refusal);
            }
            grown += histogram.num_bytes() - before;
        });
        refused?;
        Ok(self.meter.charge(grown)?)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let digits = self.digits;
        self.owners.resize_with(num_owners, || Hdr::new(digits));
        let format = &self.format;
        let partial = |histogram| Partial::Hdr {
            format: format.clone(),
            histogram,
        };
        Ok(self.owners.into_iter().map(partial).collect())
    }
}
