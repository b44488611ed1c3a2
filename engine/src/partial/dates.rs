//! Partial result of `auto_date_histogram`: buckets of some unit, and how far dates reach.
//!
//! Which unit an answer is in depends on the earliest and the latest date alone, so that it does not depend on
//! who has collected which of them.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{CalendarUnit, DateInterval};
use serde::{Deserialize, Serialize};

use super::Bucket;
use super::key::ValueFormat;
use crate::aggregate::rounding::Rounding;
use crate::error::EngineError;

/// A unit, its letter, and how many of it make a bucket.
pub(crate) struct Unit {
    interval: DateInterval,
    letter: char,
    steps: &'static [usize],
}

/// Units from the finest on, as in Elasticsearch.
pub(crate) const UNITS: [Unit; 6] = [
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

/// Returns what cuts time into buckets of a unit.
///
/// # Errors
/// [`EngineError::Query`] for an unknown time zone.
pub(crate) fn rounding(unit: u8, zone: Option<&str>) -> Result<Rounding, EngineError> {
    let unit = UNITS
        .get(usize::from(unit))
        .unwrap_or(&UNITS[UNITS.len() - 1]);
    Rounding::of(unit.interval, zone, 0)
}

/// Returns how many buckets of a unit an answer of at most `wanted` buckets can be made of.
pub(crate) fn most_buckets(unit: u8, wanted: usize) -> usize {
    let steps = UNITS
        .get(usize::from(unit))
        .map_or(&[1][..], |unit| unit.steps);
    steps.last().copied().unwrap_or(1).saturating_mul(wanted)
}

impl Dates {
    /// Adds the buckets of another segment or shard, in the coarser of the two units.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<(), EngineError> {
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
    fn coarsen(&mut self, unit: u8) -> Result<(), EngineError> {
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
    /// [`EngineError::Query`] for an unknown time zone.
    pub(super) fn finished(
        mut self,
        wanted: usize,
    ) -> Result<(Vec<(i64, Bucket)>, String), EngineError> {
        let Some((min, max)) = self.extent else {
            let letter = UNITS
                .get(usize::from(self.unit))
                .map_or('s', |unit| unit.letter);
            return Ok((Vec::new(), format!("1{letter}")));
        };
        let zone = self.format.time_zone.clone();
        let mut unit = self.unit;
        let starts = loop {
            let starts = starts(
                &rounding(unit, zone.as_deref())?,
                (min, max),
                most_buckets(unit, wanted),
            );
            match starts {
                Some(starts) => break starts,
                None if usize::from(unit) + 1 < UNITS.len() => unit += 1,
                // Years, and more of them than there are steps for.
                None => break vec![rounding(unit, zone.as_deref())?.round(min)],
            }
        };
        self.coarsen(unit)?;
        let Unit { letter, steps, .. } = &UNITS[usize::from(unit).min(UNITS.len() - 1)];
        let fits = |step: &&usize| starts.len().div_ceil(**step) <= wanted;
        let step = steps.iter().find(fits).copied();
        let step = step.unwrap_or(steps[steps.len() - 1]);
        let mut made: Vec<(i64, Bucket)> = Vec::with_capacity(starts.len().div_ceil(step));
        for first in starts.iter().step_by(step) {
            made.push((*first, Bucket::default()));
        }
        for (start, bucket) in self.buckets {
            let at = made.partition_point(|(first, _)| *first <= start);
            if let Some((_, into)) = made.get_mut(at.saturating_sub(1)) {
                into.merge(bucket)?;
            }
        }
        Ok((made, format!("{step}{letter}")))
    }
}

/// Returns the starts of all buckets of an extent; `None` where there are more than `most`.
fn starts(rounding: &Rounding, (min, max): (i64, i64), most: usize) -> Option<Vec<i64>> {
    let mut starts = Vec::new();
    let mut at = rounding.round(min);
    while at <= max {
        if starts.len() >= most {
            return None;
        }
        starts.push(at);
        at = rounding.next(at);
    }
    Some(starts)
}
