//! A durable commit whose files stay while someone copies them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gleaner_log::files::read_exact_at;

use super::{CommitMeta, META, ShardDirectory};
use crate::EngineError;

/// Keeps the files of a durable commit from being deleted until it is dropped.
#[derive(Debug)]
pub struct Pin {
    directory: ShardDirectory,
    id: u64,
    commit: CommitMeta,
    /// The commit's `meta.json`; the one on disk may be of a later commit.
    meta: Arc<[u8]>,
    /// Names and lengths.
    files: Vec<(String, u64)>,
}

impl ShardDirectory {
    /// Pins the last durable commit.
    ///
    /// # Errors
    /// `EvaluationError::Internal` when there is none, [`EngineError::Io`].
    pub fn pin(&self) -> Result<Pin, EngineError> {
        let mut state = self.shared.state.write();
        let meta = state.durable_meta.clone();
        let meta = meta.ok_or_else(|| EngineError::internal("nothing is durable"))?;
        let commit = CommitMeta::parse(&meta)?;
        state.num_pins += 1;
        let id = state.num_pins;
        state.pins.insert(id, commit.segments.clone());
        drop(state);
        let mut pin = Pin {
            directory: self.clone(),
            id,
            commit,
            meta,
            files: Vec::new(),
        };
        pin.files = pin.list().map_err(EngineError::io("listing a commit"))?;
        Ok(pin)
    }
}

impl Pin {
    /// Returns the commit.
    pub fn commit(&self) -> &CommitMeta {
        &self.commit
    }

    /// Returns names and lengths of its files; they do not change.
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    /// Returns the checksum, CRC-32C, with which a file was written, if it is known.
    pub fn checksum(&self, name: &str) -> Option<u32> {
        self.directory.checksum(name)
    }

    /// Reads up to `max_bytes` of a file from `offset` on; fewer only at its end.
    ///
    /// # Errors
    /// `NotFound` for a name that is not in the list, or what the system says.
    pub fn read(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let listed = self.files.iter().find(|(listed, _)| listed == name);
        let (name, len) = listed.ok_or(io::ErrorKind::NotFound)?;
        let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(max_bytes);
        if name == META {
            let rest = self.meta.iter().skip(offset as usize);
            return Ok(rest.take(wanted).copied().collect());
        }
        let mut bytes = vec![0; wanted];
        let shared = &self.directory.shared;
        let file = shared.files.open(&shared.folder.join(name))?;
        read_exact_at(&*file, offset, &mut bytes)?;
        Ok(bytes)
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let shared = &self.directory.shared;
        let mut files = Vec::new();
        for entry in shared.files.list(&shared.folder)? {
            if self.commit.segments.name(Path::new(&entry.name)) {
                let file = shared.files.open(&shared.folder.join(&entry.name))?;
                files.push((entry.name, file.len()?));
            }
        }
        files.push((META.to_owned(), self.meta.len() as u64));
        Ok(files)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let shared = &self.directory.shared;
        let mut state = shared.state.write();
        state.pins.remove(&self.id);
        let dead = state.take_dead_files();
        drop(state);
        shared.remove(&dead);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use gleaner_log::files::SimulatedFiles;
    use gleaner_model::{MappingVersion, SeqNo};
    use serde_json::json;
    use tantivy::Directory;
    use tantivy::directory::TerminatingWrite;

    use super::super::Completeness;
    use super::*;
    use crate::directory::tests::access;

    const OLD: &str = "00000000000000000000000000000001";
    const NEW: &str = "00000000000000000000000000000002";

    fn committed(directory: &ShardDirectory, segment: &str, next: u64) -> PathBuf {
        let path = PathBuf::from(format!("{segment}.store"));
        let mut file = directory.open_write(&path).expect("there is room");
        file.write_all(segment.as_bytes()).expect("there is room");
        file.terminate().expect("there is room");
        let segments = json!([{"segment_id": segment, "max_doc": 1, "deletes": null}]);
        let payload = CommitMeta::payload(SeqNo(next), MappingVersion(1), Completeness::Unknown);
        let meta = json!({"segments": segments, "payload": payload}).to_string();
        directory.set_meta(meta.as_bytes()).expect("it is a meta");
        directory.persist().expect("the disk is well");
        path
    }

    #[test]
    fn files_of_a_pinned_commit_can_be_read_until_it_is_let_go() {
        let disk = Arc::new(SimulatedFiles::new());
        let opened = ShardDirectory::open(Path::new("/shard"), disk, access());
        let directory = opened.expect("an empty folder opens").0;
        assert!(directory.pin().is_err(), "nothing is durable");
        let old = committed(&directory, OLD, 1);
        let pin = directory.pin().expect("there is a commit");
        let meta = pin.read(META, 0, 1_000).expect("it is kept");
        committed(&directory, NEW, 2);
        directory.delete(&old).expect("it is put off");
        assert_eq!(pin.commit().next_seq_no, SeqNo(1));
        let name = format!("{OLD}.store");
        let expected = [(name.clone(), 32), (META.to_owned(), meta.len() as u64)];
        assert_eq!(pin.files(), expected);
        assert_eq!(pin.read(&name, 30, 9).expect("it is there"), b"01");
        assert_eq!(pin.read(&name, 99, 9).expect("it is there"), b"");
        let parsed = CommitMeta::parse(&meta).expect("the pinned one");
        assert_eq!(parsed.next_seq_no, SeqNo(1));
        for other in [format!("{NEW}.store"), format!("../shard/{name}")] {
            let refused = pin.read(&other, 0, 9).expect_err("not of this commit");
            assert_eq!(refused.kind(), io::ErrorKind::NotFound);
        }
        drop(pin);
        assert!(!directory.exists(&old).expect("it can be asked"));
    }
}
