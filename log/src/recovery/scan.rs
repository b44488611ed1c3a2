//! One pass over a segment at opening, and the verdict about a batch that cannot be read.

use std::ops::Range;
use std::sync::Arc;

use crate::files::File;
use crate::format::{BATCH_HEADER_BYTES, BatchHeader};
use crate::frames::{ReadFault, Walker, Window, find_acknowledged};
use crate::ledger::{Ledger, chain_after};
use crate::segment::{Entry, SparseIndex};
use crate::state_file::State;

/// Read at once while scanning.
const PIECE_BYTES: usize = 256 * 1024;

/// Why a damaged tail was not cut.
pub(super) enum Verdict {
    Lost { offset: u64, reason: String },
    Fault(ReadFault),
}

/// One pass over the batches of a segment.
pub(super) struct Scan {
    file: Arc<dyn File>,
    /// Where batches stand.
    range: Range<u64>,
    salt: u32,
    floor: u64,
    /// Nothing is read from this position on: the log is being cut there.
    limit: Option<u64>,
    pub(super) index: SparseIndex,
    /// Where the first batch stands that is above the floor.
    pub(super) unsure: Option<u64>,
    /// A frame was whole but cannot belong there: no tear makes that.
    pub(super) is_contradiction: bool,
}

impl Scan {
    /// A pass over the batches that stand at `range` of a segment.
    pub(super) fn new(file: Arc<dyn File>, range: Range<u64>, salt: u32, state: State) -> Self {
        Self {
            file,
            range,
            salt,
            floor: state.floor,
            limit: state.is_cut.then_some(state.floor),
            index: SparseIndex::default(),
            unsure: None,
            is_contradiction: false,
        }
    }

    /// Takes every whole batch into the ledger; returns the offset behind them. Stops at the start of the first that
    /// is not whole.
    pub(super) fn run(&mut self, ledger: &mut Ledger) -> Result<u64, ReadFault> {
        let start = Entry {
            seq_no: ledger.next(),
            offset: self.range.start,
            left: 0,
        };
        let window = Window::new(self.file.clone(), self.range.end, PIECE_BYTES);
        let mut walker = Walker::new(window, self.salt, start);
        loop {
            let offset = walker.offset();
            if self.limit == Some(ledger.next()) {
                return Ok(offset);
            }
            let Some(header) = walker.enter_batch()? else {
                return Ok(offset);
            };
            let batch = self.batch(&mut walker, header, ledger);
            let (chain, entries) = batch.map_err(|fault| at_batch(fault, offset))?;
            for entry in entries {
                self.index.note(entry);
            }
            ledger.replay(&header, chain);
            if ledger.next() > self.floor {
                self.unsure.get_or_insert(offset);
            }
        }
    }

    /// Checks the records of one batch; returns the chain after them and where they stand.
    fn batch(
        &mut self,
        walker: &mut Walker,
        header: BatchHeader,
        ledger: &Ledger,
    ) -> Result<(u64, Vec<Entry>), ReadFault> {
        let start = walker.offset() - BATCH_HEADER_BYTES as u64;
        self.is_contradiction = header.first != ledger.next()
            || header.chain != ledger.chain()
            || Some(header.term) < ledger.terms().last()
            || header.num_records == 0
            || self.limit.is_some_and(|limit| header.next() > limit);
        if self.is_contradiction {
            return Err(ReadFault::Damaged {
                offset: start,
                reason: "batch does not continue the one before",
            });
        }
        let mut chain = header.chain;
        let mut entries = vec![Entry {
            seq_no: header.first,
            offset: start,
            left: 0,
        }];
        for expected in header.first..header.first + u64::from(header.num_records) {
            let entry = Entry {
                seq_no: expected,
                offset: walker.offset(),
                left: walker.left(),
            };
            if expected > header.first {
                entries.push(entry);
            }
            let Some((record, payload)) = walker.next_record()? else {
                break;
            };
            chain = chain_after(chain, record.seq_no, record.term, payload);
            self.is_contradiction = record.seq_no.0 != expected || record.term != header.term;
            if self.is_contradiction {
                return Err(ReadFault::Damaged {
                    offset: start,
                    reason: "record does not belong to its batch",
                });
            }
        }
        self.is_contradiction =
            walker.offset() != start + BATCH_HEADER_BYTES as u64 + header.body_bytes;
        if self.is_contradiction {
            return Err(ReadFault::Damaged {
                offset: start,
                reason: "records do not fill their batch",
            });
        }
        Ok((chain, entries))
    }

    /// Decides about an unreadable batch at `offset`: `Ok` when it may be cut.
    pub(super) fn judge(
        &self,
        next: u64,
        offset: u64,
        reason: &'static str,
    ) -> Result<(), Verdict> {
        let mut window = Window::new(self.file.clone(), self.range.end, PIECE_BYTES);
        let later = find_acknowledged(&mut window, offset, self.salt).map_err(Verdict::Fault)?;
        let acknowledged = later.unwrap_or(0).max(self.floor);
        if acknowledged > next {
            return Err(Verdict::Lost {
                offset,
                reason: format!("{reason}; {}", lost(next, acknowledged)),
            });
        }
        Ok(())
    }
}

/// A fault inside a batch concerns the whole batch: it is cut from its start.
fn at_batch(fault: ReadFault, start: u64) -> ReadFault {
    match fault {
        ReadFault::Damaged { reason, .. } => ReadFault::Damaged {
            offset: start,
            reason,
        },
        io => io,
    }
}

/// Says which acknowledged records are missing.
pub(super) fn lost(next: u64, acknowledged: u64) -> String {
    format!(
        "records below seq_no {acknowledged} were acknowledged, only those below {next} can be read"
    )
}
