//! `geo_bounding_box`, `geo_distance`, `geo_polygon`.

use serde_json::Value;

use super::check_field;
use crate::dsl::GeoQuery;
use crate::encoded::{Corner, GeoPoint, GeoShape, PointValidation, normalized, parse_distance};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text};

/// Most points of a polygon.
const MAX_POINTS: usize = 10_000;

pub(super) fn bounding_box(body: &Value) -> Result<GeoQuery, QueryError> {
    let mut reader = ObjectReader::query("geo_bounding_box", body)?;
    reader.ignore(&["type"]);
    read(reader, corners)
}

pub(super) fn distance(body: &Value) -> Result<GeoQuery, QueryError> {
    let mut reader = ObjectReader::query("geo_distance", body)?;
    check_distance_type(&mut reader)?;
    let unit = reader.text("unit")?.unwrap_or_default();
    let distance = reader
        .text("distance")?
        .ok_or_else(|| QueryError::illegal("geo_distance requires 'distance' to be specified"))?;
    let is_bare = distance.trim().parse::<f64>().is_ok();
    let text = if is_bare {
        format!("{distance}{unit}")
    } else {
        distance
    };
    let metres = parse_distance(&text).map_err(QueryError::illegal)?;
    if metres == 0.0 {
        return Err(QueryError::illegal("distance must be greater than zero"));
    }
    let radius_mm = (metres * 1_000.0) as u64;
    read(reader, move |value, validation| {
        let center = point(value, validation)?;
        Ok(GeoShape::Circle { center, radius_mm })
    })
}

/// Checks `distance_type`: distances of points that are indexed are arcs, in Elasticsearch too.
fn check_distance_type(reader: &mut ObjectReader<'_>) -> Result<(), QueryError> {
    match reader.text("distance_type")? {
        Some(name) if !["arc", "plane"].contains(&name.to_ascii_lowercase().as_str()) => {
            Err(QueryError::illegal(format!("No geo distance for [{name}]")))
        }
        _ => Ok(()),
    }
}

pub(super) fn polygon(body: &Value) -> Result<GeoQuery, QueryError> {
    let reader = ObjectReader::query("geo_polygon", body)?;
    read(reader, |value, validation| {
        let mut reader = ObjectReader::query("geo_polygon", value)?;
        let points = reader.take("points").and_then(Value::as_array);
        let points = points
            .ok_or_else(|| QueryError::parsing("[geo_polygon] requires an array of [points]"))?;
        reader.finish()?;
        let points = points.iter().map(|value| point(value, validation));
        let mut points: Vec<GeoPoint> = points.collect::<Result<_, _>>()?;
        if points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        match points.len() {
            3..=MAX_POINTS => Ok(GeoShape::Polygon(points)),
            num_points => Err(QueryError::illegal(format!(
                "[geo_polygon] needs 3 to {MAX_POINTS} different points, but has [{num_points}]"
            ))),
        }
    })
}

/// Reads what the three have in common, and the shape under the field.
fn read(
    mut reader: ObjectReader<'_>,
    shape: impl Fn(&Value, PointValidation) -> Result<GeoShape, QueryError>,
) -> Result<GeoQuery, QueryError> {
    let name = reader.name();
    let validation = PointValidation::read(&mut reader)?;
    let ignore_unmapped = reader.boolean("ignore_unmapped")?.unwrap_or(false);
    let boost = reader.boost()?;
    let mut fields = reader.rest();
    let (Some((field, value)), second) = (fields.next(), fields.next()) else {
        return Err(QueryError::parsing(format!("[{name}] requires a field")));
    };
    if let Some((second, _)) = second {
        return Err(QueryError::parsing(format!(
            "[{name}] query does not support multiple fields, found [{field}] and [{second}]"
        )));
    }
    check_field(name, field)?;
    Ok(GeoQuery {
        field: field.to_owned(),
        shape: shape(value, validation)?,
        ignore_unmapped,
        boost,
    })
}

/// Reads a box as `geo_bounding_box` has it.
///
/// # Errors
/// `parsing_exception` and its kin for what is none.
pub fn parse_box(value: &Value) -> Result<GeoShape, QueryError> {
    corners(value, PointValidation::Refuse)
}

fn point(value: &Value, validation: PointValidation) -> Result<GeoPoint, QueryError> {
    let point = validation.point(value, Corner::BottomLeft);
    point.map_err(QueryError::parsing)
}

/// Reads two opposite corners, four sides, or `BBOX (west, east, north, south)`.
fn corners(value: &Value, validation: PointValidation) -> Result<GeoShape, QueryError> {
    let mut reader = ObjectReader::query("geo_bounding_box", value)?;
    let mut corner = |key, corner| {
        let degrees = |value| validation.degrees(value, corner);
        let degrees = reader.take(key).map(degrees).transpose();
        degrees.map_err(QueryError::parsing)
    };
    let corners = (
        corner("top_left", Corner::TopLeft)?,
        corner("bottom_right", Corner::BottomRight)?,
        corner("top_right", Corner::TopRight)?,
        corner("bottom_left", Corner::BottomLeft)?,
    );
    let mut sides = [None; 4];
    for (side, key) in sides.iter_mut().zip(["top", "left", "bottom", "right"]) {
        *side = reader.number(key)?;
    }
    if let Some(text) = reader.take("wkt").and_then(scalar_text) {
        sides = of_wkt(&text)?;
    }
    reader.finish()?;
    let (top_left, bottom_right) = match (corners, sides) {
        ((Some(top_left), Some(bottom_right), None, None), _) => (top_left, bottom_right),
        ((None, None, Some((top, right)), Some((bottom, left))), _) => {
            ((top, left), (bottom, right))
        }
        (_, [Some(top), Some(left), Some(bottom), Some(right)]) => ((top, left), (bottom, right)),
        _ => {
            return Err(QueryError::parsing(
                "failed to parse [geo_bounding_box] query: it needs two opposite corners or four sides",
            ));
        }
    };
    if top_left.0 < bottom_right.0 {
        return Err(QueryError::illegal(format!(
            "top is below bottom corner: {:?} vs. {:?}",
            top_left.0, bottom_right.0
        )));
    }
    let (top_left, bottom_right) = match validation {
        PointValidation::Refuse => (top_left, bottom_right),
        PointValidation::Coerce => coerced(top_left, bottom_right),
    };
    let at = |(latitude, longitude)| GeoPoint::at(latitude, longitude);
    match (at(top_left), at(bottom_right)) {
        (Some(top_left), Some(bottom_right)) => Ok(GeoShape::Box {
            top_left,
            bottom_right,
        }),
        _ => Err(QueryError::parsing(
            "[geo_bounding_box] has sides beyond the earth",
        )),
    }
}

/// Brings the corners of a box back to the earth; one that goes around the earth once or more is all around it.
fn coerced(top_left: (f64, f64), bottom_right: (f64, f64)) -> ((f64, f64), (f64, f64)) {
    let (left, right) = (top_left.1, bottom_right.1);
    let is_all_around = (right - left) % 360.0 == 0.0 && right > left;
    let (mut top_left, mut bottom_right) = (
        normalized(top_left, !is_all_around),
        normalized(bottom_right, !is_all_around),
    );
    if is_all_around {
        (top_left.1, bottom_right.1) = (-180.0, 180.0);
    }
    (top_left, bottom_right)
}

fn of_wkt(text: &str) -> Result<[Option<f64>; 4], QueryError> {
    let refuse = || QueryError::parsing(format!("failed to parse WKT bounding box [{text}]"));
    let inside = text.trim().strip_prefix("BBOX").ok_or_else(refuse)?;
    let inside = inside
        .trim()
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'));
    let numbers = inside.ok_or_else(refuse)?.split(',');
    let numbers: Vec<f64> = numbers
        .map(|number| number.trim().parse().map_err(|_| refuse()))
        .collect::<Result<_, _>>()?;
    match numbers.as_slice() {
        [west, east, north, south] => Ok([*north, *west, *south, *east].map(Some)),
        _ => Err(refuse()),
    }
}
