//! `matrix_stats`.

use gleaner_partial::Partial;
use gleaner_partial::control::Meter;
use gleaner_partial::matrix::Matrix;
use gleaner_query::aggregation::MatrixStatsAggregation;
use gleaner_query::search::SortMode;

use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use super::source::Numbers;
use crate::error::EngineError;
use crate::search::mode;

pub(super) fn build<'a>(
    request: &'a MatrixStatsAggregation,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let sources = request.sources.iter();
    let fields = sources.map(|source| Ok(Numbers::open(source, "matrix_stats", context)?.0));
    Ok(Box::new(MatrixNode {
        fields: fields.collect::<Result<_, EngineError>>()?,
        mode: request.mode,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct MatrixNode<'a> {
    fields: Vec<Numbers>,
    mode: SortMode,
    owners: Vec<Matrix>,
    meter: Meter<'a>,
}

impl MatrixNode<'_> {
    /// Returns the one value of a field that counts, per document of a block.
    fn values(&self, field: &Numbers, block: &Block<'_>) -> Vec<Option<f64>> {
        let mut of_docs: Vec<Option<f64>> = vec![None; block.docs.len()];
        // The document that is visited, and its values so far.
        let (mut at, mut values) = (0, Vec::new());
        let mode = self.mode;
        let mut pick = |at: usize, values: &mut Vec<f64>| {
            of_docs[at] = mode::fraction(mode, values.drain(..));
        };
        field.visit(block.docs, |i, value| {
            if i != at && !values.is_empty() {
                pick(at, &mut values);
            }
            at = i;
            values.push(value);
        });
        if !values.is_empty() {
            pick(at, &mut values);
        }
        of_docs
    }
}

impl Node for MatrixNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_fields = self.fields.len();
        let new_owners = block.num_owners().saturating_sub(self.owners.len());
        self.meter
            .charge(new_owners * Matrix::num_bytes_of(num_fields))?;
        grow(&mut self.owners, block, &mut self.meter, || {
            Matrix::new(num_fields)
        })?;
        let fields = self.fields.iter();
        let columns: Vec<Vec<Option<f64>>> =
            fields.map(|field| self.values(field, block)).collect();
        let mut row = Vec::with_capacity(num_fields);
        for (i, owner) in block.owners.iter().enumerate() {
            row.clear();
            row.extend(columns.iter().map_while(|column| column[i]));
            if row.len() == num_fields {
                self.owners[*owner as usize].add(&row);
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let num_fields = self.fields.len();
        self.owners
            .resize_with(num_owners, || Matrix::new(num_fields));
        Ok(self.owners.into_iter().map(Partial::Matrix).collect())
    }
}
