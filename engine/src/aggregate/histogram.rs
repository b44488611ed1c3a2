//! `histogram` and `date_histogram`.

use std::collections::BTreeMap;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Pace};
use gleaner_partial::key::{Fraction, Key, ValueFormat};
use gleaner_partial::request::date_bounds::DateBounds;
use gleaner_partial::request::formats;
use gleaner_partial::request::rounding::{ReadyStarts, Rounding};
use gleaner_partial::{Histogram, Partial};
use gleaner_query::aggregation::{
    Aggregation, DateHistogramAggregation, HistogramAggregation, ValueSource,
    VariableWidthAggregation,
};

use super::node::{Block, Buckets, Node, SegmentContext};
use super::slots::KeyedSlots;
use super::source::Numbers;
use super::spans::Spans;
use super::whole::WholeSegment;
use crate::error::EngineError;

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
    let bounds = DateBounds::read(request, &format, context.now_ms)?;
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
    if let Some(format) = formats::of_ranges(context.view.mapping(), source, what)? {
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
    /// greater than `after`, a key of a range that does not begin later. Of `hard_bounds` both are part of the range
    /// that counts, as in Elasticsearch: the buckets that they lie in count, too.
    ///
    /// # Errors
    /// Those of `f`; when the request must stop; `EvaluationError::TooManyBuckets` where there are more than
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
            f(Fraction::from(at))?;
            at = self.cut.next(at);
        }
        match at > last {
            true => Ok(()),
            false => Err(EvaluationError::TooManyBuckets { limit: MOST_KEYS }.into()),
        }
    }

    /// Returns whether a bucket of single values is within `hard_bounds`, as Elasticsearch has it: numbers, without the
    /// offset, up to the upper one, dates below it.
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

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let Values::Numbers(numbers) = &self.values else {
            return Ok(false);
        };
        if !self.slots.only_count() || self.intervals.hard_bounds.is_some() {
            return Ok(false);
        }
        let Some(ordered) = numbers.ordered(whole)? else {
            return Ok(false);
        };
        let (intervals, slots) = (&mut self.intervals, &mut self.slots);
        ordered.runs(
            |doc| Fraction::from(intervals.cut.key(numbers.of(doc))),
            |key, run| slots.add(key, run.len),
        )?;
        Ok(true)
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
