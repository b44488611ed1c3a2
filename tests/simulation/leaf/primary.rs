//! What a primary does beyond searching: order writes, sync them, show them, send its log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{CopyId, Generation, HistoryId, SeqNo, ShardKey, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::replicate::{BatchRecords, FollowerMessages, PrimaryMessage, PrimaryMessages};
use gleaner_proto::write::{
    Condition, WriteAction, WriteAnswer, WriteCall, WriteFault, WriteItem, WriteOutcome,
    WriteResult,
};
use gleaner_replication::{Batch, FromFollower, FromPrimary, Join};
use tokio::time::{sleep, timeout};

use super::copy::{Copy, Inner};
use crate::cluster::operation;
use crate::documents::{Known, apply, live};
use crate::schedule::{Broken, TERM};

/// How long a follower hears nothing at most.
const WAIT: Duration = Duration::from_millis(400);

/// Reads the log after a crash, shows all of it, and refreshes from time to time.
pub(super) async fn run(copy: Arc<Copy>, recovery: Duration) {
    sleep(recovery).await;
    copy.refresh_now().await;
    copy.start();
    loop {
        sleep(copy.cluster.schedule.refresh_interval).await;
        copy.refresh_now().await;
    }
}

impl Copy {
    pub(super) fn check_primary(&self) -> Result<(), LeafFault> {
        self.check_started()?;
        if self.is_primary {
            return Ok(());
        }
        Err(LeafFault::NotHere { shard: self.shard })
    }

    /// Shows everything that the log holds.
    pub(super) async fn refresh_now(&self) -> Generation {
        let shown = {
            let mut inner = self.inner.lock();
            let visible = inner.views.visible().0 as usize;
            let unshown = &inner.log[visible..];
            let is_due = |operation: &Operation| operation.kind != OperationKind::Refresh;
            if unshown.iter().any(is_due) {
                let at = SeqNo(inner.log.len() as u64);
                inner.log.push(operation(OperationKind::Refresh));
                Some((at, live(&inner.ids)))
            } else {
                None
            }
        };
        if let Some((at, documents)) = shown {
            self.sync().await;
            self.show(at, documents).await;
        }
        self.inner.lock().views.newest().generation
    }

    /// Carries out writes; they are synced on return.
    pub(super) async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        self.check_primary()?;
        if call.term != TERM {
            return Err(LeafFault::Fenced {
                shard: self.shard,
                current: TERM,
                asked: call.term,
            });
        }
        let items = call.items.into_iter();
        let items = items.map(|item| self.inner.lock().take(item)).collect();
        if !self.is_breaking(Broken::LosesWrites) {
            self.sync().await;
        }
        Ok(WriteAnswer {
            items,
            duplicate: false,
        })
    }

    /// Returns records of the log as one batch, only what is synced, and where that ends; waits for the first.
    pub(super) async fn records(&self, from: SeqNo) -> (Vec<Batch>, SeqNo) {
        let start = from.0 as usize;
        let more = self.wait_until(|inner| inner.num_synced > start);
        // Late or not: no records are an answer.
        drop(timeout(WAIT, more).await);
        let inner = self.inner.lock();
        let end = SeqNo(inner.num_synced as u64);
        let wanted = inner.log[..inner.num_synced].get(start..);
        let payloads: Vec<_> = wanted
            .into_iter()
            .flatten()
            .map(Operation::encode)
            .collect();
        if payloads.is_empty() {
            return (Vec::new(), end);
        }
        let records = BatchRecords {
            producer: None,
            payloads,
        };
        let batch = Batch {
            term: TERM,
            first: from,
            next: end,
            payload: records.encode(),
        };
        (vec![batch], end)
    }
}

/// What a primary sends to one follower.
pub(super) struct Tail {
    copies: BTreeMap<ShardKey, Arc<Copy>>,
    said: FollowerMessages,
    joined: Option<Joined>,
}

/// A follower that has joined.
struct Joined {
    copy: Arc<Copy>,
    follower: CopyId,
    /// What it has, or was sent.
    next: SeqNo,
}

impl Tail {
    /// Answers a stream of a follower.
    pub(super) fn answer(
        copies: BTreeMap<ShardKey, Arc<Copy>>,
        said: FollowerMessages,
    ) -> PrimaryMessages {
        let tail = Self {
            copies,
            said,
            joined: None,
        };
        let answers = stream::unfold(tail, |mut tail| async move {
            let message = tail.next().await?;
            Some((Ok(vec![message]), tail))
        });
        answers.boxed()
    }

    /// Returns what is sent next; `None` where the follower is at the wrong copy, or that does not serve.
    async fn next(&mut self) -> Option<PrimaryMessage> {
        if self.joined.is_none() {
            let join = self.said.next().await?.into_iter().next()?;
            let FromFollower::Join(Join { end, .. }) = join.message else {
                return None;
            };
            self.joined = Some(Joined {
                copy: Arc::clone(self.copies.get(&join.shard)?),
                follower: join.from,
                next: end,
            });
        }
        let joined = self.joined.as_mut()?;
        let copy = &joined.copy;
        copy.check_primary().ok()?;
        let (batches, end) = copy.records(joined.next).await;
        joined.next = end.max(joined.next);
        Some(PrimaryMessage {
            shard: copy.shard,
            from: Copy::id(copy.leaf),
            to: joined.follower,
            message: FromPrimary::Batches {
                term: TERM,
                history: HistoryId::FIRST,
                agreed: end,
                batches,
            },
        })
    }
}

impl Inner {
    /// Orders one write.
    fn take(&mut self, item: WriteItem) -> Result<WriteOutcome, WriteFault> {
        let WriteItem {
            id,
            routing,
            action,
            condition,
            ..
        } = item;
        let known = self.ids.get(&id);
        let conflict = |reason: &str| {
            let (id, reason) = (id.clone(), reason.to_owned());
            Err(WriteFault::VersionConflict { id, reason })
        };
        let (is_live, last) = match known {
            Some(Known::Live(stored)) => (true, Some(stored.seq_no)),
            Some(Known::Deleted(seq_no, _)) => (false, Some(*seq_no)),
            None => (false, None),
        };
        match condition {
            Condition::None => {}
            Condition::Is { seq_no, term } if is_live && last == Some(seq_no) && term == TERM => {}
            _ => return conflict("it was written meanwhile"),
        }
        let version = Version(known.map_or(0, |known| known.version().0) + 1);
        let (kind, result) = match action {
            WriteAction::Index { create: true, .. } if is_live => {
                return conflict("it exists");
            }
            WriteAction::Index { source, .. } => {
                let result = match is_live {
                    true => WriteResult::Updated,
                    false => WriteResult::Created,
                };
                let kind = OperationKind::Index {
                    id,
                    routing,
                    version,
                    source,
                };
                (kind, result)
            }
            WriteAction::Delete => {
                let result = match is_live {
                    true => WriteResult::Deleted,
                    false => WriteResult::NotFound,
                };
                let kind = OperationKind::Delete {
                    id,
                    routing,
                    version,
                };
                (kind, result)
            }
            WriteAction::Update(_) => panic!("the client sends no updates"),
        };
        let seq_no = SeqNo(self.log.len() as u64);
        let operation = operation(kind);
        apply(&mut self.ids, seq_no, &operation);
        self.log.push(operation);
        Ok(WriteOutcome {
            result,
            version,
            seq_no,
            term: TERM,
            source: None,
        })
    }
}
