//! The history of a copy's log, as it is on disk, and how it is compared with another copy's.
//!
//! ```text
//! <index>/<shard>.history   where each primary term begins in the copy's log, and what the hash over
//!                           its records began with
//! ```
//!
//! Records are trimmed; where terms begin is kept, so a copy that was away for long can still be told
//! from one of another history. Does not: decide what follows. Called by: [`crate::replicate::agreement`] and
//! `replica`. Read first: [`gleaner_model::History`].

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::Path;

use gleaner_log::LogError;
use gleaner_model::{Chain, History, PrimaryTerm, Relation, SeqNo, ShardKey, Terms};
use serde::{Deserialize, Serialize};

use crate::copy::applier::with_causes;
use crate::lifecycle::folders::sync_dir;
use crate::node::Node;

/// Newest format that this program writes and reads.
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryFile {
    format: u32,
    pub(crate) terms: Terms,
    /// Names what the hash over the log's records began with; `None` where no other log can have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain_origin: Option<u64>,
}

impl HistoryFile {
    /// Returns what is noted of a log whose records `history` tells.
    pub(crate) fn of(history: &History) -> Self {
        Self {
            format: FORMAT,
            terms: history.terms.clone(),
            chain_origin: history.chain.map(|chain| chain.origin),
        }
    }

    /// Returns the same without the hash, which no other log's is then compared with.
    pub(crate) fn without_chain(history: &History) -> Self {
        Self {
            chain_origin: None,
            ..Self::of(history)
        }
    }

    /// Reads what is noted; `None` when nothing is. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or a newer version wrote it.
    fn read(path: &Path) -> Result<Option<Self>, String> {
        let shown = path.display();
        let content = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("`{shown}` cannot be read: {error}"))?,
        };
        let read = serde_json::from_slice::<Self>(&content);
        let read = read.map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        if read.format > FORMAT {
            let found = read.format;
            return Err(format!(
                "`{shown}` has format {found}, this version reads up to {FORMAT}"
            ));
        }
        Ok(Some(read))
    }
}

/// Replaces what `path` holds by `value`, on the disk when it returns. Blocks.
pub(crate) fn keep(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_dir(folder)
}

impl Node {
    /// Returns the history of a copy's log.
    pub(crate) fn history(&self, key: ShardKey) -> CopyHistory<'_> {
        CopyHistory { node: self, key }
    }
}

/// The history of one copy's log.
#[derive(Clone, Copy)]
pub(crate) struct CopyHistory<'a> {
    node: &'a Node,
    key: ShardKey,
}

impl CopyHistory<'_> {
    /// Returns the history of a copy's log, as far as it can be read.
    ///
    /// # Errors
    /// When the disk does not tell.
    pub(crate) async fn own(&self) -> Result<History, String> {
        // Before what is noted: a term is noted before its first record is written.
        let tail = self.node.log.tail(self.key).await;
        let kept = self.kept().await?;
        let tail = match tail {
            // What a damaged log held is known as far as the terms tell.
            Err(LogError::Corrupt { .. }) => {
                let terms = kept.unwrap_or_default().terms;
                let last = terms.starts.last();
                return Ok(History {
                    next: last.map_or(SeqNo(0), |(_, start)| *start),
                    terms,
                    chain: None,
                });
            }
            tail => tail.map_err(|error| with_causes(&error))?,
        };
        let next = tail.map_or(SeqNo(0), SeqNo::next);
        let Some(mut kept) = kept else {
            return self.of_records(next).await;
        };
        kept.terms.end(next);
        let chain = match (kept.chain_origin, tail) {
            (Some(origin), Some(tail)) => self.chain_at(tail, origin).await?,
            (Some(origin), None) => Some(Chain { origin, hash: 0 }),
            (None, _) => None,
        };
        Ok(History {
            next,
            terms: kept.terms,
            chain,
        })
    }

    /// Returns the history of the log below `next`.
    pub(crate) async fn below(&self, next: SeqNo) -> Result<History, String> {
        let mut history = self.own().await?;
        if next < history.next {
            let origin = history.chain.map(|chain| chain.origin);
            let last = next.0.checked_sub(1).map(SeqNo);
            history.chain = match (origin, last) {
                (Some(origin), Some(last)) => self.chain_at(last, origin).await?,
                (Some(origin), None) => Some(Chain { origin, hash: 0 }),
                (None, _) => None,
            };
            history.next = next;
            history.terms.end(next);
        }
        Ok(history)
    }

    /// Returns what the last record of a log tells, of which nothing else is noted: one that an older
    /// version wrote.
    async fn of_records(&self, next: SeqNo) -> Result<History, String> {
        let mut terms = Terms {
            known_from: next,
            starts: Vec::new(),
        };
        if let Some(last) = next.0.checked_sub(1).map(SeqNo) {
            let record = self.node.log.read_one(self.key, last).await;
            if let Some(record) = record.map_err(|error| with_causes(&error))? {
                terms.begin(record.term, last);
            }
        }
        Ok(History {
            next,
            terms,
            chain: None,
        })
    }

    /// Returns the hash over the log's records up to `at`; `None` where it is not held.
    async fn chain_at(&self, at: SeqNo, origin: u64) -> Result<Option<Chain>, String> {
        let hash = self.node.log.chain(self.key, at).await;
        let hash = hash.map_err(|error| with_causes(&error))?;
        Ok(hash.map(|hash| Chain { origin, hash }))
    }

    /// Returns what is noted of a copy's log.
    async fn kept(&self) -> Result<Option<HistoryFile>, String> {
        let path = self.node.folders(self.key).history;
        let read = tokio::task::spawn_blocking(move || HistoryFile::read(&path)).await;
        read.map_err(|error| error.to_string())?
    }

    /// Returns what is noted of a log that is to begin at `next`, without a hash.
    pub(crate) async fn kept_terms(&self, next: SeqNo) -> Result<HistoryFile, String> {
        let kept = self.kept().await?;
        let mut terms = kept.map_or_else(Terms::default, |kept| kept.terms);
        if terms.starts.is_empty() {
            terms.known_from = next;
        }
        terms.end(next);
        Ok(HistoryFile {
            format: FORMAT,
            terms,
            chain_origin: None,
        })
    }

    /// Replaces what is noted of a copy's log.
    pub(crate) async fn keep(&self, kept: HistoryFile) -> Result<(), String> {
        let path = self.node.folders(self.key).history;
        let shown = path.display().to_string();
        let noted = tokio::task::spawn_blocking(move || keep(&path, &kept)).await;
        let noted = noted.map_err(|error| error.to_string())?;
        noted.map_err(|error| format!("`{shown}` cannot be written: {error}"))
    }

    /// Notes, before the log's next record is written, that `term` begins there unless it has begun.
    pub(crate) async fn begin_term(&self, term: PrimaryTerm) -> Result<(), String> {
        let history = self.own().await?;
        let kept = self.kept().await?;
        let is_noted = kept.is_some();
        let mut kept = kept.unwrap_or_else(|| HistoryFile::of(&history));
        kept.format = FORMAT;
        kept.terms = history.terms;
        let has_begun = kept.terms.begin(term, history.next);
        if kept.chain_origin.is_none() {
            kept.chain_origin = Some(RandomState::new().hash_one(self.key));
        } else if is_noted && !has_begun {
            return Ok(());
        }
        self.keep(kept).await
    }

    /// Returns what a log of history `own` holds of another copy's; records that both have are told
    /// apart by the hash over all before.
    pub(crate) async fn relation_to(&self, own: &History, other: &History) -> Relation {
        let relation = own.relation_to(other);
        let (Relation::Holds, Some(chain)) = (relation, other.chain) else {
            return relation;
        };
        let Some(last) = other.next.0.checked_sub(1).map(SeqNo) else {
            return relation;
        };
        if own.chain.is_none_or(|own| own.origin != chain.origin) {
            return relation;
        }
        match self.node.log.chain(self.key, last).await {
            Ok(Some(hash)) if hash != chain.hash => Relation::Parts(last),
            // Where it is trimmed, terms have told.
            Ok(_) | Err(_) => relation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_stays_readable_and_what_is_newer_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.history");
        let golden =
            r#"{"format":1,"terms":{"known_from":2,"starts":[[1,2],[4,9]]},"chain_origin":7}"#;
        fs::write(&path, golden).expect("written");
        let read = HistoryFile::read(&path).expect("reads").expect("is noted");
        assert_eq!(read.terms.at(SeqNo(10)), Some(PrimaryTerm(4)));
        assert_eq!(
            (read.terms.at(SeqNo(1)), read.chain_origin),
            (None, Some(7))
        );
        keep(&path, &read).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("reads"), golden);
        fs::write(&path, golden.replace(":1,", ":2,")).expect("written");
        let refused = HistoryFile::read(&path).expect_err("newer");
        assert!(refused.contains("has format 2"), "{refused}");
    }
}
