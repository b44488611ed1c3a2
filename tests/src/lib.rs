//! Tests across rooms: the layering of the workspace, and the product seen from outside.
//!
//! Each kind is a `[[test]]` target of its own in `Cargo.toml`. The library has what the readers of strangers' bytes are
//! tried with ([`fuzz`]), for the tests and for `cargo fuzz`. What tests one room alone stands beside that room's code.

pub mod fuzz;
