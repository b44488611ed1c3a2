//! Documents by id: the latest acknowledged write, or what searches see.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use gleaner_engine::EngineError;
use gleaner_model::{DocumentId, SeqNo};
use gleaner_partial::control::{Ledger, MemoryAccount};
use gleaner_proto::LeafFault;
use gleaner_proto::read::{Document, Documents, GetCall};

use crate::copy::counters::UnderWay;
use crate::copy::registry::OpenCopy;
use crate::copy::shard::Shard;
use crate::fault::{check_uncut, copy_fault, evaluation_fault, job_fault};
use crate::read::pool::caught;
use crate::read::search::{Searcher, document};
use crate::write::versions::{Latest, Written};
use crate::write::{Primary, stopped};

/// Documents that are read on the caller's thread, as those of a page are: some 30 µs each, where to hand them over takes as
/// long.
const FEW_DOCUMENTS: usize = 10;

impl Searcher {
    /// Returns documents in the order asked.
    pub(crate) async fn get_documents(&self, call: GetCall) -> Result<Documents, LeafFault> {
        // Only the primary knows what was acknowledged and is not visible yet.
        let copy = match call.realtime {
            true => OpenCopy::Primary(self.copies.primary(call.shard, call.remaining).await?),
            false => self.copies.copy(call.shard, call.remaining).await?,
        };
        let shard = copy.shard();
        let _running = UnderWay::begin(&shard.counters.gets_now);
        let began = Instant::now();
        let until = began + call.remaining;
        let ordered = match &copy {
            // Only where copies agree is there anything to wait for.
            OpenCopy::Primary(primary) if call.realtime && shard.driver().is_some() => {
                primary.order.lock().await.next
            }
            _ => SeqNo(0),
        };
        let unseen = match &copy {
            OpenCopy::Primary(primary) if call.realtime => {
                shard.refreshes.read();
                primary.unseen(&call.ids, &self.query_memory()).await?
            }
            _ => {
                copy.wake(Instant::now() + call.remaining / 2).await;
                HashMap::new()
            }
        };
        // Before the reading too: a copy that finds its primary meanwhile still answers from what it had.
        let was_stale = !call.realtime && copy.may_be_stale();
        let ledger = Ledger::open(&self.query_memory());
        let ledger = ledger.map_err(|error| evaluation_fault(shard.key, &error))?;
        let reading = Arc::clone(shard);
        let is_short = call.ids.len() <= FEW_DOCUMENTS;
        let read = move || {
            let read = caught(|| all(&reading, call.ids, &unseen, &ledger));
            read.unwrap_or_else(|fault| Err(job_fault(&reading, &fault)))
        };
        // Of more than a few, page faults and decompression take longer than the runtime's threads may wait.
        let read = match is_short {
            true => Ok(read()),
            false => tokio::task::spawn_blocking(read).await,
        };
        check_uncut(shard)?;
        let found = read.unwrap_or_else(|error| {
            Err(LeafFault::Internal {
                shard: shard.key,
                reason: format!("reading documents failed: {error}"),
            })
        })?;
        if let (OpenCopy::Primary(primary), Some(driver)) = (&copy, shard.driver())
            && call.realtime
        {
            let read = ordered.max(newest_of(&found));
            driver.wait_to_tell(primary.term(), read, until).await?;
        }
        let num_missing = found.iter().filter(|found| found.is_none()).count();
        let counters = &shard.counters;
        counters.add_gets(found.len(), num_missing, began.elapsed());
        let may_be_stale = was_stale || !call.realtime && copy.may_be_stale();
        Ok(Documents {
            found,
            may_be_stale,
        })
    }
}

impl Primary {
    /// Returns the latest writes that searches may not see yet: the document, or that it is deleted.
    async fn unseen(
        &self,
        ids: &[DocumentId],
        memory: &Arc<MemoryAccount>,
    ) -> Result<Unseen, LeafFault> {
        let shard = &self.shard;
        let mut order = self.lock_order().await;
        if shard.pipeline.state().is_uncertain
            && shard.applier.failure().is_none()
            && shard.driver().is_none()
        {
            // The map may hold writes that have failed since.
            self.resync(&mut order).await?;
        }
        let is_uncertain = shard.pipeline.state().is_uncertain;
        let latest = ids
            .iter()
            .filter_map(|id| Some((id.clone(), order.versions.get(id)?.clone())));
        let latest: Vec<(DocumentId, Latest)> = latest.collect();
        drop(order);
        let applied = shard.applier.next();
        if is_uncertain
            && let Some(reason) = shard.applier.failure()
            && latest.iter().any(|(_, latest)| latest.seq_no >= applied)
        {
            // Nobody tells any more whether the log has it.
            return Err(stopped(shard.key, &reason));
        }
        let in_log = latest
            .iter()
            .filter(|(_, latest)| matches!(latest.document, Written::InLog));
        // Beyond it there is no room for what was read so far.
        let limit =
            usize::try_from(shard.node.options.memory_per_query_bytes).unwrap_or(usize::MAX);
        let in_log: Vec<SeqNo> = in_log.map(|(_, latest)| latest.seq_no).collect();
        let mut read = self.contents_at(&in_log, limit).await?;
        let num_bytes: usize = read.values().map(|content| content.source.len()).sum();
        let held = memory.reserve(num_bytes as u64);
        held.map_err(|error| evaluation_fault(shard.key, &error))?;
        let written = latest.into_iter().filter_map(|(id, latest)| {
            let content = match latest.document {
                Written::Deleted(_) => None,
                Written::Here(content) => Some(Arc::unwrap_or_clone(content)),
                // What is in the log no more is visible now.
                Written::InLog => Some(read.remove(&latest.seq_no)?),
            };
            let document = content.map(|content| Document {
                id: id.clone(),
                routing: content.routing,
                seq_no: latest.seq_no,
                term: latest.term,
                version: latest.version,
                source: content.source,
            });
            Some((id, document))
        });
        Ok(written.collect())
    }
}

/// Returns the position after the newest of documents.
fn newest_of(found: &[Option<Document>]) -> SeqNo {
    let positions = found
        .iter()
        .flatten()
        .map(|document| document.seq_no.next());
    positions.max().unwrap_or(SeqNo(0))
}

type Unseen = HashMap<DocumentId, Option<Document>>;

fn all(
    shard: &Shard,
    ids: Vec<DocumentId>,
    unseen: &Unseen,
    ledger: &Ledger,
) -> Result<Vec<Option<Document>>, LeafFault> {
    // Taken after the version map was read: what has left the map since is visible in it.
    let view = shard.engine().view();
    let mut meter = ledger.meter();
    let mut one = |id: DocumentId| -> Result<Option<Document>, EngineError> {
        let found = match unseen.get(&id) {
            Some(document) => document.clone(),
            None => view.find(&id)?.map(document),
        };
        let num_bytes = found.as_ref().map_or(0, |found| found.source.len());
        meter.charge(num_bytes)?;
        Ok(found)
    };
    let mut one = |id| one(id).map_err(|error| copy_fault(shard, &error));
    ids.into_iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use gleaner_log::LogError;
    use gleaner_proto::LeafClient as _;

    use super::*;
    use crate::testing::{Fixture, PATIENCE, id, key, put};
    use crate::write::writable::WritableCopy as _;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_shard_that_has_stopped_shows_no_write_that_may_be_lost() {
        let fixture = Fixture::start();
        let shard = fixture.shard().await;
        fixture.write(vec![put("a", "{}")]).await.expect("written");
        fixture.log.refuse_next();
        let refused = fixture.write(vec![put("b", "{}")]).await;
        assert_eq!(refused, Err(LeafFault::DiskFull { shard: key(1) }));
        shard.lose_log(&LogError::Poisoned { shard: key(1) });
        assert!(fixture.get("a").await.is_some());
        assert_eq!(fixture.get("c").await, None);
        let call = GetCall {
            shard: key(1),
            ids: vec![id("b")],
            realtime: true,
            remaining: PATIENCE,
        };
        let lost = fixture.leaf.get(call).await;
        assert!(matches!(lost, Err(LeafFault::Stopped { .. })), "{lost:?}");
    }
}
