//! What a primary does beyond searching: order writes, sync them, show them, hand out its log.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{Generation, SeqNo, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::replicate::{LogPage, LogRecord, LogTailCall};
use gleaner_proto::write::{
    Condition, WriteAction, WriteAnswer, WriteCall, WriteFault, WriteItem, WriteOutcome,
    WriteResult,
};
use tokio::time::{sleep, timeout};

use super::copy::{Copy, Inner};
use crate::cluster::operation;
use crate::documents::{Known, apply, live};
use crate::schedule::{Broken, TERM};

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

    /// Returns records of the log, only what is synced; waits for the first.
    pub(super) async fn tail(&self, call: LogTailCall) -> Result<LogPage, LeafFault> {
        self.check_primary()?;
        let from = call.from.0 as usize;
        let more = self.wait_until(|inner| inner.num_synced > from);
        // Late or not: a page without records is an answer.
        drop(timeout(call.wait, more).await);
        let inner = self.inner.lock();
        let synced = &inner.log[..inner.num_synced];
        let record = |(operation, seq_no): (&Operation, u64)| LogRecord {
            seq_no: SeqNo(seq_no),
            term: TERM,
            payload: operation.encode(),
        };
        let wanted = synced.get(from..).unwrap_or_default().iter();
        Ok(LogPage {
            records: wanted.zip(call.from.0..).map(record).collect(),
            first_available: SeqNo(0),
            end: SeqNo(inner.num_synced as u64),
            visible: inner.views.visible(),
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
