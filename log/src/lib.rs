//! Durable, ordered record of the operations of a shard.
//!
//! Does: give each operation its seq_no, keep it until it is trimmed, refuse an older primary term,
//! answer a repeated append without doing it twice, and say loudly when the disk lost something.
//! Does not: look into payloads, elect a primary, copy to other nodes, keep two processes off one
//! folder (the caller locks it).
//! Called by `leaf`: its write path appends, its apply loop reads. Read [`ShardLog`] first; why the
//! local log is what it is stands in `docs/decisions/0003-local-log.md`.
//!
//! ```
//! use gleaner_log::{Append, LocalLog, LogOptions, ShardLog};
//! use gleaner_model::{IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let (log, report) = LocalLog::open(dir.path(), LogOptions::default())?;
//! assert!(report.shards.is_empty());
//! let shard = ShardKey { index: IndexUuid([7; 16]), shard: ShardNumber(0) };
//! let appended = log
//!     .append(Append {
//!         shard,
//!         term: PrimaryTerm(1),
//!         expected_last: None,
//!         producer: None,
//!         batch: vec!["one".into(), "two".into()],
//!     })
//!     .await?;
//! assert_eq!(appended.last, SeqNo(1)); // and it is on disk
//! let page = log.read(shard, SeqNo(0), 1 << 20).await?;
//! assert_eq!(page.records[1].payload, "two");
//! # Ok(())
//! # }
//! ```

pub mod shard_log;

pub mod agreement;
pub mod base;
pub mod batch;
pub mod conformance;
pub mod error;
pub mod files;
pub mod local;
pub mod memory;
pub mod options;
pub mod recovery;
pub mod terms;

mod format;
mod frames;
mod journal;
mod lane;
mod ledger;
mod producers;
mod put_aside;
mod segment;
mod state_file;
mod view;
mod writer;

pub use agreement::Agreement;
pub use base::{LogBase, LogStart, ProducerSpan};
pub use batch::{BatchPage, RecordBatch};
pub use error::LogError;
pub use local::{CommitSteps, LocalLog, LogStats};
pub use memory::MemoryLog;
pub use options::LogOptions;
pub use recovery::{OpenReport, ShardReport, TailCut};
pub use shard_log::{Append, Appended, ProducerSequence, ReadBatch, Record, ShardLog, Ticket};
pub use terms::{TermStart, TermTable};
