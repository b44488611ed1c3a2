//! Cutting the end of a log off: the state file says so first, then readers and files follow.

use std::io;
use std::sync::Arc;

use gleaner_model::SeqNo;

use super::{Active, DurableBytes, ShardWriter};
use crate::error::LogError;
use crate::recovery::Folder;
use crate::segment::{Entry, Segment};
use crate::state_file::State;

impl ShardWriter {
    /// Returns where the log would be cut so that no record from `from` on stays: at the start of a batch; `None`
    /// when there is no such record.
    pub(crate) fn cut_point(&self, from: SeqNo) -> Result<Option<Entry>, LogError> {
        self.check()?;
        if from.0 >= self.committed {
            return Ok(None);
        }
        let first = SeqNo(self.state.current().first);
        if from < first {
            return Err(LogError::Trimmed { first });
        }
        let start = self.view.batch_start(from)?;
        let at = start.map_or(first, |start| SeqNo(start.seq_no));
        let agreed = self.view.agreement().point;
        if at < agreed {
            return Err(LogError::BelowAgreed { at, agreed });
        }
        Ok(start)
    }

    /// Cuts the log at the start of a batch. No journal may hold any of it.
    pub(crate) fn cut(&mut self, start: Entry) -> Result<(), LogError> {
        self.check()?;
        let state = State {
            floor: start.seq_no,
            is_cut: true,
            ..self.floor()
        };
        self.store(state)?;
        let cut = self.finish_cut(start, state);
        cut.map_err(|error| {
            tracing::error!(shard = %self.shard, %error, "cut failed, shard takes no more appends");
            self.is_stopped = true;
            let source = match error {
                LogError::Io { source, .. } => source,
                LogError::DiskFull { .. } => Arc::new(io::ErrorKind::StorageFull.into()),
                other => return other,
            };
            LogError::Indeterminate {
                shard: self.shard,
                source: Some(source),
            }
        })
    }

    /// Cuts files and readers, after the state file has said so.
    fn finish_cut(&mut self, start: Entry, state: State) -> Result<(), LogError> {
        let firsts = self.view.cut(start);
        let options = self.options.clone();
        let folder = Folder {
            files: options.files.as_ref(),
            dir: &self.dir,
            shard: self.shard,
            limits: options.limits(),
        };
        let (last, rest) = folder.cut(firsts, state)?;
        self.store(State {
            is_cut: false,
            ..state
        })?;
        self.ledger.cut(rest);
        self.committed = start.seq_no;
        self.active = Some(Active::of(&last));
        self.view.replace_last(last);
        Ok(())
    }
}

impl Active {
    /// Returns the segment to be written to, all of which is in its place.
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            file: segment.file.clone(),
            path: segment.path.to_path_buf(),
            first: segment.first,
            start: segment.start,
            salt: segment.salt,
            len: segment.end,
            held: DurableBytes::Synced,
        }
    }
}
