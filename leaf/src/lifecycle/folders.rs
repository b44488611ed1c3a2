//! Where a copy is on disk.

use std::path::{Path, PathBuf};

use gleaner_model::ShardKey;

/// Where a copy is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// The index's, which holds those of its shards.
    pub(crate) index: PathBuf,
    /// The copy's.
    pub(crate) copy: PathBuf,
    /// Files on their way from the primary. While it exists the copy is to be made from them.
    pub(crate) incoming: PathBuf,
    /// Says which copy of the shard this is, where copies agree through an entry.
    pub(crate) copy_id: PathBuf,
    /// Says, and why, that the copy is not to be trusted while it counts as in sync: the folder is an older one.
    pub(crate) suspect: PathBuf,
    /// What is to take the place of a primary's damaged copy.
    pub(crate) mended: PathBuf,
    /// A primary's damaged copy, until another is open in its place.
    pub(crate) damaged: PathBuf,
}

impl Folders {
    /// Extension of the file that says which copy this is.
    pub(crate) const COPY_ID: &str = "copy";

    /// Extension of the file that says why the copy is not to be trusted.
    pub(crate) const SUSPECT: &str = "suspect";

    /// Returns the folders of `key` in the leaf's folder.
    pub(crate) fn of(leaf: &Path, key: ShardKey) -> Self {
        let index = leaf.join(key.index.to_string());
        Self {
            copy: index.join(key.shard.to_string()),
            incoming: index.join(format!("{}.incoming", key.shard)),
            copy_id: index.join(format!("{}.{}", key.shard, Self::COPY_ID)),
            suspect: index.join(format!("{}.{}", key.shard, Self::SUSPECT)),
            mended: index.join(format!("{}.mended", key.shard)),
            damaged: index.join(format!("{}.damaged", key.shard)),
            index,
        }
    }

    /// Removes all of it, the index's folder with the last of its shards.
    pub(crate) fn remove(&self) -> std::io::Result<()> {
        for folder in [&self.copy, &self.incoming, &self.mended, &self.damaged] {
            remove_dir(folder)?;
        }
        remove_file(&self.copy_id)?;
        remove_file(&self.suspect)?;
        match std::fs::remove_dir(&self.index) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other,
        }
    }
}

/// Makes what was made, renamed or removed in a folder durable. Blocks.
pub(crate) fn sync_dir(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_file(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a folder with all it holds; one that is not there is fine.
pub(crate) fn remove_dir(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
