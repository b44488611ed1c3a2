//! Streams of followers, from the side of the primaries: what they say, and what they are sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::{StreamExt, stream};
use gleaner_log::RecordBatch;
use gleaner_model::{CopyId, HistoryId, PrimaryTerm, SeqNo, ShardKey};
use gleaner_proto::replicate::{
    BatchRecords, FollowerMessage, FollowerMessages, PrimaryMessage, PrimaryMessages,
};
use gleaner_replication::{Batch, FromFollower, FromPrimary};
use tokio::time::timeout;

use super::hub::{Agreeing, LIFE_SIGN, SILENCE};
use super::outbox::Outbox;
use crate::copy::applier::with_causes;

/// Bytes of records that are read and sent at once; one batch at least.
const PAGE_BYTES: usize = 1 << 20;

/// The way back to a follower, by the stream that it has joined by.
#[derive(Clone)]
pub(super) struct FollowerStream {
    /// Tells it from others of this process.
    pub(super) number: u64,
    outbox: Arc<Outbox<Out>>,
    /// Beats sent by it for one copy.
    pub(super) beats: u64,
}

/// What is to be sent.
pub(super) enum Out {
    Message(PrimaryMessage),
    /// Records, which are read when it is their turn.
    Records {
        shard: ShardKey,
        from: CopyId,
        to: CopyId,
        history: HistoryId,
        term: PrimaryTerm,
        first: SeqNo,
        until: SeqNo,
        agreed: SeqNo,
    },
}

impl FollowerStream {
    pub(super) fn push(&self, out: Out) {
        self.outbox.push(out, merge);
    }
}

/// Takes what follows what waits already, or makes it needless, into that. Two shards' copies may have the
/// same identity: only those of one shard go together.
fn merge(newest: &mut Out, out: Out) -> Option<Out> {
    match (newest, out) {
        (
            Out::Records {
                shard: newest_shard,
                to: newest_to,
                term: newest_term,
                until: newest_until,
                agreed: newest_agreed,
                ..
            },
            Out::Records {
                shard,
                to,
                term,
                first,
                until,
                agreed,
                ..
            },
        ) if (*newest_shard, *newest_to, *newest_term) == (shard, to, term)
            && *newest_until == first =>
        {
            *newest_until = until;
            *newest_agreed = agreed;
            None
        }
        (
            Out::Message(PrimaryMessage {
                shard: newest_shard,
                to: newest_to,
                message: newest @ FromPrimary::Agreed { .. },
                ..
            }),
            Out::Message(PrimaryMessage {
                shard,
                to,
                message: message @ FromPrimary::Agreed { .. },
                ..
            }),
        ) if (*newest_shard, *newest_to) == (shard, to) => {
            *newest = message;
            None
        }
        (_, out) => Some(out),
    }
}

impl Agreeing {
    /// Opens a stream of followers.
    pub(crate) fn open_downstream(self: &Arc<Self>, said: FollowerMessages) -> PrimaryMessages {
        let stream = FollowerStream {
            number: self.next_number(),
            outbox: Arc::new(Outbox::new()),
            beats: 0,
        };
        let writer = Writer {
            hub: Arc::clone(self),
            outbox: CloseOnDrop(Arc::clone(&stream.outbox)),
            waiting: VecDeque::new(),
        };
        tokio::spawn(hear(Arc::clone(self), said, stream));
        let messages = stream::unfold(writer, |mut writer| async move {
            let messages = writer.next().await?;
            Some((Ok(messages), writer))
        });
        messages.take_until(Box::pin(self.over())).boxed()
    }
}

/// Hands on what followers say, until the stream ends or is silent for too long.
async fn hear(hub: Arc<Agreeing>, mut said: FollowerMessages, stream: FollowerStream) {
    let mut joined: BTreeMap<(ShardKey, CopyId), CopyId> = BTreeMap::new();
    while !stream.outbox.is_closed() {
        let Ok(Some(messages)) = timeout(SILENCE, said.next()).await else {
            break;
        };
        for message in messages {
            let FollowerMessage {
                shard, from, to, ..
            } = message;
            let driver = hub.driver(shard).filter(|driver| driver.copy == to);
            match driver {
                Some(driver) => {
                    joined.insert((shard, to), from);
                    driver.hear_follower(message, &stream);
                }
                None if matches!(message.message, FromFollower::Join(_)) => {
                    // It is being opened, or closed: the follower is to ask again.
                    let message = FromPrimary::Refused {
                        fence: PrimaryTerm(0),
                        version: 0,
                    };
                    stream.push(Out::Message(PrimaryMessage {
                        shard,
                        from: to,
                        to: from,
                        message,
                    }));
                }
                None => {}
            }
        }
    }
    stream.outbox.close();
    for ((shard, to), follower) in joined {
        if let Some(driver) = hub.driver(shard).filter(|driver| driver.copy == to) {
            driver.lose_follower(follower, stream.number);
        }
    }
}

/// Ends the reading side with the writing one.
struct CloseOnDrop(Arc<Outbox<Out>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Writes one stream.
struct Writer {
    hub: Arc<Agreeing>,
    outbox: CloseOnDrop,
    /// Taken from the outbox, and not sent yet.
    waiting: VecDeque<Out>,
}

impl Writer {
    /// Returns what is sent next; nothing as a sign of life. `None` when the stream is to end.
    async fn next(&mut self) -> Option<Vec<PrimaryMessage>> {
        if self.waiting.is_empty() {
            match timeout(LIFE_SIGN, self.outbox.0.take()).await {
                Ok(Some(items)) => self.waiting = items,
                Ok(None) => return None,
                Err(_) => return Some(Vec::new()),
            }
        }
        let mut messages = Vec::new();
        while let Some(out) = self.waiting.pop_front() {
            match out {
                Out::Message(message) => messages.push(message),
                records if messages.is_empty() => return self.read(records).await,
                records => {
                    self.waiting.push_front(records);
                    break;
                }
            }
        }
        Some(messages)
    }

    /// Returns the next page of records.
    async fn read(&mut self, records: Out) -> Option<Vec<PrimaryMessage>> {
        let Out::Records {
            shard,
            from,
            to,
            history,
            term,
            first,
            until,
            agreed,
        } = records
        else {
            return Some(Vec::new());
        };
        let page = self.hub.log.read_batches(shard, first, PAGE_BYTES).await;
        let reason = match page {
            Ok(page) => {
                let batches: Vec<RecordBatch> = (page.batches.into_iter())
                    .take_while(|batch| batch.next() <= until)
                    .collect();
                if let (Some(head), Some(last)) = (batches.first(), batches.last())
                    && head.first == first
                {
                    let next = last.next();
                    if next < until {
                        self.waiting.push_front(Out::Records {
                            shard,
                            from,
                            to,
                            history,
                            term,
                            first: next,
                            until,
                            agreed,
                        });
                    }
                    let batches = batches.into_iter().map(batch_of).collect();
                    let message = FromPrimary::Batches {
                        history,
                        term,
                        agreed,
                        batches,
                    };
                    return Some(vec![PrimaryMessage {
                        shard,
                        from,
                        to,
                        message,
                    }]);
                }
                format!("the log does not hold whole batches from {first} to {until}")
            }
            Err(error) => with_causes(&error),
        };
        // The role may have changed, and the log was cut: the follower finds its way by joining again.
        tracing::warn!(%shard, reason, "records cannot be sent; the stream is closed");
        None
    }
}

fn batch_of(batch: RecordBatch) -> Batch {
    let (term, first, next) = (batch.term, batch.first, batch.next());
    let records = BatchRecords {
        producer: batch
            .producer
            .map(|producer| (producer.id, producer.sequence)),
        payloads: batch.payloads,
    };
    Batch {
        term,
        first,
        next,
        payload: records.encode(),
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::IndexUuid;

    use super::*;

    fn shard(number: u32) -> ShardKey {
        ShardKey {
            index: IndexUuid([1; 16]),
            shard: gleaner_model::ShardNumber(number),
        }
    }

    fn agreed(number: u32, agreed: u64) -> Out {
        Out::Message(PrimaryMessage {
            shard: shard(number),
            from: CopyId([1; 16]),
            to: CopyId([2; 16]),
            message: FromPrimary::Agreed {
                term: PrimaryTerm(1),
                agreed: SeqNo(agreed),
                keep_from: SeqNo(0),
            },
        })
    }

    fn records(number: u32, first: u64, until: u64) -> Out {
        Out::Records {
            shard: shard(number),
            from: CopyId([1; 16]),
            to: CopyId([2; 16]),
            history: HistoryId::FIRST,
            term: PrimaryTerm(1),
            first: SeqNo(first),
            until: SeqNo(until),
            agreed: SeqNo(first),
        }
    }

    #[test]
    fn what_is_agreed_of_a_shard_replaces_only_what_was_agreed_of_that_shard() {
        let mut newest = agreed(0, 5);
        assert!(merge(&mut newest, agreed(0, 6)).is_none());
        let Out::Message(PrimaryMessage { message, .. }) = &newest else {
            panic!("it was a message");
        };
        let FromPrimary::Agreed { agreed: point, .. } = message else {
            panic!("it was an agreed point");
        };
        assert_eq!(*point, SeqNo(6));
        assert!(merge(&mut newest, agreed(1, 7)).is_some());
    }

    #[test]
    fn records_of_a_shard_go_on_only_from_records_of_that_shard() {
        let mut newest = records(0, 1, 5);
        assert!(merge(&mut newest, records(0, 5, 8)).is_none());
        assert!(matches!(
            newest,
            Out::Records {
                until: SeqNo(8),
                ..
            }
        ));
        assert!(merge(&mut newest, records(1, 8, 9)).is_some());
        assert!(merge(&mut newest, records(0, 9, 10)).is_some(), "a gap");
    }
}
