//! Ranges and points as terms, whose order is that of the values.
//!
//! A range is its least and its greatest value, each as hexadecimal digits of one width that order as the
//! values do; a point is its latitude and its longitude, 32 bits each (as Lucene's `GeoEncodingUtils`).

mod geo;
mod range;
mod validation;

pub use geo::{
    Corner, GeoPoint, GeoShape, parse_corner, parse_degrees, parse_distance, parse_point,
    read_degrees, read_point, unit_m,
};
pub use range::{Edge, Relation, TermFault, edge, numbers_of, range_term};
pub(crate) use validation::{PointValidation, normalized};

use gleaner_model::mapping::Codec;
use serde_json::Value;

/// By whose rules a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Today's: of new writes, and of queries.
    New,
    /// Those of every version so far: of documents that one of them acknowledged. A value that only an earlier version
    /// took is read as it was then, so that a copy which replays the log holds what other copies indexed before.
    Taken,
}

/// Returns the terms of a value of a document; none for `null`.
///
/// # Errors
/// Why it is no value of the type, in the dialect's words.
pub fn terms(codec: &Codec, value: &Value, reading: Reading) -> Result<Vec<String>, TermFault> {
    match (codec, value) {
        (_, Value::Null) => Ok(Vec::new()),
        (Codec::GeoPoint, Value::Array(items)) if !items.first().is_some_and(Value::is_number) => {
            let terms = items.iter().map(|item| terms(codec, item, reading));
            Ok(terms.collect::<Result<Vec<_>, _>>()?.concat())
        }
        (Codec::GeoPoint, value) => Ok(vec![read_point(value, reading)?.term()]),
        (codec, value) => range_term(codec, value, reading).map(|term| vec![term]),
    }
}
