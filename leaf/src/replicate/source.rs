//! The primary as its followers see it: pages of its log, and the files of a durable commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{History, NodeId, SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::replicate::{
    FileCall, FollowerMessages, LogPage, LogRecord, LogTailCall, PrimaryMessages, Production,
    Snapshot, SnapshotBase, SnapshotCall, SnapshotFile,
};
use gleaner_proto::{LeafFault, ReplicationClient};

use crate::Leaf;
use crate::client::OPENING_PATIENCE;
use crate::copy::registry::OpenCopy;
use crate::copy::shard::Shard;
use crate::fault::{engine_fault, log_fault};
use crate::lifecycle::maintenance::drop_files;
use crate::node::Role;
use crate::replicate::agreement::UnknownHistory;
use crate::replicate::snapshots::{KeptSnapshot, MAX_SNAPSHOTS, read};
use crate::write::stopped;

/// Most bytes of records or of a file in one answer.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// The longest that a call waits for a record.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a damaged primary waits for its replica to open: that one may wait for the primary in turn.
const FILES_PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl ReplicationClient for Leaf {
    async fn log_tail(&self, call: LogTailCall) -> Result<LogPage, LeafFault> {
        let deadline = Instant::now() + call.wait.min(LONGEST_WAIT);
        let source = self.source(call.shard, &call.follower).await?;
        let shard = source.shard();
        if let Some(held) = &call.held {
            let unknown = UnknownHistory::Followed;
            self.check_follower(shard, &call.follower, held, unknown)
                .await?;
        }
        shard
            .followers
            .heard(&call.follower, call.from, Instant::now());
        loop {
            let page = page(shard, &call).await?;
            let is_waiting = page.records.is_empty()
                && page.first_available <= call.from
                && page.end == call.from;
            if !is_waiting || deadline <= Instant::now() {
                return Ok(page);
            }
            // What is applied is durable.
            let next = shard.applier.wait_applied(call.from.next());
            if let Ok(Err(reason)) = tokio::time::timeout_at(deadline.into(), next).await {
                return Err(stopped(shard, &reason));
            }
        }
    }

    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        let source = match call.any_copy {
            true => self.copies.with_files(call.shard, FILES_PATIENCE).await?,
            false => self.source(call.shard, &call.follower).await?,
        };
        let shard = source.shard();
        if let (Some(held), OpenCopy::Primary(_), None) = (&call.held, &source, shard.driver()) {
            let unknown = UnknownHistory::RefusedDocuments;
            self.check_follower(shard, &call.follower, held, unknown)
                .await?;
        }
        // From here on no commit trims the log beyond what the snapshot will need.
        let (follower, committed) = (call.follower.clone(), shard.flushes.committed());
        shard.followers.heard(&follower, committed, Instant::now());
        match &source {
            OpenCopy::Primary(_) => source.flush().await?,
            // For a primary, which will show all of it once it has the files.
            OpenCopy::Replica(replica) => replica.commit_applied().await?,
        }
        let (kept, files) = pinned(shard, call).await?;
        let next_seq_no = kept.commit.next_seq_no();
        let last = last_record(shard, next_seq_no).await?;
        let id = self.next_snapshot.fetch_add(1, Ordering::Relaxed);
        let (has_room, dropped) = shard.snapshots.keep(id, kept);
        drop_files(dropped);
        if !has_room {
            return Err(LeafFault::Rejected {
                queue: "snapshots".into(),
                capacity: MAX_SNAPSHOTS,
            });
        }
        shard
            .followers
            .heard(&follower, next_seq_no, Instant::now());
        if shard.driver().is_some() {
            let base = base_of(shard, next_seq_no).await?;
            return Ok(Snapshot {
                id,
                next_seq_no,
                files,
                last,
                history: Some(History::default()),
                base: Some(base),
            });
        }
        let history = self.node.history(shard.key);
        let stopped = |reason: String| stopped(shard, &reason);
        // A copy opened from the files shows all that is in them: let all copies come to show it.
        if let OpenCopy::Primary(primary) = &source {
            // Nobody followed when it was opened, where nothing is noted.
            let term = primary.order.lock().await.term;
            history.begin_term(term).await.map_err(stopped)?;
            primary.mark_shown(next_seq_no).await?;
        }
        let history = history.below(next_seq_no).await.map_err(stopped)?;
        Ok(Snapshot {
            id,
            next_seq_no,
            files,
            last,
            history: Some(history),
            base: None,
        })
    }

    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault> {
        let source = self.copies.with_files(call.shard, OPENING_PATIENCE).await?;
        let shard = source.shard();
        let snapshot = shard.snapshots.find(call.snapshot);
        let snapshot = snapshot.ok_or(LeafFault::ViewMissing {
            shard: call.shard,
            view: call.snapshot,
        })?;
        shard.followers.touch(&snapshot.follower, Instant::now());
        let max_bytes = call.max_bytes.clamp(1, MAX_PAGE_BYTES);
        let key = shard.key;
        let reading = tokio::task::spawn_blocking(move || {
            read(&snapshot, &call.name, call.offset, max_bytes)
        });
        match reading.await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(internal(key, &error)),
            Err(error) => Err(internal(key, &error)),
        }
    }

    async fn history(&self, shard: ShardKey) -> Result<History, LeafFault> {
        let state = self.node.coordinator.state();
        if self.node.role(&state, shard).is_none() {
            return Err(LeafFault::NotHere { shard });
        }
        let history = self.node.history(shard).own().await;
        history.map_err(|reason| LeafFault::Stopped { shard, reason })
    }

    async fn follow(&self, said: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        match &self.node.agreeing {
            Some(agreeing) => Ok(agreeing.open_downstream(said)),
            None => Err(NodeFault::Unreadable {
                reason: "its copies do not follow by streams".to_owned(),
            }),
        }
    }

    async fn close_snapshot(&self, shard: ShardKey, snapshot: u64) -> Result<(), LeafFault> {
        let source = self.copies.with_files(shard, OPENING_PATIENCE).await?;
        drop_files(source.shard().snapshots.take(snapshot));
        Ok(())
    }
}

impl Leaf {
    /// Returns the copy that `follower` may copy: the primary, and for the primary's own leaf, which has
    /// lost records then, any other.
    async fn source(&self, key: ShardKey, follower: &NodeId) -> Result<OpenCopy, LeafFault> {
        if self.node.agreeing.is_some() {
            let primary = self.copies.primary(key, OPENING_PATIENCE).await?;
            return Ok(OpenCopy::Primary(primary));
        }
        let state = self.node.coordinator.state();
        let index = state.indices.get(&key.index);
        let primary = index.and_then(|index| index.copies_of(key.shard).first());
        if primary == Some(follower) && self.node.role(&state, key) == Some(Role::Replica) {
            return self.copies.copy(key, OPENING_PATIENCE).await;
        }
        let primary = self.copies.primary(key, OPENING_PATIENCE).await?;
        Ok(OpenCopy::Primary(primary))
    }
}

/// Reads a page of the log.
async fn page(shard: &Arc<Shard>, call: &LogTailCall) -> Result<LogPage, LeafFault> {
    let fault = |error: gleaner_log::LogError| log_fault(shard.key, &error);
    let max_bytes = call.max_bytes.clamp(1, MAX_PAGE_BYTES);
    let read = shard.log().read(shard.key, call.from, max_bytes).await;
    let read = read.map_err(fault)?;
    let tail = shard.log().tail(shard.key).await.map_err(fault)?;
    let records = read.records.into_iter().map(|record| LogRecord {
        seq_no: record.seq_no,
        term: record.term,
        payload: record.payload,
    });
    Ok(LogPage {
        records: records.collect(),
        first_available: read.first_available,
        end: tail.map_or(SeqNo(0), SeqNo::next),
        visible: shard.engine().view().generation().visible,
    })
}

/// Returns what a log that begins at `at` has to know.
async fn base_of(shard: &Shard, at: SeqNo) -> Result<SnapshotBase, LeafFault> {
    let base = shard.log().base_at(shard.key, at).await;
    let base = base.map_err(|error| log_fault(shard.key, &error))?;
    let known = base.and_then(|base| Some((base.term?, base.producers)));
    let (term, producers) = known.ok_or_else(|| LeafFault::Internal {
        shard: shard.key,
        reason: format!("the log does not tell what is before {at}"),
    })?;
    let producers = producers.into_iter().map(|span| Production {
        id: span.id,
        sequence: span.sequence,
        first: span.first,
        last: span.last,
    });
    Ok(SnapshotBase {
        term,
        producers: producers.collect(),
    })
}

/// Returns the operation before `next`, where the log still holds it.
async fn last_record(shard: &Shard, next: SeqNo) -> Result<Option<LogRecord>, LeafFault> {
    let Some(last) = next.0.checked_sub(1) else {
        return Ok(None);
    };
    let record = shard.log().read_one(shard.key, SeqNo(last)).await;
    let record = record.map_err(|error| log_fault(shard.key, &error))?;
    Ok(record.map(|record| LogRecord {
        seq_no: record.seq_no,
        term: record.term,
        payload: record.payload,
    }))
}

/// Pins the last durable commit and sums its files.
async fn pinned(
    shard: &Arc<Shard>,
    call: SnapshotCall,
) -> Result<(Arc<KeptSnapshot>, Vec<SnapshotFile>), LeafFault> {
    let key = shard.key;
    let pinning = Arc::clone(shard);
    let pinned = tokio::task::spawn_blocking(move || {
        let commit = pinning.engine().pin_commit();
        let commit = commit.map_err(|error| engine_fault(key, &error))?;
        let files = pinning.snapshots.files(&commit);
        // Files that are not as they were written are not handed on, and checked at once.
        let files = files.map_err(|error| {
            pinning.engine().suspect();
            internal(key, &error)
        })?;
        let kept = KeptSnapshot::new(commit, call.follower, call.keep_alive);
        Ok((Arc::new(kept), files))
    });
    pinned
        .await
        .unwrap_or_else(|error| Err(internal(key, &error)))
}

fn internal(shard: ShardKey, error: &dyn std::error::Error) -> LeafFault {
    LeafFault::Internal {
        shard,
        reason: error.to_string(),
    }
}
