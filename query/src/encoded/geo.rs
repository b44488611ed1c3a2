//! Points on the earth, and shapes that hold them.

mod taken;
mod written;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use written::written_degrees;

use super::Reading;

/// Mean radius of the earth in metres, as Lucene has it.
const EARTH_RADIUS_M: f64 = 6_371_008.771_4;
/// Degrees of a step of a latitude; a longitude's is twice as long.
const LATITUDE_STEP: f64 = 180.0 / 4_294_967_296.0;
const LONGITUDE_STEP: f64 = 360.0 / 4_294_967_296.0;

/// A point as the index keeps it: to a hundred-millionth of a degree, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GeoPoint {
    /// Steps of 180° / 2³² from the equator, to the north.
    pub latitude: i32,
    /// Steps of 360° / 2³² from the meridian of Greenwich, to the east.
    pub longitude: i32,
}

/// A part of the earth's surface.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GeoShape {
    /// Between two parallels and two meridians; it goes over the date line where west is greater than east.
    Box {
        /// Its corner in the north west.
        top_left: GeoPoint,
        /// Its corner in the south east.
        bottom_right: GeoPoint,
    },
    /// What is no farther from a point than some millimetres.
    Circle {
        /// The point.
        center: GeoPoint,
        /// The millimetres.
        radius_mm: u64,
    },
    /// What lies within a line through points, as on a map of degrees.
    Polygon(Vec<GeoPoint>),
}

impl GeoPoint {
    /// Returns the point at some degrees; `None` outside of the earth.
    pub fn at(latitude: f64, longitude: f64) -> Option<Self> {
        let is_on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        let steps = |degrees: f64, step: f64| (degrees / step).floor().min(f64::from(i32::MAX));
        is_on_earth.then(|| Self {
            latitude: steps(latitude, LATITUDE_STEP) as i32,
            longitude: steps(longitude, LONGITUDE_STEP) as i32,
        })
    }

    /// Returns latitude and longitude in degrees.
    pub fn degrees(&self) -> (f64, f64) {
        let latitude = f64::from(self.latitude) * LATITUDE_STEP;
        (latitude, f64::from(self.longitude) * LONGITUDE_STEP)
    }

    /// Returns its term.
    pub fn term(&self) -> String {
        let ordered = |steps: i32| (steps as u32) ^ (1 << 31);
        format!(
            "{:08x}{:08x}",
            ordered(self.latitude),
            ordered(self.longitude)
        )
    }

    /// Returns the point of a term; `None` for other texts.
    pub fn of_term(term: &str) -> Option<Self> {
        let (latitude, longitude) = term.split_at_checked(8)?;
        let steps = |digits: &str| {
            let ordered = u32::from_str_radix(digits, 16).ok()?;
            Some((ordered ^ (1 << 31)) as i32)
        };
        Some(Self {
            latitude: steps(latitude)?,
            longitude: steps(longitude)?,
        })
    }

    /// Returns the way to another point along the surface of a sphere, in metres (haversine).
    pub fn distance_m(&self, other: &Self) -> f64 {
        let ((a_lat, a_lon), (b_lat, b_lon)) = (self.degrees(), other.degrees());
        let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
        let parallels = a_lat.to_radians().cos() * b_lat.to_radians().cos();
        let share = half(a_lat, b_lat) + parallels * half(a_lon, b_lon);
        2.0 * EARTH_RADIUS_M * share.sqrt().min(1.0).asin()
    }

    /// Returns the way to another point on a plane, in metres: too long over the date line and near the poles
    /// (Elasticsearch's `GeoUtils.planeDistance`).
    pub fn plane_distance_m(&self, other: &Self) -> f64 {
        let ((a_lat, a_lon), (b_lat, b_lon)) = (self.degrees(), other.degrees());
        let parallel = f64::midpoint(a_lat, b_lat).to_radians().cos();
        let east = (b_lon - a_lon).to_radians() * parallel;
        let north = (b_lat - a_lat).to_radians();
        (east * east + north * north).sqrt() * EARTH_RADIUS_M
    }
}

impl GeoShape {
    /// Returns whether a point lies in it; its edge belongs to it.
    pub fn holds(&self, point: &GeoPoint) -> bool {
        match self {
            Self::Box {
                top_left,
                bottom_right,
            } => {
                let (west, east) = (top_left.longitude, bottom_right.longitude);
                let is_between = match west <= east {
                    true => (west..=east).contains(&point.longitude),
                    false => point.longitude >= west || point.longitude <= east,
                };
                (bottom_right.latitude..=top_left.latitude).contains(&point.latitude) && is_between
            }
            Self::Circle { center, radius_mm } => {
                center.distance_m(point) * 1_000.0 <= *radius_mm as f64
            }
            Self::Polygon(points) => is_within(points, point),
        }
    }
}

/// Counts how often a line to the east crosses the edges (even-odd rule), in whole steps, so that no
/// rounding decides.
fn is_within(points: &[GeoPoint], point: &GeoPoint) -> bool {
    let place = |point: &GeoPoint| (i128::from(point.longitude), i128::from(point.latitude));
    let (x, y) = place(point);
    let mut is_inside = false;
    for (at, from) in points.iter().enumerate() {
        let ((x1, y1), (x2, y2)) = (place(from), place(&points[(at + 1) % points.len()]));
        let cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
        let is_on_edge = cross == 0
            && (x1.min(x2)..=x1.max(x2)).contains(&x)
            && (y1.min(y2)..=y1.max(y2)).contains(&y);
        if is_on_edge {
            return true;
        }
        if (y1 > y) != (y2 > y) && (cross > 0) == (y2 > y1) {
            is_inside = !is_inside;
        }
    }
    is_inside
}

/// A corner of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    /// North and west.
    TopLeft,
    /// North and east.
    TopRight,
    /// South and west.
    BottomLeft,
    /// South and east.
    BottomRight,
}

impl Corner {
    /// Returns latitude and longitude of this corner of a cell.
    fn of(self, cell: &Cell) -> (f64, f64) {
        let latitude = match self {
            Self::TopLeft | Self::TopRight => cell.latitude.1,
            Self::BottomLeft | Self::BottomRight => cell.latitude.0,
        };
        let longitude = match self {
            Self::TopRight | Self::BottomRight => cell.longitude.1,
            Self::TopLeft | Self::BottomLeft => cell.longitude.0,
        };
        (latitude, longitude)
    }
}

/// Reads a point: `{"lat": …, "lon": …}`, `[lon, lat]`, `"lat,lon"`, `POINT (lon lat)`, a geohash (the south-western
/// corner of its cell), `{"geohash": …}` or `{"type": "Point", "coordinates": […]}`.
///
/// # Errors
/// Why it is no point.
pub fn parse_point(value: &Value) -> Result<GeoPoint, String> {
    parse_corner(value, Corner::BottomLeft)
}

/// As [`parse_point`]; of a geohash's cell it is `corner`.
///
/// # Errors
/// As [`parse_point`].
pub fn parse_corner(value: &Value, corner: Corner) -> Result<GeoPoint, String> {
    let (latitude, longitude) = parse_degrees(value, corner)?;
    point_at(latitude, longitude, value)
}

/// As [`parse_point`], but reads a value of a document.
///
/// # Errors
/// As [`parse_point`].
pub fn read_point(value: &Value, reading: Reading) -> Result<GeoPoint, String> {
    let (latitude, longitude) = read_degrees(value, reading)?;
    point_at(latitude, longitude, value)
}

fn point_at(latitude: f64, longitude: f64, value: &Value) -> Result<GeoPoint, String> {
    let point = GeoPoint::at(latitude, longitude);
    point.ok_or_else(|| format!("failed to parse geo_point from [{value}]"))
}

/// As [`parse_corner`], but returns latitude and longitude in degrees as they are written.
///
/// # Errors
/// As [`parse_point`].
pub fn parse_degrees(value: &Value, corner: Corner) -> Result<(f64, f64), String> {
    let (latitude, longitude) = written_degrees(value, corner)?;
    check_degrees(latitude, longitude)?;
    Ok((latitude, longitude))
}

/// As [`read_point`], but returns latitude and longitude in degrees as they are written.
///
/// # Errors
/// As [`parse_point`].
pub fn read_degrees(value: &Value, reading: Reading) -> Result<(f64, f64), String> {
    let (latitude, longitude) = match reading {
        Reading::New => written_degrees(value, Corner::BottomLeft)?,
        Reading::Taken => taken::taken_degrees(value)?,
    };
    check_degrees(latitude, longitude)?;
    Ok((latitude, longitude))
}

/// Refuses latitudes and longitudes beyond the earth.
fn check_degrees(latitude: f64, longitude: f64) -> Result<(), String> {
    // What is no number is out too.
    let is_in = |degrees: f64, most: f64| degrees.abs() <= most;
    if !is_in(latitude, 90.0) {
        return Err(format!(
            "illegal latitude value [{latitude}] for a geo_point"
        ));
    }
    if !is_in(longitude, 180.0) {
        return Err(format!(
            "illegal longitude value [{longitude}] for a geo_point"
        ));
    }
    Ok(())
}

/// The cell of a geohash, by its edges: the lower one first.
struct Cell {
    latitude: (f64, f64),
    longitude: (f64, f64),
}

impl Cell {
    fn of_geohash(text: &str) -> Option<Self> {
        const DIGITS: &[u8] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        if text.is_empty() || text.len() > 12 {
            return None;
        }
        let mut cell = Self {
            latitude: (-90.0, 90.0),
            longitude: (-180.0, 180.0),
        };
        let mut is_longitude = true;
        for byte in text.bytes() {
            let digit = DIGITS
                .iter()
                .position(|digit| *digit == byte.to_ascii_lowercase())?;
            for bit in (0..5).rev() {
                let range: &mut (f64, f64) = match is_longitude {
                    true => &mut cell.longitude,
                    false => &mut cell.latitude,
                };
                let middle = f64::midpoint(range.0, range.1);
                match digit >> bit & 1 == 1 {
                    true => range.0 = middle,
                    false => range.1 = middle,
                }
                is_longitude = !is_longitude;
            }
        }
        Some(cell)
    }
}

/// Units of distances with their metres, those whose end is another's before it.
const UNITS: [(&str, f64); 19] = [
    ("nauticalmiles", 1_852.0),
    ("kilometers", 1_000.0),
    ("centimeters", 0.01),
    ("millimeters", 0.001),
    ("meters", 1.0),
    ("miles", 1_609.344),
    ("yards", 0.914_4),
    ("inch", 0.025_4),
    ("feet", 0.304_8),
    ("nmi", 1_852.0),
    ("NM", 1_852.0),
    ("km", 1_000.0),
    ("cm", 0.01),
    ("mm", 0.001),
    ("mi", 1_609.344),
    ("yd", 0.914_4),
    ("ft", 0.304_8),
    ("in", 0.025_4),
    ("m", 1.0),
];

/// Returns the metres of a unit such as `km`; `None` where it is none.
pub fn unit_m(name: &str) -> Option<f64> {
    let unit = UNITS.iter().find(|(unit, _)| *unit == name);
    unit.map(|(_, metres)| *metres)
}

/// Reads a distance such as `12km` in metres; a bare number is metres.
///
/// # Errors
/// What is wrong with it.
pub fn parse_distance(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let unit = UNITS
        .iter()
        .find_map(|(name, metres)| Some((text.strip_suffix(name)?, *metres)));
    let (number, metres) = unit.unwrap_or((text, 1.0));
    let number = number.trim().parse::<f64>().ok();
    let distance = number.map(|number| number * metres);
    distance
        .filter(|distance| distance.is_finite() && *distance >= 0.0)
        .ok_or_else(|| format!("failed to parse distance [{text}]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_are_read_in_all_their_forms() {
        let paris = GeoPoint::at(48.8566, 2.3522).expect("on the earth");
        for value in [
            json!({"lat": 48.8566, "lon": 2.3522}),
            json!([2.3522, 48.8566]),
            json!("48.8566, 2.3522"),
            json!("POINT (2.3522 48.8566)"),
            json!({"type": "Point", "coordinates": [2.3522, 48.8566]}),
        ] {
            assert_eq!(parse_point(&value), Ok(paris), "{value}");
        }
        let cell = parse_point(&json!("u09tvw0f6")).expect("a geohash");
        assert!(cell.distance_m(&paris) < 100.0);
        assert_eq!(GeoPoint::of_term(&paris.term()), Some(paris));
        for wrong in [
            json!({"lat": 91, "lon": 0}),
            json!({"lat": 1}),
            json!("a,b"),
            json!(7),
        ] {
            assert!(parse_point(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shapes_hold_what_lies_in_them() {
        let at = |latitude, longitude| GeoPoint::at(latitude, longitude).expect("on the earth");
        let (paris, london) = (at(48.8566, 2.3522), at(51.5074, -0.1278));
        let distance = paris.distance_m(&london);
        assert!((distance - 343_556.0).abs() < 500.0, "{distance}");
        let circle = |radius_mm| GeoShape::Circle {
            center: paris,
            radius_mm,
        };
        assert!(circle(344_500_000).holds(&london) && !circle(340_000_000).holds(&london));
        let over_the_date_line = GeoShape::Box {
            top_left: at(10.0, 170.0),
            bottom_right: at(-10.0, -170.0),
        };
        assert!(over_the_date_line.holds(&at(0.0, 175.0)));
        assert!(over_the_date_line.holds(&at(0.0, -175.0)));
        assert!(!over_the_date_line.holds(&at(0.0, 0.0)));
        let square = [(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)];
        let square = GeoShape::Polygon(square.map(|(lat, lon)| at(lat, lon)).to_vec());
        assert!(square.holds(&at(5.0, 5.0)) && square.holds(&at(0.0, 5.0)));
        assert!(!square.holds(&at(5.0, 11.0)) && !square.holds(&at(-1.0, 5.0)));
    }

    #[test]
    fn distances_have_units() {
        assert_eq!(parse_distance("12km"), Ok(12_000.0));
        assert_eq!(parse_distance("1 mi"), Ok(1_609.344));
        assert_eq!(parse_distance("250"), Ok(250.0));
        assert!(parse_distance("far").is_err());
        assert_eq!((unit_m("mi"), unit_m("m")), (Some(1_609.344), Some(1.0)));
        assert_eq!((unit_m("leagues"), unit_m("")), (None, None));
    }

    #[test]
    fn a_plane_is_like_a_sphere_where_distances_are_short() {
        let at = |latitude, longitude| GeoPoint::at(latitude, longitude).expect("on the earth");
        let (paris, london) = (at(48.8566, 2.3522), at(51.5074, -0.1278));
        let (arc, plane) = (paris.distance_m(&london), paris.plane_distance_m(&london));
        assert!(arc != plane && (arc - plane).abs() < 100.0, "{arc} {plane}");
        let (west, east) = (at(0.0, -179.0), at(0.0, 179.0));
        assert!(west.plane_distance_m(&east) > 100.0 * west.distance_m(&east));
    }

    #[test]
    fn corners_of_a_geohash_are_those_of_its_cell() {
        let of = |corner| parse_corner(&json!("u1"), corner).expect("a geohash");
        let rounded = |point: GeoPoint| {
            let (latitude, longitude) = point.degrees();
            [latitude, longitude].map(|degrees| (degrees * 1e3).round() / 1e3)
        };
        for (corner, place) in [
            (Corner::TopLeft, [56.25, 0.0]),
            (Corner::TopRight, [56.25, 11.25]),
            (Corner::BottomLeft, [50.625, 0.0]),
            (Corner::BottomRight, [50.625, 11.25]),
        ] {
            assert_eq!(rounded(of(corner)), place, "{corner:?}");
        }
        let point = parse_point(&json!({"geohash": "u1"})).expect("a geohash");
        assert_eq!(
            point,
            of(Corner::BottomLeft),
            "of a point the south-western one"
        );
    }
}
