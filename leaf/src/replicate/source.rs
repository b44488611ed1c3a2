//! A copy as others see it: the files of a durable commit, and streams of followers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{HistoryId, SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::replicate::{
    FileCall, FollowerMessages, PrimaryMessages, Production, Snapshot, SnapshotBase, SnapshotCall,
    SnapshotFile,
};
use gleaner_proto::{LeafFault, ReplicationClient};

use crate::Leaf;
use crate::client::OPENING_PATIENCE;
use crate::copy::registry::OpenCopy;
use crate::copy::shard::Shard;
use crate::fault::{engine_fault, log_fault};
use crate::lifecycle::maintenance::drop_files;
use crate::replicate::snapshots::{KeptSnapshot, MAX_SNAPSHOTS, read};

/// Most bytes of a file in one answer.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// How long a damaged primary waits for its replica to open: that one may wait for the primary in turn.
const FILES_PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl ReplicationClient for Leaf {
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        let source = match call.any_copy {
            true => self.copies.with_files(call.shard, FILES_PATIENCE).await?,
            false => OpenCopy::Primary(self.copies.primary(call.shard, OPENING_PATIENCE).await?),
        };
        let shard = source.shard();
        require_history(shard, call.history)?;
        // From here on no commit trims the log beyond what the snapshot will need.
        let (follower, committed) = (call.follower.clone(), shard.flushes.committed());
        shard.followers.heard(&follower, committed, Instant::now());
        match &source {
            OpenCopy::Primary(_) => source.flush().await.map(drop)?,
            // For a primary, which will show all of it once it has the files.
            OpenCopy::Replica(replica) => replica.commit_applied().await?,
        }
        let (kept, files) = pinned(shard, call).await?;
        let next_seq_no = kept.commit.next_seq_no();
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
        Ok(Snapshot {
            id,
            next_seq_no,
            files,
            base: Some(base_of(shard, next_seq_no).await?),
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

/// Refuses files to a copy of another history than this one's.
fn require_history(shard: &Shard, asked: HistoryId) -> Result<(), LeafFault> {
    let other = shard.driver().filter(|driver| driver.history != asked);
    other.map_or(Ok(()), |driver| {
        let (shard, held) = (shard.key, driver.history);
        let progress = format!("it holds the history {held}, files of {asked} are asked for");
        Err(LeafFault::Recovering { shard, progress })
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
