//! How a replica follows its primary: it joins by a stream from where its log ends, makes what comes durable, and shows
//! what the refresh records in it say.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{CopyId, HistoryId, SeqNo};
use gleaner_proto::replicate::{BatchRecords, FollowerMessage, FollowerMessages, PrimaryMessages};
use gleaner_proto::{GrpcLeaf, ReplicationClient};
use gleaner_replication::{Batch, FromFollower, FromPrimary, Join};
use tokio::time::{sleep, timeout};

use super::copy::Copy;
use crate::documents::{apply, live};
use crate::schedule::TERM;

/// How long a primary may be silent before its stream is given up.
const SILENCE: Duration = Duration::from_secs(2);

/// Pause after a stream that has ended.
const PAUSE: Duration = Duration::from_millis(40);

/// Follows for as long as the process lives.
pub(super) async fn run(copy: Arc<Copy>, primary: GrpcLeaf, recovery: Duration) {
    sleep(recovery).await;
    // What the primary had at its first answer: before that is here, nothing is answered.
    let mut goal: Option<SeqNo> = None;
    loop {
        if let Ok(answers) = primary.follow(copy.join()).await {
            copy.follow(answers, &mut goal).await;
        }
        sleep(PAUSE).await;
    }
}

impl Copy {
    /// Returns the name of a copy on a leaf.
    pub(super) fn id(leaf: usize) -> CopyId {
        CopyId([leaf as u8; 16])
    }

    /// Returns what a follower says: that it has its log.
    fn join(&self) -> FollowerMessages {
        let end = SeqNo(self.inner.lock().log.len() as u64);
        let join = FollowerMessage {
            shard: self.shard,
            from: Self::id(self.leaf),
            to: Self::id(self.cluster.schedule.copies_of(self.shard)[0]),
            message: FromFollower::Join(Join {
                term: TERM,
                history: HistoryId::FIRST,
                version: 0,
                end,
                last_term: TERM,
                agreed: end,
                agreed_term: None,
                visible: SeqNo(0),
            }),
        };
        let said = stream::once(std::future::ready(vec![join]));
        said.chain(stream::pending()).boxed()
    }

    /// Takes what comes until the stream ends.
    async fn follow(&self, mut answers: PrimaryMessages, goal: &mut Option<SeqNo>) {
        while let Ok(Some(Ok(messages))) = timeout(SILENCE, answers.next()).await {
            for message in messages {
                let FromPrimary::Batches {
                    agreed, batches, ..
                } = message.message
                else {
                    continue;
                };
                let end = *goal.get_or_insert(agreed);
                self.take_batches(batches).await;
                let inner = self.inner.lock();
                let is_new = inner.log.len() as u64 >= end.0 && !inner.is_started;
                drop(inner);
                if is_new {
                    self.start();
                }
            }
        }
    }

    /// Adds batches to the log; shows their last refresh.
    async fn take_batches(&self, batches: Vec<Batch>) {
        let mut shown = None;
        for batch in batches {
            let records = BatchRecords::decode(batch.payload).expect("the primary encoded it");
            let mut inner = self.inner.lock();
            for (payload, seq_no) in records.payloads.iter().zip(batch.first.0..) {
                let operation = Operation::decode(payload).expect("the primary encoded it");
                debug_assert_eq!(seq_no, inner.log.len() as u64);
                let seq_no = SeqNo(seq_no);
                if operation.kind == OperationKind::Refresh {
                    shown = Some((seq_no, live(&inner.ids)));
                }
                apply(&mut inner.ids, seq_no, &operation);
                inner.log.push(operation);
            }
        }
        self.sync().await;
        if let Some((at, documents)) = shown {
            self.show(at, documents).await;
        }
    }
}
