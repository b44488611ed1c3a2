//! Stretches of a segment whose documents stand in the order of their seq_nos.
//!
//! A segment that was just written is one: operations are applied in order. A merged one has as many
//! as it was merged from, less those that happened to fit. So a document is found by its number in a
//! few binary searches, and lists come in order without sorting much.

use std::ops::Range;

use tantivy::DocId;
use tantivy::columnar::ColumnValues;

/// Runs that are distinguished, at most. A segment merged from more (a trickle of writes, refreshed each second
/// for hours) counts as one heap without order: opening a list that often costs more than sorting it.
const MAX_RUNS: usize = 1_024;
/// Values read at a time.
const BLOCK: usize = 1_024;

/// A stretch of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) docs: Range<DocId>,
    /// Smallest seq_no.
    pub(crate) first: u64,
    /// Largest seq_no.
    pub(crate) last: u64,
    /// Whether seq_nos ascend with documents.
    pub(crate) is_sorted: bool,
}

/// The runs of a segment, in the order of its documents; together they are all of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    /// Finds the runs of a column of seq_nos.
    pub(crate) fn of(seq_nos: &dyn ColumnValues<u64>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        each_value(seq_nos, 0..seq_nos.num_vals(), |doc, seq_no| {
            match runs.last_mut() {
                Some(run) if run.last < seq_no => {
                    run.docs.end = doc + 1;
                    run.last = seq_no;
                }
                _ => runs.push(Run {
                    docs: doc..doc + 1,
                    first: seq_no,
                    last: seq_no,
                    is_sorted: true,
                }),
            }
            runs.len() <= MAX_RUNS
        });
        if runs.len() > MAX_RUNS {
            runs = vec![Run {
                docs: 0..seq_nos.num_vals(),
                first: seq_nos.min_value(),
                last: seq_nos.max_value(),
                is_sorted: false,
            }];
        }
        Self(runs)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }
}

impl Run {
    /// Returns the first of its documents from `from` on whose seq_no is `least` or more; its end
    /// where there is none. Only for sorted runs.
    pub(crate) fn find(&self, seq_nos: &dyn ColumnValues<u64>, from: DocId, least: u64) -> DocId {
        debug_assert!(self.is_sorted);
        let (mut low, mut high) = (from, self.docs.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if seq_nos.get_val(middle) < least {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Reads the values of `docs` in order until `take` says no.
pub(super) fn each_value(
    seq_nos: &dyn ColumnValues<u64>,
    docs: Range<DocId>,
    mut take: impl FnMut(DocId, u64) -> bool,
) {
    let mut block = [0; BLOCK];
    let mut next = docs.start;
    while next < docs.end {
        let len = (docs.end - next).min(BLOCK as u32);
        let values = &mut block[..len as usize];
        seq_nos.get_range(u64::from(next), values);
        for (doc, value) in (next..).zip(values) {
            if !take(doc, *value) {
                return;
            }
        }
        next += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::InMemory;

    fn column(values: &[u64]) -> InMemory {
        InMemory(values.to_vec())
    }

    #[test]
    fn a_run_ends_where_numbers_fall() {
        let column = column(&[5, 6, 9, 1, 2, 2, 7]);
        let runs = Runs::of(&column);
        let seen: Vec<_> = runs
            .iter()
            .map(|run| (run.docs.clone(), run.first, run.last))
            .collect();
        assert_eq!(seen, [(0..3, 5, 9), (3..5, 1, 2), (5..7, 2, 7)]);
        let first = runs.iter().next().expect("three");
        let found = [0, 5, 6, 7, 9, 10].map(|least| first.find(&column, 0, least));
        assert_eq!(found, [0, 0, 1, 2, 2, 3]);
    }

    #[test]
    fn long_runs_are_read_across_blocks() {
        let column = column(&(0..3_000).collect::<Vec<_>>());
        let runs = Runs::of(&column);
        assert_eq!(runs.iter().count(), 1);
        assert_eq!(
            runs.iter().next().map(|run| run.docs.clone()),
            Some(0..3_000)
        );
    }

    #[test]
    fn too_many_runs_are_one_without_order() {
        let values: Vec<u64> = (0..4_000).rev().collect();
        let runs = Runs::of(&column(&values));
        let whole = Run {
            docs: 0..4_000,
            first: 0,
            last: 3_999,
            is_sorted: false,
        };
        assert_eq!(runs, Runs(vec![whole]));
        assert_eq!(Runs::of(&column(&[])).iter().count(), 0);
    }
}
