//! Metrics of numbers, and percentiles.

use gleaner_partial::Partial;
use gleaner_partial::control::Meter;
use gleaner_partial::key::ValueFormat;
use gleaner_partial::numbers::Numbers as Sums;
use gleaner_partial::request::formats::{self, EncodedValues};
use gleaner_partial::sketch::{EXACT, Sketch};
use gleaner_query::aggregation::{Metric, ValueSource};

use super::node::{Block, Node, SegmentContext};
use super::source::{Numbers, Source, visit_column};
use super::spans;
use super::whole::WholeSegment;
use crate::doc_values::DocValues;
use crate::error::EngineError;

/// What the numbers of an owner take, roughly, in bytes.
const OWNER_BYTES: usize = 64;

pub(super) fn build<'a>(
    metric: Metric,
    source: &'a ValueSource,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    if metric == Metric::ValueCount {
        return build_count(source, context);
    }
    let (numbers, format) = Numbers::open(source, formats::metric_name(metric), context)?;
    Ok(Box::new(MetricNode {
        metric,
        numbers,
        format,
        with_squares: matches!(metric, Metric::ExtendedStats { .. }),
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

pub(super) fn build_percentiles<'a>(
    source: &'a ValueSource,
    what: &str,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let (numbers, format) = Numbers::open(source, what, context)?;
    Ok(Box::new(PercentilesNode {
        numbers,
        format,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct MetricNode<'a> {
    metric: Metric,
    numbers: Numbers,
    format: ValueFormat,
    with_squares: bool,
    owners: Vec<Sums>,
    meter: Meter<'a>,
}

impl Node for MetricNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let with_squares = self.with_squares;
        grow(&mut self.owners, block, &mut self.meter, || {
            Sums::new(with_squares)
        })?;
        let owners = &mut self.owners;
        self.numbers.visit(block.docs, |i, value| {
            owners[block.owners[i] as usize].add(value);
        });
        Ok(())
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let is_known = whole.is_all() && self.numbers.is_given();
        let Some((min, max)) = self.numbers.extent().filter(|_| is_known) else {
            return Ok(false);
        };
        let end = match self.metric {
            Metric::Min => min,
            Metric::Max => max,
            _ => return Ok(false),
        };
        // Nothing else is asked for.
        let mut numbers = Sums::new(self.with_squares);
        numbers.add(end);
        self.owners.push(numbers);
        Ok(true)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize(num_owners, Sums::new(self.with_squares));
        let format = &self.format;
        let partial = |numbers| Partial::Numbers {
            format: format.clone(),
            numbers,
        };
        Ok(self.owners.into_iter().map(partial).collect())
    }
}

struct PercentilesNode<'a> {
    numbers: Numbers,
    format: ValueFormat,
    owners: Vec<Sketch>,
    meter: Meter<'a>,
}

impl Node for PercentilesNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, Sketch::default)?;
        let owners = &mut self.owners;
        let mut grown = 0;
        self.numbers.visit(block.docs, |i, value| {
            let sketch = &mut owners[block.owners[i] as usize];
            let before = sketch.num_bytes();
            sketch.add(value);
            grown += sketch.num_bytes().saturating_sub(before);
        });
        Ok(self.meter.charge(grown)?)
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        // Few values are kept as they are, wherever they lie.
        if whole.num_matches() <= EXACT as u64 {
            return Ok(false);
        }
        let Some(ordered) = self.numbers.ordered(whole)? else {
            return Ok(false);
        };
        let mut sketch = Sketch::default();
        let numbers = &self.numbers;
        let place = |doc| Sketch::place_of(numbers.of(doc));
        ordered.runs(place, |_, run| {
            sketch.add_run(numbers.of(run.first), numbers.of(run.last), run.len);
            Ok(())
        })?;
        self.meter.charge(sketch.num_bytes())?;
        self.owners.push(sketch);
        Ok(true)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize_with(num_owners, Sketch::default);
        let format = &self.format;
        let partial = |sketch| Partial::Percentiles {
            format: format.clone(),
            sketch,
        };
        Ok(self.owners.into_iter().map(partial).collect())
    }
}

/// `value_count`: of any type. Equal terms of a document count once, equal numbers and points each, all of its ranges
/// once.
fn build_count<'a>(
    source: &'a ValueSource,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let what = formats::metric_name(Metric::ValueCount);
    let encoded = EncodedValues::of(context.view.mapping(), source, what)?;
    let values = match encoded {
        Some(_) => spans::open_terms(&source.field, what, context)?.map(DocValues::Terms),
        None => Source::open(source, context)?.values,
    };
    Ok(Box::new(CountNode {
        values,
        encoded,
        counts_missing: source.missing.is_some(),
        format: formats::of_value_count(context.view.mapping(), source)?,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct CountNode<'a> {
    values: Option<DocValues>,
    /// What the terms stand for; `None` where values are themselves.
    encoded: Option<EncodedValues>,
    counts_missing: bool,
    format: ValueFormat,
    owners: Vec<u64>,
    meter: Meter<'a>,
}

impl Node for CountNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, || 0)?;
        for (doc, owner) in block.docs.iter().zip(block.owners) {
            let num_values = match (&self.values, &self.encoded) {
                (None, _) => 0,
                (Some(values), Some(EncodedValues::Ranges)) => values.num_values(*doc).min(1),
                (Some(values), Some(EncodedValues::Points(_))) => values.num_values(*doc),
                (Some(values), None) => num_values(values, *doc),
            };
            let counted = if num_values == 0 {
                usize::from(self.counts_missing)
            } else {
                num_values
            };
            self.owners[*owner as usize] += counted as u64;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize(num_owners, 0);
        let format = &self.format;
        let partial = |count| Partial::Numbers {
            format: format.clone(),
            numbers: Sums {
                count,
                ..Sums::new(false)
            },
        };
        Ok(self.owners.into_iter().map(partial).collect())
    }
}

fn num_values(values: &DocValues, doc: u32) -> usize {
    match values {
        DocValues::Terms(column) => {
            let mut last = None;
            let mut distinct = 0;
            visit_column(column.ords(), &[doc], |_, ord| {
                distinct += usize::from(ord.is_some() && ord != last);
                last = ord;
            });
            distinct
        }
        other => other.num_values(doc),
    }
}

/// Makes room for the owners of a block.
pub(super) fn grow<T>(
    owners: &mut Vec<T>,
    block: &Block<'_>,
    meter: &mut Meter<'_>,
    make: impl FnMut() -> T,
) -> Result<(), EngineError> {
    let needed = block.num_owners();
    if needed > owners.len() {
        meter.charge((needed - owners.len()) * (OWNER_BYTES + size_of::<T>()))?;
        owners.resize_with(needed, make);
    }
    Ok(())
}
