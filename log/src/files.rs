//! The seam between promises of durability and the operating system.
//!
//! Code that promises to survive a crash writes through [`Files`]; production gives it
//! [`RealFiles`], crash tests [`SimulatedFiles`], which forgets what was not synced.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod real;
mod simulated;

pub use real::RealFiles;
pub use simulated::{Fault, Operation, SimulatedFiles, Survival};

/// A file system, as little of it as durable code needs.
///
/// Nothing is durable by itself: the bytes of a file are after [`File::sync`], its name (created,
/// renamed, removed) after [`Files::sync_dir`] of the folder that holds it.
pub trait Files: Send + Sync + Debug {
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Creates a file for reading and writing; an existing one is emptied.
    ///
    /// # Errors
    /// What the system says; `StorageFull` when there is no room.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file or folder another name; an existing file of that name is replaced at once, and so is an
    /// empty folder.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, or what the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all it holds. Not atomic.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder that holds nothing.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`, or what the system says.
    fn remove_empty_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and those above it; an existing one is fine.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Returns what a folder holds, sorted by name.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Makes the names in a folder durable (not the bytes of its files).
    ///
    /// # Errors
    /// What the system says; then nothing is known about the names.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns a number that nobody can guess.
    fn nonce(&self) -> u64 {
        // Its keys are taken from the system's random numbers.
        RandomState::new().hash_one(0)
    }

    /// Syncs several files, side by side where that is faster; returns what became of each, in their order.
    fn sync_all(&self, files: &[Arc<dyn File>]) -> Vec<io::Result<()>> {
        files.iter().map(|file| file.sync()).collect()
    }
}

/// An open file, addressed by offset; shared between threads.
pub trait File: Send + Sync + Debug {
    /// Reads some bytes at `offset`; 0 at the end of the file. May read less than asked.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes at `offset`. May write less than asked.
    ///
    /// # Errors
    /// What the system says; `StorageFull` when there is no room.
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Tells whether the file has no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the bytes written so far durable, and the length.
    ///
    /// # Errors
    /// What the system says. A failed sync must not be repeated: the pages may be gone and the
    /// second answer a lie.
    fn sync(&self) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last part of the path.
    pub name: String,
    /// It is a folder.
    pub is_dir: bool,
}

/// Fills `buf` from `offset` on.
///
/// # Errors
/// `UnexpectedEof` when the file ends before, or what the system says.
pub fn read_exact_at(file: &dyn File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(offset + done as u64, &mut buf[done..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `buf` at `offset`.
///
/// # Errors
/// `WriteZero`, or what the system says; some of the bytes may then be written.
pub fn write_all_at(file: &dyn File, offset: u64, buf: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.write_at(offset + done as u64, &buf[done..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the folder that holds `path`; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => PathBuf::from("."),
        Some(dir) => dir.to_owned(),
        None => path.to_owned(),
    }
}

/// Creates a folder whose name, and those of the folders created above it, are durable.
///
/// # Errors
/// Those of the disk.
pub fn create_durable_dir(files: &dyn Files, dir: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && files.list(path).is_err();
    let missing: Vec<PathBuf> = dir.ancestors().take_while(is_missing).map(parent).collect();
    files.create_dir_all(dir)?;
    missing.iter().try_for_each(|path| files.sync_dir(path))?;
    // It may be there since a moment before a kill, with its name not yet on disk.
    files.sync_dir(&parent(dir))
}
