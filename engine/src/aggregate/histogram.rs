//! `histogram` and `date_histogram`.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{
    Aggregation, DateHistogramAggregation, HistogramAggregation, ValueSource,
    VariableWidthAggregation, beyond_hard_bounds,
};
use serde_json::Value;

use super::bounds;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::rounding::{ReadyStarts, Rounding};
use super::slots::KeyedSlots;
use super::source::Numbers;
use super::spans::{self, Spans};
use crate::control::{Control, Pace};
use crate::error::EngineError;
use crate::partial::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::partial::{Histogram, Partial};

/// Buckets that one range may lie in.
const MOST_KEYS: usize = 65_536;

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
        intervals: Intervals {
            cut,
            hard_bounds: request.hard_bounds,
        },
        extended: None,
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
        pace: Pace::new(context.control),
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
        intervals: Intervals {
            cut: Cut::Dates(starts),
            hard_bounds: bounds.hard.map(|(min, max)| (min as f64, max as f64)),
        },
        extended: bounds.extended,
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
        pace: Pace::new(context.control),
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
        let spans = Spans::open(&source.field, what, context)?;
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
        intervals: Intervals {
            cut: Cut::Values,
            hard_bounds: None,
        },
        extended: None,
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
        pace: Pace::new(context.control),
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

    /// Returns the key of the bucket after that of `key`.
    fn next(&mut self, key: f64) -> f64 {
        match self {
            Self::Dates(starts) => starts.next(key as i64) as f64,
            // Beyond 2^53 the next number is farther away.
            _ => (key + 1.0).max(key.next_up()),
        }
    }
}

/// The buckets that there may be.
struct Intervals {
    cut: Cut,
    hard_bounds: Option<(f64, f64)>,
}

impl Intervals {
    /// Returns the key of the bucket of a value; `None` where it is outside `hard_bounds`.
    fn key_of(&mut self, value: f64) -> Option<Fraction> {
        let key = self.cut.key(value);
        self.is_within(key).then(|| Fraction::from(key))
    }

    /// Calls `f` with the keys of all buckets that a range has a value of, ascending, from those on that are
    /// greater than `after`, a key of a range that does not begin later.
    ///
    /// # Errors
    /// Those of `f`; when the request must stop; [`EngineError::TooManyBuckets`] where there are more than
    /// [`MOST_KEYS`].
    fn keys_of(
        &mut self,
        (from, to): (f64, f64),
        after: Option<Fraction>,
        pace: &mut Pace<&Control>,
        mut f: impl FnMut(Fraction) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let (min, max) = self
            .hard_bounds
            .unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let (mut at, last) = (self.cut.key(from.max(min)), self.cut.key(to.min(max)));
        pace.step(1)?;
        if let Some(after) = after
            && at <= after.get()
        {
            if last <= after.get() {
                return Ok(());
            }
            at = self.cut.next(after.get());
        }
        for _ in 0..MOST_KEYS {
            if at.is_nan() || at > last {
                return Ok(());
            }
            pace.step(1)?;
            if self.is_within(at) {
                f(Fraction::from(at))?;
            }
            at = self.cut.next(at);
        }
        match at > last {
            true => Ok(()),
            false => Err(EngineError::TooManyBuckets { limit: MOST_KEYS }),
        }
    }

    /// Returns whether a bucket is within `hard_bounds`, as Elasticsearch has it: numbers up to the
    /// upper one, dates below it.
    fn is_within(&self, key: f64) -> bool {
        let Some((min, max)) = self.hard_bounds else {
            return true;
        };
        match self.cut {
            Cut::Numbers { interval, .. } => (min..=max).contains(&(key * interval)),
            Cut::Dates(_) | Cut::Values => (min..max).contains(&key),
        }
    }
}

struct HistogramNode<'a> {
    values: Values,
    format: ValueFormat,
    intervals: Intervals,
    extended: Option<(i64, i64)>,
    /// By key.
    slots: KeyedSlots<'a, Fraction>,
    pace: Pace<&'a Control>,
}

/// Puts documents into the buckets of their numbers.
fn put_numbers(
    numbers: &Numbers,
    intervals: &mut Intervals,
    slots: &mut KeyedSlots<'_, Fraction>,
    block: &Block<'_>,
) -> Result<(), EngineError> {
    // Values ascend per document: equal keys follow one another.
    let mut last = None;
    let mut outcome = Ok(());
    numbers.visit(block.docs, |i, value| {
        if let Some(key) = intervals.key_of(value)
            && outcome.is_ok()
            && last.replace((i, key)) != Some((i, key))
        {
            outcome = slots.put(block, i, key);
        }
    });
    outcome
}

/// Puts documents into all buckets that one of their ranges has a value of, once into each. No more is kept of them
/// than the ranges of a block, so that what is refused does not depend on how documents come in blocks.
fn put_spans(
    spans: &Spans,
    intervals: &mut Intervals,
    slots: &mut KeyedSlots<'_, Fraction>,
    pace: &mut Pace<&Control>,
    block: &Block<'_>,
) -> Result<(), EngineError> {
    let mut found: Vec<(usize, Fraction, f64)> = Vec::with_capacity(block.docs.len());
    spans.visit(block.docs, |i, (from, to)| {
        found.push((i, Fraction::from(from), to));
    });
    // Of ranges that ascend, one has no bucket below the last one of those before it that they do not have.
    found.sort_unstable_by_key(|(i, from, _)| (*i, *from));
    let mut last: Option<(usize, Fraction)> = None;
    for (i, from, to) in found {
        let after = last.filter(|(at, _)| *at == i).map(|(_, key)| key);
        intervals.keys_of((from.get(), to), after, pace, |key| {
            last = Some((i, key));
            slots.put(block, i, key)
        })?;
    }
    Ok(())
}

impl Node for HistogramNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            values,
            intervals,
            slots,
            pace,
            ..
        } = self;
        match values {
            Values::Numbers(numbers) => put_numbers(numbers, intervals, slots, block),
            Values::Spans(spans) => put_spans(spans, intervals, slots, pace, block),
        }?;
        slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let empty = Histogram {
            format: self.format,
            extended: self.extended,
            buckets: BTreeMap::new(),
        };
        let mut owners = vec![empty; num_owners];
        let is_date = matches!(self.intervals.cut, Cut::Dates(_));
        for (owner, key, bucket) in self.slots.finish()? {
            let key = match is_date {
                true => Key::I64(key.get() as i64),
                false => Key::F64(key),
            };
            owners[owner].buckets.insert(key, bucket);
        }
        Ok(owners.into_iter().map(Partial::Histogram).collect())
    }
}
