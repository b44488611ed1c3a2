//! The cells that points are in: of geohashes and of map tiles.
//!
//! Source: Niemeyer, *Geohash* (2008); OpenStreetMap wiki, *Slippy map tilenames*; for boxes Elasticsearch's
//! `GeoHashBoundedPredicate` and `GeoTileBoundedPredicate`.

use std::ops::Range;

use gleaner_query::aggregation::GeoGrid;
use gleaner_query::encoded::{GeoPoint, GeoShape};

/// Bits of a coordinate that geohashes keep: half of twelve characters.
const HASH_BITS: u32 = 30;
/// Bits that a map tile's row takes in a cell's number.
const ROW_BITS: u32 = 29;
/// The characters of geohashes.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Degrees from the equator at which maps end.
const MAP_END: f64 = 85.051_128_779_806_6;

/// The cells of a grid, or those that overlap a box: with all of their points, also those outside the box.
#[derive(Debug, Clone)]
pub struct Cells {
    grid: GeoGrid,
    within: Option<Within>,
}

/// The columns, from the west, and rows of cells that overlap a box.
#[derive(Debug, Clone)]
struct Within {
    columns: Range<u64>,
    /// Whether the box goes over the date line: then cells are on one of its sides.
    wraps: bool,
    rows: Range<u64>,
}

impl Cells {
    /// Returns all cells of a grid, or those that share more than their edge with the box `bounds`.
    pub fn new(grid: GeoGrid, bounds: Option<&GeoShape>) -> Self {
        let within = match bounds {
            Some(GeoShape::Box {
                top_left,
                bottom_right,
            }) => Some(Within::of(grid, *top_left, *bottom_right)),
            // Requests have no other shapes.
            _ => None,
        };
        Self { grid, within }
    }

    /// Returns the number of the cell that a point is in, if it is one of these.
    pub fn of(&self, point: GeoPoint) -> Option<i64> {
        let is_one = match &self.within {
            None => true,
            Some(within) => within.has(place(self.grid, point)),
        };
        is_one.then(|| cell(self.grid, point))
    }
}

impl Within {
    fn of(grid: GeoGrid, top_left: GeoPoint, bottom_right: GeoPoint) -> Self {
        let (west, east) = (offset(top_left.longitude), offset(bottom_right.longitude));
        let (north, south) = (top_left.latitude, bottom_right.latitude);
        let (across, rows) = match grid {
            GeoGrid::Geohash(length) => {
                let (across, along) = hash_bits(length);
                let rows = begin_part(offset(south), along)..end_part(offset(north), along);
                (across, rows)
            }
            GeoGrid::Geotile(zoom) => (zoom.min(29).into(), tile_rows(zoom, north, south)),
        };
        Self {
            columns: begin_part(west, across)..end_part(east, across),
            wraps: east < west,
            rows,
        }
    }

    fn has(&self, (column, row): (u64, u64)) -> bool {
        let is_in_column = match self.wraps {
            true => column >= self.columns.start || column < self.columns.end,
            false => self.columns.contains(&column),
        };
        is_in_column && self.rows.contains(&row)
    }
}

/// Returns the steps of a coordinate from its least one.
fn offset(steps: i32) -> u64 {
    u64::from(steps as u32 ^ (1 << 31))
}

/// Returns in which of 2^`bits` equal parts a coordinate is.
fn part(offset: u64, bits: u32) -> u64 {
    offset >> (u32::BITS - bits)
}

/// Returns the part that what begins at a coordinate begins with; beyond the greatest one there is none.
fn begin_part(offset: u64, bits: u32) -> u64 {
    match offset == u64::from(u32::MAX) {
        true => 1 << bits,
        false => part(offset, bits),
    }
}

/// Returns the part that begins at a coordinate or next after it.
fn end_part(offset: u64, bits: u32) -> u64 {
    let shift = u32::BITS - bits;
    (offset + (1 << shift) - 1) >> shift
}

/// Returns how many bits of longitude and latitude a geohash has.
fn hash_bits(length: u8) -> (u32, u32) {
    let bits = 5 * u32::from(length.min(12));
    (bits.div_ceil(2), bits / 2)
}

/// Returns column and row of the cell that a point is in; rows of geohashes from the south, of tiles from the north.
fn place(grid: GeoGrid, point: GeoPoint) -> (u64, u64) {
    match grid {
        GeoGrid::Geohash(length) => {
            let (across, along) = hash_bits(length);
            (
                part(offset(point.longitude), across),
                part(offset(point.latitude), along),
            )
        }
        GeoGrid::Geotile(_) => {
            let tile = cell(grid, point) as u64;
            (tile >> ROW_BITS, tile & ((1 << ROW_BITS) - 1))
        }
    }
}

/// Returns the rows of tiles between two parallels.
fn tile_rows(zoom: u8, north: i32, south: i32) -> Range<u64> {
    let steps = |degrees: f64| GeoPoint::at(degrees, 0.0).map_or(0, |point| point.latitude);
    if south > steps(MAP_END) || north < steps(-MAP_END) {
        return 0..0;
    }
    let tiles = f64::from(1_u32 << zoom.min(29));
    let row = |latitude: i32| {
        let point = GeoPoint {
            latitude,
            longitude: 0,
        };
        place(GeoGrid::Geotile(zoom), point).1
    };
    // The northern edge of a row.
    let edge = |row: u64| {
        let share = std::f64::consts::PI * (1.0 - 2.0 * row as f64 / tiles);
        steps(share.sinh().atan().to_degrees())
    };
    let (first, last) = (row(north), row(south));
    let first = if edge(first + 1) == north {
        first + 1
    } else {
        first
    };
    let end = if edge(last) == south { last } else { last + 1 };
    first..end
}

/// Returns the number of the cell that a point is in: of a geohash its bits, of a map tile its column before
/// its row.
pub fn cell(grid: GeoGrid, point: GeoPoint) -> i64 {
    match grid {
        GeoGrid::Geohash(length) => {
            let bits = |steps: i32| (steps as u32 ^ (1 << 31)) >> (u32::BITS - HASH_BITS);
            let hash = (spread(bits(point.longitude)) << 1) | spread(bits(point.latitude));
            (hash >> (2 * HASH_BITS - 5 * u32::from(length.min(12)))) as i64
        }
        GeoGrid::Geotile(zoom) => {
            let (latitude, longitude) = point.degrees();
            let tiles = f64::from(1_u32 << zoom.min(29));
            let sine = latitude.to_radians().sin();
            let from_north =
                0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI);
            let place = |share: f64| (share * tiles).floor().clamp(0.0, tiles - 1.0) as i64;
            place((longitude + 180.0) / 360.0) << ROW_BITS | place(from_north)
        }
    }
}

/// Puts a zero before each bit.
fn spread(bits: u32) -> u64 {
    let one = |at: u32| u64::from(bits >> at & 1) << (2 * at);
    (0..HASH_BITS).map(one).sum()
}

/// Returns how a cell is shown: as a geohash, or as `zoom/column/row`.
pub fn cell_text(grid: GeoGrid, cell: i64) -> String {
    match grid {
        GeoGrid::Geohash(length) => {
            let digit = |at: u8| (cell >> (5 * u32::from(at)) & 31) as usize;
            let digits = (0..length).rev().map(|at| char::from(DIGITS[digit(at)]));
            digits.collect()
        }
        GeoGrid::Geotile(zoom) => {
            let row = cell & ((1 << ROW_BITS) - 1);
            format!("{zoom}/{}/{row}", cell >> ROW_BITS)
        }
    }
}

/// Reads a map tile of a zoom; `None` for other texts.
pub fn tile_of(text: &str, zoom: u8) -> Option<i64> {
    let mut parts = text.split('/').map(|part| part.parse::<i64>().ok());
    let (given, column, row) = (parts.next()??, parts.next()??, parts.next()??);
    let tiles = 1_i64 << zoom.min(29);
    let is_in = |place: i64| (0..tiles).contains(&place);
    let is_tile = given == i64::from(zoom) && is_in(column) && is_in(row);
    (is_tile && parts.next().is_none()).then_some(column << ROW_BITS | row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_overlap_a_box_have_all_their_points() {
        let at = |latitude, longitude| GeoPoint::at(latitude, longitude).expect("on the earth");
        let bounded = |grid, (north, west): (f64, f64), (south, east): (f64, f64)| {
            let bounds = GeoShape::Box {
                top_left: at(north, west),
                bottom_right: at(south, east),
            };
            move |latitude, longitude| {
                let found = Cells::new(grid, Some(&bounds)).of(at(latitude, longitude));
                found.map(|cell| cell_text(grid, cell))
            }
        };
        let some = |text: &str| Some(text.to_owned());
        // "u" reaches from 45° to 90° north, from 0° to 45° east.
        let hashes = bounded(GeoGrid::Geohash(1), (60.0, 10.0), (50.0, 20.0));
        assert_eq!(hashes(89.0, 44.0), some("u"));
        assert_eq!(hashes(44.0, 44.0), None);
        // A cell that has but an edge in common with the box is left out.
        let hashes = bounded(GeoGrid::Geohash(1), (60.0, 0.0), (45.0, 45.0));
        assert_eq!(hashes(50.0, 40.0), some("u"));
        for (latitude, longitude) in [(50.0, 46.0), (50.0, -1.0), (40.0, 10.0)] {
            assert_eq!(hashes(latitude, longitude), None, "{latitude} {longitude}");
        }
        let tiles = bounded(GeoGrid::Geotile(2), (60.0, 10.0), (50.0, 20.0));
        assert_eq!(tiles(1.0, 80.0), some("2/2/1"));
        assert_eq!(tiles(-1.0, 80.0), None);
        assert_eq!(tiles(80.0, 80.0), None);
        let tiles = bounded(GeoGrid::Geotile(1), (0.0, -180.0), (-85.0, 0.0));
        assert_eq!(tiles(-1.0, -1.0), some("1/0/1"));
        assert_eq!((tiles(1.0, -1.0), tiles(-1.0, 1.0)), (None, None));
        let over_the_date_line = bounded(GeoGrid::Geotile(2), (10.0, 170.0), (5.0, -170.0));
        assert_eq!(over_the_date_line(1.0, 91.0), some("2/3/1"));
        assert_eq!(over_the_date_line(1.0, -91.0), some("2/0/1"));
        assert_eq!(over_the_date_line(1.0, 1.0), None);
        // 180° is the edge of the last column, and belongs to none of those that a box from there on has.
        for grid in [GeoGrid::Geotile(2), GeoGrid::Geohash(1)] {
            let from_the_date_line = bounded(grid, (10.0, 180.0), (5.0, -170.0));
            assert_eq!(from_the_date_line(6.0, 170.0), None);
            assert!(from_the_date_line(6.0, -175.0).is_some());
        }
        let beyond_maps = bounded(GeoGrid::Geotile(2), (89.0, 0.0), (86.0, 90.0));
        assert_eq!(beyond_maps(88.0, 10.0), None);
    }

    #[test]
    fn cells_are_shown_as_elsewhere() {
        let at = |latitude, longitude| GeoPoint::at(latitude, longitude).expect("on the earth");
        let paris = at(48.8566, 2.3522);
        let shown = |grid, point| cell_text(grid, cell(grid, point));
        assert_eq!(shown(GeoGrid::Geohash(9), paris), "u09tvw0f6");
        assert_eq!(shown(GeoGrid::Geohash(1), paris), "u");
        assert_eq!(shown(GeoGrid::Geohash(5), at(-90.0, -180.0)), "00000");
        assert_eq!(shown(GeoGrid::Geotile(8), paris), "8/129/88");
        assert_eq!(shown(GeoGrid::Geotile(0), paris), "0/0/0");
        assert_eq!(shown(GeoGrid::Geotile(1), at(90.0, 180.0)), "1/1/0");
        let tile = cell(GeoGrid::Geotile(8), paris);
        assert_eq!(tile_of("8/129/88", 8), Some(tile));
        assert_eq!(tile_of("8/129/88", 7), None);
        assert_eq!(tile_of("8/129", 8), None);
    }
}
