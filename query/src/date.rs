//! Dates of the dialect: formats, date math, time zones, calendar buckets.
//!
//! Does: read text as milliseconds since the epoch and write it back ([`DateFormatter`]), evaluate
//! date math ([`parse_date_math`]), read the dates of requests ([`DateReader`]), cut time into calendar buckets ([`round_down`], [`next_bucket`]).
//! Does not: read a clock (`now` is an argument) or know months by other than their English names.
//! All functions are total over `i64`: instants saturate at its ends instead of overflowing, and
//! text that names one beyond them is refused.
//! Source: Elasticsearch reference, *format* and *Date math*; `java.time.format` patterns.

mod calendar_unit;
mod civil;
mod format;
mod instant;
mod math;
mod named;
mod parse;
mod pattern;
mod rounding;
mod value;
mod zone;

pub use calendar_unit::CalendarUnit;
pub use format::DateFormatter;
pub use instant::Instant;
pub use math::{NowUse, common_divisor, now_use, parse_date_math};
pub use rounding::{next_bucket, round_down};
pub use value::{DateReader, number_text};
pub use zone::TimeZone;

/// Milliseconds of a day without a change of the clock.
pub(crate) const DAY_MS: i64 = 86_400_000;
