//! The proleptic Gregorian calendar as arithmetic on days since 1970-01-01.
//!
//! Source: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*. Years are ISO years
//! (0 is 1 BC). Valid for every day an `i64` of milliseconds can name.

use super::DAY_MS;

/// Largest year (either sign) that text may name; `i64` milliseconds end near year 292,278,994.
pub(super) const MAX_YEAR: i64 = 292_278_993;

/// A local date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    /// Days since 1970-01-01.
    pub(super) days: i64,
    /// Milliseconds since local midnight, 0 to 86,399,999.
    pub(super) ms_of_day: i64,
}

impl Civil {
    /// Splits local milliseconds.
    pub(super) fn from_local_ms(local_ms: i64) -> Self {
        let days = local_ms.div_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            days,
            ms_of_day: local_ms.rem_euclid(DAY_MS),
        }
    }

    /// Returns the day of the year, from 1.
    pub(super) fn day_of_year(&self) -> i64 {
        self.days - days_from_civil(self.year, 1, 1) + 1
    }

    /// Returns the ISO week year, week (1 to 53) and weekday (Monday 1 to Sunday 7).
    pub(super) fn iso_week(&self) -> (i64, i64, i64) {
        let weekday = iso_weekday(self.days);
        // The Thursday of a week decides the year the week belongs to.
        let thursday = self.days - weekday + 4;
        let year = civil_from_days(thursday).0;
        let week = (thursday - days_from_civil(year, 1, 1)) / 7 + 1;
        (year, week, weekday)
    }
}

/// Returns the quarter of the year (1 to 4) that a month is in.
pub(super) fn quarter_of(month: i64) -> i64 {
    (month + 2) / 3
}

/// Returns the weekday of a day: Monday 1 to Sunday 7.
pub(super) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Returns the day on which week 1 of an ISO year starts.
pub(super) fn first_iso_week(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (iso_weekday(fourth) - 1)
}

/// Returns the number of ISO weeks of a year, 52 or 53.
pub(super) fn iso_weeks_of(year: i64) -> i64 {
    (first_iso_week(year + 1) - first_iso_week(year)) / 7
}

/// Returns days since 1970-01-01 of a valid date.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns year, month and day of a number of days since 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Returns whether a year has 366 days.
pub(super) fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// Returns the number of days of a month (1 to 12).
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Moves local milliseconds by calendar months; a day that does not exist becomes the month's last.
pub(super) fn add_months(local_ms: i64, months: i64) -> i64 {
    let civil = Civil::from_local_ms(local_ms);
    let total = (civil.year * 12 + civil.month - 1).saturating_add(months);
    let limit = (MAX_YEAR + 1) * 12;
    let total = total.clamp(-limit, limit);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = civil.day.min(days_in_month(year, month));
    at(days_from_civil(year, month, day), civil.ms_of_day)
}

/// Returns local milliseconds of a day and a time of day, saturating.
pub(super) fn at(days: i64, ms_of_day: i64) -> i64 {
    saturate(exactly_at(days, ms_of_day))
}

/// Returns local milliseconds of a day and a time of day; `None` beyond the range of `i64`.
pub(super) fn checked_at(days: i64, ms_of_day: i64) -> Option<i64> {
    i64::try_from(exactly_at(days, ms_of_day)).ok()
}

fn exactly_at(days: i64, ms_of_day: i64) -> i128 {
    i128::from(days) * i128::from(DAY_MS) + i128::from(ms_of_day)
}

/// Cuts a number to the range of `i64`.
pub(super) fn saturate(exact: i128) -> i64 {
    let cut = exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(cut).expect("clamped to the range of i64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range() {
        let end = i64::MAX / DAY_MS;
        for days in (-end..=end).step_by(1_234_567).chain(-800..800) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day));
        }
    }

    #[test]
    fn iso_weeks_follow_the_thursday() {
        for (date, expected) in [
            ((2005, 1, 1), (2004, 53, 6)),
            ((2007, 1, 1), (2007, 1, 1)),
            ((2008, 12, 29), (2009, 1, 1)),
            ((2010, 1, 3), (2009, 53, 7)),
        ] {
            let days = days_from_civil(date.0, date.1, date.2);
            assert_eq!(Civil::from_local_ms(days * DAY_MS).iso_week(), expected);
        }
        assert_eq!(iso_weeks_of(2004), 53);
        assert_eq!(iso_weeks_of(2005), 52);
    }

    #[test]
    fn months_are_added_within_the_length_of_the_month() {
        let january = days_from_civil(2023, 1, 31) * DAY_MS;
        assert_eq!(
            add_months(january, 1),
            days_from_civil(2023, 2, 28) * DAY_MS
        );
        assert_eq!(
            add_months(january, -11),
            days_from_civil(2022, 2, 28) * DAY_MS
        );
        assert!(add_months(i64::MAX, i64::MAX) > i64::MAX - 366 * DAY_MS);
    }
}
