//! `histogram` and `date_histogram`.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{
    Aggregation, DateHistogramAggregation, HistogramAggregation, ValueSource,
    VariableWidthAggregation, beyond_hard_bounds,
};
use hashbrown::HashMap;
use serde_json::Value;
use tantivy::DocId;

use super::bounds;
use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::rounding::{ReadyStarts, Rounding};
use super::source::Numbers;
use super::spans::{self, Spans};
use crate::error::EngineError;
use crate::partial::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::partial::{Histogram, Partial};

/// Buckets that one range may lie in.
const MOST_KEYS: usize = 65_536;
/// Buckets that the ranges of one block of documents may lie in, each for itself: 64 MiB.
const MOST_KEYS_A_BLOCK: usize = 4 << 20;

pub(super) fn build<'a>(
    request: &'a HistogramAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let (values, format) = open(None, &request.source, "histogram", context)?;
    let cut = Cut::Numbers {
        interval: request.interval,
        offset: request.offset,
    };
    let node = HistogramNode {
        values,
        format,
        cut,
        hard_bounds: request.hard_bounds,
        extended: None,
        slots: HashMap::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
    };
    Ok(Box::new(node))
}

pub(super) fn build_date<'a>(
    request: &'a DateHistogramAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let zone = request.time_zone.as_deref();
    let (values, mut format) = open(zone, &request.source, "date_histogram", context)?;
    format.time_zone.clone_from(&request.time_zone);
    let bounds = date_bounds(request, &format, context.now_ms)?;
    // Milliseconds of dates that have a calendar are exact as fractions.
    let (min, max) = values.extent().unwrap_or((0.0, -1.0));
    let starts = ReadyStarts::new(Rounding::new(request)?, min as i64, max as i64);
    let node = HistogramNode {
        values,
        cut: Cut::Dates(starts),
        hard_bounds: bounds.hard.map(|(min, max)| (min as f64, max as f64)),
        extended: bounds.extended,
        slots: HashMap::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
        format,
    };
    Ok(Box::new(node))
}

/// What is counted by intervals.
enum Values {
    Numbers(Numbers),
    /// Ranges: each counts in all intervals that it has a value of.
    Spans(Spans),
}

impl Values {
    fn extent(&self) -> Option<(f64, f64)> {
        match self {
            Self::Numbers(numbers) => numbers.extent(),
            Self::Spans(_) => None,
        }
    }
}

/// Opens the numbers or ranges of a field; dates that stand for missing ones are of `zone`.
fn open(
    zone: Option<&str>,
    source: &ValueSource,
    what: &str,
    context: &SegmentContext<'_>,
) -> Result<(Values, ValueFormat), EngineError> {
    if let Some(format) = spans::format(context.view.mapping(), source, what)? {
        let spans = Spans::open(&source.field, context)?;
        return Ok((Values::Spans(spans), format));
    }
    let (numbers, format) = Numbers::open_in(zone, source, what, context)?;
    Ok((Values::Numbers(numbers), format))
}

/// `variable_width_histogram`: values as they are, of which the root makes buckets.
pub(super) fn build_values<'a>(
    request: &'a VariableWidthAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let what = "variable_width_histogram";
    let (numbers, format) = Numbers::open(&request.source, what, context)?;
    Ok(Box::new(HistogramNode {
        values: Values::Numbers(numbers),
        format,
        cut: Cut::Values,
        hard_bounds: None,
        extended: None,
        slots: HashMap::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
    }))
}

/// Bounds of a `date_histogram` in milliseconds.
pub(super) struct DateBounds {
    /// Starts of the first bucket wanted, and of the first one that is not wanted any more.
    hard: Option<(i64, i64)>,
    /// `extended_bounds` as asked; ends of time stand for one that was not given.
    pub(super) extended: Option<(i64, i64)>,
}

/// Reads the bounds of a request.
///
/// # Errors
/// [`EngineError::Query`] for what is no date, for a lower bound above the upper one, and for
/// `extended_bounds` beyond `hard_bounds`.
pub(super) fn date_bounds(
    request: &DateHistogramAggregation,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<DateBounds, EngineError> {
    let rounding = Rounding::new(request)?;
    let round = |bound| given(bound).map_or(bound, |bound| rounding.round(bound));
    let hard = pair(request.hard_bounds.as_ref(), format, now_ms)?;
    let hard = hard.map(|(min, max)| (round(min), round(max)));
    let extended = pair(request.extended_bounds.as_ref(), format, now_ms)?;
    if let (Some(hard), Some(extended)) = (hard, extended)
        && (round(extended.0) < hard.0 || round(extended.1) > hard.1)
    {
        let hard = (given(hard.0), given(hard.1));
        let extended = (given(extended.0), given(extended.1));
        return Err(EngineError::Query(beyond_hard_bounds(hard, extended)));
    }
    Ok(DateBounds { hard, extended })
}

/// Returns a bound, unless it is an end of time, which stands for one that was not given.
fn given(bound: i64) -> Option<i64> {
    (bound != i64::MIN && bound != i64::MAX).then_some(bound)
}

/// Reads a pair of dates; none where the field is unknown here and they need its format.
fn pair(
    bounds: Option<&(Value, Value)>,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Option<(i64, i64)>, EngineError> {
    let Some((min, max)) = bounds else {
        return Ok(None);
    };
    // Ends of time are in milliseconds, whatever the format.
    let read = |value: &Value| match value.as_i64() {
        Some(end) if given(end).is_none() => Ok(end),
        _ => bounds::date(value, format, now_ms),
    };
    match (read(min), read(max)) {
        (Ok(min), Ok(max)) if min <= max || given(min).and(given(max)).is_none() => {
            Ok(Some((min, max)))
        }
        _ if format.kind == ValueKind::Unmapped => Ok(None),
        (Ok(min), Ok(max)) => Err(EngineError::Query(format!(
            "bounds: min [{min}] cannot be greater than max [{max}]"
        ))),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// How values are cut into buckets.
enum Cut {
    Numbers { interval: f64, offset: f64 },
    Dates(ReadyStarts),
    Values,
}

impl Cut {
    fn key(&mut self, value: f64) -> f64 {
        match self {
            // Adding 0 turns -0 into 0.
            Self::Numbers { interval, offset } => ((value - *offset) / *interval).floor() + 0.0,
            Self::Dates(starts) => starts.round(value as i64) as f64,
            Self::Values => value + 0.0,
        }
    }

    /// Calls `f` with the keys of all buckets between two values.
    ///
    /// # Errors
    /// [`EngineError::TooManyBuckets`] where there are more than [`MOST_KEYS`].
    fn keys_between(
        &mut self,
        (from, to): (f64, f64),
        mut f: impl FnMut(f64),
    ) -> Result<(), EngineError> {
        let (mut key, last) = (self.key(from), self.key(to));
        for _ in 0..MOST_KEYS {
            if key.is_nan() || key > last {
                return Ok(());
            }
            f(key);
            key = match self {
                Self::Dates(starts) => starts.next(key as i64) as f64,
                // Beyond 2^53 the next number is farther away.
                _ => (key + 1.0).max(key.next_up()),
            };
        }
        match key > last {
            true => Ok(()),
            false => Err(EngineError::TooManyBuckets { limit: MOST_KEYS }),
        }
    }

    /// Returns whether a bucket is within `hard_bounds`, as Elasticsearch has it: numbers up to the
    /// upper one, dates below it.
    fn is_within(&self, key: f64, (min, max): (f64, f64)) -> bool {
        match self {
            Self::Numbers { interval, .. } => (min..=max).contains(&(key * interval)),
            Self::Dates(_) | Self::Values => (min..max).contains(&key),
        }
    }
}

/// Returns the keys of the buckets that each document's ranges lie in, each once.
fn keys_of_spans(
    spans: &Spans,
    docs: &[DocId],
    (cut, hard_bounds): (&mut Cut, Option<(f64, f64)>),
) -> Result<Vec<(usize, Fraction)>, EngineError> {
    let mut found = Vec::new();
    let mut outcome = Ok(());
    spans.visit(docs, |i, (from, to)| {
        if outcome.is_err() || found.len() > MOST_KEYS_A_BLOCK {
            return;
        }
        let (min, max) = hard_bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let within = (from.max(min), to.min(max));
        let mut keys = Vec::new();
        outcome = cut.keys_between(within, |key| keys.push(key));
        let is_in = |key: &f64| hard_bounds.is_none_or(|bounds| cut.is_within(*key, bounds));
        let keys = keys.into_iter().filter(is_in);
        found.extend(keys.map(|key| (i, Fraction::from(key))));
    });
    outcome?;
    if found.len() > MOST_KEYS_A_BLOCK {
        let limit = MOST_KEYS_A_BLOCK;
        return Err(EngineError::TooManyBuckets { limit });
    }
    // Ranges of a document may lie in the same buckets.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

struct HistogramNode<'a> {
    values: Values,
    format: ValueFormat,
    cut: Cut,
    hard_bounds: Option<(f64, f64)>,
    extended: Option<(i64, i64)>,
    /// Bucket of (owner, bits of the key).
    slots: HashMap<(u32, u64), u32>,
    buckets: Buckets<'a>,
}

impl Node for HistogramNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            values,
            cut,
            slots,
            buckets,
            hard_bounds,
            ..
        } = self;
        let mut outcome = Ok(());
        let mut put = |i: usize, key: f64| {
            let place = (block.owners[i], key.to_bits());
            let slot = match slots.get(&place) {
                Some(slot) => *slot,
                None => match buckets.open() {
                    Ok(slot) => *slots.entry(place).or_insert(slot),
                    Err(error) => {
                        outcome = Err(error);
                        return;
                    }
                },
            };
            buckets.put(block, i, slot);
        };
        match values {
            Values::Numbers(numbers) => {
                // Values ascend per document: equal keys follow one another.
                let mut last = None;
                numbers.visit(block.docs, |i, value| {
                    let key = cut.key(value);
                    let is_out = hard_bounds.is_some_and(|bounds| !cut.is_within(key, bounds));
                    let bits = key.to_bits();
                    if !is_out && last.replace((i, bits)) != Some((i, bits)) {
                        put(i, key);
                    }
                });
            }
            Values::Spans(spans) => {
                for (i, key) in keys_of_spans(spans, block.docs, (cut, *hard_bounds))? {
                    put(i, key.get());
                }
            }
        }
        outcome?;
        self.buckets.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners: Vec<Histogram> = (0..num_owners)
            .map(|_| Histogram {
                format: self.format.clone(),
                extended: self.extended,
                buckets: BTreeMap::new(),
            })
            .collect();
        let mut buckets = self.buckets.finish()?;
        let is_date = matches!(self.cut, Cut::Dates(_));
        for ((owner, bits), slot) in self.slots {
            let key = f64::from_bits(bits);
            let key = if is_date {
                Key::I64(key as i64)
            } else {
                Key::F64(Fraction::from(key))
            };
            let bucket = std::mem::take(&mut buckets[slot as usize]);
            owners[owner as usize].buckets.insert(key, bucket);
        }
        Ok(owners.into_iter().map(Partial::Histogram).collect())
    }
}
