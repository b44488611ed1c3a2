//! Requests of aggregations of points.
//!
//! Source: Elasticsearch reference, *Geohash grid*, *Geotile grid* and *Geo-distance aggregation*.

use serde::Serialize;

use super::RangeAggregation;
use crate::encoded::{GeoPoint, GeoShape};

/// Cells of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum GeoGrid {
    /// Cells of geohashes of so many characters, 1 to 12.
    Geohash(u8),
    /// Map tiles of this zoom, 0 to 29.
    Geotile(u8),
}

impl GeoGrid {
    /// Returns the name of the aggregation that counts such cells.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Geohash(_) => "geohash_grid",
            Self::Geotile(_) => "geotile_grid",
        }
    }
}

/// `geohash_grid` and `geotile_grid`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoGridAggregation {
    /// Field.
    pub field: String,
    /// The cells.
    pub grid: GeoGrid,
    /// Buckets returned; default 10,000.
    pub size: usize,
    /// Only cells that overlap this box count, with all their points.
    pub bounds: Option<GeoShape>,
}

/// `geo_distance`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoDistanceAggregation {
    /// What distances are measured from.
    pub origin: GeoPoint,
    /// Metres of the unit that bounds are given in; default 1.
    pub unit_m: f64,
    /// The field, and ranges of distances.
    pub range: RangeAggregation,
}
