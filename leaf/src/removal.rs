//! Copies that are not wanted here any more: their index was deleted, or other leaves hold it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::ShardKey;

use crate::Leaf;
use crate::shard::Slot;

impl Leaf {
    /// Closes a copy and removes its files and its log, in the background. A copy that is being
    /// opened is removed by who opens it. One that is wanted again meanwhile is opened afterwards.
    pub(crate) fn remove(self: &Arc<Self>, key: ShardKey) {
        let slot = {
            let mut shards = self.shards.lock();
            let Some(slot) = shards.get_mut(&key) else {
                return;
            };
            std::mem::replace(slot, Slot::Closing)
        };
        self.changes.send_modify(|changes| *changes += 1);
        match slot {
            Slot::Closing => {}
            Slot::Opening(opening) => opening.close(),
            Slot::Open(_) | Slot::Failed(_) => self.wipe(key, slot),
        }
    }

    /// Removes what a slot that is already [`Slot::Closing`] held.
    pub(crate) fn wipe(self: &Arc<Self>, key: ShardKey, held: Slot) {
        let leaf = Arc::clone(self);
        self.spawn(async move {
            // A batch under way would make log and files anew after they were removed.
            let released = match held {
                Slot::Open(shard) => leaf.release(shard).await,
                Slot::Opening(_) | Slot::Failed(_) | Slot::Closing => leaf.freed(key).await,
            };
            if let Err(reason) = released {
                tracing::warn!(shard = %key, %reason, "a copy is removed while in use");
            }
            if let Err(error) = leaf.log.remove(key).await {
                tracing::warn!(shard = %key, %error, "log of a removed copy stays on disk");
            }
            let folders = leaf.folders(key);
            let removed = tokio::task::spawn_blocking(move || folders.remove());
            match removed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(shard = %key, %error, "files of a removed copy stay on disk");
                }
                Err(error) => tracing::warn!(shard = %key, %error, "removal failed"),
            }
            leaf.shards.lock().remove(&key);
            leaf.changes.send_modify(|changes| *changes += 1);
            let state = leaf.coordinator.state();
            if let Some(index) = state.indices.get(&key.index)
                && !*leaf.stopping.borrow()
            {
                leaf.open_missing(index);
            }
        });
    }

    /// Returns where a copy is on disk.
    pub(crate) fn folders(&self, key: ShardKey) -> Folders {
        let index = self.options.folder.join(key.index.to_string());
        Folders {
            copy: index.join(key.shard.to_string()),
            incoming: index.join(format!("{}.incoming", key.shard)),
            history: index.join(format!("{}.history", key.shard)),
            lost: index.join(format!("{}.lost", key.shard)),
            mended: index.join(format!("{}.mended", key.shard)),
            damaged: index.join(format!("{}.damaged", key.shard)),
            index,
        }
    }
}

/// Where a copy is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// The index's, which holds those of its shards.
    pub(crate) index: PathBuf,
    /// The copy's.
    pub(crate) copy: PathBuf,
    /// Files on their way from the primary. While it exists the copy is to be made from them.
    pub(crate) incoming: PathBuf,
    /// Where terms begin in the copy's log.
    pub(crate) history: PathBuf,
    /// Says that a copy has shown this primary to have lost records.
    pub(crate) lost: PathBuf,
    /// What is to take the place of a primary's damaged copy.
    pub(crate) mended: PathBuf,
    /// A primary's damaged copy, until another is open in its place.
    pub(crate) damaged: PathBuf,
}

impl Folders {
    /// Removes all of it, the index's folder with the last of its shards.
    fn remove(&self) -> std::io::Result<()> {
        for folder in [&self.copy, &self.incoming, &self.mended, &self.damaged] {
            remove_dir(folder)?;
        }
        for file in [&self.history, &self.lost] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
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

/// Removes a folder with all it holds; one that is not there is fine.
pub(crate) fn remove_dir(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
