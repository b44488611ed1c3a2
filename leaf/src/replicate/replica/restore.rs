//! A primary that is made from a copy which holds all that it does, and more.
//!
//! As a replica is made: the copy's files, then the records of its log from there on. Until the last
//! record is here the primary is not opened, so nothing is written that the copy does not hold; a crash
//! leaves `<shard>.lost`, and it begins again.

use std::sync::Arc;
use std::time::Duration;

use gleaner_log::Append;
use gleaner_model::{History, NodeId, SeqNo};
use gleaner_proto::ReplicationClient;
use gleaner_proto::replicate::{LogRecord, LogTailCall};

use super::{Halt, Keeper};
use crate::lifecycle::recovery::PrimaryOpening;
use crate::replicate::history::HistoryFile;

/// Bytes asked for at once.
const PAGE_BYTES: usize = 4 << 20;

/// The longest that a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl PrimaryOpening {
    /// Makes the primary from the copy of another node, which has the given history.
    ///
    /// # Errors
    /// Why it could not be made now.
    pub(crate) async fn restore(&self, node: &NodeId, history: &History) -> Result<(), String> {
        let key = self.key;
        let keeper = Keeper::of(self, Some(node.clone()));
        tracing::warn!(shard = %key, %node, "primary is made from a copy that holds more");
        let restored = keeper.restore(history).await;
        restored.map_err(|halt| {
            let reason = halt.reason();
            format!("it is being made from the copy on `{node}`, which holds more: {reason}")
        })?;
        let next = history.next;
        tracing::info!(shard = %key, %node, %next, "primary holds what the copy does");
        Ok(())
    }
}

impl Keeper {
    async fn restore(&self, history: &History) -> Result<(), Halt> {
        let folders = self.leaf.node.folders(self.key);
        self.copy_files(&folders).await?;
        let source = self.source()?;
        let tail = self.leaf.node.log.tail(self.key).await;
        let tail = tail.map_err(|error| Halt::later(&error))?;
        let mut next = tail.map_or(SeqNo(0), SeqNo::next);
        self.keep(HistoryFile::of(history)).await?;
        while next < history.next {
            let records = self.records(&source, next).await?;
            next = SeqNo(next.0 + records.len() as u64);
            self.append(&records).await?;
            let end = history.next;
            self.opening.tell(format!(
                "it is made from a copy, {next} of {end} operations"
            ));
        }
        Ok(())
    }

    async fn records(
        &self,
        source: &Arc<dyn ReplicationClient>,
        from: SeqNo,
    ) -> Result<Vec<LogRecord>, Halt> {
        let call = LogTailCall {
            shard: self.key,
            follower: self.leaf.node.name(),
            from,
            max_bytes: PAGE_BYTES,
            wait: Duration::ZERO,
            held: None,
        };
        let page = tokio::time::timeout(PATIENCE, source.log_tail(call));
        let page = self.until_closed(page).await?;
        let page = page.map_err(|_| Halt::Later("the copy does not answer".to_owned()))?;
        let page = page.map_err(|fault| Halt::later(&fault))?;
        match page.records.first() {
            Some(first) if first.seq_no == from => Ok(page.records),
            _ => Err(Halt::Later(format!(
                "the copy's log lacks operation {from}"
            ))),
        }
    }

    async fn append(&self, records: &[LogRecord]) -> Result<(), Halt> {
        for run in records.chunk_by(|one, other| one.term == other.term) {
            let append = Append {
                shard: self.key,
                term: run[0].term,
                expected_last: run[0].seq_no.0.checked_sub(1).map(SeqNo),
                producer: None,
                batch: run.iter().map(|record| record.payload.clone()).collect(),
            };
            let appended = self.leaf.node.log.append(append).await;
            appended.map_err(|error| Halt::later(&error))?;
        }
        Ok(())
    }
}
