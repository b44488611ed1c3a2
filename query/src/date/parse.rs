//! Text → instant: items are matched from left to right, the parts found make a date.
//!
//! As in `java.time`, an optional section is tried once where it stands: no backtracking, so the
//! cost is linear in the text. Parts are checked strictly: 30 February is no date.

use gleaner_model::mapping::NANOS_PER_MILLI;

use super::civil;
use super::format::{FULL_QUARTERS, MONTHS, QUARTERS, WEEKDAYS};
use super::instant::Instant;
use super::pattern::{Item, Part, Word};
use super::zone::{self, TimeZone};

/// The parts that a text gave.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    year: Option<i64>,
    is_before_christ: bool,
    quarter: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week_year: Option<i64>,
    week: Option<i64>,
    weekday: Option<i64>,
    hour: Option<i64>,
    half_hour: Option<i64>,
    is_afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nano: Option<i64>,
    milli_of_day: Option<i64>,
    zone: Option<TimeZone>,
}

/// Reads all of `text`; `None` where it does not match or names no instant of `i64` milliseconds.
///
/// Parts that are missing become the first month, day, … ; with `round_up` the time of day
/// becomes the last (23:59:59.999999999), as bounds of ranges want it.
pub(super) fn read(items: &[Item], text: &str, zone: &TimeZone, round_up: bool) -> Option<Instant> {
    let mut parts = Parts::default();
    let rest = read_items(items, text, &mut parts)?;
    if !rest.is_empty() {
        return None;
    }
    let nano_of_day = nano_of_day(&parts, round_up)?;
    let ms_of_day = nano_of_day / NANOS_PER_MILLI;
    let local = civil::checked_at(days(&parts)?, ms_of_day)?;
    let ms = parts.zone.as_ref().unwrap_or(zone).resolve(local);
    // An offset that leads beyond `i64` ends there.
    let is_cut = matches!(ms, i64::MIN | i64::MAX) && ms != local;
    (!is_cut).then_some(Instant::within(ms, nano_of_day % NANOS_PER_MILLI))
}

fn read_items<'t>(items: &[Item], text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let mut rest = text;
    for (at, item) in items.iter().enumerate() {
        rest = match item {
            Item::Number { part, min, max } => {
                let reserved: usize = items[at + 1..].iter().map_while(Item::fixed_width).sum();
                read_number(rest, *part, (*min, *max), reserved, parts)?
            }
            _ => read_item(item, rest, parts)?,
        };
    }
    Some(rest)
}

fn read_item<'t>(item: &Item, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    match item {
        Item::Literal(literal) => text.strip_prefix(literal.as_str()),
        Item::Number { .. } => None,
        Item::ShortYear(part) => {
            let (digits, rest) = split_digits(text, 2, 2)?;
            store(*part, 2_000 + digits.parse::<i64>().ok()?, parts)?;
            Some(rest)
        }
        Item::Fraction {
            min,
            max,
            has_point,
        } => {
            let text = if *has_point {
                text.strip_prefix(['.', ','])?
            } else {
                text
            };
            let (digits, rest) = split_digits(text, *min, *max)?;
            parts.nano = Some(format!("{digits:0<9}").parse().ok()?);
            Some(rest)
        }
        Item::Word(word) => read_word(*word, text, parts),
        Item::Offset(_) => read_offset(text, parts),
        Item::Zone => read_offset(text, parts).or_else(|| read_zone(text, parts)),
        Item::Optional(section) => {
            let mut tried = *parts;
            match read_items(section, text, &mut tried) {
                Some(rest) => {
                    *parts = tried;
                    Some(rest)
                }
                None => Some(text),
            }
        }
    }
}

/// Reads a number; `reserved` digits at the end of the run belong to the numbers after it.
fn read_number<'t>(
    text: &'t str,
    part: Part,
    (min, max): (usize, usize),
    reserved: usize,
    parts: &mut Parts,
) -> Option<&'t str> {
    let is_year = matches!(part, Part::Year | Part::YearOfEra | Part::WeekYear);
    // Java's "exceeds pad": more digits than the width only behind a sign, and `+` only before those.
    let (sign, unsigned, min) = match text.as_bytes().first() {
        Some(b'-') if is_year => (-1, &text[1..], min),
        Some(b'+') if is_year && min >= 4 && min < max => (1, &text[1..], min + 1),
        _ => (1, text, min),
    };
    let has_sign = unsigned.len() < text.len();
    let run = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let most = if is_year && min >= 4 && !has_sign {
        min
    } else {
        max
    };
    let wanted = if min == max {
        max
    } else {
        run.saturating_sub(reserved).clamp(min, most.max(min))
    };
    let (digits, rest) = split_digits(unsigned, min, wanted)?;
    store(part, sign * digits.parse::<i64>().ok()?, parts)?;
    Some(rest)
}

/// Splits off as many digits as there are up to `max`; `None` below `min`.
fn split_digits(text: &str, min: usize, max: usize) -> Option<(&str, &str)> {
    let found = text
        .bytes()
        .take(max)
        .take_while(u8::is_ascii_digit)
        .count();
    (found >= min && found > 0).then(|| text.split_at(found))
}

fn store(part: Part, value: i64, parts: &mut Parts) -> Option<()> {
    let within = |low: i64, high: i64| (low..=high).contains(&value).then_some(value);
    let years = || within(-civil::MAX_YEAR, civil::MAX_YEAR);
    match part {
        Part::Year | Part::YearOfEra => parts.year = Some(years()?),
        Part::WeekYear => parts.week_year = Some(years()?),
        Part::Quarter => parts.quarter = Some(within(1, 4)?),
        Part::Month => parts.month = Some(within(1, 12)?),
        Part::Day => parts.day = Some(within(1, 31)?),
        Part::DayOfYear => parts.day_of_year = Some(within(1, 366)?),
        Part::Week => parts.week = Some(within(1, 53)?),
        Part::Weekday => parts.weekday = Some(within(1, 7)?),
        Part::Hour => parts.hour = Some(within(0, 23)?),
        Part::ClockHour => parts.hour = Some(within(1, 24)? % 24),
        Part::HalfHour => parts.half_hour = Some(within(0, 11)?),
        Part::ClockHalfHour => parts.half_hour = Some(within(1, 12)? % 12),
        Part::Minute => parts.minute = Some(within(0, 59)?),
        Part::Second => parts.second = Some(within(0, 59)?),
        Part::Nano => parts.nano = Some(within(0, 999_999_999)?),
        Part::MilliOfDay => parts.milli_of_day = Some(within(0, super::DAY_MS - 1)?),
    }
    Some(())
}

fn read_word<'t>(word: Word, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let one_of = |names: &[&str], is_full: bool| {
        names.iter().zip(1_i64..).find_map(|(name, number)| {
            let name = if is_full { name } else { name.get(..3)? };
            Some((number, text.strip_prefix(name)?))
        })
    };
    match word {
        Word::Quarter { is_full } => {
            let names = if is_full { &FULL_QUARTERS } else { &QUARTERS };
            let (quarter, rest) = one_of(names, true)?;
            parts.quarter = Some(quarter);
            Some(rest)
        }
        Word::Month { is_full } => {
            let (month, rest) = one_of(&MONTHS, is_full)?;
            parts.month = Some(month);
            Some(rest)
        }
        Word::Weekday { is_full } => {
            let (weekday, rest) = one_of(&WEEKDAYS, is_full)?;
            parts.weekday = Some(weekday);
            Some(rest)
        }
        Word::HalfOfDay => {
            let (half, rest) = one_of(&["AM", "PM"], true)?;
            parts.is_afternoon = Some(half == 2);
            Some(rest)
        }
        Word::Era => {
            let (era, rest) = one_of(&["BC", "AD"], true)?;
            parts.is_before_christ = era == 1;
            Some(rest)
        }
    }
}

fn read_offset<'t>(text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let (offset, rest) = match text.strip_prefix('Z') {
        Some(rest) => (0, rest),
        None => zone::read_offset(text)?,
    };
    parts.zone = Some(TimeZone::Fixed(offset));
    Some(rest)
}

/// Reads the name of a zone, up to the first character that cannot be in one.
fn read_zone<'t>(text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "/_+-:".contains(c);
    let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    parts.zone = Some(TimeZone::parse(name).ok()?);
    Some(rest)
}

/// Returns the day that the parts name.
fn days(parts: &Parts) -> Option<i64> {
    let year = match parts.year {
        Some(year) if parts.is_before_christ => Some(1 - year),
        year => year,
    };
    let days = match (year, parts.day_of_year, parts.week_year) {
        (Some(year), Some(day), _) => {
            let first = civil::days_from_civil(year, 1, 1);
            (day <= 365 || civil::is_leap(year)).then_some(first + day - 1)?
        }
        (None, _, Some(year)) => {
            let week = parts.week.unwrap_or(1);
            let start = civil::first_iso_week(year) + (week - 1) * 7;
            let day = start + parts.weekday.unwrap_or(1) - 1;
            (week <= civil::iso_weeks_of(year)).then_some(day)?
        }
        _ => {
            let first_month = parts.quarter.map_or(1, |quarter| quarter * 3 - 2);
            let (year, month) = (year.unwrap_or(1970), parts.month.unwrap_or(first_month));
            let day = parts.day.unwrap_or(1);
            let day = (day <= civil::days_in_month(year, month)).then_some(day)?;
            civil::days_from_civil(year, month, day)
        }
    };
    let is_said = parts.day.is_some() || parts.day_of_year.is_some();
    let agrees = parts.weekday.is_none_or(|w| civil::iso_weekday(days) == w);
    let of_quarter = |quarter| civil::quarter_of(civil::civil_from_days(days).1) == quarter;
    let agrees = parts.quarter.is_none_or(of_quarter) && (agrees || !is_said);
    agrees.then_some(days)
}

fn nano_of_day(parts: &Parts, round_up: bool) -> Option<i64> {
    let last = if round_up { NANOS_PER_MILLI - 1 } else { 0 };
    if let Some(ms) = parts.milli_of_day {
        return Some(ms * NANOS_PER_MILLI + last);
    }
    let hour = match (parts.hour, parts.half_hour) {
        (Some(hour), _) => Some(hour),
        (None, Some(half)) => Some(half + if parts.is_afternoon? { 12 } else { 0 }),
        (None, None) => None,
    };
    let or_last = |part: Option<i64>, last: i64| part.unwrap_or(if round_up { last } else { 0 });
    let seconds = or_last(hour, 23) * 3_600 + or_last(parts.minute, 59) * 60;
    let seconds = seconds + or_last(parts.second, 59);
    Some(seconds * 1_000 * NANOS_PER_MILLI + or_last(parts.nano, 999_999_999))
}
