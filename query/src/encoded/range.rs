//! Ranges of numbers, dates and addresses.

use gleaner_model::mapping::Codec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Reading;
use crate::address::parse_ip;
use crate::date::{DateFormatter, DateReader, TimeZone};

/// How a range of a document must stand to that of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Relation {
    /// They have a value in common.
    #[default]
    Intersects,
    /// The document's holds the query's.
    Contains,
    /// The query's holds the document's.
    Within,
}

impl Relation {
    /// Returns whether it is that of queries which name none.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A bound: its value, and whether it is outside.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    /// The value; `None` is open.
    pub value: Option<&'a Value>,
    /// Whether the value itself belongs to the range.
    pub is_included: bool,
    /// Whether it is the lower one.
    pub is_lower: bool,
    /// The time that `now` stands for, milliseconds since the epoch.
    pub now_ms: i64,
    /// Format of dates instead of the type's.
    pub format: Option<&'a str>,
    /// Time zone of dates that have none.
    pub time_zone: Option<&'a str>,
    /// By whose rules the value is read.
    pub reading: Reading,
}

/// Why a value of a document has no term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermFault {
    /// The whole reason.
    Value(String),
    /// What is said behind the name of the field, which is not known here.
    OfField(String),
}

impl From<String> for TermFault {
    fn from(reason: String) -> Self {
        Self::Value(reason)
    }
}

/// Returns the term of `{"gte": …, "lt": …}`, or of an address with the bits of its network.
///
/// # Errors
/// Why it is no range of the type.
pub fn range_term(codec: &Codec, value: &Value, reading: Reading) -> Result<String, TermFault> {
    let bounds = match value {
        Value::Object(bounds) => bounds.clone(),
        Value::String(network) if *codec == Codec::IpRange => network_bounds(network)?,
        _ => {
            let reason = format!("expected an object but got [{value}]");
            return Err(TermFault::OfField(reason));
        }
    };
    let (mut lower, mut upper) = (None, None);
    for (key, value) in &bounds {
        let value = Some(value).filter(|value| !value.is_null());
        match key.as_str() {
            "gt" | "gte" => lower = value.map(|value| (value, key != "gt")),
            "lt" | "lte" => upper = value.map(|value| (value, key != "lt")),
            // Earlier versions took their names in queries.
            "from" if reading == Reading::Taken => lower = value.map(|value| (value, true)),
            "to" if reading == Reading::Taken => upper = value.map(|value| (value, true)),
            other => {
                let reason = format!("with unknown parameter [{other}]");
                return Err(TermFault::OfField(reason));
            }
        }
    }
    let (lower, upper) = (
        document_edge(codec, lower, true, reading)?,
        document_edge(codec, upper, false, reading)?,
    );
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower <= upper => Ok(format!("{lower}{upper}")),
        _ => Err(TermFault::Value(format!(
            "min value is greater than max value in [{value}]"
        ))),
    }
}

/// Returns the digits of a bound of a document, which names no time that passes. Earlier versions took `now` for the
/// epoch.
fn document_edge(
    codec: &Codec,
    bound: Option<(&Value, bool)>,
    is_lower: bool,
    reading: Reading,
) -> Result<Option<String>, String> {
    let value = bound.map(|(value, _)| value);
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let names_now = matches!(codec, Codec::DateRange(_)) && text.starts_with("now");
    if names_now && reading == Reading::New {
        return Err("now is not used at indexing time".to_owned());
    }
    let edge_of = Edge {
        value,
        is_included: bound.is_none_or(|(_, is_included)| is_included),
        is_lower,
        now_ms: 0,
        format: None,
        time_zone: None,
        reading,
    };
    edge(codec, edge_of)
}

/// Returns the least and the greatest value of a range of numbers or dates (in milliseconds), from its term; `None`
/// for other types and texts.
pub fn numbers_of(codec: &Codec, term: &str) -> Option<(f64, f64)> {
    let (least, greatest) = term.split_at_checked(16)?;
    let digits = |text| u64::from_str_radix(text, 16).ok();
    let (least, greatest) = (digits(least)?, digits(greatest)?);
    let whole = |ordered: u64| ((ordered ^ (1 << 63)) as i64) as f64;
    let fraction = |ordered: u64| {
        f64::from_bits(match ordered >> 63 {
            0 => !ordered,
            _ => ordered ^ (1 << 63),
        })
    };
    match codec {
        Codec::IntegerRange | Codec::LongRange | Codec::DateRange(_) => {
            Some((whole(least), whole(greatest)))
        }
        Codec::FloatRange | Codec::DoubleRange => Some((fraction(least), fraction(greatest))),
        Codec::GeoPoint | Codec::IpRange => None,
    }
}

/// Returns the digits of a bound, the value next to it where it is outside; `None`: there is none.
///
/// # Errors
/// Why it is no value of the type.
pub fn edge(codec: &Codec, edge: Edge<'_>) -> Result<Option<String>, String> {
    let (value, width) = match codec {
        Codec::IpRange => (address(edge)?, 32),
        Codec::FloatRange => {
            let rounded = |value: f64| f64::from(value as f32);
            (Some(fraction(edge, "float", rounded, float_step)?), 16)
        }
        Codec::DoubleRange => (Some(fraction(edge, "double", |value| value, f64_step)?), 16),
        Codec::DateRange(format) => (whole(edge, (i64::MIN, i64::MAX), Some(&format.0))?, 16),
        Codec::IntegerRange => (whole(edge, (i32::MIN.into(), i32::MAX.into()), None)?, 16),
        Codec::LongRange | Codec::GeoPoint => (whole(edge, (i64::MIN, i64::MAX), None)?, 16),
    };
    Ok(value.map(|value| format!("{value:0width$x}")))
}

fn address(edge: Edge<'_>) -> Result<Option<u128>, String> {
    let Some(value) = edge.value else {
        return Ok(Some(if edge.is_lower { 0 } else { u128::MAX }));
    };
    let text = value.as_str().unwrap_or_default();
    let address = parse_ip(text).ok_or_else(|| format!("'{text}' is not an IP string literal."))?;
    Ok(match (edge.is_included, edge.is_lower) {
        (true, _) => Some(address),
        (false, true) => address.checked_add(1),
        (false, false) => address.checked_sub(1),
    })
}

fn whole(
    edge: Edge<'_>,
    (least, greatest): (i64, i64),
    format: Option<&str>,
) -> Result<Option<u128>, String> {
    let ordered = |value: i64| u128::from((value as u64) ^ (1 << 63));
    let Some(value) = edge.value else {
        let open = if edge.is_lower { least } else { greatest };
        return Ok(Some(ordered(open)));
    };
    let number = match format {
        Some(format) => date(edge, value, edge.format.unwrap_or(format))?,
        None => truncated(value, edge.reading)?,
    };
    if number < least || number > greatest {
        return Err(format!("Value [{value}] is out of range"));
    }
    let inside = match (edge.is_included, edge.is_lower) {
        (true, _) => Some(number),
        (false, true) => number.checked_add(1),
        (false, false) => number.checked_sub(1),
    };
    Ok(inside.map(ordered))
}

/// Returns a whole number; of a fraction what is in front of its point. It is cut before a bound that is outside steps to
/// the next number, as Elasticsearch does in documents (`coerce`): `gt: 1.5` begins at 2. In queries it refuses fractions.
/// Earlier versions cut what is not finite, too.
fn truncated(value: &Value, reading: Reading) -> Result<i64, String> {
    let text = text_of(value);
    if let Ok(exact) = text.trim().parse() {
        return Ok(exact);
    }
    let number = text.trim().parse::<f64>().ok();
    let taken = number.filter(|number| number.is_finite() || reading == Reading::Taken);
    taken
        .map(|number| number as i64)
        .ok_or_else(|| not_a_number(&text))
}

fn date(edge: Edge<'_>, value: &Value, format: &str) -> Result<i64, String> {
    let formatter = DateFormatter::parse_pattern(format).map_err(|error| error.reason)?;
    let zone = edge.time_zone.map_or(Ok(TimeZone::UTC), TimeZone::parse);
    let zone = zone.map_err(|error| error.reason)?;
    let reader = DateReader {
        formatter: &formatter,
        zone: &zone,
        now_ms: edge.now_ms,
    };
    let round_up = edge.is_lower != edge.is_included;
    reader.read(value, round_up).map_err(|error| error.reason)
}

/// Returns a fraction of the type `name`, `rounded` to what that type holds. Earlier versions took infinite ones.
fn fraction(
    edge: Edge<'_>,
    name: &str,
    rounded: fn(f64) -> f64,
    step: fn(f64, bool) -> f64,
) -> Result<u128, String> {
    let number = match edge.value {
        None if edge.is_lower => f64::NEG_INFINITY,
        None => f64::INFINITY,
        Some(value) => {
            let text = text_of(value);
            let number: f64 = text.trim().parse().map_err(|_| not_a_number(&text))?;
            let number = rounded(number) + 0.0;
            let is_taken = number.is_infinite() && edge.reading == Reading::Taken;
            if !number.is_finite() && !is_taken {
                return Err(format!(
                    "[{name}] supports only finite values, but got [{text}]"
                ));
            }
            number
        }
    };
    let inside = match edge.is_included {
        true => number,
        false => step(number, edge.is_lower),
    };
    let bits = inside.to_bits();
    let ordered = match inside.is_sign_negative() {
        true => !bits,
        false => bits ^ (1 << 63),
    };
    Ok(u128::from(ordered))
}

fn f64_step(value: f64, is_up: bool) -> f64 {
    if is_up {
        value.next_up()
    } else {
        value.next_down()
    }
}

fn float_step(value: f64, is_up: bool) -> f64 {
    let float = value as f32;
    f64::from(if is_up {
        float.next_up()
    } else {
        float.next_down()
    })
}

fn network_bounds(network: &str) -> Result<Map<String, Value>, String> {
    let refuse = || format!("Expected [ip/prefix] but was [{network}]");
    let (address, bits) = network.split_once('/').ok_or_else(refuse)?;
    let bits: u32 = bits.parse().map_err(|_| refuse())?;
    let mapped = if address.contains(':') { 0 } else { 96 };
    let bits = bits.checked_add(mapped).filter(|bits| *bits <= 128);
    let bits = bits.ok_or_else(refuse)?;
    let host = u128::MAX.checked_shr(bits).unwrap_or(0);
    let first = parse_ip(address).ok_or_else(refuse)? & !host;
    let text = |address: u128| Value::from(crate::address::ip_text(address));
    let bounds = [("gte", text(first)), ("lte", text(first | host))];
    Ok(bounds
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn not_a_number(text: &str) -> String {
    format!("For input string: \"{text}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_order_as_their_values_do() {
        let term =
            |codec: &Codec, value: Value| range_term(codec, &value, Reading::New).expect("a range");
        let negative = term(&Codec::LongRange, json!({"gte": -5, "lte": -3}));
        let positive = term(&Codec::LongRange, json!({"gt": 1, "lt": 5}));
        assert!(negative < positive);
        assert_eq!(numbers_of(&Codec::LongRange, &negative), Some((-5.0, -3.0)));
        assert_eq!(
            positive,
            term(&Codec::LongRange, json!({"gte": 2, "lte": 4}))
        );
        let fractions = |least: f64| term(&Codec::DoubleRange, json!({"gte": least}));
        assert!(fractions(-1.5) < fractions(-0.5) && fractions(-0.5) < fractions(0.25));
        let read = numbers_of(&Codec::DoubleRange, &fractions(-1.5));
        assert_eq!(read, Some((-1.5, f64::INFINITY)));
        let network = term(&Codec::IpRange, json!("10.0.0.0/8"));
        let bounds = json!({"gte": "10.0.0.0", "lte": "10.255.255.255"});
        assert_eq!(network, term(&Codec::IpRange, bounds));
    }

    #[test]
    fn bounds_of_whole_numbers_are_cut_before_they_step() {
        for (given, meant) in [
            (json!({"gte": 1.5}), json!({"gte": 1})),
            (json!({"gt": 1.5}), json!({"gte": 2})),
            (json!({"lte": 1.5}), json!({"lte": 1})),
            (json!({"lt": 1.5}), json!({"lte": 0})),
            (json!({"gt": "-0.5"}), json!({"gte": 1})),
            (json!({"lte": -1.5}), json!({"lte": -1})),
            (json!({"gte": 1.5, "lte": 1.9}), json!({"gte": 1, "lte": 1})),
        ] {
            for codec in [Codec::IntegerRange, Codec::LongRange] {
                let term = range_term(&codec, &given, Reading::New).expect("a range");
                let expected = range_term(&codec, &meant, Reading::New).expect("a range");
                assert_eq!(term, expected, "{given}");
            }
        }
    }

    #[test]
    fn bounds_that_are_not_finite_are_refused() {
        let finite = |name: &str, given: &str| {
            format!("[{name}] supports only finite values, but got [{given}]")
        };
        for (codec, bound, expected) in [
            (Codec::FloatRange, json!(1e39), finite("float", "1e+39")),
            (Codec::FloatRange, json!("NaN"), finite("float", "NaN")),
            (
                Codec::DoubleRange,
                json!("-Infinity"),
                finite("double", "-Infinity"),
            ),
            (Codec::LongRange, json!("NaN"), not_a_number("NaN")),
        ] {
            for key in ["gt", "gte", "lt", "lte"] {
                let refused = range_term(&codec, &json!({key: bound}), Reading::New);
                assert_eq!(refused, Err(TermFault::Value(expected.clone())), "{key}");
            }
        }
        let finite = json!({"gte": 1e39});
        assert!(range_term(&Codec::DoubleRange, &finite, Reading::New).is_ok());
    }

    #[test]
    fn documents_name_their_bounds_and_no_passing_time() {
        let dates = Codec::DateRange(gleaner_model::DateFormat::default());
        let now = "now is not used at indexing time";
        for bounds in [
            json!({"gte": "now"}),
            json!({"lt": "now-1d/d"}),
            json!({"gt": "2020-01-01", "lte": "now"}),
        ] {
            let refused = range_term(&dates, &bounds, Reading::New);
            assert_eq!(refused, Err(TermFault::Value(now.to_owned())), "{bounds}");
        }
        let rounded = json!({"gte": "2020-01-01||/M"});
        assert!(range_term(&dates, &rounded, Reading::New).is_ok());
        for key in ["from", "to", "include_lower"] {
            let refused = range_term(&Codec::LongRange, &json!({key: 1}), Reading::New);
            let reason = format!("with unknown parameter [{key}]");
            assert_eq!(refused, Err(TermFault::OfField(reason)));
        }
    }

    #[test]
    fn ranges_that_today_are_refused_are_read_as_they_were() {
        let dates = Codec::DateRange(gleaner_model::DateFormat::default());
        for (codec, given, meant) in [
            (
                Codec::LongRange,
                json!({"from": 1, "to": 5}),
                json!({"gte": 1, "lte": 5}),
            ),
            (
                Codec::LongRange,
                json!({"gt": 1, "lte": "Infinity"}),
                json!({"gte": 2}),
            ),
            (Codec::LongRange, json!({"gte": "NaN"}), json!({"gte": 0})),
            (
                Codec::DoubleRange,
                json!({"gte": "-Infinity", "lt": 1}),
                json!({"lt": 1}),
            ),
            (
                Codec::FloatRange,
                json!({"gte": 1, "lte": 1e39}),
                json!({"gte": 1}),
            ),
            (
                dates.clone(),
                json!({"gte": "now"}),
                json!({"gte": "1970-01-01"}),
            ),
            (
                dates,
                json!({"from": "2020-01-01", "to": "2020-01-02"}),
                json!({"gte": "2020-01-01", "lte": "2020-01-02"}),
            ),
        ] {
            let refused = range_term(&codec, &given, Reading::New);
            assert!(refused.is_err(), "{given}");
            let expected = range_term(&codec, &meant, Reading::New).expect("a range");
            for value in [&given, &meant] {
                let taken = range_term(&codec, value, Reading::Taken);
                assert_eq!(taken.as_ref(), Ok(&expected), "{value}");
            }
        }
        for bound in ["gt", "gte", "lt", "lte"] {
            let nan = json!({bound: "NaN"});
            assert!(range_term(&Codec::DoubleRange, &nan, Reading::Taken).is_err());
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for value in [
            json!({"gte": 5, "lte": 3}),
            json!({"from": "x"}),
            json!({"least": 1}),
            json!(3),
        ] {
            for reading in [Reading::New, Reading::Taken] {
                let read = range_term(&Codec::IntegerRange, &value, reading);
                assert!(read.is_err(), "{value}");
            }
        }
    }
}
