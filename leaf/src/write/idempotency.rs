//! A request that is sent again is answered, not applied twice.
//!
//! The log remembers which positions a producer's batch took, which decides whether a request was
//! applied. What it was answered is kept for a while ([`RequestAnswers`]). When that is gone, after a restart or
//! many other requests, the answer is made out of the records and documents that the batch left behind
//! ([`again`]): exactly, as long as nobody else has written to them.

mod again;
mod answers;
mod earlier;

use std::sync::Arc;

use gleaner_log::{Appended, LogError, ProducerSequence};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAnswer, WriteItem};
use tokio::sync::OwnedMutexGuard;

use crate::copy::shard::Shard;
use crate::fault::log_fault;
use crate::write::writable::WritableCopy;
use crate::write::{Outcomes, Primary, WriteOrder, stopped};
use again::BatchRecords;
pub(crate) use again::{Batch, answers};
pub(crate) use answers::RequestAnswers;

/// Largest page read from the log at once, in bytes.
const PAGE_BYTES: usize = 8 << 20;

/// What is known of a request.
pub(crate) enum EarlierAnswer {
    /// It was applied before, and is answered so again.
    Before(WriteAnswer),
    /// The log does not hold it.
    New(OwnedMutexGuard<WriteOrder>),
}

impl Primary {
    /// Returns the answer to a request that the log holds already.
    pub(crate) async fn answered_before(
        &self,
        order: OwnedMutexGuard<WriteOrder>,
        producer: ProducerSequence,
        items: &Arc<Vec<WriteItem>>,
    ) -> Result<EarlierAnswer, LeafFault> {
        let shard = &self.shard;
        let fault = |error: LogError| log_fault(shard.key, &error);
        let produced = shard.log().produced(shard.key, producer).await;
        let Some(appended) = produced.map_err(fault)? else {
            return Ok(EarlierAnswer::New(order));
        };
        let request = (shard.key, producer);
        let answers = match self.shared.answers.find(&request, appended.first, items) {
            Some(answers) => answers,
            None => {
                // It may still be on its way into the index of this copy.
                let applied = shard.applier.wait_applied(appended.last.next()).await;
                applied.map_err(|reason| stopped(shard.key, &reason))?;
                let batch = batch_of(&**shard, appended).await.map_err(fault)?;
                answered_by_log(shard, order, batch, items).await?
            }
        };
        self.wait_to_tell(appended.last.next()).await?;
        Ok(EarlierAnswer::Before(WriteAnswer {
            items: answers,
            duplicate: true,
        }))
    }
}

/// Returns a batch that the log took before, with what it still tells of it.
pub(crate) async fn batch_of(
    copy: &impl WritableCopy,
    appended: Appended,
) -> Result<Batch, LogError> {
    let recorded = recorded(copy, appended).await?;
    let untold = recorded.as_ref().map(again::untold).unwrap_or_default();
    Ok(Batch {
        appended,
        recorded,
        earlier: earlier::earlier(copy, appended.first, &untold).await?,
    })
}

/// Returns what the log still holds of a batch; `None` when that is not all of it.
async fn recorded(
    copy: &impl WritableCopy,
    appended: Appended,
) -> Result<Option<BatchRecords>, LogError> {
    let mut recorded = BatchRecords::new();
    let mut from = appended.first;
    while from <= appended.last {
        let page = copy.log().read(copy.key(), from, PAGE_BYTES).await?;
        if page.first_available > from || page.records.is_empty() {
            return Ok(None);
        }
        for record in page.records.iter().filter(|r| r.seq_no <= appended.last) {
            again::note(&mut recorded, record.seq_no, &record.payload);
        }
        from = page.next;
    }
    Ok(Some(recorded))
}

async fn answered_by_log(
    shard: &Arc<Shard>,
    order: OwnedMutexGuard<WriteOrder>,
    batch: Batch,
    items: &Arc<Vec<WriteItem>>,
) -> Result<Outcomes, LeafFault> {
    let (key, shard, items) = (shard.key, Arc::clone(shard), Arc::clone(items));
    let answering = tokio::task::spawn_blocking(move || answers(&*shard, &order, batch, &items));
    answering.await.unwrap_or_else(|error| {
        Err(LeafFault::Internal {
            shard: key,
            reason: format!("answering a request again failed: {error}"),
        })
    })
}

#[cfg(test)]
mod tests;
