//! The cells that points are in: of geohashes and of map tiles.
//!
//! Source: Niemeyer, *Geohash* (2008); OpenStreetMap wiki, *Slippy map tilenames*.

use gleaner_query::aggregation::GeoGrid;
use gleaner_query::encoded::GeoPoint;

/// Bits of a coordinate that geohashes keep: half of twelve characters.
const HASH_BITS: u32 = 30;
/// Bits that a map tile's row takes in a cell's number.
const ROW_BITS: u32 = 29;
/// The characters of geohashes.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

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
