//! From a document's JSON to the values of its fields, in one pass over the bytes.
//!
//! Before an operation is ordered, [`DocumentParser::parse`] says what is wrong with a document or
//! which fields are new. When it is applied, the same walk runs leniently: whatever the mapping does
//! not take is left out, so applying cannot fail for a document's content.
//!
//! Objects and arrays are flattened: `{"a": [{"b": 1}, {"b": 2}]}` gives `a.b` the values 1 and 2.
//! A key with dots is a path.
//!
//! Does not: write an index (`engine` does), agree on new fields with the coordinator. Called by
//! `engine`, `leaf` and `root`. Read [`DocumentParser`] first, then [`Growth`].

mod completion;
mod convert;
mod depth;
mod disabled;
mod error;
mod growth;
mod late;
mod mismatch;
mod numerals;
mod parser;
mod plan;
mod reader;
mod tree;
mod types;
mod walk;

#[cfg(test)]
mod tests;

pub use self::error::DocumentError;
pub use self::growth::Growth;
pub use self::late::LateField;
pub use self::parser::{DocumentParser, FieldNode, FieldValue, ParsedDocument};
pub use self::reader::FieldReader;
pub use self::walk::WalkOutcome;
