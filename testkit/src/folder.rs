//! What becomes of a leaf's data folder while it is down.
//!
//! Does: take files away, put older ones or another leaf's in their place, damage a log. Does not: start or stop the leaf. Read
//! first: [`FolderFault`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gleaner_model::IndexUuid;

/// A fault of a leaf's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderFault {
    /// The folder of its log is empty: another disk that is not mounted.
    LogGone,
    /// That of its indices is.
    IndexGone,
    /// Both are.
    BothGone,
    /// The folder is as it was some writes ago, in the same start.
    Older,
    /// The folder is as it was some writes ago, in an earlier start.
    OlderOverRestart,
    /// The log lacks its last half.
    LogTruncated,
    /// A byte in the first half of the log is another one.
    LogFlipped,
    /// The folder is that of another leaf.
    OtherLeaf,
    /// A clone of it was the node since.
    CloneBeside,
}

impl FolderFault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LogGone,
        Self::IndexGone,
        Self::BothGone,
        Self::Older,
        Self::OlderOverRestart,
        Self::LogTruncated,
        Self::LogFlipped,
        Self::OtherLeaf,
        Self::CloneBeside,
    ];

    /// Returns whether it needs a folder as it was some writes ago.
    pub fn is_older(self) -> bool {
        matches!(self, Self::Older | Self::OlderOverRestart)
    }

    /// Returns whether the whole folder is another one.
    pub fn replaces_all(self) -> bool {
        self.is_older() || matches!(self, Self::OtherLeaf | Self::CloneBeside)
    }
}

/// Folders that faults are made of.
pub struct Folders<'a> {
    /// The leaf's own.
    pub data: &'a Path,
    /// As it was some writes ago.
    pub older: &'a Path,
    /// Another leaf's.
    pub other: &'a Path,
    /// The index, as its folders are named.
    pub index: IndexUuid,
}

impl Folders<'_> {
    /// Makes a fault in the leaf's folder, while the leaf is down.
    ///
    /// # Errors
    /// That a folder cannot be read or written, or the log has no segment.
    pub fn harm(&self, fault: FolderFault) -> Result<()> {
        let (log, indices) = (self.data.join("log"), self.data.join("indices"));
        match fault {
            FolderFault::LogGone => empty(&log),
            FolderFault::IndexGone => empty(&indices),
            FolderFault::BothGone => {
                empty(&log)?;
                empty(&indices)
            }
            FolderFault::Older | FolderFault::OlderOverRestart => replace(self.data, self.older),
            FolderFault::LogTruncated => {
                let (path, length) = largest(&log.join(self.index.to_string()))?;
                let file = fs::File::options().write(true).open(path)?;
                Ok(file.set_len(length / 2)?)
            }
            FolderFault::LogFlipped => {
                let (path, length) = largest(&log.join(self.index.to_string()))?;
                let mut bytes = fs::read(&path)?;
                // Whole records follow: else it would be taken for the end that a crash has cut.
                bytes[length as usize / 4] ^= 1;
                Ok(fs::write(path, bytes)?)
            }
            FolderFault::OtherLeaf => replace(self.data, self.other),
            // What the clone has is not here.
            FolderFault::CloneBeside => Ok(()),
        }
    }
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// That it is not there, or there is no room.
pub fn copied(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").args([from, to]).status()?;
    ensure!(copied.success(), "cannot copy {}", from.display());
    Ok(())
}

/// Puts a copy of `other` in the place of a folder.
///
/// # Errors
/// As [`copied`].
pub fn replace(folder: &Path, other: &Path) -> Result<()> {
    fs::remove_dir_all(folder)?;
    copied(other, folder)
}

fn empty(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder)?;
    Ok(fs::create_dir(folder)?)
}

/// Returns the segment of a shard's log that is largest, and its length.
fn largest(log: &Path) -> Result<(PathBuf, u64)> {
    let mut folders = vec![log.to_owned()];
    let mut found = None;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            let entry = entry?;
            if entry.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "log") {
                found = found.max(Some((entry.len(), path)));
            }
        }
    }
    let (length, path) = found.context("the log has no segment")?;
    Ok((path, length))
}
