//! tantivy's directory over a shard's folder: refreshes cost no fsync, durable commits stand apart.
//!
//! Files are written once and not synced; `meta.json` lives in memory. [`ShardDirectory::persist`]
//! syncs what the newest meta names, then replaces `meta.json` on disk. Between two durable commits
//! no file that the durable meta names is deleted, so a crash at any instant finds either the old
//! commit or the new one, whole. See `docs/decisions/0006-directory.md`.

mod damage;
mod gate;
mod handle;
mod meta;
mod norms;
mod persist;
mod pin;
mod remains;
mod sealed;
mod state;
mod tantivy_seam;
mod verify;
mod write;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gleaner_log::files::{Files, create_durable_dir};
use gleaner_machine::mapped::MappedOwner;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tantivy::schema::Field as Column;

pub use damage::{Damage, DamagedFile, FileFault};
use gate::Gate;
use handle::MappedFiles;
pub use meta::{CommitMeta, Completeness, Segments};
pub use pin::Pin;
pub(crate) use remains::{Remains, SegmentRemains};
use sealed::FileSums;
use state::State;
pub use verify::{Pace, Unpaced, Verification};

use crate::EngineError;

/// Name of the file that says which segments are the index.
const META: &str = "meta.json";
/// Where the next `meta.json` is written before it takes its name.
const META_NEXT: &str = "meta.json.next";

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Memory-mapped: the page cache decides what stays in memory.
    Mapped,
    /// Read whole into memory through the file seam: for crash tests.
    Copied,
}

/// How a folder is opened.
#[derive(Debug, Clone)]
pub struct Access {
    /// The shard it must be of.
    pub shard: String,
    /// How files are read.
    pub reading: Reading,
    /// How much of them is checked first.
    pub verification: Verification,
}

/// A shard's folder as tantivy sees it; handles are cheap and share their state.
///
/// A handle is of an epoch: [`ShardDirectory::next_epoch`] begins a new one, and what tantivy's
/// threads of an earlier one still do is refused or swept away.
#[derive(Clone)]
pub struct ShardDirectory {
    shared: Arc<Shared>,
    epoch: u64,
}

struct Shared {
    folder: Arc<PathBuf>,
    /// The shard, as its commits name it.
    shard: String,
    files: Arc<dyn Files>,
    /// Set when files are read by memory map.
    mapped: Option<MappedFiles>,
    /// Is told when a mapped file was cut.
    owner: Arc<MappedOwner>,
    state: RwLock<State>,
    /// A file was found damaged, or gave reason to think so.
    is_suspect: AtomicBool,
    /// Why the last write of a segment's file that failed did so: tantivy's threads end without telling it.
    failed_write: Mutex<Option<(io::ErrorKind, String)>>,
    /// Counts the changes of the meta in memory.
    meta_changes: AtomicU64,
    /// One durable commit at a time.
    persisting: Mutex<()>,
    /// tantivy's lock of the one writer.
    writer_gate: Arc<Gate>,
    /// tantivy's lock that keeps files from being deleted between reading a meta and opening them.
    meta_gate: Arc<Gate>,
}

impl Shared {
    fn note_failed_write(&self, error: &io::Error) {
        *self.failed_write.lock() = Some((error.kind(), error.to_string()));
    }
}

impl ShardDirectory {
    /// Opens `folder`, which is made when it does not exist, at its last durable commit. Its files are
    /// checked first; when they are sound, those that it does not name are removed. Without a commit that waits
    /// for the first one: the log may turn out to go on from one that is lost.
    ///
    /// # Errors
    /// [`EngineError::Newer`] for a commit of a newer format, [`EngineError::Damaged`] and
    /// [`EngineError::Corrupt`] for files that are not as they were written, which are left as they are,
    /// [`EngineError::Io`].
    pub fn open(
        folder: &Path,
        files: Arc<dyn Files>,
        access: Access,
    ) -> Result<(Self, Option<CommitMeta>), EngineError> {
        // The index's folder above it is made with its first shard.
        create_durable_dir(&*files, folder).map_err(EngineError::io("making the folder"))?;
        let (state, commit) = read_state(&*files, folder, &access)?;
        let mapped = match access.reading {
            Reading::Mapped => Some(MappedFiles::default()),
            Reading::Copied => None,
        };
        let shared = Shared {
            folder: Arc::new(folder.to_owned()),
            shard: access.shard,
            files,
            mapped,
            owner: MappedOwner::new(),
            state: RwLock::new(state),
            is_suspect: AtomicBool::new(false),
            failed_write: Mutex::default(),
            meta_changes: AtomicU64::new(0),
            persisting: Mutex::new(()),
            writer_gate: Arc::default(),
            meta_gate: Arc::default(),
        };
        Ok((
            Self {
                shared: Arc::new(shared),
                epoch: 0,
            },
            commit,
        ))
    }

    /// Returns whether the last durable commit names the checksums of its files: one of an earlier
    /// version does not.
    pub fn is_listed(&self) -> bool {
        let state = self.shared.state.read();
        state.is_listed || state.durable_meta.is_none()
    }

    /// Returns whether `folder` holds a durable commit, whole or not.
    pub fn is_committed(folder: &Path, files: &dyn Files) -> bool {
        files.open(&folder.join(META)).is_ok()
    }

    /// Returns the durable commit in `folder` of the copy that calls itself `shard`; `None` where there is none. Its files are
    /// not looked at.
    ///
    /// # Errors
    /// [`EngineError::Damaged`], [`EngineError::Corrupt`], [`EngineError::Io`].
    pub fn commit_in(
        folder: &Path,
        files: &dyn Files,
        shard: &str,
    ) -> Result<Option<CommitMeta>, EngineError> {
        let Some(bytes) = read_whole(files, &folder.join(META))? else {
            return Ok(None);
        };
        CommitMeta::parse(&sealed::unseal(&bytes, shard)?.meta).map(Some)
    }

    /// Returns a handle that takes writing over from all others.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read.
    pub fn next_epoch(&self) -> Result<Self, EngineError> {
        let shared = &*self.shared;
        let entries = shared.files.list(&shared.folder);
        let entries = entries.map_err(EngineError::io("listing"))?;
        let mut state = shared.state.write();
        state.epoch += 1;
        // tantivy only deletes files that it finds in its list.
        let is_named = |name: &String| state.live.name(Path::new(name));
        let names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        let managed: Vec<String> = names.into_iter().filter(is_named).collect();
        state.managed = Some(Value::from(managed).to_string().into_bytes().into());
        Ok(Self {
            shared: Arc::clone(&self.shared),
            epoch: state.epoch,
        })
    }

    /// Says which columns have norms: segments written before a column existed read as having norm
    /// 0 there, "document does not have the field".
    pub fn set_norm_columns(&self, columns: Vec<Column>) {
        self.shared.state.write().norm_columns = columns.into();
    }

    /// Returns why the last write of a segment's file that failed did so; `None` where none has.
    pub fn failed_write(&self) -> Option<io::Error> {
        let failed = self.shared.failed_write.lock();
        let (kind, text) = failed.as_ref()?;
        Some(io::Error::new(*kind, text.clone()))
    }

    /// Returns the folder, where its files are read by memory map.
    pub(crate) fn mapped_folder(&self) -> Option<Arc<PathBuf>> {
        let folder = self.shared.mapped.as_ref().map(|_| &self.shared.folder);
        folder.cloned()
    }

    /// Returns a number that grows with each change of the meta in memory (commits, merges).
    pub fn meta_changes(&self) -> u64 {
        self.shared.meta_changes.load(Ordering::Acquire)
    }

    /// Returns the meta in memory.
    pub fn meta(&self) -> Option<Arc<[u8]>> {
        self.shared.state.read().meta.clone()
    }

    /// Returns how many segments the meta in memory names, shown to searches or not yet.
    pub fn num_segments(&self) -> usize {
        self.shared.state.read().live.len()
    }

    /// Returns whether the meta in memory names all of the segments `ids`, which are 32 hexadecimal digits each.
    pub(crate) fn names_all(&self, ids: &HashSet<String>) -> bool {
        let state = self.shared.state.read();
        ids.iter().all(|id| state.live.contain(id))
    }

    /// Returns the bytes of the segments `ids`, by the lengths of their files as they were written.
    pub(crate) fn bytes_of(&self, ids: &HashSet<String>) -> u64 {
        self.shared.state.read().bytes_of(ids)
    }

    /// Replaces the meta in memory.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when `meta` is not one.
    pub fn set_meta(&self, meta: &[u8]) -> Result<(), EngineError> {
        let segments = Segments::parse(meta)?;
        self.shared
            .set_meta(&mut self.shared.state.write(), meta, segments);
        Ok(())
    }

    /// Makes the meta in memory durable: first the files it names, then `meta.json`.
    ///
    /// Returns what is on disk now. On an error the last durable commit still stands; the copy must
    /// be opened again, because what a failed sync left behind is unknown.
    ///
    /// # Errors
    /// [`EngineError::Io`], [`EngineError::Damaged`] when a mapped file was cut, `EvaluationError::Internal` when nothing
    /// was ever committed.
    pub fn persist(&self) -> Result<CommitMeta, EngineError> {
        let shared = &*self.shared;
        let _one_at_a_time = shared.persisting.lock();
        // What was read of a file that was cut may have been written into others since.
        shared.check_uncut().map_err(EngineError::Damaged)?;
        let pending = shared.begin_persist()?;
        shared
            .write_durably(&pending)
            .map_err(EngineError::io("a durable commit"))?;
        shared.end_persist(&pending);
        Ok(pending.commit)
    }

    /// Returns the bytes of the folder's files, of each by its name: as they were written, without a look at the disk,
    /// unless the commit that was opened does not tell. The list of a commit is not among them.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn file_sizes(&self) -> Result<Vec<(String, u64)>, EngineError> {
        let shared = &*self.shared;
        if let Some(sizes) = shared.state.read().sizes() {
            return Ok(sizes);
        }
        let sizes = || -> io::Result<Vec<(String, u64)>> {
            let mut sizes = Vec::new();
            for entry in shared.files.list(&shared.folder)? {
                match shared.files.open(&shared.folder.join(&entry.name)) {
                    Ok(file) => sizes.push((entry.name, file.len()?)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(sizes)
        };
        sizes().map_err(EngineError::io("measuring"))
    }
}

impl Shared {
    fn set_meta(&self, state: &mut State, meta: &[u8], segments: Segments) {
        state.meta = Some(meta.into());
        state.set_live(segments);
        self.meta_changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for ShardDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShardDirectory")
            .field(&self.shared.folder)
            .finish()
    }
}

/// Returns the bytes of a file, or `None` when there is no such file.
fn read_whole(files: &dyn Files, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    match files.open(path) {
        Ok(file) => handle::read_all(&*file)
            .map(Some)
            .map_err(EngineError::io("reading")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io("reading")(error)),
    }
}

/// Reads the last durable commit and checks its files.
fn read_state(
    files: &dyn Files,
    folder: &Path,
    access: &Access,
) -> Result<(State, Option<CommitMeta>), EngineError> {
    let mut state = State::default();
    let Some(bytes) = read_whole(files, &folder.join(META))? else {
        state.strays = strays(files, folder, &Segments::default())?;
        return Ok((state, None));
    };
    let unsealed = sealed::unseal(&bytes, &access.shard)?;
    let commit = CommitMeta::parse(&unsealed.meta)?;
    state.is_listed = unsealed.files.is_some();
    let sums = match (unsealed.files, access.verification) {
        (Some(sums), how) => match verify::check_files(files, folder, &sums, how)? {
            Some(damage) => return Err(EngineError::Damaged(damage)),
            None => sums,
        },
        (None, Verification::Content) => {
            verify::sum_unlisted(files, folder, &commit.segments)?.map_err(EngineError::Damaged)?
        }
        (None, Verification::Lengths) => {
            state.has_unlisted = true;
            FileSums::new()
        }
    };
    let sums = sums
        .into_iter()
        .map(|(name, sum)| (PathBuf::from(name), sum));
    state.sums.extend(sums);
    state.meta = Some(unsealed.meta.into());
    state.durable_meta = Some(bytes.into());
    state.durable = commit.segments.clone();
    state.set_live(commit.segments.clone());
    for stray in strays(files, folder, &commit.segments)? {
        let removed = files.remove_file(&folder.join(stray));
        removed.map_err(EngineError::io("removing a stray file"))?;
    }
    Ok((state, Some(commit)))
}

/// Returns the files that a commit of the segments `named` has no use for.
fn strays(files: &dyn Files, folder: &Path, named: &Segments) -> Result<Vec<PathBuf>, EngineError> {
    let entries = files.list(folder).map_err(EngineError::io("listing"))?;
    let entries = entries.into_iter().filter(|entry| !entry.is_dir);
    let names = entries.map(|entry| PathBuf::from(entry.name));
    let is_stray = |name: &PathBuf| name != Path::new(META) && !named.name(name);
    Ok(names.filter(is_stray).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use gleaner_log::files::SimulatedFiles;
    use gleaner_model::{MappingVersion, SeqNo};
    use serde_json::json;
    use tantivy::Directory;
    use tantivy::directory::TerminatingWrite;

    use super::*;

    const OLD: &str = "00000000000000000000000000000001";
    const NEW: &str = "00000000000000000000000000000002";

    pub(super) fn access() -> Access {
        Access {
            shard: "s/0".to_owned(),
            reading: Reading::Copied,
            verification: Verification::Content,
        }
    }

    fn directory() -> ShardDirectory {
        let files = Arc::new(SimulatedFiles::new());
        let opened = ShardDirectory::open(Path::new("/shard"), files, access());
        opened.expect("an empty folder opens").0
    }

    fn write(directory: &ShardDirectory, segment: &str) -> PathBuf {
        let path = PathBuf::from(format!("{segment}.store"));
        let mut file = directory.open_write(&path).expect("there is room");
        file.write_all(b"documents").expect("there is room");
        file.terminate().expect("there is room");
        path
    }

    fn name_only(directory: &ShardDirectory, segment: &str) {
        let segments = json!([{"segment_id": segment, "max_doc": 1, "deletes": null}]);
        let payload = CommitMeta::payload(SeqNo(1), MappingVersion(1), Completeness::Unknown);
        let meta = json!({"segments": segments, "payload": payload}).to_string();
        directory.set_meta(meta.as_bytes()).expect("it is a meta");
    }

    #[test]
    fn files_of_a_meta_that_is_being_persisted_outlive_a_merge_meanwhile() {
        let directory = directory();
        let (old, new) = (write(&directory, OLD), write(&directory, NEW));
        name_only(&directory, OLD);
        let pending = directory.shared.begin_persist().expect("it has a meta");
        name_only(&directory, NEW);
        directory.delete(&old).expect("it is put off");
        directory
            .shared
            .write_durably(&pending)
            .expect("the disk is well");
        directory.shared.end_persist(&pending);
        assert!(
            directory.exists(&old).expect("it can be asked"),
            "the durable meta names it"
        );
        directory.persist().expect("the disk is well");
        assert!(!directory.exists(&old).expect("it can be asked"));
        assert!(directory.exists(&new).expect("it can be asked"));
    }

    /// Looks between pieces whether files can be written meanwhile.
    struct Writing<'a> {
        directory: &'a ShardDirectory,
        num_looks: usize,
    }

    impl Pace for Writing<'_> {
        fn read(&mut self, _: u64) -> bool {
            assert!(
                self.directory.shared.state.try_write().is_some(),
                "a check keeps writers waiting"
            );
            self.num_looks += 1;
            true
        }
    }

    #[test]
    fn files_are_written_while_others_are_checked() {
        let directory = directory();
        write(&directory, OLD);
        name_only(&directory, OLD);
        let mut pace = Writing {
            directory: &directory,
            num_looks: 0,
        };
        let checked = directory.verify(Verification::Content, &mut pace);
        checked.expect("nothing is damaged");
        assert_eq!(pace.num_looks, 1);
    }

    #[test]
    fn an_abandoned_writer_changes_nothing_and_its_files_are_swept() {
        let directory = directory();
        name_only(&directory, OLD);
        let abandoned = write(&directory, NEW);
        let next = directory.next_epoch().expect("the folder can be read");
        let kept = write(&next, OLD);
        assert!(directory.open_write(Path::new("x.store")).is_err());
        assert!(directory.atomic_write(Path::new(META), b"{}").is_err());
        directory.delete(&kept).expect("it is put off");
        next.persist().expect("the disk is well");
        assert!(next.exists(&kept).expect("it can be asked"));
        assert!(!next.exists(&abandoned).expect("it can be asked"));
    }
}
