//! Tests across rooms: the layering of the workspace, and the product seen from outside.
//!
//! Each kind is a `[[test]]` target of its own in `Cargo.toml`; the library is empty. What tests one
//! room alone stands beside that room's code.
