//! What was acknowledged, applied, read and shown in a run, by anybody, and which of it breaks a promise.
//!
//! Each operation has a number of its own. A position has one operation for ever, from the moment when a copy applies it,
//! a client reads it, or a primary acknowledges it. What clients were answered is held against the log when all is over
//! ([`super::replay`]).

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{CopyId, Entry, Incarnation, PrimaryTerm};
use gleaner_proto::write::{WriteFault, WriteOutcome};

use super::client::{Answer, Request};
use super::engine::Documents;
use super::operation::{Change, Intent, Latest, Record};
use super::replay;

/// What a search of a copy was answered with.
pub(super) struct SearchAnswer<'a> {
    pub(super) copy: CopyId,
    /// Whether the answer says that it may be stale.
    pub(super) is_flagged: bool,
    /// All operations below this position are shown.
    pub(super) visible: u64,
    pub(super) documents: &'a Documents,
}

/// What a client was told of a document by a real-time read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) document: u8,
    /// Position of a write that was known before the read began.
    pub(super) floor: Option<u64>,
    /// Position of the write that has left it; `None`: there is no such document.
    pub(super) found: Option<u64>,
    /// All that may have been read is below.
    pub(super) read_at: u64,
}

/// A write that was refused for what its document was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conflict {
    pub(super) intent: Intent,
    /// It was decided by what stands below.
    pub(super) planned_at: u64,
}

/// What runs add up to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) num_acknowledged: u64,
    pub(super) num_unknown: u64,
    pub(super) num_conflicts: u64,
    /// Requests that were written before, and are answered again.
    pub(super) num_again: u64,
    pub(super) num_refused: u64,
    pub(super) num_reads: u64,
    pub(super) num_searches: u64,
    pub(super) num_flagged: u64,
    pub(super) num_refreshes: u64,
    pub(super) num_terms: u64,
    pub(super) num_lives: u64,
    pub(super) num_faults: u64,
    /// Disks that an older one took the place of.
    pub(super) num_put_back: u64,
    /// Copies that were made anew because they had forgotten, and those that stayed closed.
    pub(super) num_made_anew: u64,
    pub(super) num_closed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.num_acknowledged += other.num_acknowledged;
        self.num_unknown += other.num_unknown;
        self.num_conflicts += other.num_conflicts;
        self.num_again += other.num_again;
        self.num_refused += other.num_refused;
        self.num_reads += other.num_reads;
        self.num_searches += other.num_searches;
        self.num_flagged += other.num_flagged;
        self.num_refreshes += other.num_refreshes;
        self.num_terms += other.num_terms;
        self.num_lives += other.num_lives;
        self.num_faults += other.num_faults;
        self.num_put_back += other.num_put_back;
        self.num_made_anew += other.num_made_anew;
        self.num_closed += other.num_closed;
    }
}

/// A life of a copy: the process that runs it.
pub(super) type Life = (CopyId, Incarnation);

/// All that is known of a run.
#[derive(Default)]
pub(super) struct History {
    pub(super) tally: Tally,
    /// What happened, one line each: printed when a run is replayed.
    pub(super) lines: Vec<String>,
    /// Milliseconds of true time.
    pub(super) now_ms: u64,
    pub(super) is_traced: bool,
    hash: u64,
    broken: Option<String>,
    /// The number of the operation at each position that must stay.
    settled: BTreeMap<u64, u64>,
    /// What clients have asked for, by number.
    pub(super) asked: BTreeMap<u64, Intent>,
    /// The first outcome of each write that was acknowledged, by number.
    pub(super) written: BTreeMap<u64, WriteOutcome>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) reads: Vec<Read>,
    refused: BTreeSet<u64>,
    /// The latest write of a document that clients know of.
    latest: BTreeMap<u8, Latest>,
    /// Who leads each term.
    reigns: BTreeMap<PrimaryTerm, Life>,
    /// Position of the newest write of a document that a read must know of.
    newest: BTreeMap<u8, u64>,
    /// Position after the last refresh that was acknowledged.
    refreshed: u64,
    entry: Option<Entry>,
}

impl History {
    /// Notes something that happened.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>6} {}", self.now_ms, what());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.is_traced {
            self.lines.push(line);
        }
    }

    /// Returns what tells this run from others.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the first promise that was broken.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub(super) fn break_promise(&mut self, what: String) {
        self.note(|| format!("BROKEN {what}"));
        self.broken.get_or_insert(what);
    }

    /// An operation stays at a position from now on.
    fn settle(&mut self, position: u64, number: u64, how: &str) {
        let held = *self.settled.entry(position).or_insert(number);
        if held != number {
            self.break_promise(format!(
                "{position} was operation {held}, and is {number}: {how}"
            ));
        }
        if self.refused.contains(&number) {
            self.break_promise(format!(
                "operation {number} was refused, and is {how} at {position}"
            ));
        }
    }

    /// A copy has applied an operation.
    pub(super) fn applied(&mut self, copy: CopyId, position: u64, record: Record) {
        self.note(|| format!("{} applies {position} {record:?}", short(copy)));
        self.settle(position, record.number, "applied");
    }

    /// A client was told what became of its writes.
    pub(super) fn answer(&mut self, copy: CopyId, intents: &[Intent], answer: &Answer) {
        let outcomes = &answer.outcomes;
        self.note(|| format!("{} answers {intents:?} with {outcomes:?}", short(copy)));
        self.tally.num_again += u64::from(answer.is_again);
        let mut planned_at = answer.planned_at;
        for (intent, outcome) in intents.iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => {
                    self.acknowledge(intent, outcome);
                    planned_at = outcome.seq_no.0 + 1;
                }
                // By then others may have written: what it is refused with says that it was sent before.
                Err(WriteFault::VersionConflict { .. }) if answer.is_again => {}
                Err(WriteFault::VersionConflict { .. } | WriteFault::DocumentMissing { .. }) => {
                    let intent = *intent;
                    self.conflicts.push(Conflict { intent, planned_at });
                    self.tally.num_conflicts += 1;
                }
                Err(fault) => self.break_promise(format!("{intent:?} ended with {fault}")),
            }
        }
        self.tally.num_acknowledged += 1;
    }

    fn acknowledge(&mut self, intent: &Intent, outcome: &WriteOutcome) {
        let position = outcome.seq_no.0;
        self.settle(position, intent.number, "acknowledged");
        let told = self.written.entry(intent.number);
        let told = told.or_insert_with(|| outcome.clone()).clone();
        if (told.seq_no, told.version) != (outcome.seq_no, outcome.version) {
            self.break_promise(format!("{intent:?} was {told:?}, and is {outcome:?}"));
        }
        self.note_newest(intent.document, position);
        let latest = Latest {
            position,
            term: outcome.term,
        };
        if intent.change == Change::Delete {
            self.latest.remove(&intent.document);
        } else {
            self.latest.insert(intent.document, latest);
        }
    }

    fn note_newest(&mut self, document: u8, position: u64) {
        let newest = self.newest.entry(document).or_default();
        *newest = (*newest).max(position);
    }

    /// Returns the latest write of a document that a client may know of, and ask to be the latest.
    pub(super) fn latest(&self, document: u8) -> Option<Latest> {
        self.latest.get(&document).copied()
    }

    /// A client was told that its writes are not written.
    pub(super) fn refuse(&mut self, request: &Request) {
        self.tally.num_refused += 1;
        // One with a key may be sent again, or have been: that is written then.
        for intent in request.intents.iter().filter(|_| request.key.is_none()) {
            self.refused.insert(intent.number);
            if self.settled.values().any(|number| *number == intent.number) {
                self.break_promise(format!("{intent:?} is refused, and was applied"));
            }
        }
    }

    /// A life of a copy leads a term.
    pub(super) fn lead(&mut self, life: Life, term: PrimaryTerm) {
        let known = *self.reigns.entry(term).or_insert(life);
        if known != life {
            let (one, other) = (short(known.0), short(life.0));
            self.break_promise(format!(
                "{term:?} is led by {one} and by {other} ({known:?}, {life:?})"
            ));
        }
        self.tally.num_terms = self.reigns.len() as u64;
    }

    /// Returns what a read that begins now must know of.
    pub(super) fn floor(&self, document: u8) -> Option<u64> {
        self.newest.get(&document).copied()
    }

    /// A client was told a document's state by a real-time read.
    pub(super) fn told(&mut self, copy: CopyId, read: Read) {
        self.note(|| format!("{} tells {read:?}", short(copy)));
        if let Some(position) = read.found {
            self.note_newest(read.document, position);
        }
        self.reads.push(read);
        self.tally.num_reads += 1;
    }

    /// Returns what an unflagged search that begins now must see.
    pub(super) fn refreshed(&self) -> u64 {
        self.refreshed
    }

    /// A client was told that searches see all below a position.
    pub(super) fn refresh(&mut self, copy: CopyId, position: u64) {
        self.note(|| format!("{} refreshed {position}", short(copy)));
        self.refreshed = self.refreshed.max(position);
        self.tally.num_refreshes += 1;
    }

    /// A client was answered by a search of what a copy shows; what is below `floor` was refreshed before.
    pub(super) fn searched(&mut self, floor: u64, answer: &SearchAnswer<'_>) {
        let SearchAnswer {
            copy,
            is_flagged,
            visible,
            documents,
        } = *answer;
        self.note(|| format!("{} shows {visible}, flagged {is_flagged}", short(copy)));
        if !is_flagged && visible < floor {
            self.break_promise(format!(
                "{} showed {visible} without a flag, and {floor} was refreshed before",
                short(copy)
            ));
        }
        let mut wanted = BTreeMap::new();
        for (position, number) in self.settled.range(..visible) {
            match self.asked.get(number) {
                Some(intent) if intent.change == Change::Delete => {
                    wanted.remove(&intent.document);
                }
                Some(intent) => {
                    wanted.insert(intent.document, (*position, *number));
                }
                None => {}
            }
        }
        let found: BTreeMap<_, _> = documents
            .iter()
            .map(|(document, found)| (*document, (found.position, found.record.number)))
            .collect();
        if found != wanted {
            self.break_promise(format!(
                "{} showed {found:?} at {visible}, not {wanted:?}",
                short(copy)
            ));
        }
        self.tally.num_searches += 1;
        self.tally.num_flagged += u64::from(is_flagged);
    }

    /// The entry has changed.
    pub(super) fn entry(&mut self, entry: &Entry) {
        self.note(|| {
            let in_sync: Vec<_> = entry.in_sync.iter().map(|copy| short(*copy)).collect();
            format!(
                "entry: term {}, {} leads, in sync {in_sync:?}",
                entry.term,
                short(entry.primary)
            )
        });
        if let Some(before) = &self.entry
            && (before.term > entry.term
                || before.term == entry.term && before.primary != entry.primary)
        {
            self.break_promise(format!("the entry went from {before:?} to {entry:?}"));
        }
        self.entry = Some(entry.clone());
    }

    /// Compares the log of a copy with what must stay, and with all answers, when all is over.
    pub(super) fn compare_log(&mut self, copy: CopyId, log: &BTreeMap<u64, Record>) {
        let number_at = |position| log.get(position).map(|record: &Record| record.number);
        let lost = self
            .settled
            .iter()
            .find(|(position, number)| number_at(position) != Some(**number));
        if let Some((position, number)) = lost {
            let found = log.get(position);
            self.break_promise(format!(
                "{} has {found:?} at {position}, not operation {number}",
                short(copy)
            ));
        } else if let Err(what) = replay::check(self, log) {
            self.break_promise(format!("by the log of {}, {what}", short(copy)));
        }
    }
}

/// Returns a copy's name for people.
pub(super) fn short(copy: CopyId) -> String {
    format!("copy {}", copy.0[0])
}
