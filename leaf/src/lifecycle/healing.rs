//! Damaged files of a primary are replaced: from its log, from another copy, or from its documents.
//!
//! ```text
//! the log holds everything from the first operation on   the copy is built again from it
//! another copy has a commit that the log goes on from    its files are copied
//! store, doc values and deletes are sound                documents are indexed again from `_source`
//! none of these                                          the copy stays closed and says so
//! ```
//!
//! A copy that is not in sync is copied from its primary instead, see [`crate::agree`]. What replaces the files gathers in
//! `<shard>.mended`; the damaged ones are `<shard>.damaged` until the copy is open:
//!
//! ```text
//! .mended whole → copy renamed to .damaged → .mended renamed to copy → opened → .damaged removed
//! ```

use std::collections::VecDeque;
use std::fs;

use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex};
use gleaner_log::files::RealFiles;
use gleaner_model::{NodeId, SeqNo, ShardKey};
use gleaner_proto::replicate::SnapshotBase;
use parking_lot::Mutex;

use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::lifecycle::folders::{Folders, remove_dir, sync_dir};
use crate::lifecycle::recovery::PrimaryOpening;

/// Damages that are remembered.
const MAX_NOTED: usize = 256;

/// What can be done where a copy does not mend itself.
const ADVICE: &str = "bring a node with another copy of the shard back, or put back a copy of the shard's \
     folder; else delete the index and load it again";

/// An engine, and where it goes on from.
type SoundEngine = (ShardIndex, Checkpoint);

/// What the copy's log holds.
#[derive(Clone, Copy)]
struct LogRange {
    first: SeqNo,
    next: SeqNo,
}

/// Damages that copies of a leaf were found with, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Damages(Mutex<VecDeque<(ShardKey, String)>>);

impl Leaf {
    /// Returns the damages that copies of this leaf were found with, the newest last: shard, files and
    /// reasons.
    pub fn found_damages(&self) -> Vec<(ShardKey, String)> {
        self.damages.0.lock().iter().cloned().collect()
    }

    /// Remembers and reports a damage.
    pub(crate) fn note_damage(&self, key: ShardKey, reason: &str) {
        tracing::error!(shard = %key, reason, "a copy is damaged and is closed");
        metrics::counter!(gleaner_model::metric::COPIES_DAMAGED.name).increment(1);
        let mut damages = self.damages.0.lock();
        if damages.len() >= MAX_NOTED {
            damages.pop_front();
        }
        damages.push_back((key, reason.to_owned()));
    }
}

impl PrimaryOpening {
    /// Opens a primary's engine; damaged files are replaced first, if that can be done.
    ///
    /// # Errors
    /// [`Unsound::Damaged`] when it cannot.
    pub(crate) async fn open_sound(&self) -> Result<SoundEngine, Unsound> {
        let folders = self.leaf.node.folders(self.key);
        finish(folders.clone()).await.map_err(Unsound::Other)?;
        let damage = match self.open_checked().await {
            Ok(opened) => {
                discard(&folders);
                return Ok(opened);
            }
            Err(other @ Unsound::Other(_)) => return Err(other),
            Err(Unsound::Damaged(damage)) => damage,
        };
        self.leaf.note_damage(self.key, &damage);
        self.opening.tell(format!("{damage}; it is being mended"));
        let mended = self.heal(&folders).await;
        let (mended, by) =
            mended.map_err(|reason| Unsound::Damaged(format!("{damage}; {reason}; {ADVICE}")))?;
        tracing::warn!(shard = %self.key, damage, by, "a damaged copy was mended");
        discard(&folders);
        Ok(mended)
    }

    /// Opens the engine; it must reach to where the log begins.
    async fn open_checked(&self) -> Result<SoundEngine, Unsound> {
        let opened = self
            .leaf
            .opener
            .open_engine(self.key, &self.index, &self.analyzers);
        let (engine, checkpoint) = opened.await.map_err(|error| match error.is_damage() {
            true => Unsound::Damaged(with_causes(&error)),
            false => Unsound::Other(with_causes(&error)),
        })?;
        let log = self.log_range().await.map_err(Unsound::Other)?;
        let next = checkpoint.next_seq_no;
        match log {
            Some(log) if log.first > next => {
                let first = log.first;
                let folder = self.leaf.node.folders(self.key).copy;
                let what = match ShardIndex::is_committed(&folder, &RealFiles) {
                    true => "ends",
                    false => "is damaged: `meta.json` is missing: it ends",
                };
                Err(Unsound::Damaged(format!(
                    "the shard's folder {what} before operation {next}, its log begins at {first}"
                )))
            }
            _ => Ok((engine, checkpoint)),
        }
    }

    async fn log_range(&self) -> Result<Option<LogRange>, String> {
        let tail = self
            .leaf
            .node
            .log
            .tail(self.key)
            .await
            .map_err(|error| with_causes(&error))?;
        let Some(tail) = tail else {
            return Ok(None);
        };
        let page = self.leaf.node.log.read(self.key, SeqNo(0), 1).await;
        let page = page.map_err(|error| with_causes(&error))?;
        let first = page.first_available;
        let next = tail.next();
        Ok(Some(LogRange { first, next }))
    }

    async fn heal(&self, folders: &Folders) -> Result<(SoundEngine, &'static str), String> {
        let log = self.log_range().await?;
        if log.is_some_and(|log| log.first == SeqNo(0)) {
            let aside = folders.clone();
            blocking(move || set_aside(&aside)).await?;
            let opened = self.open_checked().await.map_err(Unsound::reason)?;
            return Ok((opened, "its log"));
        }
        let mut failed = Vec::new();
        for node in self.leaf.node.other_copies(self.key) {
            match self.copy_from(&node, log, folders).await {
                Ok(mended) => return Ok((mended, "the files of another copy")),
                Err(reason) => failed.push(format!("the copy on `{node}`: {reason}")),
            }
        }
        match self.rebuild_from_documents(folders).await {
            Ok(mended) => return Ok((mended, "its documents")),
            Err(reason) => failed.push(format!("its documents: {reason}")),
        }
        if let Some(log) = log {
            failed.push(format!("its log begins at {} only", log.first));
        }
        Err(format!("it cannot be mended: {}", failed.join("; ")))
    }

    /// Copies the files of another copy's commit, from which the log here must go on.
    async fn copy_from(
        &self,
        node: &NodeId,
        log: Option<LogRange>,
        folders: &Folders,
    ) -> Result<SoundEngine, String> {
        let log = log.ok_or("this copy's log is empty")?;
        let from = self.leaf.node.peers.replication(node);
        let from = from.ok_or("its leaf is not known here")?;
        let fetched = self.fetch_commit(&from, folders).await?;
        let (next, LogRange { first, next: end }) = (fetched.next_seq_no, log);
        if next < first || next > end {
            return Err(format!(
                "its files end before operation {next}, the log here holds {first} to {end}"
            ));
        }
        self.check_history(next, fetched.base.as_ref()).await?;
        self.install(folders).await
    }

    /// The last operation in the files must be the one that the log here has at its position: one term orders one there.
    async fn check_history(&self, next: SeqNo, base: Option<&SnapshotBase>) -> Result<(), String> {
        let Some(last) = next.0.checked_sub(1) else {
            return Ok(());
        };
        let ours = self.leaf.node.log.read_one(self.key, SeqNo(last)).await;
        let ours = ours.map_err(|error| with_causes(&error))?;
        match (ours, base) {
            (Some(ours), Some(base)) if ours.term != base.term => Err(format!(
                "it has another operation at {last} than the log here"
            )),
            (Some(_), None) => Err(format!("it does not tell the term of its operation {last}")),
            _ => Ok(()),
        }
    }

    /// Indexes the documents again, where what holds them is sound.
    async fn rebuild_from_documents(&self, folders: &Folders) -> Result<SoundEngine, String> {
        let (from, to) = (folders.copy.clone(), folders.mended.clone());
        let (meta, options) = self
            .leaf
            .opener
            .engine_parts(self.key, &self.index, &self.analyzers);
        let built = tokio::task::spawn_blocking(move || {
            remove_dir(&to).map_err(EngineError::io("clearing a folder"))?;
            ShardIndex::rebuild(&from, &to, meta, options)
        });
        let built = built.await.map_err(|error| error.to_string())?;
        built.map_err(|error| with_causes(&error))?;
        self.install(folders).await
    }

    async fn install(&self, folders: &Folders) -> Result<SoundEngine, String> {
        let installing = folders.clone();
        blocking(move || {
            set_aside(&installing)?;
            fs::rename(&installing.mended, &installing.copy)?;
            sync_dir(&installing.index)
        })
        .await?;
        self.open_checked().await.map_err(Unsound::reason)
    }
}

/// Why an engine is not open.
pub(crate) enum Unsound {
    /// Its files are damaged.
    Damaged(String),
    /// Something else, which may pass.
    Other(String),
}

impl Unsound {
    /// Returns why, for people.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Damaged(reason) | Self::Other(reason) => reason,
        }
    }
}

/// Puts what replaces a copy in its place where the process ended between the two renames.
async fn finish(folders: Folders) -> Result<(), String> {
    blocking(move || {
        let is_between = folders.damaged.exists() && !folders.copy.exists();
        if is_between && ShardIndex::is_committed(&folders.mended, &RealFiles) {
            fs::rename(&folders.mended, &folders.copy)?;
            sync_dir(&folders.index)?;
        }
        Ok(())
    })
    .await
}

/// Moves a damaged copy out of the way.
fn set_aside(folders: &Folders) -> std::io::Result<()> {
    remove_dir(&folders.damaged)?;
    fs::rename(&folders.copy, &folders.damaged)?;
    sync_dir(&folders.index)
}

/// Removes what mending leaves, in the background: the copy is open.
fn discard(folders: &Folders) {
    if folders.damaged.exists() || folders.mended.exists() {
        let folders = folders.clone();
        let removing = move || {
            for folder in [&folders.damaged, &folders.mended] {
                if let Err(error) = remove_dir(folder) {
                    tracing::warn!(folder = %folder.display(), %error, "a damaged copy stays on disk");
                }
            }
        };
        drop(tokio::task::spawn_blocking(removing));
    }
}

async fn blocking(
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
