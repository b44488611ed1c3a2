//! Calendar buckets: where the bucket of an instant starts and where the next one does.
//!
//! Days and longer units start at the first instant of their local date, so a day on which clocks
//! change has 23 or 25 hours. Hours and minutes that repeat are buckets of their own; a piece of an
//! hour left over by a change belongs to the bucket before the change (as in Elasticsearch).

use super::DAY_MS;
use super::civil::{self, Civil};
use super::zone::TimeZone;
use crate::date::CalendarUnit;

/// Returns the start of the calendar bucket that holds `ms`; always ≤ `ms`.
pub fn round_down(ms: i64, unit: CalendarUnit, zone: &TimeZone) -> i64 {
    match unit {
        CalendarUnit::Minute => round_clock(ms, 60_000, zone),
        CalendarUnit::Hour => round_clock(ms, 3_600_000, zone),
        _ => round_date(ms, unit, zone).0,
    }
}

/// Returns the start of the bucket after the one that holds `ms`; always > `ms` (but `i64::MAX`
/// where there is none).
pub fn next_bucket(ms: i64, unit: CalendarUnit, zone: &TimeZone) -> i64 {
    match unit {
        CalendarUnit::Minute => next_clock(ms, 60_000, zone),
        CalendarUnit::Hour => next_clock(ms, 3_600_000, zone),
        _ => round_date(ms, unit, zone).1,
    }
}

/// Rounds to a part of the day, within one offset.
fn round_clock(ms: i64, width: i64, zone: &TimeZone) -> i64 {
    let start = floor_at(ms, width, zone.offset_ms(ms));
    if zone.offset_ms(start) == zone.offset_ms(ms) {
        return start;
    }
    let before = last_before_change(start, ms, zone);
    floor_at(before, width, zone.offset_ms(before))
}

fn next_clock(ms: i64, width: i64, zone: &TimeZone) -> i64 {
    let start = round_clock(ms, width, zone);
    let mut candidate = start;
    // A change of the clock lengthens a bucket by less than a day.
    for _ in 0..=DAY_MS / width {
        candidate = candidate.saturating_add(width);
        let next = round_clock(candidate, width, zone);
        if next > ms {
            return next;
        }
    }
    i64::MAX
}

fn floor_at(ms: i64, width: i64, offset: i64) -> i64 {
    let local = i128::from(ms) + i128::from(offset);
    let floored = local.div_euclid(i128::from(width)) * i128::from(width);
    // Saturated at the start of time, where the bucket is cut short.
    civil::saturate(floored - i128::from(offset)).min(ms)
}

/// Returns the last instant before the change of the clock between `start` and `ms`.
fn last_before_change(start: i64, ms: i64, zone: &TimeZone) -> i64 {
    let old = zone.offset_ms(start);
    let (mut before, mut after) = (start, ms);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if zone.offset_ms(middle) == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    before
}

/// Returns start and end of the bucket of a day or longer unit.
fn round_date(ms: i64, unit: CalendarUnit, zone: &TimeZone) -> (i64, i64) {
    let mut local = floor_date(zone.to_local(ms), unit);
    let mut start = zone.first_instant(local);
    // Where clocks fall back over midnight, local dates go back too; boundaries never do.
    while start > ms && local > i64::MIN {
        local = floor_date(local.saturating_sub(1), unit);
        start = zone.first_instant(local);
    }
    loop {
        let next_local = next_date(local, unit);
        let next = zone.first_instant(next_local);
        if next > ms || next_local == local {
            return (start.min(ms), if next > ms { next } else { i64::MAX });
        }
        (local, start) = (next_local, next);
    }
}

fn floor_date(local_ms: i64, unit: CalendarUnit) -> i64 {
    let civil = Civil::from_local_ms(local_ms);
    let days = match unit {
        CalendarUnit::Minute | CalendarUnit::Hour | CalendarUnit::Day => civil.days,
        CalendarUnit::Week => civil.days - (civil::iso_weekday(civil.days) - 1),
        CalendarUnit::Month => civil::days_from_civil(civil.year, civil.month, 1),
        CalendarUnit::Quarter => {
            civil::days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1)
        }
        CalendarUnit::Year => civil::days_from_civil(civil.year, 1, 1),
    };
    civil::at(days, 0)
}

fn next_date(local_ms: i64, unit: CalendarUnit) -> i64 {
    match unit {
        CalendarUnit::Minute | CalendarUnit::Hour | CalendarUnit::Day => {
            local_ms.saturating_add(DAY_MS)
        }
        CalendarUnit::Week => local_ms.saturating_add(7 * DAY_MS),
        CalendarUnit::Month => civil::add_months(local_ms, 1),
        CalendarUnit::Quarter => civil::add_months(local_ms, 3),
        CalendarUnit::Year => civil::add_months(local_ms, 12),
    }
}

#[cfg(test)]
mod tests;
