//! Values of `geo_point` fields: each point as GeoJSON or WKT, in the degrees that `_source` has.

use gleaner_query::encoded::{Reading, read_degrees};
use serde_json::{Value, json};

use super::is_formatted;
use crate::error::EngineError;

/// How points are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PointFormat {
    /// `{"type": "Point", "coordinates": [4.9, 52.3]}`.
    GeoJson,
    /// `POINT (4.9 52.3)`.
    Wkt,
}

impl PointFormat {
    /// Reads the format asked for; GeoJSON is the default.
    ///
    /// # Errors
    /// When there is no such format.
    pub(super) fn new(asked: Option<&str>) -> Result<Self, EngineError> {
        match asked.filter(|format| is_formatted(Some(*format))) {
            None | Some("geojson") => Ok(Self::GeoJson),
            Some("wkt") => Ok(Self::Wkt),
            Some(other) => Err(EngineError::query(format!(
                "Unrecognized geometry format [{other}]."
            ))),
        }
    }

    /// Adds the points of a value of `_source`, which may be a list of them; what is no point by the rules of `reading`
    /// is passed over, and `null` stands for one that is not said.
    pub(super) fn show(
        self,
        value: &Value,
        null: Option<&Value>,
        reading: Reading,
        shown: &mut Vec<Value>,
    ) {
        match value {
            Value::Null => {
                if let Some(point) = null {
                    self.show(point, None, Reading::Taken, shown);
                }
            }
            // A list that begins with a number is one point.
            Value::Array(items) if !items.first().is_some_and(Value::is_number) => {
                let show = |item| self.show(item, null, reading, shown);
                items.iter().for_each(show);
            }
            one => {
                let point = read_degrees(one, reading).ok();
                shown.extend(point.map(|(latitude, longitude)| self.point(latitude, longitude)));
            }
        }
    }

    fn point(self, latitude: f64, longitude: f64) -> Value {
        match self {
            Self::GeoJson => json!({"type": "Point", "coordinates": [longitude, latitude]}),
            Self::Wkt => Value::from(format!("POINT ({longitude:?} {latitude:?})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_only_an_earlier_version_took_are_shown_where_they_are_indexed() {
        let shown = |value: &Value, reading| {
            let mut shown = Vec::new();
            PointFormat::Wkt.show(value, None, reading, &mut shown);
            shown
        };
        let point = json!("POINT (2.0 1.0)");
        let today = json!({"lat": 1, "lon": 2});
        let earlier = json!({"coordinates": [2, 1]});
        for reading in [Reading::New, Reading::Taken] {
            assert_eq!(shown(&today, reading), std::slice::from_ref(&point));
        }
        assert_eq!(
            shown(&earlier, Reading::Taken),
            std::slice::from_ref(&point)
        );
        assert!(shown(&earlier, Reading::New).is_empty());
        let several = json!([today, earlier]);
        assert_eq!(shown(&several, Reading::Taken), [point.clone(), point]);
    }
}
