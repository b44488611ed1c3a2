//! Where the bucket of an instant starts, for calendar and fixed intervals.

use gleaner_query::aggregation::{CalendarUnit, DateHistogramAggregation, DateInterval};
use gleaner_query::date::{TimeZone, next_bucket, round_down};

use crate::error::EvaluationError;

/// Starts of buckets that a segment keeps ready; beyond, each value is rounded by itself.
const MAX_READY: usize = 4_096;

/// Cuts time into buckets.
#[derive(Debug, Clone)]
pub struct Rounding {
    interval: DateInterval,
    zone: TimeZone,
    offset_ms: i64,
}

impl Rounding {
    /// Reads interval, zone and offset of a request.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for an unknown time zone.
    pub fn new(request: &DateHistogramAggregation) -> Result<Self, EvaluationError> {
        Self::of(
            request.interval,
            request.time_zone.as_deref(),
            request.offset_ms,
        )
    }

    /// Cuts by an interval in a zone, shifted by some milliseconds.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for an unknown time zone.
    pub fn of(
        interval: DateInterval,
        zone: Option<&str>,
        offset_ms: i64,
    ) -> Result<Self, EvaluationError> {
        Ok(Self {
            interval,
            zone: super::bounds::zone(zone)?,
            offset_ms,
        })
    }

    /// Returns the start of the bucket that holds `ms`.
    pub fn round(&self, ms: i64) -> i64 {
        let shifted = ms.saturating_sub(self.offset_ms);
        let start = match self.interval {
            DateInterval::Calendar(unit) => round_down(shifted, unit, &self.zone),
            DateInterval::Fixed(width) => self.round_fixed(shifted, width.max(1)),
        };
        start.saturating_add(self.offset_ms)
    }

    /// Returns the start of the bucket after the one that starts at `start`; always > `start`.
    pub fn next(&self, start: i64) -> i64 {
        let shifted = start.saturating_sub(self.offset_ms);
        let next = match self.interval {
            DateInterval::Calendar(unit) => next_bucket(shifted, unit, &self.zone),
            DateInterval::Fixed(width) => self.next_fixed(shifted, width.max(1)),
        };
        next.saturating_add(self.offset_ms)
            .max(start.saturating_add(1))
    }

    /// Returns the shortest bucket there can be, roughly, in milliseconds.
    pub fn min_width_ms(&self) -> i64 {
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

    /// Rounds in local time. Where the start would lie before a change of the clock, the bucket is the
    /// one that the last instant before the change is in, so that later instants are never in earlier
    /// buckets; where clocks skip the start, it is the change.
    fn round_fixed(&self, mut ms: i64, width: i64) -> i64 {
        loop {
            let offset = self.zone.offset_ms(ms);
            let local = ms.saturating_add(offset);
            let floored = local.saturating_sub(local.rem_euclid(width));
            let start = floored.saturating_sub(offset);
            if self.zone.offset_ms(start) == offset {
                return start;
            }
            let change = self.change_between(start, ms);
            let before = change.saturating_sub(1);
            let is_skipped = floored.saturating_sub(self.zone.offset_ms(before)) >= change;
            if is_skipped || before <= start {
                return change;
            }
            // Of a zone that has given up its old offset a wide bucket may cross all its changes.
            ms = before;
        }
    }

    fn next_fixed(&self, start: i64, width: i64) -> i64 {
        let mut at = start.saturating_add(width);
        // A change of the clock lengthens a bucket by hours at most.
        for _ in 0..=86_400_000 / width.min(86_400_000) {
            let mut next = self.round_fixed(at, width);
            if next > start {
                // A change may have made a shorter bucket between the two.
                loop {
                    let between = self.round_fixed(next.saturating_sub(1), width);
                    if between <= start || between >= next {
                        return next;
                    }
                    next = between;
                }
            }
            at = at.saturating_add(width);
        }
        at
    }

    /// Returns the first instant with the offset of `late`.
    fn change_between(&self, early: i64, late: i64) -> i64 {
        let new = self.zone.offset_ms(late);
        let (mut before, mut after) = (early, late);
        while after > before.saturating_add(1) {
            let middle = i64::midpoint(before, after);
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
pub struct ReadyStarts {
    rounding: Rounding,
    /// Ascending; the last one ends the last bucket. Empty where there would be too many.
    starts: Vec<i64>,
    /// Bucket of the last answer: values often come in order.
    last: (i64, i64),
}

impl ReadyStarts {
    /// Prepares for values from `min` to `max`.
    pub fn new(rounding: Rounding, min: i64, max: i64) -> Self {
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

    /// Returns the start of the bucket after the one that starts at `start`.
    pub fn next(&self, start: i64) -> i64 {
        self.rounding.next(start)
    }

    /// Returns the start of the bucket that holds `ms`.
    pub fn round(&mut self, ms: i64) -> i64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(width: i64, zone: &str) -> Rounding {
        Rounding {
            interval: DateInterval::Fixed(width),
            zone: TimeZone::parse(zone).expect("a zone"),
            offset_ms: 0,
        }
    }

    const MINUTE: i64 = 60_000;

    #[test]
    fn an_instant_after_a_change_is_not_in_an_earlier_bucket_than_one_before_it() {
        // Clocks in New York go from 02:00 to 01:00 at 06:00Z on 2020-11-01.
        let midnight = 1_604_188_800_000;
        let rounding = fixed(90 * MINUTE, "America/New_York");
        let rounded = [280, 340, 370, 390].map(|minute| {
            let start = rounding.round(midnight + minute * MINUTE);
            (start - midnight) / MINUTE
        });
        assert_eq!(rounded, [240, 330, 330, 390]);
    }

    #[test]
    fn a_bucket_may_begin_under_an_offset_that_the_zone_has_given_up() {
        // Adak was eleven hours behind until 1983; this is in 2099.
        let rounding = fixed(100_000 * 1_440 * MINUTE, "America/Adak");
        let start = rounding.round(4_090_000_000_000);
        assert_eq!(rounding.round(start), start);
        assert!(start <= rounding.round(4_090_000_000_001));
    }

    #[test]
    fn fixed_buckets_follow_one_another_across_changes() {
        // Around the changes of 2020 in New York, and of half an hour on Lord Howe.
        let changes = [1_583_650_800_000, 1_604_210_400_000];
        let half_hours = [1_586_012_400_000, 1_601_739_000_000];
        let zones = [
            ("America/New_York", changes),
            ("Australia/Lord_Howe", half_hours),
        ];
        for ((zone, changes), minutes) in zones
            .into_iter()
            .flat_map(|zone| [7, 25, 40, 50, 60, 90, 300, 1_440, 4_000].map(|width| (zone, width)))
        {
            let rounding = fixed(minutes * MINUTE, zone);
            for change in changes {
                let (first, last) = (change - 4_500 * MINUTE, change + 4_500 * MINUTE);
                let mut ready = ReadyStarts::new(rounding.clone(), first, last);
                let mut before = i64::MIN;
                for ms in (first..=last).step_by(5 * MINUTE as usize) {
                    let start = rounding.round(ms);
                    let what = (zone, minutes, ms);
                    assert!(before <= start && start <= ms, "{what:?}: {start}");
                    assert_eq!(rounding.round(start), start, "{what:?}");
                    assert!(rounding.next(start) > ms, "{what:?}");
                    assert_eq!(ready.round(ms), start, "{what:?}");
                    before = start;
                }
            }
        }
    }
}
