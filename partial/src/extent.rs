//! Partial result of `geo_bounds` and `geo_centroid`: where points lie, in whole steps of the index.

use gleaner_query::encoded::GeoPoint;
use serde::{Deserialize, Serialize};

/// Where points lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoExtent {
    /// Points seen.
    pub count: u64,
    /// Sums of their latitudes and longitudes.
    sums: (i64, i64),
    /// Smallest and largest latitude.
    latitudes: Option<(i32, i32)>,
    /// Smallest and largest longitude to the west of Greenwich.
    west: Option<(i32, i32)>,
    /// Smallest and largest longitude to the east of it.
    east: Option<(i32, i32)>,
}

impl GeoExtent {
    /// Adds a point.
    pub fn add(&mut self, point: GeoPoint) {
        let GeoPoint {
            latitude,
            longitude,
        } = point;
        let one = |steps: i32| Some((steps, steps));
        self.merge(&Self {
            count: 1,
            sums: (latitude.into(), longitude.into()),
            latitudes: one(latitude),
            west: if longitude < 0 { one(longitude) } else { None },
            east: if longitude < 0 { None } else { one(longitude) },
        });
    }

    /// Adds the points of another segment or shard.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        // 2^31 points at the end of the earth are far from the end of the sum.
        self.sums.0 = self.sums.0.saturating_add(other.sums.0);
        self.sums.1 = self.sums.1.saturating_add(other.sums.1);
        self.latitudes = joined(self.latitudes, other.latitudes);
        self.west = joined(self.west, other.west);
        self.east = joined(self.east, other.east);
    }

    /// Returns the corners in the north west and in the south east; `None` without points. A box that `wraps`
    /// goes over the date line where it is narrower so.
    pub fn corners(&self, wraps: bool) -> Option<[GeoPoint; 2]> {
        let (south, north) = self.latitudes?;
        let (left, right) = match (self.west, self.east) {
            (Some(west), Some(east)) => {
                let across = i64::from(east.1) - i64::from(west.0);
                let around = (1_i64 << 32) - i64::from(east.0) + i64::from(west.1);
                match wraps && around < across {
                    true => (east.0, west.1),
                    false => (west.0, east.1),
                }
            }
            (one, other) => one.or(other)?,
        };
        let corner = |latitude, longitude| GeoPoint {
            latitude,
            longitude,
        };
        Some([corner(north, left), corner(south, right)])
    }

    /// Returns the mean of latitudes and of longitudes in degrees; `None` without points.
    pub fn middle(&self) -> Option<(f64, f64)> {
        if self.count == 0 {
            return None;
        }
        let mean =
            |sum: i64, degrees: f64| sum as f64 / self.count as f64 * degrees / 4_294_967_296.0;
        Some((mean(self.sums.0, 180.0), mean(self.sums.1, 360.0)))
    }
}

fn joined(a: Option<(i32, i32)>, b: Option<(i32, i32)>) -> Option<(i32, i32)> {
    match (a, b) {
        (Some((min, max)), Some((from, to))) => Some((min.min(from), max.max(to))),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(points: &[(f64, f64)]) -> GeoExtent {
        let mut extent = GeoExtent::default();
        for (latitude, longitude) in points {
            extent.add(GeoPoint::at(*latitude, *longitude).expect("on the earth"));
        }
        extent
    }

    #[test]
    fn boxes_go_over_the_date_line_where_that_is_shorter() {
        let fiji = extent(&[(-17.0, 178.0), (-18.0, -179.0)]);
        let shown = |wraps| {
            let corners = fiji.corners(wraps).expect("there are points");
            corners.map(|corner| corner.degrees().1.round())
        };
        assert_eq!(shown(true), [178.0, -179.0]);
        assert_eq!(shown(false), [-179.0, 178.0]);
        assert_eq!(GeoExtent::default().corners(true), None);
    }

    #[test]
    fn the_middle_is_the_mean() {
        let (latitude, longitude) = extent(&[(10.0, 20.0), (20.0, 40.0)]).middle().expect("one");
        assert!((latitude - 15.0).abs() < 1e-7 && (longitude - 30.0).abs() < 1e-7);
        assert_eq!(GeoExtent::default().middle(), None);
    }
}
