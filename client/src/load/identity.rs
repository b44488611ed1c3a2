//! What a file is known by, and the ids of documents that have none.
//!
//! With a checkpoint, a document may be sent twice: the load was interrupted after the server took
//! it and before the checkpoint said so. It then has to bear the same `_id` both times. So an id is
//! made of the file's identity (its path, size and first 64 KiB) and the document's position. A file
//! of the same name with other content gives other ids and overwrites nothing. What changes behind the
//! first 64 KiB and keeps the size is told by the time of the change, which no id is made of: a file that
//! was only copied has the same documents.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// Bytes from a file's start that take part in its identity.
const HEAD_BYTES: u64 = 64 * 1024;

/// A file's identity: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Identity(String);

impl Identity {
    /// Reads what identifies the file at `path`, which should be absolute.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let num_bytes = file.metadata()?.len();
        let mut known = path.as_os_str().as_encoded_bytes().to_vec();
        known.push(0);
        known.extend(num_bytes.to_le_bytes());
        file.take(HEAD_BYTES).read_to_end(&mut known)?;
        Ok(Self(hash(&known)))
    }

    /// Returns the `_id` of the document at `position`, from 0.
    pub(crate) fn document_id(&self, position: u64) -> String {
        hash(format!("{}/{position}", self.0).as_bytes())
    }
}

/// Returns when the file at `path` was changed last, in nanoseconds since the epoch; `None` where the
/// system does not say.
pub(crate) fn modified_ns(path: &Path) -> Option<u64> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// Hashes to 32 hexadecimal digits. The hash is frozen by a test: a resumed load depends on it.
pub fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn ids_depend_on_file_content_and_position_and_are_frozen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "{}\n{}\n").expect("written");
        let first = Identity::of_file(&path).expect("a file");
        assert_eq!(Identity::of_file(&path).expect("a file"), first);
        assert_ne!(first.document_id(0), first.document_id(1));

        fs::write(&path, "{}\n[]\n").expect("written");
        let changed = Identity::of_file(&path).expect("a file");
        assert_ne!(changed, first, "same size, other content");
        assert_ne!(changed.document_id(0), first.document_id(0));
        let frozen = Identity("0123456789abcdef0123456789abcdef".to_owned()).document_id(7);
        assert_eq!(frozen, "ca10a52ecc48d2c44ca93faf3e4b7266");
    }
}
