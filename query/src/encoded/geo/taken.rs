//! Points of documents that earlier versions acknowledged, some of which today's rules refuse.
//!
//! Does not check new writes: `written` does. Called by `read_degrees`. Earlier versions passed over what followed two
//! numbers, keys that no point has, and the `type` beside `coordinates`.

use serde_json::Value;

use super::{Corner, written_degrees};

/// As `parse_degrees`, of points beyond the earth too, and of those that only an earlier version took.
///
/// # Errors
/// Why it is no point by today's rules.
pub(super) fn taken_degrees(value: &Value) -> Result<(f64, f64), String> {
    // What today's rules take was always read the same way.
    let written = written_degrees(value, Corner::BottomLeft);
    written.or_else(|reason| earlier_degrees(value).ok_or(reason))
}

/// Returns the degrees of a value that today's rules refuse; `None` where earlier versions refused it too.
fn earlier_degrees(value: &Value) -> Option<(f64, f64)> {
    match value {
        Value::Object(parts) => match parts.get("coordinates") {
            Some(coordinates) => taken_degrees(coordinates).ok(),
            None => Some((number(parts.get("lat")?)?, number(parts.get("lon")?)?)),
        },
        Value::Array(items) => match items.as_slice() {
            [longitude, latitude] | [longitude, latitude, _] => {
                Some((number(latitude)?, number(longitude)?))
            }
            _ => None,
        },
        Value::String(text) => of_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn of_text(text: &str) -> Option<(f64, f64)> {
    if text.contains(',') {
        return first_two(text.split(','));
    }
    let upper = text.trim().to_ascii_uppercase();
    let inside = upper.strip_prefix("POINT")?.trim();
    let inside = inside.strip_prefix('(')?.strip_suffix(')')?;
    let (longitude, latitude) = first_two(inside.split(' '))?;
    Some((latitude, longitude))
}

/// Returns the first two numbers of parts, of which blank ones do not count.
fn first_two<'t>(parts: impl Iterator<Item = &'t str>) -> Option<(f64, f64)> {
    let mut parts = parts.map(str::trim).filter(|part| !part.is_empty());
    let mut next = || parts.next()?.parse::<f64>().ok();
    Some((next()?, next()?))
}

/// Reads a number or its text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_that_today_are_refused_are_read_as_they_were() {
        for value in [
            json!({"lat": 1, "lon": "2", "alt": 3}),
            json!({"lat": 1, "lon": 2, "z": true}),
            json!({"lat": 1, "lon": 2, "geohash": "u1"}),
            json!({"coordinates": [2, 1]}),
            json!({"coordinates": "1,2", "lat": 5, "lon": 6}),
            json!({"type": "LineString", "coordinates": {"lat": 1, "lon": 2, "alt": 3}}),
            json!([2, 1, "high"]),
            json!("1,2,3,4"),
            json!("1,,2"),
            json!("1,2,high"),
            json!("POINT (2 1 high)"),
        ] {
            let written = written_degrees(&value, Corner::BottomLeft);
            assert!(written.is_err(), "{value}");
            let taken = taken_degrees(&value);
            assert_eq!(taken, Ok((1.0, 2.0)), "{value}");
        }
    }

    #[test]
    fn what_was_no_point_is_none() {
        for value in [
            json!(null),
            json!(true),
            json!(7),
            json!([2]),
            json!([2, 1, 0, 0]),
            json!([2, true]),
            json!("1"),
            json!("a,b"),
            json!("POINT (2)"),
            json!({}),
            json!({"lat": 1}),
            json!({"coordinates": null, "lat": 1, "lon": 2}),
        ] {
            let written = written_degrees(&value, Corner::BottomLeft);
            let taken = taken_degrees(&value);
            assert_eq!(taken, written, "{value}");
        }
    }
}
