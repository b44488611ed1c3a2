//! Folders of damaged shard logs that are kept beside, for people: nothing reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gleaner_model::ShardKey;
use parking_lot::Mutex;

/// The newest such folder of each shard. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PutAside(Arc<Mutex<BTreeMap<ShardKey, PathBuf>>>);

impl PutAside {
    /// Notes a folder; of several of a shard the one that was put aside last.
    pub(crate) fn note(&self, shard: ShardKey, folder: PathBuf) {
        let mut folders = self.0.lock();
        let known = folders.entry(shard).or_default();
        if folder > *known {
            *known = folder;
        }
    }

    /// Forgets the folder of a shard that is removed.
    pub(crate) fn forget(&self, shard: ShardKey) {
        self.0.lock().remove(&shard);
    }

    /// Returns the folder of a shard, which a person may have removed since.
    pub(crate) fn of(&self, shard: ShardKey) -> Option<PathBuf> {
        self.0.lock().get(&shard).cloned()
    }
}
