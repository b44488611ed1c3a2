//! Columns for tests.

use tantivy::DocId;
use tantivy::columnar::ColumnValues;

/// A column of these values, one a document.
pub(crate) struct InMemory(pub(crate) Vec<u64>);

impl ColumnValues<u64> for InMemory {
    fn get_val(&self, doc: DocId) -> u64 {
        self.0[doc as usize]
    }

    fn min_value(&self) -> u64 {
        self.0.iter().copied().min().unwrap_or(0)
    }

    fn max_value(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn num_vals(&self) -> u32 {
        self.0.len() as u32
    }
}
