//! Which copy a folder holds, of which history, and what its log has kept for the machine.

use std::fs;
use std::io::{self, Write};

use gleaner_log::{LogError, ShardLog};
use gleaner_model::{CopyId, HistoryId, PrimaryTerm, SeqNo, ShardKey};
use gleaner_replication::{LogState, TermTable};

use crate::lifecycle::folders::{Folders, sync_dir};

/// What a folder is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldCopy {
    /// The copy.
    pub(crate) copy: CopyId,
    /// The history of its records.
    pub(crate) history: HistoryId,
}

impl HeldCopy {
    /// Returns the copy with the shard's first history.
    #[cfg(test)]
    pub(super) fn first(copy: CopyId) -> Self {
        let history = HistoryId::FIRST;
        Self { copy, history }
    }
}

/// Returns which copy the folder holds; `None` where that was not noted. Blocks.
///
/// # Errors
/// That it cannot be read, or names no copy.
pub(crate) fn held_copy(folders: &Folders) -> io::Result<Option<HeldCopy>> {
    match fs::read_to_string(&folders.copy_id) {
        Ok(text) => parse(&text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the history that the folder's files are of. Blocks.
///
/// # Errors
/// As [`held_copy`].
pub(crate) fn history_of(folders: &Folders) -> io::Result<HistoryId> {
    let held = held_copy(folders)?;
    Ok(held.map_or(HistoryId::FIRST, |held| held.history))
}

/// Reads what [`note_copy`] writes. Where no history is named it is the shard's first one, as in files of earlier versions.
fn parse(text: &str) -> io::Result<HeldCopy> {
    let (copy, history) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    let history = match history.is_empty() {
        true => HistoryId::FIRST,
        false => HistoryId::parse(history).map_err(io::Error::other)?,
    };
    let copy = CopyId::parse(copy).map_err(io::Error::other)?;
    Ok(HeldCopy { copy, history })
}

/// Notes which copy the folder holds, durably. Blocks.
pub(super) fn note_copy(folders: &Folders, held: HeldCopy) -> io::Result<()> {
    let HeldCopy { copy, history } = held;
    let text = match history.is_first() {
        true => copy.to_string(),
        false => format!("{copy}\n{history}"),
    };
    fs::create_dir_all(&folders.index)?;
    let new = folders.copy_id.with_extension("copy.new");
    let mut file = fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &folders.copy_id)?;
    sync_dir(&folders.index)
}

/// Returns what the log of a copy has kept, of that history, whose last commit holds all before `committed`: only what is agreed is
/// ever committed.
pub(crate) async fn log_state(
    log: &dyn ShardLog,
    shard: ShardKey,
    history: HistoryId,
    committed: SeqNo,
) -> Result<LogState, LogError> {
    let fence = match log.fence(shard, PrimaryTerm(0)).await {
        Ok(_) => PrimaryTerm(0),
        Err(LogError::Fenced { current }) => current,
        Err(error) => return Err(error),
    };
    let end = log.tail(shard).await?.map_or(SeqNo(0), SeqNo::next);
    let first = log.read(shard, SeqNo(0), 1).await?.first_available.min(end);
    let terms = table_of(&log.terms(shard).await?, first, end);
    let agreement = log.agreement(shard)?;
    Ok(LogState {
        history,
        fence: fence.max(terms.last_term()),
        terms,
        agreed: agreement.point.max(committed),
        seen_version: agreement.entry_version,
    })
}

/// Returns the table of a log from `first` to `end` as the machine keeps it.
fn table_of(terms: &gleaner_log::TermTable, first: SeqNo, end: SeqNo) -> TermTable {
    let before = terms.before.unwrap_or_default();
    let mut table = TermTable::begin_at(first, before);
    let begins = terms.starts.iter().map(|start| (start.term, start.first));
    let mut begins = begins.peekable();
    let mut term = before;
    loop {
        let until = begins.peek().map_or(end, |(_, first)| *first);
        if until > table.end() {
            // They ascend: a log is in order.
            _ = table.append(term, until);
        }
        match begins.next() {
            Some((next, _)) => term = next,
            None => return table,
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_log::TermStart;

    use super::*;

    #[test]
    fn the_table_of_a_log_has_its_terms_its_base_and_its_end() {
        let start = |term: u64, first: u64| TermStart {
            term: PrimaryTerm(term),
            first: SeqNo(first),
        };
        let terms = gleaner_log::TermTable {
            before: Some(PrimaryTerm(2)),
            starts: vec![start(3, 12), start(5, 20)],
        };
        let table = table_of(&terms, SeqNo(10), SeqNo(25));
        let at = |position| table.at(SeqNo(position)).map(|term| term.0);
        let found: Vec<_> = [9, 10, 11, 12, 19, 20, 24, 25].map(at).into();
        let wanted = [
            Some(2),
            Some(2),
            Some(2),
            Some(3),
            Some(3),
            Some(5),
            Some(5),
            None,
        ];
        assert_eq!(found, wanted);
        assert_eq!((table.first(), table.end()), (SeqNo(10), SeqNo(25)));
        let empty = gleaner_log::TermTable {
            before: Some(PrimaryTerm(4)),
            starts: Vec::new(),
        };
        let table = table_of(&empty, SeqNo(7), SeqNo(7));
        assert_eq!(table.last_term(), PrimaryTerm(4));
    }

    #[test]
    fn a_folder_knows_its_copy_and_its_history() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = crate::testing::key(1);
        let folders = Folders::of(folder.path(), key);
        assert_eq!(held_copy(&folders).expect("read"), None);
        for (number, history) in [(1, HistoryId::FIRST), (2, HistoryId([9; 16]))] {
            let copy = CopyId([number; 16]);
            let held = HeldCopy { copy, history };
            note_copy(&folders, held).expect("noted");
            assert_eq!(held_copy(&folders).expect("read"), Some(held));
        }
        let damaged = format!("{}\nrubbish", CopyId([1; 16]));
        fs::write(&folders.copy_id, damaged).expect("written");
        assert!(held_copy(&folders).is_err());
    }
}
