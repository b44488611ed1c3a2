//! What the log of one copy is asked for, in order, and what became of it: the machine hears of one after the other.
//!
//! Batches of a primary that is followed are queued here, as the log may have no room for them at once; those that
//! this primary orders are queued already.

use std::sync::{Arc, Weak};
use std::time::Duration;

use gleaner_log::{Appended, LogError, RecordBatch, ShardLog, Ticket};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use gleaner_replication::Event;
use tokio::sync::{mpsc, oneshot};

use super::driver::{CopyDriver, DriverEnd};
use super::rules::Rule;
use crate::copy::applier::with_causes;

/// Batches of one copy that are in the log's queue at once: other shards have room there too.
const MAX_QUEUED: usize = 256;

/// How long until a log whose queue is full is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Something the log is asked for.
pub(super) enum LogWork {
    /// A batch of this primary, which is queued.
    Own {
        ticket: Ticket,
        /// Position after it.
        next: SeqNo,
        tell: oneshot::Sender<Result<Appended, LogError>>,
    },
    /// A batch of the primary that is followed.
    Copy {
        batch: RecordBatch,
        /// The term of that primary.
        under: PrimaryTerm,
        bytes: u64,
    },
    /// Raise the fence.
    Fence(PrimaryTerm),
    /// Cut from there on.
    Truncate(SeqNo),
}

/// Something whose outcome is awaited in turn.
enum Awaited {
    Own {
        ticket: Ticket,
        next: SeqNo,
        tell: oneshot::Sender<Result<Appended, LogError>>,
    },
    Copy {
        ticket: Result<Ticket, LogError>,
        next: SeqNo,
        bytes: u64,
    },
    Fence(PrimaryTerm),
    Truncate(SeqNo),
}

/// The order in which the log's outcomes are reported.
pub(super) struct LogLane {
    pub(super) driver: Weak<CopyDriver>,
    pub(super) log: Arc<dyn ShardLog>,
    pub(super) shard: ShardKey,
}

impl LogLane {
    /// Asks the log and reports outcomes until the driver has ended.
    pub(super) async fn run(self, works: mpsc::UnboundedReceiver<LogWork>) {
        let (queued, awaited) = mpsc::channel(MAX_QUEUED);
        tokio::join!(self.queue(works, queued), self.report(awaited));
    }

    async fn queue(
        &self,
        mut works: mpsc::UnboundedReceiver<LogWork>,
        queued: mpsc::Sender<Awaited>,
    ) {
        while let Some(work) = works.recv().await {
            let awaited = match work {
                LogWork::Own { ticket, next, tell } => Awaited::Own { ticket, next, tell },
                LogWork::Fence(term) => Awaited::Fence(term),
                LogWork::Truncate(from) => Awaited::Truncate(from),
                LogWork::Copy {
                    batch,
                    under,
                    bytes,
                } => Awaited::Copy {
                    next: batch.next(),
                    ticket: self.queue_copy(batch, under).await,
                    bytes,
                },
            };
            if queued.send(awaited).await.is_err() {
                return;
            }
        }
    }

    /// Queues a batch as soon as there is room.
    async fn queue_copy(&self, batch: RecordBatch, under: PrimaryTerm) -> Result<Ticket, LogError> {
        loop {
            match self.log.queue_copy(self.shard, batch.clone(), under) {
                Err(LogError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                queued => return queued,
            }
        }
    }

    async fn report(&self, mut awaited: mpsc::Receiver<Awaited>) {
        while let Some(awaited) = awaited.recv().await {
            let done = self.done(awaited).await;
            let Some(driver) = self.driver.upgrade() else {
                return;
            };
            match done {
                Ok(event) => driver.handle(event),
                Err(reason) => {
                    tracing::error!(shard = %self.shard, reason, "the log of a copy has failed");
                    // The machine gives the role away first, where it leads; then the copy is opened again.
                    driver.handle(Event::LogFailed);
                    driver.end_with(DriverEnd::LogFailed(reason.into()));
                }
            }
        }
    }

    fn omits(&self, rule: Rule) -> bool {
        let driver = self.driver.upgrade();
        driver.is_some_and(|driver| driver.omits(rule))
    }

    async fn done(&self, awaited: Awaited) -> Result<Event, String> {
        match awaited {
            Awaited::Own { ticket, next, tell } => {
                let appended = ticket.durable().await;
                let event = match &appended {
                    Ok(appended) => durable(*appended, next),
                    Err(error) => Err(with_causes(error)),
                };
                // A primary that has changed may have told its writer already.
                drop(tell.send(appended));
                event
            }
            Awaited::Copy {
                ticket,
                next,
                bytes,
            } => {
                if self.omits(Rule::ConfirmDurable) {
                    return Ok(Event::Durable { end: next });
                }
                let appended = match ticket {
                    Ok(ticket) => ticket.durable().await,
                    Err(error) => Err(error),
                };
                if let Some(driver) = self.driver.upgrade() {
                    driver.release(bytes);
                }
                durable(appended.map_err(|error| with_causes(&error))?, next)
            }
            Awaited::Fence(term) if self.omits(Rule::FenceDurable) => {
                let (log, shard) = (Arc::clone(&self.log), self.shard);
                tokio::spawn(async move { drop(log.fence(shard, term).await) });
                Ok(Event::Fenced { term })
            }
            Awaited::Fence(term) => match self.log.fence(self.shard, term).await {
                Ok(_) => Ok(Event::Fenced { term }),
                Err(error) => Err(with_causes(&error)),
            },
            Awaited::Truncate(from) => match self.log.truncate(self.shard, from).await {
                Ok(cut) if cut == from => {
                    tracing::warn!(
                        shard = %self.shard,
                        %from,
                        "records that the new primary does not have were cut off; none of them was acknowledged"
                    );
                    Ok(Event::Truncated)
                }
                Ok(cut) => Err(format!("the log was cut at {cut}, not at {from}")),
                Err(error) => Err(with_causes(&error)),
            },
        }
    }
}

fn durable(appended: Appended, end: SeqNo) -> Result<Event, String> {
    let found = appended.last.next();
    match found == end {
        true => Ok(Event::Durable { end }),
        false => Err(format!(
            "the log took a batch up to {found}, not up to {end}"
        )),
    }
}
