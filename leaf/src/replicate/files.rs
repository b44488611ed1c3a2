//! Copying the files of the primary's durable commit, page by page, checked and resumable.
//!
//! They gather in a folder beside the copy's. While that folder exists the copy is to be made from
//! files, so a crash at any instant leaves either the copy as it was or one that is begun again:
//!
//! ```text
//! folder made → files fetched → log begun anew → copy removed → folder renamed
//! ```

mod page;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gleaner_log::{LogBase, LogStart, ProducerSpan};
use gleaner_model::{HistoryId, PrimaryTerm, ShardKey};
use gleaner_proto::replicate::{Production, Snapshot, SnapshotCall, SnapshotFile};
use gleaner_proto::{LeafFault, ReplicationClient};

use super::halt::Halt;
use crate::Leaf;
use crate::agree::identity::history_of;
use crate::copy::opening::OpeningProgress;
use crate::lifecycle::folders::{Folders, remove_dir, remove_file, sync_dir};
use crate::lifecycle::recovery::PrimaryOpening;
use page::{IncomingFile, MAX_TRIES};

/// Why nothing can be asked of the primary.
const NO_PRIMARY: &str = "the leaf of its primary is not known here";

/// How long files of a snapshot stay on the primary when nothing is asked of them.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Longest time the primary may take to commit and to sum its files.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(600);

/// Longest time a page may take.
const PAGE_PATIENCE: Duration = Duration::from_secs(60);

/// Whose files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitOf {
    /// The primary's.
    Primary,
    /// Those of whoever is asked: who asks has the log, and compares.
    AnyCopy,
}

/// Copies files for a copy that is being opened.
struct FileCopying {
    leaf: Arc<Leaf>,
    key: ShardKey,
    opening: Arc<OpeningProgress>,
}

/// Makes the folder where the files gather. [`Folders::incoming`] says by being there that the copy is to be
/// made from files.
pub(crate) fn begin(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    sync_dir(folder.parent().unwrap_or(Path::new(".")))
}

impl PrimaryOpening {
    /// Fetches the files of a durable commit of another copy for one whose own are damaged.
    pub(crate) async fn fetch_commit(
        &self,
        from: &Arc<dyn ReplicationClient>,
        folders: &Folders,
    ) -> Result<Snapshot, String> {
        let copying = self.copying();
        let fetched = copying.fetch_commit(from, CommitOf::AnyCopy, &folders.mended);
        fetched.await.map_err(Halt::reason)
    }

    /// Makes a copy that is not in sync from the files of the primary, under the term `fence` of the entry.
    pub(crate) async fn copy_files(&self, fence: PrimaryTerm) -> Result<(), Halt> {
        let copying = self.copying();
        let folders = self.leaf.node.folders(self.key);
        let _permit = copying.until_closed(self.leaf.copying.acquire()).await?;
        let primary = self.leaf.node.primary_of(self.key);
        let primary = primary.ok_or_else(|| Halt::Later(NO_PRIMARY.to_owned()))?;
        self.opening.tell("the primary prepares its files");
        let snapshot = copying
            .fetch_commit(&primary, CommitOf::Primary, &folders.incoming)
            .await?;
        let base = snapshot.base.clone().ok_or_else(|| {
            Halt::Later("the primary does not tell what is before its files' end".to_owned())
        })?;
        let begin = LogStart {
            at: snapshot.next_seq_no,
            fence,
            base: LogBase {
                term: Some(base.term),
                chain: 0,
                producers: base.producers.into_iter().map(span_of).collect(),
            },
        };
        // Before the files: an old log must never be replayed on top of new ones.
        let begun = self.leaf.node.log.begin_at(self.key, begin).await;
        begun.map_err(|error| Halt::later(&error))?;
        copying.replace(&folders).await
    }

    fn copying(&self) -> FileCopying {
        FileCopying {
            leaf: Arc::clone(&self.leaf),
            key: self.key,
            opening: Arc::clone(&self.opening),
        }
    }
}

fn span_of(production: Production) -> ProducerSpan {
    let Production {
        id,
        sequence,
        first,
        last,
    } = production;
    ProducerSpan {
        id,
        sequence,
        first,
        last,
    }
}

impl FileCopying {
    /// Fetches the files of a durable commit into `folder`.
    async fn fetch_commit(
        &self,
        from: &Arc<dyn ReplicationClient>,
        of: CommitOf,
        folder: &Path,
    ) -> Result<Snapshot, Halt> {
        let noted = folders_history(self.leaf.node.folders(self.key)).await?;
        let call = SnapshotCall {
            shard: self.key,
            follower: self.leaf.node.name(),
            keep_alive: KEEP_ALIVE,
            any_copy: of == CommitOf::AnyCopy,
            history: noted,
        };
        let snapshot = self
            .asked(SNAPSHOT_PATIENCE, from.open_snapshot(call))
            .await?;
        let fetched = self.fetch(from, &snapshot, folder).await;
        // Best effort: the other leaf lets them go by itself after a while.
        let closing = from.close_snapshot(self.key, snapshot.id);
        drop(self.asked(PAGE_PATIENCE, closing).await);
        fetched.map(|()| snapshot)
    }

    async fn fetch(
        &self,
        primary: &Arc<dyn ReplicationClient>,
        snapshot: &Snapshot,
        folder: &Path,
    ) -> Result<(), Halt> {
        let names: Vec<String> = snapshot.files.iter().map(|f| f.name.clone()).collect();
        if let Some(name) = names.iter().find(|name| !is_plain_name(name)) {
            return Err(Halt::Later(format!("`{name}` is no name of a file")));
        }
        let incoming = folder.to_owned();
        blocking(move || {
            begin(&incoming)?;
            remove_others(&incoming, &names)
        })
        .await?;
        let total: u64 = snapshot.files.iter().map(|file| file.num_bytes).sum();
        let mut done = 0;
        for file in &snapshot.files {
            let fetching = FileTransfer {
                primary,
                snapshot: snapshot.id,
                file,
                folder,
                before: (done, total),
            };
            self.file(fetching).await?;
            done += file.num_bytes;
        }
        let incoming = folder.to_owned();
        blocking(move || sync_dir(&incoming)).await
    }

    /// Fetches a file, or what is missing of it; a file that fails its checksum is fetched again.
    async fn file(&self, fetching: FileTransfer<'_>) -> Result<(), Halt> {
        let FileTransfer { file, folder, .. } = fetching;
        for _ in 0..MAX_TRIES {
            let (path, expected) = (folder.join(&file.name), file.clone());
            let mut incoming = blocking(move || IncomingFile::open(&path, expected)).await?;
            while !incoming.is_long_enough() {
                let (done, total) = fetching.before;
                self.opening.tell(format!(
                    "its files are being copied, {} of {total} bytes",
                    done + incoming.num_bytes()
                ));
                let call = incoming.next_page(self.key, fetching.snapshot);
                let page = fetching.primary.read_file(call);
                let page = self.asked(PAGE_PATIENCE, page).await?;
                incoming = blocking(move || incoming.append(&page)).await?;
            }
            if blocking(move || incoming.finish()).await? {
                return Ok(());
            }
            tracing::warn!(shard = %self.key, file = file.name, "copied file fails its checksum");
        }
        Err(Halt::Later(format!(
            "`{}` does not arrive as it was sent",
            file.name
        )))
    }

    /// Puts the files that were fetched in the place of the copy's.
    async fn replace(&self, folders: &Folders) -> Result<(), Halt> {
        let folders = folders.clone();
        blocking(move || {
            remove_dir(&folders.copy)?;
            fs::rename(&folders.incoming, &folders.copy)?;
            remove_file(&folders.suspect)?;
            sync_dir(&folders.index)
        })
        .await
    }

    /// Waits for `work` unless the copy is not wanted any more.
    async fn until_closed<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.opening.closed() => Err(Halt::Closed),
            () = self.leaf.node.stopped() => Err(Halt::Closed),
        }
    }

    /// Waits for the answer of the primary, within `patience`.
    async fn asked<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, LeafFault>>,
    ) -> Result<T, Halt> {
        let answer = self.until_closed(tokio::time::timeout(patience, call));
        match answer.await? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(fault)) => Err(Halt::later(&fault)),
            Err(_) => Err(Halt::Later("the primary does not answer".to_owned())),
        }
    }
}

/// Returns the history that the files of a copy are to be of.
async fn folders_history(folders: Folders) -> Result<HistoryId, Halt> {
    blocking(move || history_of(&folders)).await
}

/// A file on its way.
#[derive(Clone, Copy)]
struct FileTransfer<'a> {
    primary: &'a Arc<dyn ReplicationClient>,
    snapshot: u64,
    file: &'a SnapshotFile,
    folder: &'a Path,
    /// Bytes of the files before it, and of all files.
    before: (u64, u64),
}

/// Runs work on files where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Halt> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Halt::later(&error)),
        Err(error) => Err(Halt::later(&error)),
    }
}

/// Whatever a primary sends, files are written into the folder and nowhere else.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_normal = matches!(parts.next(), Some(std::path::Component::Normal(_)));
    is_normal && parts.next().is_none() && !name.contains(['/', '\\', '\0'])
}

/// Removes files that an earlier try has left and the snapshot does not have.
fn remove_others(folder: &Path, names: &[String]) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !names.iter().any(|wanted| name == wanted.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        assert!(is_plain_name("meta.json") && is_plain_name("0a1b.store"));
        for name in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../x",
            "a/b",
            "a/",
            "a\\b",
            "a\0",
        ] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }
}
