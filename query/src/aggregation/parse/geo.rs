//! `geohash_grid`, `geotile_grid`, `geo_distance`, `geo_bounds`, `geo_centroid`.

use serde_json::Value;

use super::{Context, bucket, source, terms};
use crate::aggregation::{
    AggregationKind, GeoDistanceAggregation, GeoGrid, GeoGridAggregation, RangeAggregation,
    ValueSource,
};
use crate::dsl::parse_box;
use crate::encoded::{parse_distance, parse_point};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Cells returned where a request says nothing.
const DEFAULT_SIZE: usize = 10_000;
/// Length of geohashes where a request says nothing, and the longest ones.
const GEOHASH_LENGTHS: (u64, u64) = (5, 12);
/// Zoom of map tiles where a request says nothing, and the finest one.
const ZOOMS: (u64, u64) = (7, 29);
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
    let field = source::field(&mut reader)?;
    let is_hash = kind == "geohash_grid";
    let precision = match reader.take("precision") {
        None => None,
        Some(Value::String(text)) if is_hash && text.parse::<u64>().is_err() => {
            Some(length_of(text)?)
        }
        Some(_) => reader.count("precision")?,
    };
    let (least, (default, most)) = match is_hash {
        true => (1, GEOHASH_LENGTHS),
        false => (0, ZOOMS),
    };
    let precision = precision.unwrap_or(default);
    if !(least..=most).contains(&precision) {
        let what = if is_hash { "geohash" } else { "geotile_grid" };
        return Err(QueryError::illegal(format!(
            "Invalid {what} aggregation precision of {precision}. Must be between {least} and {most}."
        )));
    }
    let size = terms::size(&mut reader, "size", context)?;
    terms::size_of_shards(&mut reader, context)?;
    let bounds = reader.take("bounds").map(parse_box).transpose()?;
    reader.finish()?;
    Ok(AggregationKind::GeoGrid(GeoGridAggregation {
        field,
        grid: match is_hash {
            true => GeoGrid::Geohash(precision as u8),
            false => GeoGrid::Geotile(precision as u8),
        },
        size: size.unwrap_or(DEFAULT_SIZE),
        bounds,
    }))
}

/// Returns the least length of geohashes whose cells are no wider than a distance.
fn length_of(text: &str) -> Result<u64, QueryError> {
    let wanted = parse_distance(text).map_err(QueryError::illegal)?;
    let fits = |width: &f64| *width <= wanted;
    let at = CELL_WIDTHS_M.iter().position(fits);
    at.map(|at| at as u64 + 1).ok_or_else(|| {
        QueryError::illegal(format!(
            "precision too high [{text}] for geohashes of at most 12 characters"
        ))
    })
}

/// Reads the body of `geo_distance`.
pub(super) fn distance(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_distance", body)?;
    let field = source::field(&mut reader)?;
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

/// Reads the body of `geo_bounds`.
pub(super) fn bounds(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_bounds", body)?;
    let field = source::field(&mut reader)?;
    let wraps = reader.boolean("wrap_longitude")?.unwrap_or(true);
    reader.finish()?;
    Ok(AggregationKind::GeoBounds { field, wraps })
}

/// Reads the body of `geo_centroid`.
pub(super) fn centroid(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("geo_centroid", body)?;
    let field = source::field(&mut reader)?;
    reader.finish()?;
    Ok(AggregationKind::GeoCentroid { field })
}
