//! What a directory knows beside its files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::schema::Field as Column;

use super::Segments;
use super::sealed::{FileSum, FileSums};

#[derive(Default)]
pub(super) struct State {
    /// `meta.json` as tantivy last wrote it.
    pub(super) meta: Option<Arc<[u8]>>,
    /// tantivy's list of its files; worth nothing after a restart.
    pub(super) managed: Option<Arc<[u8]>>,
    /// Segments of `meta`.
    pub(super) live: Segments,
    /// `meta.json` as it is on disk.
    pub(super) durable_meta: Option<Arc<[u8]>>,
    /// Segments that the meta on disk names.
    pub(super) durable: Segments,
    /// Segments of the meta that is being made durable.
    pub(super) pending: Segments,
    /// Segments of durable commits that someone copies, by pin.
    pub(super) pins: BTreeMap<u64, Segments>,
    /// Pins made so far.
    pub(super) num_pins: u64,
    /// Files that are not yet known to be on disk, with the epoch that writes them.
    pub(super) unsynced: HashMap<PathBuf, u64>,
    /// Lengths and checksums of files as they were written.
    pub(super) sums: HashMap<PathBuf, FileSum>,
    /// The commit on disk names its files' checksums.
    pub(super) is_listed: bool,
    /// It does not, and they were not read when it was opened.
    pub(super) has_unlisted: bool,
    /// Files found beside no commit at all; they go once there is one.
    pub(super) strays: Vec<PathBuf>,
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

    /// Returns whether a file must stay: a meta names it, or a commit that is being copied.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        let metas = [&self.live, &self.durable, &self.pending];
        let mut all = metas.into_iter().chain(self.pins.values());
        all.any(|segments| segments.name(path))
    }

    /// Returns the files that can be deleted now: those whose deletion was put off and that nothing
    /// names any more, and what abandoned merges of earlier epochs left.
    pub(super) fn take_dead_files(&mut self) -> Vec<PathBuf> {
        let mut postponed = std::mem::take(&mut self.postponed);
        let dead = postponed.extract_if(|path| !self.is_named(path));
        let mut dead: Vec<PathBuf> = dead.collect();
        self.postponed = postponed;
        let is_abandoned = |path: &Path, of: u64| of < self.epoch && !self.is_named(path);
        let abandoned = self
            .unsynced
            .iter()
            .filter(|(path, of)| is_abandoned(path, **of));
        dead.extend(abandoned.map(|(path, _)| path.clone()));
        dead.iter().for_each(|path| self.forget(path));
        dead
    }

    /// Forgets a file that is being deleted.
    pub(super) fn forget(&mut self, path: &Path) {
        self.unsynced.remove(path);
        self.max_docs.remove(path);
        self.sums.remove(path);
    }

    /// Returns the bytes of the segments `ids`: of their files as they were written. Those whose lengths were not read
    /// when the folder was opened count as empty.
    pub(super) fn bytes_of(&self, ids: &HashSet<String>) -> u64 {
        let is_own = |path: &Path| {
            let name = path.to_str().and_then(|name| name.split_once('.'));
            name.is_some_and(|(id, _)| ids.contains(id))
        };
        let own = self.sums.iter().filter(|(path, _)| is_own(path));
        own.map(|(_, sum)| sum.num_bytes).sum()
    }

    /// Returns the bytes of all files by name, as they were written; `None` where the folder was opened without them.
    pub(super) fn sizes(&self) -> Option<Vec<(String, u64)>> {
        let sums = self.sums.iter();
        let sizes = sums.filter_map(|(path, sum)| Some((path.to_str()?.to_owned(), sum.num_bytes)));
        (!self.has_unlisted).then(|| sizes.collect())
    }

    /// Returns the sums of the files that must stay.
    pub(super) fn named_sums(&self) -> FileSums {
        self.sums_of(|path| self.is_named(path))
    }

    /// Returns the sums of the files that are chosen.
    pub(super) fn sums_of(&self, is_chosen: impl Fn(&Path) -> bool) -> FileSums {
        let chosen = self.sums.iter().filter(|(path, _)| is_chosen(path));
        chosen
            .filter_map(|(path, sum)| Some((path.to_str()?.to_owned(), *sum)))
            .collect()
    }
}
