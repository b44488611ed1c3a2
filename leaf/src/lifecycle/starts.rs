//! How often a node was started, by its folder and by what is kept outside of it: a folder that knows of fewer starts is an
//! older one, put back from a copy.
//!
//! Its copies are not to be trusted while they count as in sync: what was acknowledged since is not in them. A start on
//! such a folder is not counted while one of these copies is left, so that the right folder can be brought back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folders::{Folders, sync_dir};

/// What is known of a node's starts when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    /// Starts that the folder knows of.
    pub noted: u64,
    /// Starts that were counted outside of it.
    pub counted: u64,
    /// What was counted when the folder's copies were noted as suspects.
    pub suspected_at: Option<u64>,
}

/// What a start does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is counted: the number to be noted, in the folder first.
    Counted(u64),
    /// The folder is an older one: its copies are noted as suspects.
    Suspects,
    /// The folder is an older one, and was known as that; suspects are left.
    NotCounted,
}

impl Starts {
    /// Returns what a start does on a folder that has suspects left, or has none.
    pub fn next(&self, has_suspects: bool) -> Start {
        if self.noted >= self.counted {
            return Start::Counted(self.noted + 1);
        }
        match self.suspected_at == Some(self.counted) {
            false => Start::Suspects,
            true if has_suspects => Start::NotCounted,
            true => Start::Counted(self.counted + 1),
        }
    }
}

/// Notes for each copy in the folder of a leaf that it is not to be trusted while it counts as in sync, and why, durably.
/// Returns how many there are. To be called before a leaf is started on the folder.
///
/// # Errors
/// What the disk says; some may be noted.
pub fn suspect_copies(leaf: &Path, reason: &str) -> io::Result<usize> {
    let copies = files_of(leaf, Folders::COPY_ID)?;
    for copy in &copies {
        let suspect = copy.with_extension(Folders::SUSPECT);
        fs::write(&suspect, reason)?;
        fs::File::open(&suspect)?.sync_all()?;
        if let Some(index) = copy.parent() {
            sync_dir(index)?;
        }
    }
    Ok(copies.len())
}

/// Returns whether suspects are left in the folder of a leaf.
///
/// # Errors
/// What the disk says.
pub fn has_suspects(leaf: &Path) -> io::Result<bool> {
    Ok(!files_of(leaf, Folders::SUSPECT)?.is_empty())
}

/// Returns the files of one kind in the folders of all indices.
fn files_of(leaf: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let indices = match fs::read_dir(leaf) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut found = Vec::new();
    for index in indices {
        let index = index?.path();
        if !index.is_dir() {
            continue;
        }
        for file in fs::read_dir(&index)? {
            let path = file?.path();
            if path.extension().is_some_and(|end| end == extension) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_an_older_folder_are_counted_once_no_suspect_is_left() {
        let starts = |noted, counted, suspected_at| Starts {
            noted,
            counted,
            suspected_at,
        };
        assert_eq!(starts(0, 0, None).next(false), Start::Counted(1));
        assert_eq!(starts(4, 4, None).next(false), Start::Counted(5));
        assert_eq!(
            starts(5, 4, None).next(false),
            Start::Counted(6),
            "not noted outside"
        );
        assert_eq!(starts(3, 4, None).next(false), Start::Suspects);
        assert_eq!(starts(3, 4, Some(4)).next(true), Start::NotCounted);
        assert_eq!(starts(3, 4, Some(4)).next(false), Start::Counted(5));
        assert_eq!(
            starts(3, 6, Some(4)).next(true),
            Start::Suspects,
            "older once more"
        );
    }
}
