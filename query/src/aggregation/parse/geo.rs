//! `geohash_grid`, `geotile_grid`, `geo_distance`, `geo_bounds`, `geo_centroid`.

use serde_json::Value;

use super::{Context, bucket, source, terms};
use crate::aggregation::{
    AggregationKind, AggregationRange, GeoDistanceAggregation, GeoGrid, GeoGridAggregation,
    RangeAggregation, ValueSource,
};
use crate::double::java_text;
use crate::dsl::parse_box;
use crate::encoded::{parse_distance, parse_point};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Cells returned where a request says nothing.
const DEFAULT_SIZE: usize = 10_000;
/// Length of geohashes where a request says nothing.
const DEFAULT_LENGTH: u8 = 5;
/// Zoom of map tiles where a request says nothing.
const DEFAULT_ZOOM: u8 = 7;
/// Length in metres of a geohash's cell: half of the latitude of an odd one, a quarter of an even one.
const CELL_WIDTHS_M: [f64; 12] = [
    5_009_400.0,
    1_252_300.0,
    156_500.0,
    39_100.0,
    4_900.0,
    1_200.0,
    152.9,
    38.2,
    4.8,
    1.2,
    0.149,
    0.037,
];

/// Reads the body of `geohash_grid` or `geotile_grid`.
pub(super) fn grid(
    kind: &str,
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part(kind, body)?;
    let field = field_of_points(&mut reader)?;
    let grid = match kind {
        "geohash_grid" => GeoGrid::Geohash(length(&mut reader)?),
        _ => GeoGrid::Geotile(zoom(&mut reader)?),
    };
    let size = terms::size(&mut reader, "size", context)?;
    terms::size_of_shards(&mut reader, context)?;
    let bounds = reader.take("bounds").map(parse_box).transpose()?;
    reader.finish()?;
    Ok(AggregationKind::GeoGrid(GeoGridAggregation {
        field,
        grid,
        size: size.unwrap_or(DEFAULT_SIZE),
        bounds,
    }))
}

/// Reads the field. What would stand for points that are missing is refused.
fn field_of_points(reader: &mut ObjectReader<'_>) -> Result<String, QueryError> {
    reader.unsupported_unless_empty(&["missing"])?;
    source::field(reader)
}

/// Reads the length of geohashes: a number, or the distance that their cells are no wider than.
fn length(reader: &mut ObjectReader<'_>) -> Result<u8, QueryError> {
    if let Some(Value::String(text)) = reader.take("precision")
        && text.parse::<i64>().is_err()
    {
        return length_of(text);
    }
    match reader.integer("precision")? {
        None => Ok(DEFAULT_LENGTH),
        Some(length @ 1..=12) => Ok(length as u8),
        Some(other) => Err(QueryError::illegal(format!(
            "Invalid geohash aggregation precision of {other}. Must be between 1 and 12."
        ))),
    }
}

/// Reads the zoom of map tiles.
pub(super) fn zoom(reader: &mut ObjectReader<'_>) -> Result<u8, QueryError> {
    match reader.integer("precision")? {
        None => Ok(DEFAULT_ZOOM),
        Some(zoom @ 0..=29) => Ok(zoom as u8),
        Some(other) => Err(QueryError::illegal(format!(
            "Invalid geotile_grid precision of {other}. Must be between 0 and 29."
        ))),
    }
}

/// Returns the least length of geohashes whose cells are no wider than a distance.
fn length_of(text: &str) -> Result<u8, QueryError> {
    let wanted = parse_distance(text).map_err(QueryError::illegal)?;
    let fits = |width: &f64| *width <= wanted;
    let at = CELL_WIDTHS_M.iter().position(fits);
    at.map(|at| at as u8 + 1)
        .ok_or_else(|| QueryError::illegal(format!("precision too high [{text}]")))
}

/// Reads the body of `geo_distance`.
pub(super) fn distance(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_distance", body)?;
    let field = field_of_points(&mut reader)?;
    let origin = reader.take_any(&["origin", "center", "point", "por"]);
    let origin = origin.ok_or_else(|| {
        QueryError::illegal("Aggregation [geo_distance] must define an [origin].")
    })?;
    let origin = parse_point(origin).map_err(QueryError::parsing)?;
    let unit = reader.text("unit")?.unwrap_or_else(|| "m".to_owned());
    let unit_m = parse_distance(&format!("1{unit}"))
        .map_err(|_| QueryError::illegal(format!("No match found for value [{unit}] of [unit]")))?;
    match reader.text("distance_type")?.as_deref() {
        None | Some("arc") => {}
        Some(other) => {
            return Err(QueryError::parsing(format!(
                "[geo_distance] [distance_type] of [{other}] is not supported, only [arc] is"
            )));
        }
    }
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    let ranges = bucket::ranges(&mut reader, "geo_distance", context)?;
    let ranges = ranges.into_iter().map(of_distances).collect();
    reader.finish()?;
    Ok(AggregationKind::GeoDistance(GeoDistanceAggregation {
        origin,
        unit_m,
        range: RangeAggregation {
            source: ValueSource {
                field,
                value_type: None,
                missing: None,
                format: None,
            },
            ranges,
            keyed,
            is_date: false,
            time_zone: None,
        },
    }))
}

/// Returns a range that begins at 0 where it does not say at which distance, with the key that Elasticsearch's
/// `GeoDistanceAggregationBuilder` gives it where it has none: `*-100.0`.
fn of_distances(range: AggregationRange) -> AggregationRange {
    let text = |bound: &Option<Value>| {
        let number = bound.as_ref().and_then(source::number);
        number.map_or_else(|| "*".to_owned(), java_text)
    };
    let is_from_0 = range.from.as_ref().and_then(source::number) == Some(0.0);
    let from = range.from.clone().filter(|_| !is_from_0);
    let key = range.key;
    AggregationRange {
        key: key.or_else(|| Some(format!("{}-{}", text(&from), text(&range.to)))),
        from: range.from.or_else(|| Some(Value::from(0.0))),
        to: range.to,
    }
}

/// Reads the body of `geo_bounds`.
pub(super) fn bounds(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_bounds", body)?;
    let field = field_of_points(&mut reader)?;
    let wraps = reader.boolean("wrap_longitude")?.unwrap_or(true);
    reader.finish()?;
    Ok(AggregationKind::GeoBounds { field, wraps })
}

/// Reads the body of `geo_centroid`.
pub(super) fn centroid(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_centroid", body)?;
    let field = field_of_points(&mut reader)?;
    reader.finish()?;
    Ok(AggregationKind::GeoCentroid { field })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aggregation::parse_aggregations;
    use crate::limits::Limits;

    fn refused(kind: &str, key: &str, value: &Value) -> String {
        let body = json!({"cells": {kind: {"field": "place", key: value}}});
        let read = parse_aggregations(&body, &Limits::default());
        read.expect_err("it is refused").reason
    }

    #[test]
    fn nothing_stands_for_points_that_are_missing() {
        for kind in [
            "geohash_grid",
            "geotile_grid",
            "geo_distance",
            "geo_bounds",
            "geo_centroid",
        ] {
            let reason = refused(kind, "missing", &json!("52.37,4.91"));
            assert_eq!(reason, format!("[{kind}] [missing] is not supported"));
        }
        let none = json!({"box": {"geo_bounds": {"field": "place", "missing": null}}});
        assert!(parse_aggregations(&none, &Limits::default()).is_ok());
    }

    #[test]
    fn distances_begin_at_0_where_ranges_do_not_say_so() {
        let ranges = json!([
            {"to": 100},
            {"from": 0, "to": 100.5},
            {"from": 100},
            {"key": "near", "to": 1},
            {"from": "5", "to": "10"},
        ]);
        let body =
            json!({"x": {"geo_distance": {"field": "place", "origin": "1,1", "ranges": ranges}}});
        let read = parse_aggregations(&body, &Limits::default()).expect("good");
        let AggregationKind::GeoDistance(request) = &read[0].kind else {
            panic!("not of distances: {read:?}");
        };
        let ranges = request.range.ranges.iter();
        let keys: Vec<&str> = ranges
            .clone()
            .filter_map(|range| range.key.as_deref())
            .collect();
        assert_eq!(keys, ["*-100.0", "*-100.5", "100.0-*", "near", "5.0-10.0"]);
        let starts: Vec<_> = ranges.filter_map(|range| range.from.clone()).collect();
        let expected = [json!(0.0), json!(0), json!(100), json!(0.0), json!("5")];
        assert_eq!(starts, expected);
    }

    #[test]
    fn numbers_of_a_grid_are_refused_in_its_own_words() {
        let geohash = |number: &str| {
            format!("Invalid geohash aggregation precision of {number}. Must be between 1 and 12.")
        };
        let geotile = |number: &str| {
            format!("Invalid geotile_grid precision of {number}. Must be between 0 and 29.")
        };
        for (kind, precision, expected) in [
            ("geohash_grid", json!(0), geohash("0")),
            ("geohash_grid", json!("13"), geohash("13")),
            ("geohash_grid", json!("-1"), geohash("-1")),
            (
                "geohash_grid",
                json!("1cm"),
                "precision too high [1cm]".to_owned(),
            ),
            ("geotile_grid", json!(-1), geotile("-1")),
            ("geotile_grid", json!("30"), geotile("30")),
        ] {
            assert_eq!(refused(kind, "precision", &precision), expected);
        }
        for kind in ["geohash_grid", "geotile_grid"] {
            for key in ["size", "shard_size"] {
                let expected = format!("[{key}] must be greater than 0. Found [0] in [cells]");
                assert_eq!(refused(kind, key, &json!(0)), expected, "{kind}");
            }
        }
    }
}
