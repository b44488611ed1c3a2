//! What a directory knows beside its files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::schema::Field as Column;

use super::Segments;

#[derive(Default)]
pub(super) struct State {
    /// `meta.json` as tantivy last wrote it.
    pub(super) meta: Option<Arc<[u8]>>,
    /// tantivy's list of its files; worth nothing after a restart.
    pub(super) managed: Option<Arc<[u8]>>,
    /// Segments of `meta`.
    pub(super) live: Segments,
    /// Segments that the meta on disk names.
    pub(super) durable: Segments,
    /// Segments of the meta that is being made durable.
    pub(super) pending: Segments,
    /// Files that are not yet known to be on disk, with the epoch that writes them.
    pub(super) unsynced: HashMap<PathBuf, u64>,
    /// Files whose deletion waits until no meta names them.
    pub(super) postponed: HashSet<PathBuf>,
    /// The epoch whose handles may write.
    pub(super) epoch: u64,
    /// Columns of the schema that have norms.
    pub(super) norm_columns: Arc<[Column]>,
    /// Documents of each segment that a meta has named and whose norms are on disk.
    pub(super) max_docs: HashMap<PathBuf, u32>,
}

impl State {
    pub(super) fn set_live(&mut self, segments: Segments) {
        self.max_docs.extend(segments.norm_files());
        self.live = segments;
    }

    /// Returns the files that can be deleted now: those whose deletion was put off and that no meta
    /// names any more, and what abandoned merges of earlier epochs left.
    pub(super) fn take_dead_files(&mut self) -> Vec<PathBuf> {
        let Self {
            live,
            durable,
            postponed,
            unsynced,
            epoch,
            ..
        } = self;
        let is_named = |path: &PathBuf| live.name(path) || durable.name(path);
        let mut dead: Vec<PathBuf> = postponed.extract_if(|path| !is_named(path)).collect();
        let abandoned = unsynced
            .iter()
            .filter(|(path, of)| **of < *epoch && !is_named(path));
        dead.extend(abandoned.map(|(path, _)| path.clone()));
        dead.iter().for_each(|path| self.forget(path));
        dead
    }

    /// Forgets a file that is being deleted.
    pub(super) fn forget(&mut self, path: &Path) {
        self.unsynced.remove(path);
        self.max_docs.remove(path);
    }
}
