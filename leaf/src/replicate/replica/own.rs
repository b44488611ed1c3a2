//! Opening what a replica has: its files at their checkpoint, and its log from there.

use std::sync::Arc;
use std::time::Duration;

use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex};
use gleaner_log::{LogBase, LogError, LogStart};
use gleaner_model::{IndexMeta, MappingVersion, PrimaryTerm, SeqNo};

use super::{Halt, Keeper};
use crate::copy::replica::Replica;
use crate::copy::schema::analyzers_of;
use crate::lifecycle::recovery::{CopyStart, check_mapping};

/// How long a mapping that the copy was written under may take to be heard of.
const NEWS_PATIENCE: Duration = Duration::from_secs(5);

/// An engine at its last durable commit, with what it was opened under.
struct OwnFiles {
    engine: ShardIndex,
    checkpoint: Checkpoint,
    index: Arc<IndexMeta>,
    analyzers: Arc<gleaner_analysis::AnalyzerRegistry>,
}

impl Keeper {
    /// Opens the copy's own files and log; nothing of the log is applied yet.
    pub(super) async fn open_own(&self) -> Result<Arc<Replica>, Halt> {
        // An error means that the semaphore is closed, which nobody does.
        let _permit = self.leaf.opener.permits.acquire().await;
        let OwnFiles {
            engine,
            checkpoint,
            index,
            analyzers,
        } = self.open_files().await?;
        let committed = checkpoint.next_seq_no;
        let start = CopyStart {
            engine: Arc::new(engine),
            index,
            analyzers,
            next: self.open_log(committed).await?,
            applied: committed,
            committed,
        };
        let opener = &self.leaf.opener;
        let shard = opener.shard(start);
        let is_marked = opener.is_refresh_before(self.key, committed).await;
        if is_marked.map_err(Halt::Broken)? {
            shard.applier.mark(committed);
        }
        Ok(Arc::new(Replica::new(shard)))
    }

    /// Opens the engine under a mapping that is as new as its commit.
    async fn open_files(&self) -> Result<OwnFiles, Halt> {
        let mut needed = MappingVersion(0);
        loop {
            let index = self.index_at(needed).await?;
            let analyzers = analyzers_of(&index).map_err(Halt::Broken)?;
            let opened = self
                .leaf
                .opener
                .open_engine(self.key, &index, &analyzers)
                .await;
            let (engine, checkpoint) = opened.map_err(|error| match error {
                // What a newer version wrote is not thrown away.
                EngineError::Newer { .. } => Halt::broken(&error),
                error if error.is_damage() => {
                    let reason = crate::copy::applier::with_causes(&error);
                    self.leaf.note_damage(self.key, &reason);
                    Halt::Files(reason)
                }
                _ => Halt::Files(format!(
                    "its files cannot be opened: {}",
                    crate::copy::applier::with_causes(&error)
                )),
            })?;
            needed = checkpoint.generation.mapping;
            if needed <= index.mapping.version {
                return Ok(OwnFiles {
                    engine,
                    checkpoint,
                    index,
                    analyzers,
                });
            }
        }
    }

    /// Returns the index's meta as soon as its mapping is as new as `needed`.
    async fn index_at(&self, needed: MappingVersion) -> Result<Arc<IndexMeta>, Halt> {
        if needed > MappingVersion(0) {
            self.opening.tell(format!(
                "it waits for version {needed} of its index's mapping, which it was written under: the \
                 cluster state known here is an older one"
            ));
        }
        let mut states = self.leaf.node.coordinator.watch();
        let news = states.wait_for(|state| {
            let index = state.indices.get(&self.key.index);
            index.is_none_or(|index| index.mapping.version >= needed)
        });
        // It is about to come, or the state is that of a backup: then searches are not to wait for it.
        let news = self.until_closed(tokio::time::timeout(NEWS_PATIENCE, news));
        let Ok(state) = news.await? else {
            let state = self.leaf.node.coordinator.state();
            let index = state.indices.get(&self.key.index).ok_or(Halt::Closed)?;
            check_mapping(index.mapping.version, needed).map_err(Halt::Broken)?;
            return Ok(Arc::clone(index));
        };
        let state = state.map_err(|_| Halt::Closed)?;
        let index = state.indices.get(&self.key.index);
        index.cloned().ok_or(Halt::Closed)
    }

    /// Returns the position after the last record of the copy's log, which must go on from
    /// `checkpoint`. A log that is not there begins there: the files came from the primary.
    async fn open_log(&self, checkpoint: SeqNo) -> Result<SeqNo, Halt> {
        let log = &self.leaf.node.log;
        let unfit =
            |reason: String| Halt::Files(format!("its log does not fit its files: {reason}"));
        let Some(tail) = log.tail(self.key).await.map_err(|e| log_halt(&e))? else {
            if checkpoint > SeqNo(0) {
                self.begin_log(checkpoint).await?;
            }
            return Ok(checkpoint);
        };
        let page = log.read(self.key, checkpoint, 1).await;
        let first = page.map_err(|error| log_halt(&error))?.first_available;
        let next = tail.next();
        if first > checkpoint || next < checkpoint {
            return Err(unfit(format!(
                "it holds operations from {first} to {next}, the files end before {checkpoint}"
            )));
        }
        Ok(next)
    }
}

impl Keeper {
    /// Begins the log of a copy that lost it where its files end. Nothing is known of a hash over what was
    /// before, so it is not compared from now on.
    async fn begin_log(&self, checkpoint: SeqNo) -> Result<(), Halt> {
        let node = &self.leaf.node;
        let history = node.history(self.key);
        let kept = history.kept_terms(checkpoint).await.map_err(Halt::Later)?;
        history.keep(kept).await.map_err(Halt::Later)?;
        let begin = LogStart {
            at: checkpoint,
            fence: PrimaryTerm(0),
            base: LogBase::UNKNOWN,
        };
        let begun = node.log.begin_at(self.key, begin).await;
        begun.map_err(|error| Halt::later(&error))
    }
}

/// A log that is damaged is replaced, one of a newer version is not.
fn log_halt(error: &LogError) -> Halt {
    match error {
        LogError::Corrupt { .. } => Halt::Files(crate::copy::applier::with_causes(error)),
        _ => Halt::broken(error),
    }
}
