//! The time that an answer depends on: `now` in the dates of a request.
//!
//! Does: find `now` in a request, and say for how long what it stands for stays the same. Does not: evaluate dates.
//! Called by: [`super::answer`]. Read first: [`TimeBucket::of`].
//!
//! Mappings are not known here, so a text that would be a date in a date field counts as one in every field.

use serde_json::Value;

use crate::date::{NowUse, TimeZone, common_divisor, now_use};

/// Step at which the clocks of regions differ from UTC: since 1972 every change of them is at a multiple of it.
const REGION_STEP_MS: i64 = 900_000;

/// The stretch of time for which a request's dates stand for the same instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeBucket {
    start_ms: i64,
    width_ms: i64,
}

/// The request depends on its very time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unrounded;

impl TimeBucket {
    /// Returns the bucket of `now_ms` for a request written as JSON; `None` where no date of it uses `now`.
    ///
    /// # Errors
    /// [`Unrounded`] where a date may be another each millisecond.
    pub(super) fn of(json: &[u8], now_ms: i64) -> Result<Option<Self>, Unrounded> {
        let text = std::str::from_utf8(json).map_err(|_| Unrounded)?;
        // Most requests have the letters nowhere.
        if !text.contains("now") && !text.contains("Random") && !text.contains('\\') {
            return Ok(None);
        }
        let request: Value = serde_json::from_slice(json).map_err(|_| Unrounded)?;
        let mut use_of_now = TimeUse::default();
        use_of_now.add(&request, false)?;
        let width_ms = use_of_now.step_ms();
        Ok((width_ms > 0).then(|| Self {
            start_ms: now_ms.saturating_sub(now_ms.rem_euclid(width_ms)),
            width_ms,
        }))
    }

    /// Returns the first millisecond after it.
    pub(super) fn end_ms(self) -> i64 {
        self.start_ms.saturating_add(self.width_ms)
    }

    /// Returns it as 16 bytes.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.start_ms.to_le_bytes());
        bytes[8..].copy_from_slice(&self.width_ms.to_le_bytes());
        bytes
    }
}

/// What of a request depends on the time.
#[derive(Default)]
struct TimeUse {
    /// Largest step at whose multiples all its dates change; 0 where none uses `now`.
    width_ms: i64,
    /// Step at which its time zones differ from UTC; 0 where it names none.
    zone_ms: i64,
}

impl TimeUse {
    /// Notes the texts in `part`, which is inside a query string if `is_in_query_string`.
    fn add(&mut self, part: &Value, is_in_query_string: bool) -> Result<(), Unrounded> {
        match part {
            Value::String(text) if is_in_query_string => refuse_now_within(text),
            Value::String(text) => self.add_text(text),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.add(item, is_in_query_string)),
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                if name == "time_zone" {
                    self.add_zone(value);
                }
                // Without a seed, the time is one.
                if name == "Random" && value.get("seed").is_some_and(Value::is_null) {
                    return Err(Unrounded);
                }
                let is_query_string = matches!(&**name, "QueryString" | "SimpleQueryString");
                self.add(value, is_in_query_string || is_query_string)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn add_text(&mut self, text: &str) -> Result<(), Unrounded> {
        match now_use(text.trim()) {
            NowUse::Free => Ok(()),
            NowUse::Exact => Err(Unrounded),
            NowUse::Each(width_ms) => {
                self.width_ms = common_divisor(self.width_ms, width_ms);
                Ok(())
            }
        }
    }

    fn add_zone(&mut self, zone: &Value) {
        let Some(text) = zone.as_str() else {
            return;
        };
        let step = match TimeZone::parse(text) {
            Ok(TimeZone::Fixed(seconds)) => i64::from(seconds.abs()) * 1_000,
            Ok(TimeZone::Region(_)) => REGION_STEP_MS,
            // The request is refused, which is not kept.
            Err(_) => 0,
        };
        self.zone_ms = common_divisor(self.zone_ms, step);
    }

    /// Returns the step at whose multiples, in UTC, its dates change; 0 where they do not.
    fn step_ms(&self) -> i64 {
        match self.width_ms {
            0 => 0,
            width_ms => common_divisor(width_ms, self.zone_ms),
        }
    }
}

/// Refuses a query string one of whose words begins with `now`. Its syntax is not read here: brackets, operators and
/// spaces end words, and a backslash may stand before any letter.
fn refuse_now_within(text: &str) -> Result<(), Unrounded> {
    let text = text.replace('\\', "");
    let begins_word = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric())
    };
    let mut places = text.match_indices("now").map(|(at, _)| at);
    match places.any(begins_word) {
        true => Err(Unrounded),
        false => Ok(()),
    }
}
