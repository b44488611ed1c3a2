//! How a document lies in the index: the fields of the layout and what feeds them.
//!
//! Fields of the mapping are named by ordinal, so a user's names never matter on disk:
//!
//! | column | type | holds |
//! | --- | --- | --- |
//! | `t{n}` | text | terms with frequencies, positions, norms |
//! | `k{n}` | text | whole terms; fast |
//! | `i{n}` | i64 | `long`, `integer`, `short`, `byte`; fast |
//! | `u{n}` | u64 | `unsigned_long`; fast |
//! | `f{n}` | f64 | `double`, `float`, `half_float`, `scaled_float`; fast |
//! | `b{n}` | bool | `boolean`; fast |
//! | `d{n}` | i64 | `date`, milliseconds since the epoch; fast |
//! | `p{n}` | ip | `ip`, as IPv6; fast |
//!
//! "Fast" and "indexed" follow the mapping's `doc_values` and `index`. System fields are in
//! [`names`].

pub mod document;
pub mod fields;
pub mod names;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokens;

pub use fields::{FieldHandle, Fields, SystemFields};
