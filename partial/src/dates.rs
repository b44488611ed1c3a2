//! Partial result of `auto_date_histogram`: buckets of some unit, and how far dates reach.
//!
//! Which unit an answer is in depends on the earliest and the latest date alone, so that it does not depend on
//! the layout.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use gleaner_query::aggregation::{CalendarUnit, DateInterval};
use serde::{Deserialize, Serialize};

use super::Bucket;
use super::key::ValueFormat;
use crate::error::EvaluationError;
use crate::request::rounding::Rounding;

/// A unit, its letter, and how many of it make a bucket.
struct Unit {
    interval: DateInterval,
    letter: char,
    steps: &'static [usize],
}

/// Units from the finest on, as in Elasticsearch. Beyond a hundred years steps go on by 200, 500, 1000 and so on.
const UNITS: [Unit; 6] = [
    Unit {
        interval: DateInterval::Fixed(1_000),
        letter: 's',
        steps: &[1, 5, 10, 30],
    },
    Unit {
        interval: DateInterval::Calendar(CalendarUnit::Minute),
        letter: 'm',
        steps: &[1, 5, 10, 30],
    },
    Unit {
        interval: DateInterval::Calendar(CalendarUnit::Hour),
        letter: 'h',
        steps: &[1, 3, 12],
    },
    Unit {
        interval: DateInterval::Calendar(CalendarUnit::Day),
        letter: 'd',
        steps: &[1, 7],
    },
    Unit {
        interval: DateInterval::Calendar(CalendarUnit::Month),
        letter: 'M',
        steps: &[1, 3],
    },
    Unit {
        interval: DateInterval::Calendar(CalendarUnit::Year),
        letter: 'y',
        steps: &[1, 5, 10, 20, 50, 100],
    },
];

/// How many units there are.
pub const NUM_UNITS: u8 = UNITS.len() as u8;

/// Buckets of one unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dates {
    /// How keys are shown.
    pub format: ValueFormat,
    /// Place of the unit, from the finest one.
    pub unit: u8,
    /// Earliest and latest date in milliseconds; `None` without any.
    pub extent: Option<(i64, i64)>,
    /// Buckets by start.
    pub buckets: BTreeMap<i64, Bucket>,
}

/// Returns what cuts time into buckets of a unit, given by its place from the finest one.
///
/// # Errors
/// [`EvaluationError::Query`] for an unknown time zone.
pub fn rounding(unit: u8, zone: Option<&str>) -> Result<Rounding, EvaluationError> {
    Rounding::of(unit_of(unit).interval, zone, 0)
}

/// Returns how many buckets of a unit an answer of at most `wanted` buckets can be made of.
pub fn most_buckets(unit: u8, wanted: usize) -> usize {
    let steps = unit_of(unit).steps;
    steps.last().copied().unwrap_or(1).saturating_mul(wanted)
}

impl Dates {
    /// Adds the buckets of another segment or shard, in the coarser of the two units.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<(), EvaluationError> {
        self.coarsen(other.unit)?;
        other.coarsen(self.unit)?;
        let zone = self
            .format
            .time_zone
            .take()
            .or(other.format.time_zone.take());
        self.format.merge(other.format);
        self.format.time_zone = zone;
        self.extent = match (self.extent, other.extent) {
            (Some((min, max)), Some((from, to))) => Some((min.min(from), max.max(to))),
            (mine, theirs) => mine.or(theirs),
        };
        for (start, bucket) in other.buckets {
            self.buckets.entry(start).or_default().merge(bucket)?;
        }
        Ok(())
    }

    /// Brings buckets to a unit that is not finer.
    fn coarsen(&mut self, unit: u8) -> Result<(), EvaluationError> {
        if unit <= self.unit {
            return Ok(());
        }
        self.unit = unit;
        let rounding = rounding(unit, self.format.time_zone.as_deref())?;
        for (start, bucket) in std::mem::take(&mut self.buckets) {
            let coarse = self.buckets.entry(rounding.round(start)).or_default();
            coarse.merge(bucket)?;
        }
        Ok(())
    }

    /// Returns at most `wanted` buckets without gaps, and what they are called: `7d`.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for an unknown time zone.
    pub(super) fn finished(
        mut self,
        wanted: usize,
    ) -> Result<(Vec<(i64, Bucket)>, String), EvaluationError> {
        let Some((min, max)) = self.extent else {
            return Ok((Vec::new(), format!("1{}", unit_of(self.unit).letter)));
        };
        let cut = self.cut(&(min..=max), wanted)?;
        self.coarsen(cut.unit)?;
        let made = cut.starts.into_iter();
        let mut made: Vec<(i64, Bucket)> = made.map(|start| (start, Bucket::default())).collect();
        for (start, bucket) in self.buckets {
            let at = made.partition_point(|(first, _)| *first <= start);
            if let Some((_, into)) = made.get_mut(at.saturating_sub(1)) {
                into.merge(bucket)?;
            }
        }
        Ok((made, format!("{}{}", cut.step, unit_of(cut.unit).letter)))
    }

    /// Cuts an extent by the finest unit and the fewest of it that make no more than `wanted` buckets.
    fn cut(&self, extent: &RangeInclusive<i64>, wanted: usize) -> Result<Cut, EvaluationError> {
        let zone = self.format.time_zone.as_deref();
        let last = UNITS.len() as u8 - 1;
        for unit in self.unit..=last {
            let most = most_buckets(unit, wanted);
            let Some(starts) = starts(&rounding(unit, zone)?, extent, most) else {
                continue;
            };
            let fits = |step: &&usize| starts.len().div_ceil(**step) <= wanted;
            let step = unit_of(unit).steps.iter().find(fits).copied().unwrap_or(1);
            return Ok(Cut {
                unit,
                step: step as i64,
                starts: starts.into_iter().step_by(step).collect(),
            });
        }
        let years = rounding(last, zone)?;
        let mut centuries =
            (0..=MAX_POWER).flat_map(|power| [1, 2, 5].map(|n| n * 10_i64.pow(power)));
        let found = centuries.find_map(|centuries| {
            let starts = starts_of_centuries(&years, extent, centuries, wanted.max(1))?;
            Some(Cut {
                unit: last,
                step: 100 * centuries,
                starts,
            })
        });
        found.ok_or_else(|| EvaluationError::Internal("dates that no bucket holds".to_owned()))
    }
}

/// How time is cut into buckets.
struct Cut {
    unit: u8,
    /// How many of the unit make a bucket.
    step: i64,
    starts: Vec<i64>,
}

/// Ten to this power of centuries are longer than dates reach.
const MAX_POWER: u32 = 7;
/// A century of the Gregorian calendar in milliseconds, on average.
const CENTURY_MS: i64 = 3_155_695_200_000;

/// Returns the starts of buckets of so many centuries; `None` where there are more than `most`.
fn starts_of_centuries(
    years: &Rounding,
    extent: &RangeInclusive<i64>,
    centuries: i64,
    most: usize,
) -> Option<Vec<i64>> {
    let mut starts = Vec::new();
    let mut at = years.round(*extent.start());
    while at <= *extent.end() {
        if starts.len() >= most {
            return None;
        }
        starts.push(at);
        // A century is at most days longer or shorter: its end is nearest to the start of one year.
        let end = at.saturating_add(centuries.saturating_mul(CENTURY_MS));
        let next = years.round(end.saturating_add(CENTURY_MS / 200));
        if next <= at {
            break;
        }
        at = next;
    }
    Some(starts)
}

fn unit_of(unit: u8) -> &'static Unit {
    UNITS
        .get(usize::from(unit))
        .unwrap_or(&UNITS[UNITS.len() - 1])
}

/// Returns the starts of all buckets of an extent; `None` where there are more than `most`.
fn starts(rounding: &Rounding, extent: &RangeInclusive<i64>, most: usize) -> Option<Vec<i64>> {
    let mut starts = Vec::new();
    let mut at = rounding.round(*extent.start());
    while at <= *extent.end() {
        if starts.len() >= most {
            return None;
        }
        starts.push(at);
        at = rounding.next(at);
    }
    Some(starts)
}
