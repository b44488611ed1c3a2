//! Points as JSON writes them: objects, lists, texts, geohashes.
//!
//! Source: Elasticsearch, `GenericPointParser` and `GeoPoint.resetFromString`. Called by `parse_point` and its kin.

use serde_json::{Map, Value};

use super::{Cell, Corner};

/// What is said of an object that is no point at all.
const NO_FORM: &str = "field must be either lat/lon, geohash string or type/coordinates";
/// What is said of a fourth number.
const TOO_MANY: &str = "[geo_point] field type does not accept > 3 dimensions";

/// As `parse_degrees`, of points beyond the earth too.
///
/// # Errors
/// Why it is no point.
pub(crate) fn written_degrees(value: &Value, corner: Corner) -> Result<(f64, f64), String> {
    match value {
        Value::Object(object) => Parts::read(object)?.degrees(corner),
        Value::Array(items) => of_list(items, "numeric value expected"),
        Value::String(text) => of_text(text, corner),
        Value::Null | Value::Bool(_) | Value::Number(_) => Err("geo_point expected".to_owned()),
    }
}

/// What an object has.
#[derive(Default)]
struct Parts<'v> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    geohash: Option<&'v str>,
    /// `type` of GeoJSON.
    geometry: Option<&'v str>,
    coordinates: Option<&'v [Value]>,
}

impl<'v> Parts<'v> {
    fn read(object: &'v Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str, value: &'v Value| {
            let text = value.as_str();
            text.ok_or_else(|| format!("[{key}] must be a string"))
        };
        let mut parts = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "lat" => parts.latitude = Some(number(value, "latitude")?),
                "lon" => parts.longitude = Some(number(value, "longitude")?),
                // The height counts for nothing.
                "z" => {
                    number(value, key)?;
                }
                "geohash" => parts.geohash = Some(text(key, value)?),
                "type" => parts.geometry = Some(text(key, value)?),
                "coordinates" => {
                    let list = value.as_array();
                    let list = list.ok_or_else(|| format!("[{key}] must be an array"))?;
                    parts.coordinates = Some(list.as_slice());
                }
                other => {
                    return Err(format!(
                        "field [{other}] not supported - must be one of: lon, lat, z, type, coordinates, geohash"
                    ));
                }
            }
        }
        Ok(parts)
    }

    fn degrees(&self, corner: Corner) -> Result<(f64, f64), String> {
        self.check_forms()?;
        if let Some(geohash) = self.geohash {
            return of_geohash(geohash, corner);
        }
        match (self.coordinates, self.latitude, self.longitude) {
            (Some(coordinates), ..) => {
                let is_point = |geometry: &str| geometry.eq_ignore_ascii_case("point");
                if !self.geometry.is_some_and(is_point) {
                    return Err("[type] for geo_point can only be 'Point'".to_owned());
                }
                of_list(
                    coordinates,
                    "[coordinates] must contain at least two values",
                )
            }
            (None, Some(latitude), Some(longitude)) => Ok((latitude, longitude)),
            (None, ..) => Err(NO_FORM.to_owned()),
        }
    }

    /// Refuses an object that is a point in two ways or in none.
    fn check_forms(&self) -> Result<(), String> {
        let (has_lat, has_lon) = (self.latitude.is_some(), self.longitude.is_some());
        let (is_typed, is_listed) = (self.geometry.is_some(), self.coordinates.is_some());
        let forms = [
            ("geohash", self.geohash.is_some()),
            ("lon/lat", has_lat && has_lon),
            ("GeoJSON", is_typed && is_listed),
        ];
        let forms = forms.iter().filter(|(_, is_given)| *is_given);
        let forms: Vec<&str> = forms.map(|(form, _)| *form).collect();
        let reason = match (forms.as_slice(), has_lat, has_lon) {
            (["geohash"], ..) if has_lat || has_lon || is_typed || is_listed => NO_FORM,
            ([_], ..) => return Ok(()),
            ([], _, true) => "Required [lat]",
            ([], true, _) => "Required [lon]",
            ([], ..) if is_listed => "Required [type]",
            ([], ..) if is_typed => "Required [coordinates]",
            ([], ..) => NO_FORM,
            (several, ..) => {
                let several = several.join(", ");
                return Err(format!(
                    "fields matching more than one point format found: [{several}]"
                ));
            }
        };
        Err(reason.to_owned())
    }
}

/// Reads `[longitude, latitude]`, which a height may follow; `too_few` is said where one is missing.
fn of_list(items: &[Value], too_few: &str) -> Result<(f64, f64), String> {
    match items {
        [longitude, latitude, rest @ ..] if rest.len() < 2 => {
            for height in rest {
                number(height, "z")?;
            }
            Ok((
                number(latitude, "latitude")?,
                number(longitude, "longitude")?,
            ))
        }
        [_, _, ..] => Err(TOO_MANY.to_owned()),
        _ => Err(too_few.to_owned()),
    }
}

fn of_text(text: &str, corner: Corner) -> Result<(f64, f64), String> {
    let refuse = || format!("failed to parse geo_point from [{text}]");
    let upper = text.trim().to_ascii_uppercase();
    if let Some(inside) = upper.strip_prefix("POINT") {
        let inside = inside.trim().strip_prefix('(');
        let inside = inside.and_then(|inside| inside.strip_suffix(')'));
        let parts: Vec<&str> = inside.ok_or_else(refuse)?.split_whitespace().collect();
        let (longitude, latitude) = pair(&parts).ok_or_else(refuse)?;
        return Ok((latitude, longitude));
    }
    if !text.contains(',') {
        return of_geohash(text, corner);
    }
    let parts: Vec<&str> = text.trim_end_matches(',').split(',').collect();
    if parts.len() > 3 {
        return Err(format!(
            "failed to parse [{text}], expected 2 or 3 coordinates but found: [{}]",
            parts.len()
        ));
    }
    pair(&parts).ok_or_else(refuse)
}

/// Returns the first two of two or three numbers.
fn pair(parts: &[&str]) -> Option<(f64, f64)> {
    let numbers = parts.iter().map(|part| part.trim().parse::<f64>());
    let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().ok()?;
    match numbers.as_slice() {
        [first, second] | [first, second, _] => Some((*first, *second)),
        _ => None,
    }
}

fn of_geohash(text: &str, corner: Corner) -> Result<(f64, f64), String> {
    let cell = Cell::of_geohash(text);
    let cell = cell.ok_or_else(|| format!("failed to parse geo_point from [{text}]"))?;
    Ok(corner.of(&cell))
}

/// Reads a number or its text.
fn number(value: &Value, name: &str) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => return Err(format!("{name} must be a number")),
    };
    number.ok_or_else(|| format!("[{name}] must be a valid double value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<(f64, f64), String> {
        written_degrees(value, Corner::BottomLeft)
    }

    #[test]
    fn a_height_counts_for_nothing() {
        for value in [
            json!([2, 1]),
            json!([2, 1, 9]),
            json!([2, "1"]),
            json!("1,2"),
            json!("1, 2, 9"),
            json!("POINT (2 1)"),
            json!("point(2 1 9)"),
            json!({"lat": 1, "lon": "2"}),
            json!({"lat": 1, "lon": 2, "z": 9}),
            json!({"type": "point", "coordinates": [2, 1, 9]}),
        ] {
            assert_eq!(read(&value), Ok((1.0, 2.0)), "{value}");
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let two = "fields matching more than one point format found: [lon/lat, GeoJSON]";
        let unknown =
            "field [alt] not supported - must be one of: lon, lat, z, type, coordinates, geohash";
        let only_points = "[type] for geo_point can only be 'Point'";
        let texts = "failed to parse [1,2,3,4], expected 2 or 3 coordinates but found: [4]";
        for (value, reason) in [
            (json!(7), "geo_point expected"),
            (json!(true), "geo_point expected"),
            (json!([2]), "numeric value expected"),
            (json!([2, 1, 0, 0]), TOO_MANY),
            (json!([2, true]), "latitude must be a number"),
            (json!("1,2,3,4"), texts),
            (json!("1,,2"), "failed to parse geo_point from [1,,2]"),
            (json!({}), NO_FORM),
            (json!({"lat": 1}), "Required [lon]"),
            (json!({"lon": 1}), "Required [lat]"),
            (json!({"lat": null, "lon": 1}), "latitude must be a number"),
            (
                json!({"lat": "x", "lon": 1}),
                "[latitude] must be a valid double value",
            ),
            (json!({"lat": 1, "lon": 2, "alt": 3}), unknown),
            (json!({"geohash": "u1", "lat": 1}), NO_FORM),
            (json!({"geohash": 5}), "[geohash] must be a string"),
            (json!({"coordinates": [2, 1]}), "Required [type]"),
            (json!({"type": "Point"}), "Required [coordinates]"),
            (
                json!({"type": "LineString", "coordinates": [2, 1]}),
                only_points,
            ),
            (
                json!({"type": "Point", "coordinates": "2,1"}),
                "[coordinates] must be an array",
            ),
            (
                json!({"type": "Point", "coordinates": [1, 2, 3, 4]}),
                TOO_MANY,
            ),
            (
                json!({"type": "Point", "coordinates": [2, 1], "lat": 1, "lon": 2}),
                two,
            ),
        ] {
            assert_eq!(read(&value), Err(reason.to_owned()), "{value}");
        }
    }
}
