//! The term table of a log: at which position each term begins, and where two logs part.
//!
//! A position is written once under a term, by the primary of that term. So two logs that have a record
//! of one term at one position have the same records up to there. A primary finds with the table whether
//! a follower's log is the beginning of its own, and a follower finds where to cut. The search by terms is
//! Kafka's (KIP-101, KIP-279).

use gleaner_model::{PrimaryTerm, SeqNo};

/// Where terms begin in a log, from its first record to its last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TermTable {
    /// Term of the record before the first; 0 where there is none.
    base: PrimaryTerm,
    /// Position of the first record that the log holds.
    first: SeqNo,
    /// Terms with the position of their first record; both ascend, the first is `first`.
    starts: Vec<TermStart>,
    /// Position after the last record.
    end: SeqNo,
}

/// Where a term begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TermStart {
    /// The term.
    pub term: PrimaryTerm,
    /// Position of its first record.
    pub first: SeqNo,
}

/// Where a term ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TermEnd {
    /// The term; 0 for the time before the first.
    pub term: PrimaryTerm,
    /// Position after its last record.
    pub end: SeqNo,
}

/// How a follower's log relates to the primary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The follower's log is the beginning of the primary's: it goes on from its end.
    Match,
    /// They part; the primary's log agrees with the follower's at most up to here.
    Diverged(TermEnd),
    /// The primary's log does not reach back far enough to go on from, or to tell.
    Trimmed,
}

/// Records that do not go on where the log ends, or whose term is below its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "records of term {term} up to {next} do not follow a log that ends at {end} in term {last}"
)]
pub struct OutOfOrder {
    /// Term of the records.
    pub term: PrimaryTerm,
    /// Position after them.
    pub next: SeqNo,
    /// Where the log ends.
    pub end: SeqNo,
    /// Term of its last record.
    pub last: PrimaryTerm,
}

impl TermTable {
    /// Returns the table of an empty log that begins at `first`, after a record of term `base`.
    pub fn begin_at(first: SeqNo, base: PrimaryTerm) -> Self {
        Self {
            base,
            first,
            starts: Vec::new(),
            end: first,
        }
    }

    /// Returns the position of the first record that the log holds.
    pub fn first(&self) -> SeqNo {
        self.first
    }

    /// Returns the position after the last record.
    pub fn end(&self) -> SeqNo {
        self.end
    }

    /// Returns the term of the last record; that before the first where the log is empty.
    pub fn last_term(&self) -> PrimaryTerm {
        self.starts.last().map_or(self.base, |start| start.term)
    }

    /// Returns the term of the record at `position`; `None` where the log does not hold it.
    pub fn at(&self, position: SeqNo) -> Option<PrimaryTerm> {
        if position >= self.end {
            return None;
        }
        if position.next() == self.first && self.base > PrimaryTerm(0) {
            return Some(self.base);
        }
        let begun = self
            .starts
            .iter()
            .rev()
            .find(|start| start.first <= position);
        begun.map(|start| start.term)
    }

    /// Notes that records of `term` follow, up to `next`.
    ///
    /// # Errors
    /// [`OutOfOrder`] where they cannot; nothing has changed.
    pub fn append(&mut self, term: PrimaryTerm, next: SeqNo) -> Result<(), OutOfOrder> {
        let (end, last) = (self.end, self.last_term());
        if next <= end || term < last || term == PrimaryTerm(0) {
            return Err(OutOfOrder {
                term,
                next,
                end,
                last,
            });
        }
        if self.starts.last().is_none_or(|start| start.term < term) {
            self.starts.push(TermStart { term, first: end });
        }
        self.end = next;
        Ok(())
    }

    /// Notes that the log was cut: records from `from` on are gone. Not below its first record.
    pub fn truncate(&mut self, from: SeqNo) {
        self.end = self.end.min(from).max(self.first);
        self.starts.retain(|start| start.first < self.end);
    }

    /// Notes that records below `first` are gone.
    pub fn trim(&mut self, first: SeqNo) {
        let first = first.min(self.end);
        let Some(before) = first.0.checked_sub(1).map(SeqNo) else {
            return;
        };
        if first <= self.first {
            return;
        }
        self.base = self.at(before).unwrap_or(self.base);
        let following = self.at(first);
        self.starts.retain(|start| start.first > first);
        if let Some(term) = following {
            self.starts.insert(0, TermStart { term, first });
        }
        self.first = first;
    }

    /// Returns the greatest term here that is not above `term`, and where it ends; `None` where that was
    /// before the first record.
    pub fn end_of(&self, term: PrimaryTerm) -> Option<TermEnd> {
        if self.base > term {
            return None;
        }
        let num_before = self.starts.partition_point(|start| start.term <= term);
        let before = num_before
            .checked_sub(1)
            .map(|place| self.starts[place].term);
        let after = self.starts.get(num_before);
        Some(TermEnd {
            term: before.unwrap_or(self.base),
            end: after.map_or(self.end, |start| start.first),
        })
    }

    /// Compares a follower's log, which ends at `end` with a record of `last_term`, with this primary's.
    pub fn compare(&self, end: SeqNo, last_term: PrimaryTerm) -> Comparison {
        match self.end_of(last_term) {
            Some(own) if own.term != last_term || end > own.end => Comparison::Diverged(own),
            Some(_) if end >= self.first => Comparison::Match,
            _ => Comparison::Trimmed,
        }
    }

    /// Returns from where a follower's log must be cut whose primary agrees at most up to `primary`; `None`
    /// where that is before its first record.
    pub fn cut(&self, primary: TermEnd) -> Option<SeqNo> {
        let own = self.end_of(primary.term)?;
        Some(own.end.min(primary.end))
    }
}

#[cfg(test)]
mod tests;
