//! Opening of a shard's folder: checks every frame, cuts a torn tail, refuses damage.
//!
//! A batch that is not whole at the end of the last segment is either *torn* (the machine went
//! down while it was being written, nobody was told it is durable) or *damage* (it was
//! acknowledged). Two witnesses tell: the durable floor in the state file, and batch headers
//! further on, each of which says what was acknowledged when it was written. When one of them
//! names a record that is not readable, the shard stops; otherwise the tail is cut, and reported.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use crate::base::LogStart;
use crate::error::LogError;
use crate::files::{File, Files, read_exact_at, write_all_at};
use crate::format::HeaderFault;
use crate::frames::ReadFault;
use crate::ledger::{Ledger, Limits};
use crate::segment::{self, Segment};
use crate::state_file::{self, State, StateFault, StateFile, StoreFault};
use crate::view::explain;
use scan::{Scan, Verdict, lost};

mod cut;
mod scan;

/// What opening a log found.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// One entry per shard, sorted by shard.
    pub shards: Vec<ShardReport>,
    /// Bytes of segments that were written again because a journal held them; 0 unless the log was killed.
    pub replayed_bytes: u64,
    /// Copies of journals that had lost frames which were acknowledged. A shard that misses records which its
    /// floor or a later record names has failed; one whose last records they were cannot tell.
    pub damaged_journals: Vec<PathBuf>,
}

/// What opening one shard found.
#[derive(Debug, Clone)]
pub struct ShardReport {
    /// The shard.
    pub shard: ShardKey,
    /// The last seq_no; `None` when the log is empty or the shard failed.
    pub tail: Option<SeqNo>,
    /// The torn tail that was cut, if there was one. None of it was acknowledged.
    pub cut: Option<TailCut>,
    /// One of the two slots of the state file was unreadable: a torn write, or damage that lost
    /// nothing, as the other slot is whole.
    pub has_damaged_state_slot: bool,
    /// Why every call for this shard is refused; `None` for a healthy shard.
    pub failed: Option<LogError>,
}

/// A torn tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailCut {
    /// The file that was cut.
    pub segment: PathBuf,
    /// Its new length in bytes.
    pub offset: u64,
    /// Bytes cut off, ≥ 1.
    pub num_bytes: u64,
    /// What was wrong with the first of them.
    pub reason: &'static str,
}

/// A shard's folder, opened.
pub(crate) struct RecoveredFolder {
    pub(crate) ledger: Ledger,
    pub(crate) state: StateFile,
    pub(crate) segments: Vec<Segment>,
    pub(crate) cut: Option<TailCut>,
    pub(crate) has_damaged_state_slot: bool,
}

/// Opens the folder of a shard; `None` when nothing was ever made durable in it.
pub(crate) fn open_shard(
    files: &dyn Files,
    dir: &Path,
    shard: ShardKey,
    limits: Limits,
) -> Result<Option<RecoveredFolder>, LogError> {
    let firsts = list_segments(files, dir)?;
    let (mut state, slots) = match StateFile::open(files, &state_file::path(dir), shard) {
        Ok(opened) => opened,
        Err(StateFault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return match firsts.first() {
                None => Ok(None),
                Some(_) => Err(corrupt(dir, shard, "state file is missing")),
            };
        }
        Err(StateFault::Io(error)) => {
            return Err(LogError::io("open", &state_file::path(dir), error));
        }
        Err(StateFault::Header(fault)) => {
            return Err(header_error(fault, &state_file::path(dir), shard));
        }
    };
    let folder = Folder {
        files,
        dir,
        shard,
        limits,
    };
    let firsts = folder.finish_trim(firsts, state.current())?;
    let firsts = folder.remove_cut(firsts, state.current())?;
    let mut opening = Opening::new(folder);
    opening.segments(&firsts, state.current())?;
    let mut ledger = opening
        .ledger
        .unwrap_or_else(|| Ledger::new(&LogStart::FIRST, limits));
    let fence = ledger.fence().max(state.current().fence);
    ledger.restore_fence(fence);
    sync_names(files, dir)?;
    let found = State {
        fence,
        first: state.current().first,
        floor: ledger.next(),
        agreement: state.current().agreement,
        is_cut: false,
    };
    if found != state.current() || !slots.are_alike {
        state
            .store(found)
            .map_err(StoreFault::into_source)
            .map_err(|error| LogError::io("write", &state_file::path(dir), error))?;
    }
    Ok(Some(RecoveredFolder {
        ledger,
        state,
        segments: opening.segments,
        cut: opening.cut,
        has_damaged_state_slot: slots.is_one_damaged,
    }))
}

/// Returns the first seq_nos of all segments, sorted; removes what was never finished.
fn list_segments(files: &dyn Files, dir: &Path) -> Result<Vec<u64>, LogError> {
    let entries = files
        .list(dir)
        .map_err(|error| LogError::io("list", dir, error))?;
    let mut firsts = Vec::new();
    for entry in entries {
        if let Some(first) = segment::parse_file_name(&entry.name) {
            firsts.push(first);
        } else if entry.name.ends_with(".new") {
            let path = dir.join(&entry.name);
            files
                .remove_file(&path)
                .map_err(|error| LogError::io("remove", &path, error))?;
        } else if entry.name != state_file::FILE_NAME {
            tracing::warn!(dir = %dir.display(), name = entry.name, "unknown file in a shard's log");
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// After a kill names may only be in the page cache: what is believed must be on disk.
fn sync_names(files: &dyn Files, dir: &Path) -> Result<(), LogError> {
    let sync = |path: &Path| {
        files
            .sync_dir(path)
            .map_err(|error| LogError::io("sync", path, error))
    };
    sync(dir)?;
    sync(&crate::files::parent(dir))
}

/// The folder of a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folder<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) dir: &'a Path,
    pub(crate) shard: ShardKey,
    pub(crate) limits: Limits,
}

struct Opening<'a> {
    folder: Folder<'a>,
    ledger: Option<Ledger>,
    segments: Vec<Segment>,
    cut: Option<TailCut>,
}

impl<'a> Opening<'a> {
    fn new(folder: Folder<'a>) -> Self {
        Self {
            folder,
            ledger: None,
            segments: Vec::new(),
            cut: None,
        }
    }

    fn segments(&mut self, firsts: &[u64], state: State) -> Result<(), LogError> {
        let is_missing = match firsts.first() {
            Some(first) => *first != state.first,
            None => state.floor > 0,
        };
        if is_missing {
            return Err(corrupt(
                self.folder.dir,
                self.folder.shard,
                &format!(
                    "the segment that starts at seq_no {} is missing",
                    state.first
                ),
            ));
        }
        for (index, first) in firsts.iter().enumerate() {
            let is_last = index + 1 == firsts.len();
            self.segment(*first, is_last, state)?;
        }
        let next = self.ledger.as_ref().map_or(0, Ledger::next);
        if next < state.floor {
            let last = firsts.last().copied().unwrap_or_default();
            return Err(LogError::Corrupt {
                shard: self.folder.shard,
                segment: segment::path(self.folder.dir, last),
                offset: self.segments.last().map_or(0, |segment| segment.end),
                reason: lost(next, state.floor),
            });
        }
        Ok(())
    }

    fn segment(&mut self, first: u64, is_last: bool, state: State) -> Result<(), LogError> {
        let Folder {
            files,
            dir,
            shard,
            limits,
        } = self.folder;
        let path = segment::path(dir, first);
        let io = |error| LogError::io("read", &path, error);
        let file = files.open(&path).map_err(io)?;
        let len = file.len().map_err(io)?;
        let (header, start) = self.folder.header(file.as_ref(), first, &path)?;
        let salt = header.salt();
        let has_base = header.has_base;
        let begin = LogStart {
            at: SeqNo(header.first),
            fence: PrimaryTerm(0),
            base: header.base,
        };
        let new = || Ledger::new(&begin, limits);
        let ledger = self.ledger.get_or_insert_with(new);
        if !follows(ledger, &begin) {
            let reason = format!(
                "segment continues after seq_no {}, the one before ends before {}, or its hash differs",
                begin.at,
                ledger.next()
            );
            return Err(corrupt(&path, shard, &reason));
        }
        let mut scan = Scan::new(file.clone(), start..len, salt, state);
        let scanned = scan.run(ledger);
        let next = ledger.next();
        let mut end = len;
        match scanned {
            // Also where it is so long already: a sync may have failed that was to make it so.
            Ok(stopped) if is_last && state.is_cut => {
                end = stopped;
                let cut = file.truncate(end);
                cut.map_err(|error| LogError::io("cut", &path, error))?;
            }
            Ok(_) => {}
            Err(ReadFault::Damaged { offset, reason }) if is_last && !scan.is_contradiction => {
                scan.judge(next, offset, reason)
                    .map_err(|verdict| scan_error(verdict, &path, shard))?;
                end = offset;
                self.cut = Some(cut_tail(file.as_ref(), &path, offset..len, reason)?);
            }
            Err(fault) => return Err(explain(fault, &path, shard)),
        }
        if is_last {
            let unsure = scan.unsure.unwrap_or(end)..end;
            harden(file.as_ref(), unsure).map_err(|e| LogError::io("sync", &path, e))?;
        }
        self.segments.push(Segment {
            path: path.into(),
            file,
            first,
            start,
            has_base,
            salt,
            end,
            index: scan.index,
        });
        Ok(())
    }
}

/// Returns whether a segment may begin so behind the records of `ledger`.
fn follows(ledger: &Ledger, begin: &LogStart) -> bool {
    let knows_other_term = begin.base.term.is_some() && begin.base.term != ledger.terms().last();
    ledger.next() == begin.at.0 && ledger.chain() == begin.base.chain && !knows_other_term
}

/// Writes what is above the floor again as it is read, and syncs it; a cut stays cut by that too.
///
/// It may be in the page cache only: after a kill, and then a sync would do, or after a sync that failed, and
/// then the system holds it for written. What is below the floor was synced, or a journal had it.
fn harden(file: &dyn File, range: Range<u64>) -> std::io::Result<()> {
    const PIECE_BYTES: u64 = 256 << 10;
    let mut piece = Vec::new();
    let mut at = range.start;
    while at < range.end {
        piece.resize((range.end - at).min(PIECE_BYTES) as usize, 0);
        read_exact_at(file, at, &mut piece)?;
        write_all_at(file, at, &piece)?;
        at += piece.len() as u64;
    }
    file.sync()
}

/// Removes the bytes of a torn batch and what follows.
fn cut_tail(
    file: &dyn File,
    path: &Path,
    torn: Range<u64>,
    reason: &'static str,
) -> Result<TailCut, LogError> {
    file.truncate(torn.start)
        .map_err(|error| LogError::io("cut", path, error))?;
    Ok(TailCut {
        segment: path.to_owned(),
        offset: torn.start,
        num_bytes: torn.end - torn.start,
        reason,
    })
}

fn scan_error(verdict: Verdict, path: &Path, shard: ShardKey) -> LogError {
    match verdict {
        Verdict::Lost { offset, reason } => LogError::Corrupt {
            shard,
            segment: path.to_owned(),
            offset,
            reason,
        },
        Verdict::Fault(fault) => explain(fault, path, shard),
    }
}

fn corrupt(path: &Path, shard: ShardKey, reason: &str) -> LogError {
    LogError::Corrupt {
        shard,
        segment: path.to_owned(),
        offset: 0,
        reason: reason.to_owned(),
    }
}

fn header_error(fault: HeaderFault, path: &Path, shard: ShardKey) -> LogError {
    match fault {
        HeaderFault::TooNew { found, supported } => LogError::UnsupportedVersion {
            file: path.to_owned(),
            found,
            supported,
        },
        HeaderFault::Damaged(reason) => corrupt(path, shard, reason),
    }
}
