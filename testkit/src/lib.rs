//! What tests share: a whole node in one process.
//!
//! Does: wire coordinator, log, leaf and root in a temporary folder ([`node::Node`]), and stop and
//! start them again on the same data.
//! Does not: speak HTTP (tests of the dialect run the binary).

pub mod node;

pub use node::Node;
