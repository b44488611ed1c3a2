//! How many bytes a log has grown by since any of its positions, in steps.

use std::collections::VecDeque;

use gleaner_model::{Operation, OperationKind, SeqNo};

/// Steps remembered; beyond them the count is of the oldest one.
const MAX_MARKS: usize = 256;

/// Bytes of a log by position.
pub(crate) struct Growth {
    step_bytes: u64,
    total: u64,
    /// Positions with the bytes before them, a step or more apart.
    marks: VecDeque<(SeqNo, u64)>,
}

impl Growth {
    /// Counts in steps of `step_bytes`.
    pub(crate) fn new(step_bytes: u64) -> Self {
        Self {
            step_bytes,
            total: 0,
            marks: VecDeque::new(),
        }
    }

    /// Counts `bytes` of records up to `next`, that one not included.
    pub(crate) fn note(&mut self, next: SeqNo, bytes: u64) {
        self.total += bytes;
        let last = self.marks.back().map_or(0, |(_, before)| *before);
        if self.total - last < self.step_bytes {
            return;
        }
        self.marks.push_back((next, self.total));
        if self.marks.len() > MAX_MARKS {
            self.marks.pop_front();
        }
    }

    /// Returns the bytes from `position` on, up to one step too many. Positions before the oldest
    /// step count as the beginning.
    pub(crate) fn since(&self, position: SeqNo) -> u64 {
        let after = self.marks.partition_point(|(mark, _)| *mark <= position);
        let before = after.checked_sub(1).map_or(0, |index| self.marks[index].1);
        self.total - before
    }
}

/// Returns about how many bytes an operation takes in a log.
pub(crate) fn bytes_of(operation: &Operation) -> u64 {
    const HEAD_BYTES: usize = 64;
    let content = match &operation.kind {
        OperationKind::Index { id, source, .. } => id.as_str().len() + source.len(),
        OperationKind::Delete { id, .. } => id.as_str().len(),
        OperationKind::Refresh | OperationKind::NoOp => 0,
    };
    (HEAD_BYTES + content) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_from_a_position_on_at_most_a_step_too_many() {
        let mut growth = Growth::new(10);
        assert_eq!(growth.since(SeqNo(0)), 0);
        for next in 1..=100 {
            growth.note(SeqNo(next), 4);
        }
        for position in 0..=100 {
            let exact = 4 * (100 - position);
            let told = growth.since(SeqNo(position));
            assert!(
                (exact..exact + 10 + 4).contains(&told),
                "{position}: {told}"
            );
        }
    }

    #[test]
    fn a_long_log_is_remembered_in_bounds() {
        let mut growth = Growth::new(1);
        for next in 1..=10_000 {
            growth.note(SeqNo(next), 1);
        }
        assert_eq!(growth.marks.len(), MAX_MARKS);
        assert_eq!(growth.since(SeqNo(9_990)), 10);
        assert_eq!(growth.since(SeqNo(1)), 10_000);
    }
}
