//! Messages as they travel, and the only conversions between them and domain values.
//!
//! Reading is fallible and names what is wrong: a newer or hostile message never panics and never
//! becomes a value that the domain could not have made. [`Wire`] is the one trait; trees are read by
//! [`tree`], everything else field by field.

mod aggregation;
mod clause;
mod error;
mod explanation;
mod extent;
mod fault;
mod fetch;
mod field;
mod follow;
mod highlight;
mod ids;
mod kinds;
mod leases;
mod node;
mod node_stats;
mod order;
mod outcome;
mod postings;
mod query;
mod read;
mod replicate;
mod scalar;
mod search;
mod statistics;
mod tree;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use error::DecodeError;
pub(crate) use field::{all, messages, millis};
pub(crate) use ids::sixteen;
pub use kinds::{MESSAGE_KINDS, MessageKind};

/// Largest message, in either direction: 64 MiB.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Most bytes that the number and the kind of a call on a line take beside it.
pub(crate) const MAX_FRAME_BYTES: usize = 32;

/// Bytes that may be on their way on one connection: 16 MiB, as far as a window that adapts grows.
///
/// It is fixed because h2 counts short frames that nobody has read yet against half of the window that
/// a connection begins with, and closes it beyond. A window that adapts begins with 64 KiB: some 130
/// answers of a few bytes at once, as hedging and small shards make them, ended all calls on it.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

/// Bytes that may be on their way to one call: 4 MiB, a page of a file.
pub(crate) const STREAM_WINDOW: u32 = 4 << 20;

/// Most bytes of a file in one answer: 4 MiB.
pub(crate) const MAX_FILE_PAGE_BYTES: usize = 4 << 20;

/// Header of every call but those to `Node`: the wire versions that the caller speaks.
pub(crate) const WIRE_HEADER: &str = "gleaner-wire";

/// The generated messages, clients and servers of the package `gleaner.v1`.
#[expect(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::large_enum_variant,
    clippy::too_many_lines,
    reason = "generated code is not written for our lints"
)]
pub(crate) mod v1 {
    tonic::include_proto!("gleaner.v1");
}

/// A domain value that has a form on the wire.
pub(crate) trait Wire: Sized {
    /// Its form.
    type Message;

    /// Returns the message that stands for it.
    fn to_message(&self) -> Self::Message;

    /// Reads it back.
    fn from_message(message: Self::Message) -> Result<Self, DecodeError>;
}
