//! The least that durable documents cost which are searchable soon: a group commit, then tantivy.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tantivy::{IndexWriter, TantivyDocument};
use tokio::sync::oneshot;

use super::Bare;
use crate::group_commit::GroupCommit;

/// Time between commits: what the index it is held against has as refresh interval.
const COMMITTING: Duration = Duration::from_secs(5);

/// A log, and an index behind it that one thread writes, as tantivy's examples do. No versions, no ids
/// looked up, no order between log and index, no bound to what waits, no recovery.
pub(super) struct Writing {
    log: GroupCommit,
    folder: PathBuf,
    /// Made for the first document: nothing is committed where only searches are measured.
    indexing: OnceLock<Result<Indexing>>,
}

struct Indexing {
    bare: Bare,
    jobs: Sender<Job>,
}

enum Job {
    Add(TantivyDocument),
    Commit(oneshot::Sender<Result<()>>),
}

impl Writing {
    /// Opens a log beside the index in `folder`.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            log: GroupCommit::open(&folder.join("appends"))?,
            folder: folder.to_owned(),
            indexing: OnceLock::new(),
        })
    }

    /// Returns once `record` is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) async fn append(&self, record: Bytes) -> Result<()> {
        self.log.append(record).await
    }

    /// Returns once `source` is on the disk and will be indexed.
    ///
    /// # Errors
    /// When the disk or tantivy refuses, or it is no article.
    pub(super) async fn write(&self, source: Bytes) -> Result<()> {
        self.log.append(source.clone()).await?;
        let indexing = self.indexing()?;
        let document = indexing.bare.document(&source)?;
        indexing.send(Job::Add(document))
    }

    /// Returns once all that was written is committed.
    ///
    /// # Errors
    /// When tantivy refuses.
    pub(super) async fn commit(&self) -> Result<()> {
        let (done, committed) = oneshot::channel();
        self.indexing()?.send(Job::Commit(done))?;
        committed.await.context("the indexing thread has ended")?
    }

    fn indexing(&self) -> Result<&Indexing> {
        let indexing = self.indexing.get_or_init(|| Indexing::start(&self.folder));
        let told = |error: &anyhow::Error| anyhow::anyhow!("no indexing: {error:#}");
        indexing.as_ref().map_err(told)
    }
}

impl Indexing {
    fn start(folder: &Path) -> Result<Self> {
        let bare = Bare::open_in(folder)?;
        let writer = bare.writer()?;
        let (jobs, received) = channel();
        std::thread::Builder::new()
            .name("indexing".to_owned())
            .spawn(move || index(writer, &received))?;
        Ok(Self { bare, jobs })
    }

    fn send(&self, job: Job) -> Result<()> {
        let sent = self.jobs.send(job);
        sent.ok().context("the indexing thread has ended")
    }
}

/// Adds what comes until nobody can send any more, or tantivy refuses, which ends it for all.
fn index(mut writer: IndexWriter, jobs: &Receiver<Job>) -> Result<()> {
    let mut due = Instant::now() + COMMITTING;
    loop {
        if Instant::now() >= due {
            writer.commit()?;
            due = Instant::now() + COMMITTING;
        }
        match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Job::Add(document)) => {
                writer.add_document(document)?;
            }
            Ok(Job::Commit(done)) => {
                let committed = writer.commit().map(|_| ());
                // Who no longer waits needs no answer.
                drop(done.send(committed.map_err(Into::into)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
