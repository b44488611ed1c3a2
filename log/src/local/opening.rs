//! One pass over the folders of a log when it is opened: a writer and a view for each shard.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::{IndexUuid, ShardKey, ShardNumber};

use super::lane_of;
use crate::error::LogError;
use crate::journal::JournalReplay;
use crate::lane::{REMOVED, UNFINISHED, is_damaged};
use crate::options::LogOptions;
use crate::put_aside::PutAside;
use crate::recovery::{OpenReport, ShardReport, open_shard};
use crate::view::ShardView;
use crate::writer::ShardWriter;

/// Folders opened so far.
pub(super) struct OpenFolders<'a> {
    root: &'a Path,
    options: &'a LogOptions,
    /// By commit thread.
    pub(super) writers: Vec<HashMap<ShardKey, ShardWriter>>,
    pub(super) views: HashMap<ShardKey, Arc<ShardView>>,
    /// Shards that refused what a journal holds of them.
    unwritten: BTreeMap<ShardKey, LogError>,
    pub(super) put_aside: PutAside,
    pub(super) report: OpenReport,
}

impl<'a> OpenFolders<'a> {
    /// Opens all shards, behind what journals held.
    pub(super) fn all(
        root: &'a Path,
        options: &'a LogOptions,
        replayed: JournalReplay,
    ) -> Result<Self, LogError> {
        tell_replay(&replayed);
        let num_lanes = options.num_lanes.max(1);
        let mut opened = Self {
            root,
            options,
            writers: (0..num_lanes).map(|_| HashMap::new()).collect(),
            views: HashMap::new(),
            unwritten: replayed.failed,
            put_aside: PutAside::default(),
            report: OpenReport {
                replayed_bytes: replayed.num_bytes,
                damaged_journals: replayed.damaged,
                ..OpenReport::default()
            },
        };
        opened.indices()?;
        opened.report.shards.sort_by_key(|shard| shard.shard);
        Ok(opened)
    }

    fn indices(&mut self) -> Result<(), LogError> {
        for name in list_dirs(self.options, self.root)? {
            match IndexUuid::parse(&name) {
                Ok(index) => self.index(index, &self.root.join(name))?,
                Err(_) => tracing::warn!(name, "unknown folder in the log"),
            }
        }
        Ok(())
    }

    fn index(&mut self, index: IndexUuid, dir: &Path) -> Result<(), LogError> {
        for name in list_dirs(self.options, dir)? {
            let path = dir.join(&name);
            match name.parse().map(ShardNumber) {
                Ok(shard) => self.shard(ShardKey { index, shard }, path),
                Err(_)
                    if path
                        .extension()
                        .is_some_and(|ext| ext == REMOVED || ext == UNFINISHED) =>
                {
                    let removed = self.options.files.remove_dir_all(&path);
                    removed.map_err(|error| LogError::io("remove", &path, error))?;
                }
                Err(_) if is_damaged(&path) => self.note_put_aside(index, path),
                Err(_) => tracing::warn!(path = %path.display(), "unknown folder in the log"),
            }
        }
        self.forget_empty(dir)
    }

    fn note_put_aside(&self, index: IndexUuid, folder: PathBuf) {
        let number = folder.file_stem().and_then(|name| name.to_str());
        let shard = number.and_then(|number| number.parse().ok());
        if let Some(shard) = shard.map(ShardNumber) {
            self.put_aside.note(ShardKey { index, shard }, folder);
        }
    }

    /// Removes the folder of an index whose shards are all removed. Only at opening: later another
    /// commit thread may be about to create a shard in it.
    fn forget_empty(&self, dir: &Path) -> Result<(), LogError> {
        let files = &self.options.files;
        let io = |error| LogError::io("remove", dir, error);
        if files.list(dir).map_err(io)?.is_empty() {
            files.remove_dir_all(dir).map_err(io)?;
        }
        Ok(())
    }

    fn shard(&mut self, key: ShardKey, dir: PathBuf) {
        let options = self.options;
        let mut report = ShardReport {
            shard: key,
            tail: None,
            cut: None,
            has_damaged_state_slot: false,
            failed: None,
        };
        let opened = match self.unwritten.remove(&key) {
            Some(error) => Err(error),
            None => open_shard(options.files.as_ref(), &dir, key, options.limits()),
        };
        match opened {
            Ok(None) => return,
            Ok(Some(recovered)) => {
                report.tail = recovered.ledger.tail();
                report.cut.clone_from(&recovered.cut);
                report.has_damaged_state_slot = recovered.has_damaged_state_slot;
                let (writer, view) = ShardWriter::open(dir, key, options, recovered);
                let lane = lane_of(key, self.writers.len());
                self.writers[lane].insert(key, writer);
                self.views.insert(key, view);
            }
            Err(error) => {
                let view = ShardView::failed(key, error.clone());
                self.views.insert(key, Arc::new(view));
                report.failed = Some(error);
            }
        }
        tell(&report);
        self.report.shards.push(report);
    }
}

fn tell_replay(replayed: &JournalReplay) {
    if replayed.num_bytes > 0 {
        let bytes = replayed.num_bytes;
        tracing::info!(
            bytes,
            "what the log's journal held was written to its segments"
        );
    }
    for copy in &replayed.damaged {
        tracing::error!(copy = %copy.display(), "a journal of the log was damaged, and acknowledged records may be \
            lost: shards that can tell do not open; a copy of it was kept");
    }
    for (shard, error) in &replayed.failed {
        tracing::error!(%shard, %error, "the log's journal is kept, no shard can be removed until the next start");
    }
}

fn tell(report: &ShardReport) {
    let shard = report.shard;
    if let Some(error) = &report.failed {
        tracing::error!(%shard, %error, "shard log cannot be opened");
    }
    if let Some(cut) = &report.cut {
        tracing::warn!(%shard, segment = %cut.segment.display(), offset = cut.offset,
            num_bytes = cut.num_bytes, reason = cut.reason, "torn tail of a shard log was cut");
    }
    if report.has_damaged_state_slot {
        tracing::warn!(%shard, "one slot of a shard log's state file was damaged");
    }
}

fn list_dirs(options: &LogOptions, dir: &Path) -> Result<Vec<String>, LogError> {
    let entries = options.files.list(dir);
    let entries = entries.map_err(|error| LogError::io("list", dir, error))?;
    let dirs = entries.into_iter().filter(|entry| entry.is_dir);
    Ok(dirs.map(|entry| entry.name).collect())
}
