//! [`DateFormatter`]: the alternatives of a date format, and writing of instants.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use gleaner_model::mapping::NANOS_PER_MILLI;

use super::civil::{self, Civil};
use super::instant::Instant;
use super::pattern::{self, Item, OffsetStyle, Part, Word};
use super::zone::{self, TimeZone};
use super::{instant, named, parse};
use crate::error::{ErrorType, QueryError};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
pub(super) const QUARTERS: [&str; 4] = ["Q1", "Q2", "Q3", "Q4"];
pub(super) const FULL_QUARTERS: [&str; 4] =
    ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];

/// A date format: alternatives tried in turn when text is read, the first of which writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormatter {
    pattern: String,
    alternatives: Vec<Alternative>,
    /// Whether the first alternative takes what [`instant::read`] reads, for the same instant.
    takes_instants: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Alternative {
    EpochMillis,
    EpochSecond,
    Items { read: Vec<Item>, write: Vec<Item> },
}

impl DateFormatter {
    /// Reads a format: names or patterns joined by `||`.
    ///
    /// # Errors
    /// `illegal_argument_exception` for an unknown name or pattern letter.
    pub fn parse_pattern(pattern: &str) -> Result<Self, QueryError> {
        // The mark of patterns of `java.time` in Elasticsearch 6, which later versions take (`DateFormatter.forPattern`).
        let parts = pattern.strip_prefix('8').unwrap_or(pattern).split("||");
        let alternatives = parts.clone().map(|part| Alternative::parse(part.trim()));
        let alternatives = alternatives.collect::<Result<_, _>>()?;
        let first = parts.map(str::trim).next().unwrap_or_default();
        Ok(Self {
            pattern: pattern.to_owned(),
            alternatives,
            takes_instants: named::TAKING_INSTANTS.contains(&first),
        })
    }

    /// Returns the format as it was given.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Reads text as milliseconds since the epoch; text without a zone is UTC, parts that are
    /// missing are the first (January, 1st, 00:00).
    ///
    /// # Errors
    /// `parse_exception` where no alternative reads the text.
    pub fn parse(&self, text: &str) -> Result<i64, QueryError> {
        self.parse_in(text, &TimeZone::UTC, false)
    }

    /// Reads text; without a zone of its own it is local time in `zone`. With `round_up` a missing
    /// time of day is the last (23:59:59.999); missing months and days are still the first.
    ///
    /// # Errors
    /// `parse_exception` where no alternative reads the text.
    pub fn parse_in(&self, text: &str, zone: &TimeZone, round_up: bool) -> Result<i64, QueryError> {
        self.read_in(text, zone, round_up).map(Instant::millis)
    }

    /// As [`Self::parse_in`], to the nanosecond: the last time of day is 23:59:59.999999999.
    ///
    /// # Errors
    /// `parse_exception` where no alternative reads the text.
    pub fn read_in(
        &self,
        text: &str,
        zone: &TimeZone,
        round_up: bool,
    ) -> Result<Instant, QueryError> {
        // Rounding up is of the parts of seconds too, where the text has none.
        if self.takes_instants
            && !round_up
            && let Some(instant) = instant::read(text)
        {
            return Ok(instant);
        }
        let found = self
            .alternatives
            .iter()
            .find_map(|alternative| alternative.read(text, zone, round_up));
        found.ok_or_else(|| {
            let reason = format!(
                "failed to parse date field [{text}] with format [{}]",
                self.pattern
            );
            QueryError::new(ErrorType::DateParse, reason)
        })
    }

    /// Writes an instant in UTC.
    pub fn format(&self, ms: i64) -> String {
        self.format_in(ms, &TimeZone::UTC)
    }

    /// Writes an instant as clocks in `zone` show it.
    pub fn format_in(&self, ms: i64, zone: &TimeZone) -> String {
        self.write_in(Instant::from_millis(ms), zone)
    }

    /// Writes an instant in UTC, to the nanosecond as far as the format has them.
    pub fn write(&self, instant: Instant) -> String {
        self.write_in(instant, &TimeZone::UTC)
    }

    fn write_in(&self, instant: Instant, zone: &TimeZone) -> String {
        match self.alternatives.first() {
            Some(Alternative::Items { write, .. }) => Writer::new(instant, zone).write(write),
            Some(Alternative::EpochSecond) => write_epoch(instant, 1_000),
            Some(Alternative::EpochMillis) | None => write_epoch(instant, 1),
        }
    }
}

/// Writes an instant as a decimal number of units of `unit_ms` since the epoch.
pub(super) fn write_epoch(instant: Instant, unit_ms: i128) -> String {
    let unit = unit_ms * i128::from(NANOS_PER_MILLI);
    let nanos = i128::from(instant.millis()) * i128::from(NANOS_PER_MILLI);
    let nanos = nanos + i128::from(instant.nanos_of_milli());
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.abs());
    match size % unit {
        0 => format!("{sign}{}", size / unit),
        rest => {
            let fraction = rest * (i128::from(NANO) / unit);
            let text = format!("{sign}{}.{fraction:09}", size / unit);
            text.trim_end_matches('0').to_owned()
        }
    }
}

impl Alternative {
    fn parse(part: &str) -> Result<Self, QueryError> {
        if part.is_empty() {
            return Err(QueryError::illegal("No date pattern provided"));
        }
        match part {
            "epoch_millis" => return Ok(Self::EpochMillis),
            "epoch_second" => return Ok(Self::EpochSecond),
            _ => {}
        }
        match named::find(part) {
            Some(named) => named.map(|named| Self::Items {
                read: named.read,
                write: named.write,
            }),
            None => pattern::compile(part, false).map(|items| Self::Items {
                read: items.clone(),
                write: items,
            }),
        }
    }

    fn read(&self, text: &str, zone: &TimeZone, round_up: bool) -> Option<Instant> {
        match self {
            Self::EpochMillis => read_epoch(text, 1, round_up),
            Self::EpochSecond => read_epoch(text, 1_000, round_up),
            Self::Items { read, .. } => parse::read(read, text, zone, round_up),
        }
    }
}

/// Parts of a unit that nine digits of a fraction can name.
const NANO: i64 = 1_000_000_000;

/// Reads a decimal number of units of `unit_ms` since the epoch, rounding towards the past.
fn read_epoch(text: &str, unit_ms: i64, round_up: bool) -> Option<Instant> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(digits) || !fraction.is_none_or(|f| is_number(f) && f.len() <= 9) {
        return None;
    }
    // Signed: the least number of 64 bits has no counterpart.
    let size = whole.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    let unit = unit_ms * NANOS_PER_MILLI;
    let part = match fraction {
        // Of a millisecond nine digits name parts of nanoseconds, too.
        Some(fraction) => {
            i128::from(format!("{fraction:0<9}").parse::<i64>().ok()?) * i128::from(unit)
        }
        None if round_up => i128::from(NANO) * i128::from(unit - 1),
        None => 0,
    };
    // A fraction leads further into the past; what rounds up leads back.
    let part = if whole.starts_with('-') && fraction.is_some() {
        -part
    } else {
        part
    };
    let part = i64::try_from(part.div_euclid(i128::from(NANO))).ok()?;
    let ms = size.checked_add(part.div_euclid(NANOS_PER_MILLI))?;
    Some(Instant::within(ms, part.rem_euclid(NANOS_PER_MILLI)))
}

/// Writes one instant.
struct Writer {
    civil: Civil,
    /// Nanoseconds behind the millisecond.
    nanos: i64,
    offset_ms: i64,
    zone: TimeZone,
    text: String,
}

impl Writer {
    fn new(instant: Instant, zone: &TimeZone) -> Self {
        let ms = instant.millis();
        Self {
            civil: Civil::from_local_ms(zone.to_local(ms)),
            nanos: instant.nanos_of_milli(),
            offset_ms: zone.offset_ms(ms),
            zone: *zone,
            text: String::with_capacity(29),
        }
    }

    fn write(mut self, items: &[Item]) -> String {
        self.items(items);
        self.text
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Literal(literal) => self.text.push_str(literal),
                Item::Number { part, min, .. } => self.number(*part, *min),
                Item::ShortYear(part) => {
                    let year = self.value(*part).rem_euclid(100);
                    self.padded(year, 2);
                }
                Item::Fraction {
                    min,
                    max,
                    has_point,
                } => self.fraction(*min..=*max, *has_point),
                Item::Word(word) => self.word(*word),
                Item::Offset(style) => self.offset(*style),
                Item::Zone => self.zone(),
                Item::Optional(section) => self.items(section),
            }
        }
    }

    fn value(&self, part: Part) -> i64 {
        let seconds = self.civil.ms_of_day / 1_000;
        let hour = seconds / 3_600;
        match part {
            Part::Year => self.civil.year,
            // Year 0 is 1 BC.
            Part::YearOfEra if self.civil.year <= 0 => 1 - self.civil.year,
            Part::YearOfEra => self.civil.year,
            Part::Quarter => civil::quarter_of(self.civil.month),
            Part::Month => self.civil.month,
            Part::Day => self.civil.day,
            Part::DayOfYear => self.civil.day_of_year(),
            Part::WeekYear => self.civil.iso_week().0,
            Part::Week => self.civil.iso_week().1,
            Part::Weekday => self.civil.iso_week().2,
            Part::Hour => hour,
            Part::ClockHour => (hour + 23) % 24 + 1,
            Part::HalfHour => hour % 12,
            Part::ClockHalfHour => (hour + 11) % 12 + 1,
            Part::Minute => seconds / 60 % 60,
            Part::Second => seconds % 60,
            Part::Nano => self.nano_of_second(),
            Part::MilliOfDay => self.civil.ms_of_day,
        }
    }

    fn number(&mut self, part: Part, min: usize) {
        let value = self.value(part);
        if value.unsigned_abs() > 9_999 && min == 4 {
            // Java's "exceeds pad": a longer year needs its sign to be read back.
            self.text.push_str(if value < 0 { "" } else { "+" });
        }
        self.padded(value, min);
    }

    fn padded(&mut self, value: i64, width: usize) {
        let sign = if value < 0 { "-" } else { "" };
        write!(self.text, "{sign}{:0width$}", value.unsigned_abs()).expect("a String takes all");
    }

    fn nano_of_second(&self) -> i64 {
        self.civil.ms_of_day % 1_000 * NANOS_PER_MILLI + self.nanos
    }

    /// Writes a part of a second: behind a point three digits, and more where it has more.
    fn fraction(&mut self, num_digits: RangeInclusive<usize>, has_point: bool) {
        let nanos = format!("{:09}", self.nano_of_second());
        if has_point {
            self.text.push('.');
        }
        let width = match has_point {
            true => nanos
                .trim_end_matches('0')
                .len()
                .clamp(3, *num_digits.end()),
            false => *num_digits.start(),
        };
        self.text.push_str(&nanos[..width]);
    }

    fn word(&mut self, word: Word) {
        let numbered = |names: &[&'static str], number: i64| {
            let index = usize::try_from(number - 1).unwrap_or_default();
            names.get(index).copied().unwrap_or_default()
        };
        let named = |names: &[&'static str], number: i64, is_full: bool| {
            let name = numbered(names, number);
            if is_full { name } else { &name[..3] }
        };
        let name = match word {
            Word::Quarter { is_full: false } => {
                numbered(&QUARTERS, civil::quarter_of(self.civil.month))
            }
            Word::Quarter { is_full: true } => {
                numbered(&FULL_QUARTERS, civil::quarter_of(self.civil.month))
            }
            Word::Month { is_full } => named(&MONTHS, self.civil.month, is_full),
            Word::Weekday { is_full } => {
                named(&WEEKDAYS, civil::iso_weekday(self.civil.days), is_full)
            }
            Word::HalfOfDay if self.civil.ms_of_day >= super::DAY_MS / 2 => "PM",
            Word::HalfOfDay => "AM",
            Word::Era if self.civil.year <= 0 => "BC",
            Word::Era => "AD",
        };
        self.text.push_str(name);
    }

    fn offset(&mut self, style: OffsetStyle) {
        if self.offset_ms == 0 && style.zero_is_z {
            self.text.push('Z');
            return;
        }
        let seconds = i32::try_from(self.offset_ms / 1_000).unwrap_or_default();
        let text = zone::write_offset(seconds, style.has_colon);
        let text = match text.strip_suffix("00") {
            Some(hours) if style.is_short => hours,
            _ => &text,
        };
        self.text.push_str(text);
    }

    fn zone(&mut self) {
        if let TimeZone::Region(_) = self.zone {
            self.offset(OffsetStyle {
                has_colon: true,
                is_short: false,
                zero_is_z: true,
            });
        } else {
            let name = self.zone.to_string();
            self.text.push_str(&name);
        }
    }
}

#[cfg(test)]
mod tests;
