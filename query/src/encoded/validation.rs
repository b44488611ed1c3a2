//! What is done with points beyond the earth that a query names (`validation_method`).
//!
//! Source: Elasticsearch, `GeoValidationMethod` and `GeoUtils.normalizePoint`.

use serde_json::Value;

use super::geo::{Corner, GeoPoint, parse_degrees, written_degrees};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// How points that a query names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PointValidation {
    /// Those beyond the earth are refused: no other can be looked for.
    #[default]
    Refuse,
    /// They are brought back: over a pole to the other side, around the earth to where it begins again.
    Coerce,
}

impl PointValidation {
    /// Reads `validation_method`.
    ///
    /// # Errors
    /// `illegal_argument_exception` for what is none.
    pub(crate) fn read(reader: &mut ObjectReader<'_>) -> Result<Self, QueryError> {
        let Some(method) = reader.text("validation_method")? else {
            return Ok(Self::default());
        };
        match method.to_ascii_uppercase().as_str() {
            // Elasticsearch ignores it until it looks for the point, and refuses it then.
            "STRICT" | "IGNORE_MALFORMED" => Ok(Self::Refuse),
            "COERCE" => Ok(Self::Coerce),
            _ => Err(QueryError::illegal(format!(
                "operator needs to be either [COERCE, IGNORE_MALFORMED, STRICT], but not [{method}]"
            ))),
        }
    }

    /// Reads a point; of a geohash's cell it is `corner`.
    ///
    /// # Errors
    /// Why it is no point.
    pub(crate) fn point(self, value: &Value, corner: Corner) -> Result<GeoPoint, String> {
        let degrees = self.degrees(value, corner)?;
        let (latitude, longitude) = match self {
            Self::Refuse => degrees,
            Self::Coerce => normalized(degrees, true),
        };
        let point = GeoPoint::at(latitude, longitude);
        point.ok_or_else(|| format!("failed to parse geo_point from [{value}]"))
    }

    /// Reads latitude and longitude of a point, which is not brought back yet; of a geohash's cell it is `corner`.
    ///
    /// # Errors
    /// Why it is no point.
    pub(crate) fn degrees(self, value: &Value, corner: Corner) -> Result<(f64, f64), String> {
        match self {
            Self::Refuse => parse_degrees(value, corner),
            Self::Coerce => written_degrees(value, corner),
        }
    }
}

/// Brings latitude and longitude into their ranges; longitudes only where a box does not go around the earth.
pub(crate) fn normalized(degrees: (f64, f64), moves_longitude: bool) -> (f64, f64) {
    let (mut latitude, mut longitude) = degrees;
    let is_beyond_a_pole = latitude.abs() > 90.0;
    let moves_longitude = moves_longitude && (longitude.abs() > 180.0 || is_beyond_a_pole);
    if is_beyond_a_pole {
        latitude = centred(latitude);
        let is_behind = latitude.abs() > 90.0;
        if is_behind {
            latitude = 180.0_f64.copysign(latitude) - latitude;
            longitude += match moves_longitude || centred(longitude) <= 0.0 {
                true => 180.0,
                false => -180.0,
            };
        }
    }
    if moves_longitude {
        longitude = centred(longitude);
    }
    (latitude, longitude)
}

/// Returns the angle in (−180°, 180°].
fn centred(degrees: f64) -> f64 {
    let rest = degrees % 360.0;
    let positive = if rest <= 0.0 { rest + 360.0 } else { rest };
    if positive > 180.0 {
        positive - 360.0
    } else {
        positive
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_are_brought_back_to_the_earth() {
        for (given, expected) in [
            ((10.0, 20.0), (10.0, 20.0)),
            ((90.0, 180.0), (90.0, 180.0)),
            ((0.0, 190.0), (0.0, -170.0)),
            ((0.0, -540.0), (0.0, 180.0)),
            ((95.0, 10.0), (85.0, -170.0)),
            ((-100.0, -10.0), (-80.0, 170.0)),
            ((270.0, 0.0), (-90.0, 0.0)),
            ((360.0, 5.0), (0.0, 5.0)),
        ] {
            assert_eq!(normalized(given, true), expected, "{given:?}");
        }
        assert_eq!(normalized((0.0, 190.0), false), (0.0, 190.0));
    }

    #[test]
    fn methods_are_read_in_any_case() {
        let read = |method: &str| {
            let body = json!({"validation_method": method});
            let mut reader = ObjectReader::query("geo_distance", &body).expect("an object");
            PointValidation::read(&mut reader).map_err(|error| error.reason)
        };
        assert_eq!(read("strict"), Ok(PointValidation::Refuse));
        assert_eq!(read("IGNORE_MALFORMED"), Ok(PointValidation::Refuse));
        assert_eq!(read("Coerce"), Ok(PointValidation::Coerce));
        let refused = read("lenient").expect_err("refused");
        assert!(refused.ends_with("but not [lenient]"), "{refused}");
        let far = json!([190, 0]);
        let corner = Corner::BottomLeft;
        assert!(PointValidation::Refuse.point(&far, corner).is_err());
        let coerced = PointValidation::Coerce.point(&far, corner);
        assert_eq!(coerced.ok(), GeoPoint::at(0.0, -170.0));
    }
}
