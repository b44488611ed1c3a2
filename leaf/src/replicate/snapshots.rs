//! Durable commits of a primary whose files stay while followers copy them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_engine::copy::PinnedCommit;
use gleaner_model::NodeId;
use gleaner_proto::replicate::SnapshotFile;
use parking_lot::Mutex;

/// Snapshots of one shard at a time: each may keep merged-away segments on disk.
pub(crate) const MAX_SNAPSHOTS: usize = 8;

/// The longest that files stay when nothing is asked of them.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(600);

/// Read at once when a file is summed.
const PIECE_BYTES: usize = 1 << 20;

/// The snapshots of one shard.
#[derive(Default)]
pub(crate) struct Snapshots {
    kept: Mutex<BTreeMap<u64, Arc<KeptSnapshot>>>,
    /// Checksums by name, of files that are large and the same in every commit.
    sums: Mutex<HashMap<String, u32>>,
}

/// A snapshot. Dropping the last handle deletes files, which blocks.
pub(crate) struct KeptSnapshot {
    pub(crate) commit: PinnedCommit,
    pub(crate) follower: NodeId,
    keep_alive: Duration,
    used: Mutex<Instant>,
}

impl KeptSnapshot {
    /// Makes a snapshot of a pinned commit for `follower`.
    pub(crate) fn new(commit: PinnedCommit, follower: NodeId, keep_alive: Duration) -> Self {
        Self {
            commit,
            follower,
            keep_alive: keep_alive.min(LONGEST_KEEP_ALIVE),
            used: Mutex::new(Instant::now()),
        }
    }

    fn is_wanted(&self, now: Instant) -> bool {
        now.saturating_duration_since(*self.used.lock()) <= self.keep_alive
    }
}

impl Snapshots {
    /// Keeps a snapshot under `id`, in place of an earlier one of the same follower. Returns whether
    /// there was room, and those that are let go, for the caller to drop where blocking is allowed.
    pub(crate) fn keep(
        &self,
        id: u64,
        snapshot: Arc<KeptSnapshot>,
    ) -> (bool, Vec<Arc<KeptSnapshot>>) {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let is_replaced =
            |other: &KeptSnapshot| other.follower == snapshot.follower || !other.is_wanted(now);
        let dropped = kept.extract_if(.., |_, other| is_replaced(other));
        let mut dropped: Vec<Arc<KeptSnapshot>> = dropped.map(|(_, other)| other).collect();
        let has_room = kept.len() < MAX_SNAPSHOTS;
        if has_room {
            kept.insert(id, snapshot);
        } else {
            dropped.push(snapshot);
        }
        (has_room, dropped)
    }

    /// Returns a snapshot and keeps it for longer.
    pub(crate) fn find(&self, id: u64) -> Option<Arc<KeptSnapshot>> {
        let kept = self.kept.lock();
        let found = kept.get(&id)?;
        *found.used.lock() = Instant::now();
        Some(Arc::clone(found))
    }

    /// Returns how many are kept.
    pub(crate) fn num_kept(&self) -> usize {
        self.kept.lock().len()
    }

    /// Takes a snapshot out; its files go when the caller drops it.
    pub(crate) fn take(&self, id: u64) -> Option<Arc<KeptSnapshot>> {
        self.kept.lock().remove(&id)
    }

    /// Takes out those whose time is over.
    pub(crate) fn expired(&self) -> Vec<Arc<KeptSnapshot>> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let expired = kept.extract_if(.., |_, snapshot| !snapshot.is_wanted(now));
        expired.map(|(_, snapshot)| snapshot).collect()
    }

    /// Returns the files of a commit with their checksums. Reads all of them the first time. Blocks.
    pub(crate) fn files(&self, commit: &PinnedCommit) -> std::io::Result<Vec<SnapshotFile>> {
        let mut files = Vec::new();
        for file in commit.files() {
            let is_fixed = has_fixed_content(&file.name);
            let known = self.sums.lock().get(&file.name).copied();
            let crc32c = match known.filter(|_| is_fixed) {
                Some(sum) => sum,
                None => sum(commit, &file.name)?,
            };
            if commit
                .checksum(&file.name)
                .is_some_and(|written| written != crc32c)
            {
                let reason = format!("`{}` is not as it was written", file.name);
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
            }
            files.push(SnapshotFile {
                name: file.name,
                num_bytes: file.num_bytes,
                crc32c,
            });
        }
        let fixed = files.iter().filter(|file| has_fixed_content(&file.name));
        *self.sums.lock() = fixed.map(|f| (f.name.clone(), f.crc32c)).collect();
        Ok(files)
    }
}

/// Lists of deleted documents and the meta are small: they are not worth relying on their names.
fn has_fixed_content(name: &str) -> bool {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    !matches!(extension, "json" | "del")
}

fn sum(commit: &PinnedCommit, name: &str) -> std::io::Result<u32> {
    let (mut sum, mut offset) = (0, 0);
    loop {
        let bytes = commit.read(name, offset, PIECE_BYTES)?;
        if bytes.is_empty() {
            return Ok(sum);
        }
        sum = crc32c::crc32c_append(sum, &bytes);
        offset += bytes.len() as u64;
    }
}

/// Reads a page of a snapshot's file. Blocks.
pub(crate) fn read(
    snapshot: &KeptSnapshot,
    name: &str,
    offset: u64,
    max_bytes: usize,
) -> std::io::Result<Bytes> {
    snapshot
        .commit
        .read(name, offset, max_bytes)
        .map(Bytes::from)
}
