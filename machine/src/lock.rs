//! Files that one process holds at a time.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// A file that this process holds until the lock is dropped. The lock ends with the process, too, however
/// that ends; the file stays.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that is being started from another thread has it open until it runs its own
    /// program, and holds the lock with it.
    fn drop(&mut self) {
        // What cannot be unlocked is free once the file is closed everywhere.
        drop(self.file.unlock());
    }
}

/// Why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it: its number, or `unknown`.
    #[error("process {0} has it")]
    Held(String),
    /// It cannot be written to, or the file system knows no locks.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Returns the file to lock for a file at `path` that is replaced as a whole: a lock on that itself would go with its
/// old content.
pub fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    beside.into()
}

impl Lock {
    /// Takes the file at `path`, made when absent; its content then names this process.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => {
                let told = format!("it cannot be locked: {error}");
                return Err(io::Error::new(error.kind(), told).into());
            }
        }
        sign(&mut file)?;
        Ok(Self { file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // A name is a courtesy: without one the message still says what to do.
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_and_stays_when_it_is_free_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = beside(&folder.path().join("x"));
        assert_eq!(path, folder.path().join("x.lock"));
        let first = Lock::take(&path).expect("free");
        let held = Lock::take(&path).expect_err("held");
        let own = std::process::id().to_string();
        assert!(matches!(held, LockError::Held(process) if process == own));
        drop(first);
        assert!(path.exists());
        assert!(Lock::take(&path).is_ok());
        let absent = Lock::take(&folder.path().join("absent/x.lock"));
        assert!(matches!(absent, Err(LockError::Io(_))));
    }
    #[test]
    fn a_lock_that_is_dropped_is_free_while_processes_are_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.lock");
        let start = || std::process::Command::new("true").status();
        let starting = std::thread::spawn(move || (0..200).all(|_| start().is_ok()));
        while !starting.is_finished() {
            drop(Lock::take(&path).expect("nobody holds it"));
        }
        assert!(starting.join().expect("it does not panic"));
    }
}
