//! `_source` filtering and values by path, on the bytes as received.
//!
//! What is kept is copied as text: order of keys, spelling of numbers and escapes stay as they
//! were. Objects left empty by an include disappear, as in Elasticsearch.

mod filter;
mod kept;
mod values;

pub use filter::{SourceFault, SourcePatterns};
pub use kept::{ShownSource, kept_source};
pub use values::{all_at, leaf_paths, objects_at, values_at, whole_at};
