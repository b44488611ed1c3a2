//! Sizes, times and dates for people.

use gleaner_query::date::DateFormatter;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::parameters::Parameters;

const SIZES: [(&str, u64); 5] = [
    ("pb", 1 << 50),
    ("tb", 1 << 40),
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
];

/// Returns a size with the largest unit that fits: `1.4kb`.
pub(crate) fn size_text(bytes: u64) -> String {
    match SIZES.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}{name}", tenths(bytes as f64 / *unit as f64)),
        None => format!("{bytes}b"),
    }
}

/// Returns a size in the unit asked for, as a bare whole number; `None` for an unknown unit.
pub(crate) fn size_in(bytes: u64, unit: &str) -> Option<String> {
    let name = match unit {
        "b" => return Some(bytes.to_string()),
        "k" | "m" | "g" | "t" | "p" => format!("{unit}b"),
        other => other.to_owned(),
    };
    let (_, size) = SIZES.iter().find(|(known, _)| *known == name)?;
    Some((bytes / size).to_string())
}

/// Returns milliseconds with a unit: `1.2s`.
pub(crate) fn time_text(millis: u64) -> String {
    const TIMES: [(&str, u64); 4] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    match TIMES.iter().find(|(_, unit)| millis >= *unit) {
        Some((name, unit)) => format!("{}{name}", tenths(millis as f64 / *unit as f64)),
        None => format!("{millis}ms"),
    }
}

/// Returns a moment, UTC.
pub(crate) fn date_text(millis: i64) -> Option<String> {
    let formatter = DateFormatter::parse_pattern("strict_date_time").ok()?;
    Some(formatter.format(millis))
}

/// Adds to quantities the same with a unit, where `human` asks for it: `size` beside `size_in_bytes`.
pub(crate) fn humanized(value: Value, parameters: &Parameters) -> Result<Value, ApiError> {
    match parameters.is_set("human")? {
        true => Ok(with_units(value)),
        false => Ok(value),
    }
}

fn with_units(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let mut shown = Map::new();
            for (key, value) in entries {
                if let Some((name, text)) = with_unit(&key, &value) {
                    shown.insert(name.to_owned(), text.into());
                }
                shown.insert(key, with_units(value));
            }
            Value::Object(shown)
        }
        Value::Array(items) => items.into_iter().map(with_units).collect(),
        other => other,
    }
}

/// Returns the name and the text of what is a quantity by its name.
fn with_unit<'a>(key: &'a str, value: &Value) -> Option<(&'a str, String)> {
    if let Some(name) = key.strip_suffix("_in_bytes") {
        return Some((name, size_text(value.as_u64()?)));
    }
    if let Some(name) = key.strip_suffix("_as_number") {
        return Some((name, format!("{:.1}%", value.as_f64()?)));
    }
    let name = key.strip_suffix("_in_millis");
    if let Some(name @ ("start_time" | "stop_time")) = name {
        return Some((name, date_text(value.as_i64()?)?));
    }
    let name = name.or_else(|| key.strip_suffix("_millis"))?;
    Some((name, time_text(value.as_u64()?)))
}

/// One decimal, none where it is zero; cut off, not rounded.
fn tenths(number: f64) -> String {
    let cut = (number * 10.0).floor() / 10.0;
    if cut.fract() == 0.0 {
        format!("{cut:.0}")
    } else {
        format!("{cut:.1}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_have_units_for_people() {
        let counted = json!({"store": {"size_in_bytes": 1_500}, "list": [{"query_time_in_millis": 7}],
            "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 50.0,
            "text_in_bytes": "none", "start_time_in_millis": 1_500});
        let shown = |query: &str| {
            let parameters = Parameters::parse(Some(query)).expect("well formed");
            humanized(counted.clone(), &parameters).expect("a flag")
        };
        assert_eq!(shown("human=false"), counted);
        assert_eq!(
            shown("human"),
            json!({"store": {"size": "1.4kb", "size_in_bytes": 1_500},
                "list": [{"query_time": "7ms", "query_time_in_millis": 7}],
                "task_max_waiting_in_queue": "0ms", "task_max_waiting_in_queue_millis": 0,
                "active_shards_percent": "50.0%", "active_shards_percent_as_number": 50.0,
                "text_in_bytes": "none",
                "start_time": "1970-01-01T00:00:01.500Z", "start_time_in_millis": 1_500})
        );
    }

    #[test]
    fn sizes_and_times_carry_the_largest_unit() {
        assert_eq!(size_text(0), "0b");
        assert_eq!(size_text(1_500), "1.4kb");
        assert_eq!(size_text(2 << 20), "2mb");
        assert_eq!(size_in(3 << 20, "kb").as_deref(), Some("3072"));
        assert_eq!(size_in(1, "parsec"), None);
        assert_eq!(time_text(1_250), "1.2s");
        assert_eq!(time_text(7), "7ms");
    }
}
