//! Cutting the end of a shard's log off, when no journal can bring it back.

use gleaner_model::{SeqNo, ShardKey};

use super::Lane;
use crate::error::LogError;

impl Lane {
    /// Cuts a shard's log; returns the position of its next record.
    pub(super) fn truncate(&mut self, key: ShardKey, from: SeqNo) -> Result<SeqNo, LogError> {
        if !self.exists(key) {
            return Ok(SeqNo(0));
        }
        let Some(start) = self.writer(key)?.cut_point(from)? else {
            let tail = self.writer(key)?.tail();
            return Ok(tail.map_or(SeqNo(0), SeqNo::next));
        };
        let spared = self.spare_journal(None);
        // A sync of its own may have failed: then the journal is needed, and the shard stopped.
        self.writer(key)?.check()?;
        spared?;
        let forgotten = self.journal.forget();
        forgotten.map_err(|error| LogError::io("remove the journal of", &self.root, error))?;
        self.writer(key)?.cut(start)?;
        Ok(SeqNo(start.seq_no))
    }
}
