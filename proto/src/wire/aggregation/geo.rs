//! Grids of points and ranges of distances.

use gleaner_query::aggregation::{GeoDistanceAggregation, GeoGrid, GeoGridAggregation};
use gleaner_query::encoded::{GeoPoint, GeoShape};

use super::super::field::{byte, known, one, size};
use super::super::{DecodeError, Wire, v1};

/// Returns the sides of a box: north, west, south, east; none without one.
pub(super) fn box_message(bounds: Option<&GeoShape>) -> Vec<i32> {
    match bounds {
        Some(GeoShape::Box {
            top_left,
            bottom_right,
        }) => vec![
            top_left.latitude,
            top_left.longitude,
            bottom_right.latitude,
            bottom_right.longitude,
        ],
        // Requests have no other shapes.
        _ => Vec::new(),
    }
}

/// Reads what [`box_message`] wrote into the field `name`.
pub(super) fn box_of(sides: &[i32], name: &'static str) -> Result<Option<GeoShape>, DecodeError> {
    match sides {
        [] => Ok(None),
        [north, west, south, east] => Ok(Some(GeoShape::Box {
            top_left: GeoPoint {
                latitude: *north,
                longitude: *west,
            },
            bottom_right: GeoPoint {
                latitude: *south,
                longitude: *east,
            },
        })),
        _ => Err(DecodeError::field(name, "not four sides")),
    }
}

impl Wire for GeoGridAggregation {
    type Message = v1::GeoGridAggregation;

    fn to_message(&self) -> v1::GeoGridAggregation {
        use v1::geo_grid_aggregation::Grid;
        let Self {
            field,
            grid,
            size,
            bounds,
        } = self;
        v1::GeoGridAggregation {
            field: field.clone(),
            grid: Some(match grid {
                GeoGrid::Geohash(length) => Grid::Geohash((*length).into()),
                GeoGrid::Geotile(zoom) => Grid::Geotile((*zoom).into()),
            }),
            size: *size as u64,
            bounds: box_message(bounds.as_ref()),
        }
    }

    fn from_message(message: v1::GeoGridAggregation) -> Result<Self, DecodeError> {
        use v1::geo_grid_aggregation::Grid;
        let v1::GeoGridAggregation {
            field,
            grid,
            size: wanted,
            bounds,
        } = message;
        let precise = |number, most: u8| {
            let number = byte(number, "GeoGrid.grid")?;
            match number <= most {
                true => Ok(number),
                false => Err(DecodeError::field("GeoGrid.grid", "too fine")),
            }
        };
        Ok(Self {
            field,
            grid: match known(grid, "GeoGrid.grid")? {
                Grid::Geohash(length) => GeoGrid::Geohash(precise(length, 12)?),
                Grid::Geotile(zoom) => GeoGrid::Geotile(precise(zoom, 29)?),
            },
            size: size(wanted, "GeoGrid.size")?,
            bounds: box_of(&bounds, "GeoGrid.bounds")?,
        })
    }
}

impl Wire for GeoDistanceAggregation {
    type Message = v1::GeoDistanceAggregation;

    fn to_message(&self) -> v1::GeoDistanceAggregation {
        let Self {
            origin,
            unit_m,
            range,
        } = self;
        v1::GeoDistanceAggregation {
            latitude: origin.latitude,
            longitude: origin.longitude,
            unit_m: *unit_m,
            range: Some(range.to_message()),
        }
    }

    fn from_message(message: v1::GeoDistanceAggregation) -> Result<Self, DecodeError> {
        let v1::GeoDistanceAggregation {
            latitude,
            longitude,
            unit_m,
            range,
        } = message;
        Ok(Self {
            origin: GeoPoint {
                latitude,
                longitude,
            },
            unit_m,
            range: one(range, "GeoDistance.range")?,
        })
    }
}
