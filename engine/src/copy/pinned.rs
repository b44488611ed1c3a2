//! A durable commit that another leaf copies.

use std::io;
use std::sync::Arc;

use gleaner_model::SeqNo;

use super::ShardIndex;
use crate::EngineError;
use crate::directory::Pin;

/// The files of a durable commit, kept until this is dropped; holds the copy open.
pub struct PinnedCommit {
    // Before the copy: what it lets go is deleted while the folder is still this copy's.
    pin: Pin,
    _copy: Arc<ShardIndex>,
}

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedFile {
    /// Name inside the shard's folder.
    pub name: String,
    /// Its length.
    pub num_bytes: u64,
}

impl ShardIndex {
    /// Pins the last durable commit.
    ///
    /// # Errors
    /// `EvaluationError::Internal` when there is none, [`EngineError::Io`].
    pub fn pin_commit(self: &Arc<Self>) -> Result<PinnedCommit, EngineError> {
        Ok(PinnedCommit {
            pin: self.directory.pin()?,
            _copy: Arc::clone(self),
        })
    }
}

impl PinnedCommit {
    /// Returns the operation that is due after the commit.
    pub fn next_seq_no(&self) -> SeqNo {
        self.pin.commit().next_seq_no
    }

    /// Returns the files that make the commit. A file of one name is the same in every commit,
    /// `meta.json` excepted.
    pub fn files(&self) -> impl Iterator<Item = PinnedFile> {
        self.pin.files().iter().map(|(name, num_bytes)| PinnedFile {
            name: name.clone(),
            num_bytes: *num_bytes,
        })
    }

    /// Returns the checksum, CRC-32C, with which a file was written; `None` for the commit's own.
    pub fn checksum(&self, name: &str) -> Option<u32> {
        self.pin.checksum(name)
    }

    /// Reads up to `max_bytes` of a file from `offset` on; fewer only at its end. Blocks.
    ///
    /// # Errors
    /// `NotFound` for a name that is not in the list, or what the system says.
    pub fn read(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        self.pin.read(name, offset, max_bytes)
    }
}
