//! A disk that is remembered as it is before each operation, and on which errors can be planted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gleaner_log::files::{Entry, File, Files, SimulatedFiles};
use parking_lot::Mutex;

use super::history::Knowledge;
use super::planted::PlantedError;

/// The moments of a life.
#[derive(Debug, Default)]
pub(super) struct Moments {
    known: Mutex<Knowledge>,
    taken: Mutex<Vec<Moment>>,
}

/// A moment at which the power may be cut.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) files: SimulatedFiles,
    /// What callers know, at the least.
    pub(super) known: Knowledge,
}

impl Moments {
    /// Takes note of what callers know from now on.
    pub(super) fn tell(&self, known: &Knowledge) {
        self.known.lock().clone_from(known);
    }

    /// Returns all of them.
    pub(super) fn take(&self) -> Vec<Moment> {
        std::mem::take(&mut self.taken.lock())
    }
}

/// The files of a life; clones share them.
#[derive(Debug, Clone)]
pub(super) struct LifeFiles {
    pub(super) files: SimulatedFiles,
    pub(super) planted: Option<PlantedError>,
    /// `None` where nothing is remembered.
    pub(super) moments: Option<Arc<Moments>>,
}

impl LifeFiles {
    /// To be called before each operation that changes the disk.
    fn remember(&self) -> &SimulatedFiles {
        if let Some(moments) = &self.moments {
            // What is known first: it is of no later time than the disk.
            let known = moments.known.lock().clone();
            let files = self.files.fork();
            moments.taken.lock().push(Moment { files, known });
        }
        &self.files
    }

    fn wrap(&self, path: &Path, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(LifeFile {
            files: self.clone(),
            file,
            is_state: path.file_stem().is_some_and(|name| name == "state"),
        })
    }
}

impl Files for LifeFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(path, self.files.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(path, self.remember().create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.remember().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if self.planted == Some(PlantedError::JournalKept) && name.starts_with("journal-") {
            return Ok(());
        }
        self.remember().remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.remember().remove_dir_all(path)
    }

    fn remove_empty_dir(&self, path: &Path) -> io::Result<()> {
        self.remember().remove_empty_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.remember().create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.files.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.remember().sync_dir(dir)
    }

    fn nonce(&self) -> u64 {
        self.files.nonce()
    }
}

#[derive(Debug)]
struct LifeFile {
    files: LifeFiles,
    file: Arc<dyn File>,
    is_state: bool,
}

impl File for LifeFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.files.remember();
        if self.is_state && self.files.planted == Some(PlantedError::FenceNotDurable) {
            return self.file.write_at(offset, &without_fence(buf));
        }
        self.file.write_at(offset, buf)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.files.remember();
        self.file.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.files.remember();
        self.file.sync()
    }
}

/// Returns a slot of the state file that says nothing of a fence.
fn without_fence(slot: &[u8]) -> Vec<u8> {
    let mut slot = slot.to_vec();
    slot[40..48].fill(0);
    for end in [64, 88] {
        let crc = crc32c::crc32c(&slot[..end]);
        slot[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    }
    slot
}
