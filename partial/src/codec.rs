//! Partial results as bytes.
//!
//! ```text
//! magic   4 bytes  "GLAG"
//! version 2 bytes  little-endian; 1
//! body             postcard of the list of partial results, in the order of the request
//! ```
//!
//! Reading never panics and never nests deeper than [`MAX_DEPTH`], whatever the bytes.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Aggregations, Partial};
use crate::error::EvaluationError;

const MAGIC: &[u8; 4] = b"GLAG";
/// The version this program writes and the newest it reads.
pub const VERSION: u16 = 1;
/// Levels of sub-aggregations that are read: more than the parser of requests allows.
pub const MAX_DEPTH: u32 = 64;
const HEADER: usize = 6;

thread_local! {
    /// Levels entered by the decoding that runs on this thread. serde has no other way to tell a
    /// derived `Deserialize` how deep it is.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

impl Aggregations {
    /// Returns the partial results as bytes.
    ///
    /// # Errors
    /// [`EvaluationError::Internal`] when they cannot be encoded, which none of our types causes.
    pub fn encode(&self) -> Result<Bytes, EvaluationError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        postcard::to_extend(self, bytes)
            .map(Bytes::from)
            .map_err(|error| {
                EvaluationError::Internal(format!("aggregations not encoded: {error}"))
            })
    }

    /// Reads partial results.
    ///
    /// # Errors
    /// [`EvaluationError::Newer`] for a newer version, [`EvaluationError::Unreadable`] for anything else that
    /// [`Aggregations::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, EvaluationError> {
        let damaged =
            |why: &str| EvaluationError::Unreadable(format!("partial aggregations: {why}"));
        let (header, body) = bytes
            .split_at_checked(HEADER)
            .filter(|(header, _)| header.starts_with(MAGIC))
            .ok_or_else(|| damaged("no header"))?;
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version > VERSION {
            return Err(EvaluationError::Newer {
                what: "partial aggregations",
                found: version.into(),
                known: VERSION.into(),
            });
        }
        match postcard::take_from_bytes(body) {
            Ok((partials, [])) => Ok(partials),
            Ok(_) => Err(damaged("bytes after the end")),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }
}

impl<'de> Deserialize<'de> for Aggregations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let depth = DEPTH.get();
        if depth >= MAX_DEPTH {
            return Err(D::Error::custom("aggregations are nested too deep"));
        }
        DEPTH.set(depth + 1);
        let partials = Vec::<Partial>::deserialize(deserializer);
        DEPTH.set(depth);
        partials.map(Self)
    }
}

#[cfg(test)]
mod tests;
