//! What `_geo_distance` sorts by: how far points of documents are from others.
//!
//! Source: Elasticsearch reference, *Sort search results*, *Geo distance sorting*.

use serde::Serialize;

use crate::encoded::GeoPoint;

/// Distances of a field's points from some others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointDistance {
    /// Field of type `geo_point`.
    pub field: String,
    /// What distances are measured from; each counts with each value of a document. At least one.
    pub origins: Vec<GeoPoint>,
    /// Metres of the unit in which distances are returned; default 1.
    pub unit_m: f64,
    /// Whether distances are those on a plane (`distance_type`); default `false`, along a sphere.
    pub is_plane: bool,
}

impl PointDistance {
    /// Returns how far `point` is from `origin`, in the unit.
    pub fn between(&self, origin: &GeoPoint, point: &GeoPoint) -> f64 {
        let metres = match self.is_plane {
            true => origin.plane_distance_m(point),
            false => origin.distance_m(point),
        };
        metres / self.unit_m
    }
}
