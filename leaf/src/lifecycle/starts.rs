//! How often a node was started, by its folder and by what is kept outside of it: a folder that knows of fewer starts is an
//! older one, put back from a copy.
//!
//! ```text
//! <leaf's folder>/starts      {"number": 7}
//! <index>/<shard>.suspect     why the copy is not to be trusted while it counts as in sync
//! ```
//!
//! What was acknowledged since is not in the copies of such a folder: they are suspects. A start is counted when its first
//! copy in sync is opened, and not while suspects are left: the right folder can be brought back until then. Called when
//! copies that agree are opened. Read first: [`FolderStarts`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gleaner_coordinator::{CoordinatorError, CopyMarks};
use gleaner_machine::durable;
use gleaner_model::NodeUuid;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::folders::{Folders, sync_dir};
use crate::replicate::halt::Halt;

/// The starts of one leaf's folder.
#[derive(Debug)]
pub(crate) struct FolderStarts {
    folder: PathBuf,
    progress: Mutex<Progress>,
}

/// How far this process has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    NotLooked,
    /// Copies of an older folder are noted as suspects.
    Looked(Starts),
    Counted,
}

/// What the file holds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Noted {
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspected_at: Option<u64>,
}

impl FolderStarts {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            progress: Mutex::default(),
        }
    }

    /// Looks, once in a process, whether the folder is an older one, before its copies are opened.
    pub(crate) async fn look(&self, marks: &dyn CopyMarks, node: NodeUuid) -> Result<(), Halt> {
        let mut progress = self.progress.lock().await;
        if *progress != Progress::NotLooked {
            return Ok(());
        }
        let counted = match marks.num_starts(node).await {
            Ok(counted) => counted,
            Err(error @ CoordinatorError::Unavailable { .. }) => return Err(Halt::later(&error)),
            Err(error) => {
                tracing::warn!(%error, "starts are not counted outside of the data folder: an older one would not be noticed");
                *progress = Progress::Counted;
                return Ok(());
            }
        };
        let folder = self.folder.clone();
        let looked = tokio::task::spawn_blocking(move || looked(&folder, counted)).await;
        let starts = looked.unwrap_or_else(|error| Err(io::Error::other(error)));
        *progress = Progress::Looked(starts.map_err(|error| Halt::later(&error))?);
        Ok(())
    }

    /// Counts the start of this process, once, unless suspects are left: a copy in sync is about to be opened.
    pub(crate) async fn count(&self, marks: &dyn CopyMarks, node: NodeUuid) -> Result<(), Halt> {
        let mut progress = self.progress.lock().await;
        let Progress::Looked(starts) = *progress else {
            return Ok(());
        };
        let folder = self.folder.clone();
        let noted = tokio::task::spawn_blocking(move || counted(&folder, starts)).await;
        let noted = noted.unwrap_or_else(|error| Err(io::Error::other(error)));
        let Some(number) = noted.map_err(|error| Halt::later(&error))? else {
            return Ok(());
        };
        if let Err(error) = marks.note_starts(node, number).await {
            tracing::warn!(%error, "this start is not counted outside of the data folder");
        }
        *progress = Progress::Counted;
        Ok(())
    }
}

/// Notes the copies of an older folder as suspects, where that was not done. Blocks.
fn looked(folder: &Path, counted: u64) -> io::Result<Starts> {
    let noted = read(folder)?.unwrap_or(Noted {
        number: counted,
        suspected_at: None,
    });
    let mut starts = Starts {
        noted: noted.number,
        counted,
        suspected_at: noted.suspected_at,
    };
    if starts.next(false) != Start::Suspects {
        return Ok(starts);
    }
    let known = starts.noted;
    let reason = format!(
        "its data folder is an older one: the node was started {counted} times, and the folder knows of {known}"
    );
    let num_copies = suspect_copies(folder, &reason)?;
    tracing::error!(
        folder = %folder.display(),
        num_copies,
        reason,
        "the data folder was put back from a copy: its copies are made anew from others, or stay closed"
    );
    starts.suspected_at = Some(counted);
    write(
        folder,
        Noted {
            suspected_at: starts.suspected_at,
            ..noted
        },
    )?;
    Ok(starts)
}

/// Notes in the folder that it was started, where no suspect is left; returns how often. Blocks.
fn counted(folder: &Path, starts: Starts) -> io::Result<Option<u64>> {
    let Start::Counted(number) = starts.next(has_suspects(folder)?) else {
        return Ok(None);
    };
    // The folder first: where the process ends in between it counts more, which is no harm.
    let suspected_at = None;
    write(
        folder,
        Noted {
            number,
            suspected_at,
        },
    )?;
    Ok(Some(number))
}

/// Returns what is noted in a folder; `None` where that is damaged, which makes no older folder of it.
fn read(folder: &Path) -> io::Result<Option<Noted>> {
    let path = folder.join("starts");
    match fs::read(&path) {
        Ok(content) => {
            let read = serde_json::from_slice(&content);
            Ok(read
                .inspect_err(|error| tracing::warn!(file = %path.display(), %error, "the count of starts is damaged and begins again"))
                .ok())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Noted::default())),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, noted: Noted) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    durable::replace(&folder.join("starts"), &serde_json::to_vec(&noted)?)
}

/// What is known of a node's starts when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Starts {
    /// Starts that the folder knows of.
    pub(crate) noted: u64,
    /// Starts that were counted outside of it.
    pub(crate) counted: u64,
    /// What was counted when the folder's copies were noted as suspects.
    pub(crate) suspected_at: Option<u64>,
}

/// What a start does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It is counted: the number to be noted, in the folder first.
    Counted(u64),
    /// The folder is an older one: its copies are noted as suspects.
    Suspects,
    /// The folder is an older one, and was known as that; suspects are left.
    NotCounted,
}

impl Starts {
    /// Returns what a start does on a folder that has suspects left, or has none.
    pub(crate) fn next(&self, has_suspects: bool) -> Start {
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
/// Returns how many there are. Blocks.
pub(crate) fn suspect_copies(leaf: &Path, reason: &str) -> io::Result<usize> {
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

/// Returns whether suspects are left in the folder of a leaf. Blocks.
fn has_suspects(leaf: &Path) -> io::Result<bool> {
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
    use gleaner_coordinator::marks::MarksInMemory;

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
    #[tokio::test]
    async fn copies_in_a_folder_that_was_put_back_are_suspects_and_the_right_one_may_come_back() {
        let (kept, node) = (tempfile::tempdir().expect("a folder"), NodeUuid([1; 16]));
        let (folder, marks) = (kept.path(), MarksInMemory::default());
        fs::create_dir(folder.join("i")).expect("made");
        fs::write(folder.join("i/0.copy"), "c").expect("written");
        let suspect = folder.join("i/0.suspect");
        let started = async || {
            let starts = FolderStarts::of(folder);
            starts.look(&marks, node).await.expect("read");
            starts.count(&marks, node).await.expect("written");
            let counted = marks.num_starts(node).await.expect("in memory");
            let noted = read(folder).expect("read").expect("sound");
            (noted.number, counted)
        };
        assert_eq!(started().await, (1, 1));
        assert_eq!(started().await, (2, 2));
        let older = Noted {
            number: 1,
            suspected_at: None,
        };
        write(folder, older).expect("written");
        for _ in 0..2 {
            assert_eq!(started().await, (1, 2));
            let reason = fs::read_to_string(&suspect).expect("it is noted");
            assert!(
                reason.contains("2 times") && reason.contains("knows of 1"),
                "{reason}"
            );
        }
        // All of its copies were made anew.
        fs::remove_file(&suspect).expect("removed");
        assert_eq!(started().await, (3, 3));
    }
}
