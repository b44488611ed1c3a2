//! Where the bucket of an instant starts, for calendar and fixed intervals.

use gleaner_query::aggregation::{CalendarUnit, DateHistogramAggregation, DateInterval};
use gleaner_query::date::{TimeZone, next_bucket, round_down};

use crate::error::EngineError;

/// Starts of buckets that a segment keeps ready; beyond, each value is rounded by itself.
const MAX_READY: usize = 4_096;

/// Cuts time into buckets.
#[derive(Debug, Clone)]
pub(crate) struct Rounding {
    interval: DateInterval,
    zone: TimeZone,
    offset_ms: i64,
}

impl Rounding {
    /// Reads interval, zone and offset of a request.
    ///
    /// # Errors
    /// [`EngineError::Query`] for an unknown time zone.
    pub(crate) fn new(request: &DateHistogramAggregation) -> Result<Self, EngineError> {
        Ok(Self {
            interval: request.interval,
            zone: super::bounds::zone(request.time_zone.as_deref())?,
            offset_ms: request.offset_ms,
        })
    }

    /// Returns the start of the bucket that holds `ms`.
    pub(crate) fn round(&self, ms: i64) -> i64 {
        let shifted = ms.saturating_sub(self.offset_ms);
        let start = match self.interval {
            DateInterval::Calendar(unit) => round_down(shifted, unit, &self.zone),
            DateInterval::Fixed(width) => self.round_fixed(shifted, width.max(1)),
        };
        start.saturating_add(self.offset_ms)
    }

    /// Returns the start of the bucket after the one that starts at `start`; always > `start`.
    pub(crate) fn next(&self, start: i64) -> i64 {
        let shifted = start.saturating_sub(self.offset_ms);
        let next = match self.interval {
            DateInterval::Calendar(unit) => next_bucket(shifted, unit, &self.zone),
            DateInterval::Fixed(width) => self.next_fixed(shifted, width.max(1)),
        };
        next.saturating_add(self.offset_ms)
            .max(start.saturating_add(1))
    }

    /// Returns the shortest bucket there can be, roughly, in milliseconds.
    pub(crate) fn min_width_ms(&self) -> i64 {
        const DAY: i64 = 86_400_000;
        match self.interval {
            DateInterval::Fixed(width) => width.max(1),
            DateInterval::Calendar(unit) => match unit {
                CalendarUnit::Minute => 60_000,
                CalendarUnit::Hour => 3_600_000,
                CalendarUnit::Day => DAY,
                CalendarUnit::Week => 7 * DAY,
                CalendarUnit::Month => 31 * DAY,
                CalendarUnit::Quarter => 92 * DAY,
                CalendarUnit::Year => 366 * DAY,
            },
        }
    }

    /// Rounds in local time. A start that falls into another offset than `ms` is moved to it, and
    /// where clocks skip that time, to the change.
    fn round_fixed(&self, ms: i64, width: i64) -> i64 {
        let offset = self.zone.offset_ms(ms);
        let local = ms.saturating_add(offset);
        let floored = local.saturating_sub(local.rem_euclid(width));
        let start = floored.saturating_sub(offset);
        let old = self.zone.offset_ms(start);
        if old == offset {
            return start;
        }
        let moved = floored.saturating_sub(old);
        if moved <= ms && self.zone.offset_ms(moved) == old {
            return moved;
        }
        self.change_between(start, ms)
    }

    fn next_fixed(&self, start: i64, width: i64) -> i64 {
        let mut at = start.saturating_add(width);
        // A change of the clock lengthens a bucket by hours at most.
        for _ in 0..=86_400_000 / width.min(86_400_000) {
            let next = self.round_fixed(at, width);
            if next > start {
                return next;
            }
            at = at.saturating_add(width);
        }
        at
    }

    /// Returns the first instant with the offset of `late`.
    fn change_between(&self, early: i64, late: i64) -> i64 {
        let new = self.zone.offset_ms(late);
        let (mut before, mut after) = (early, late);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.zone.offset_ms(middle) == new {
                after = middle;
            } else {
                before = middle;
            }
        }
        after
    }
}

/// Starts of the buckets between two instants, made once per segment: rounding then is a search in
/// a short list instead of a walk through the rules of a time zone.
pub(crate) struct ReadyStarts {
    rounding: Rounding,
    /// Ascending; the last one ends the last bucket. Empty where there would be too many.
    starts: Vec<i64>,
    /// Bucket of the last answer: values often come in order.
    last: (i64, i64),
}

impl ReadyStarts {
    /// Prepares for values from `min` to `max`.
    pub(crate) fn new(rounding: Rounding, min: i64, max: i64) -> Self {
        let mut starts = Vec::new();
        if min <= max {
            let mut at = rounding.round(min);
            while at <= max && starts.len() <= MAX_READY {
                starts.push(at);
                at = rounding.next(at);
            }
            starts.push(at);
        }
        if starts.len() > MAX_READY {
            starts.clear();
        }
        Self {
            rounding,
            starts,
            last: (0, 0),
        }
    }

    /// Returns the start of the bucket that holds `ms`.
    pub(crate) fn round(&mut self, ms: i64) -> i64 {
        if (self.last.0..self.last.1).contains(&ms) {
            return self.last.0;
        }
        let after = self.starts.partition_point(|start| *start <= ms);
        if after == 0 || after == self.starts.len() {
            return self.rounding.round(ms);
        }
        self.last = (self.starts[after - 1], self.starts[after]);
        self.last.0
    }
}
