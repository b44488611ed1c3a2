//! Durable, ordered record of the operations of a shard.
//!
//! Does: give each operation its seq_no, keep it until it is trimmed, refuse an older primary term,
//! answer a repeated append without doing it twice, and say loudly when the disk lost something.
//! Does not: look into payloads, elect a primary, copy to other nodes, keep two processes off one
//! folder (the caller locks it).
//! Called by `leaf`: its write path appends, its apply loop reads. Read [`ShardLog`] first.

pub mod shard_log;

pub mod conformance;
pub mod error;
pub mod files;
pub mod local;
pub mod memory;
pub mod options;
pub mod recovery;

mod format;
mod frames;
mod lane;
mod ledger;
mod producers;
mod segment;
mod state_file;
mod view;
mod writer;

pub use error::LogError;
pub use local::{LocalLog, LogStats};
pub use memory::MemoryLog;
pub use options::LogOptions;
pub use recovery::{OpenReport, ShardReport, TailCut};
pub use shard_log::{Append, Appended, ProducerSequence, ReadBatch, Record, ShardLog};
