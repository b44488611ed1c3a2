//! The vocabulary of these tests: a log on a simulated disk, appends, readings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_log::files::SimulatedFiles;
use gleaner_log::{
    Append, LocalLog, LogBase, LogError, LogOptions, LogStart, OpenReport, ProducerSequence,
    Record, ShardLog,
};
use gleaner_model::{IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber};

/// Folder of the log on the simulated disk.
pub(crate) const ROOT: &str = "/data/log";

/// Length of the head of a segment before which no producer was.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 72;

/// Without a journal; floors reach the disk only when the log is closed.
pub(crate) fn options(files: &SimulatedFiles) -> LogOptions {
    LogOptions {
        journal_bytes: 0,
        ..journaled(files)
    }
}

/// With a journal; what it holds reaches its segments, and floors the disk, only when the log is closed.
pub(crate) fn journaled(files: &SimulatedFiles) -> LogOptions {
    LogOptions {
        floor_interval: Duration::MAX,
        files: Arc::new(files.clone()),
        ..LogOptions::default()
    }
}

pub(crate) fn open(options: LogOptions) -> (LocalLog, OpenReport) {
    LocalLog::open(Path::new(ROOT), options).expect("the folder can be used")
}

pub(crate) fn beginning(at: u64) -> LogStart {
    LogStart {
        at: SeqNo(at),
        fence: PrimaryTerm(0),
        base: LogBase::UNKNOWN,
    }
}

pub(crate) fn shard(number: u32) -> ShardKey {
    ShardKey {
        index: IndexUuid([0xab; 16]),
        shard: ShardNumber(number),
    }
}

/// Returns the folder of a shard.
pub(crate) fn dir(key: ShardKey) -> PathBuf {
    let index = key.index.to_string();
    Path::new(ROOT).join(index).join(key.shard.to_string())
}

pub(crate) fn append(shard: ShardKey, batch: Vec<Bytes>) -> Append {
    Append {
        shard,
        term: PrimaryTerm(1),
        expected_last: None,
        producer: None,
        batch,
    }
}

pub(crate) fn numbered(id: u128, sequence: u64) -> Option<ProducerSequence> {
    Some(ProducerSequence { id, sequence })
}

/// A payload that says which one it is, of some length.
pub(crate) fn payload(number: u64) -> Bytes {
    let filler = "~".repeat((number * 7 % 40) as usize);
    Bytes::from(format!("record {number} {filler}"))
}

/// Returns every record that is held.
pub(crate) async fn read_all(log: &dyn ShardLog, shard: ShardKey) -> Result<Vec<Record>, LogError> {
    let first = log.read(shard, SeqNo(0), 1).await?.first_available;
    let mut records = Vec::new();
    let mut from = first;
    loop {
        let page = log.read(shard, from, 10_000).await?;
        if page.records.is_empty() {
            return Ok(records);
        }
        from = page.next;
        records.extend(page.records);
    }
}

/// Returns the only file of the disk whose name ends so.
pub(crate) fn file(files: &SimulatedFiles, ending: &str) -> PathBuf {
    let mut found = files.paths();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    assert_eq!(found.len(), 1, "{ending}: {found:?}");
    found.remove(0)
}

/// Appends records 0 to `number` one by one.
pub(crate) async fn fill(log: &dyn ShardLog, shard: ShardKey, number: u64) {
    for n in 0..number {
        let appended = log.append(append(shard, vec![payload(n)])).await;
        appended.expect("append is accepted");
    }
}

/// Returns whether `GLEANER_PROVE` is set, as `cargo xtask prove` does: then much more is tried.
pub(crate) fn is_proof() -> bool {
    std::env::var_os("GLEANER_PROVE").is_some()
}

/// How many times more is tried then.
pub(crate) fn scale() -> u64 {
    if is_proof() { 40 } else { 1 }
}

/// Returns a seed for this run: `base`, moved by `GLEANER_SEED` if that is set.
pub(crate) fn seed(base: u64) -> u64 {
    let moved = std::env::var("GLEANER_SEED").ok();
    let moved: u64 = moved.and_then(|text| text.parse().ok()).unwrap_or(0);
    base.wrapping_add(moved.wrapping_mul(1000))
}

/// SplitMix64: the same dice for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
