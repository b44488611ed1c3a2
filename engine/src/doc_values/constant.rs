//! Columns of constants: one value that every document has, whatever was indexed of it.
//!
//! Does: make such a column in memory, once for each value of a view. Does not: know which fields are constants
//! (`View::constant` does). Read first: [`ConstantColumns::of`].

use std::collections::HashMap;
use std::io;

use parking_lot::RwLock;
use tantivy::columnar::{ColumnarReader, ColumnarWriter, DynamicColumn, StrColumn};

use crate::EngineError;

/// Name of the column where it is made.
const NAME: &str = "constant";

/// The columns of a view's constants, by value.
#[derive(Default)]
pub(crate) struct ConstantColumns(RwLock<HashMap<String, StrColumn>>);

impl ConstantColumns {
    /// Returns a column in which each document has `value`, for any number of documents.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn of(&self, value: &str) -> Result<StrColumn, EngineError> {
        if let Some(known) = self.0.read().get(value) {
            return Ok(known.clone());
        }
        let made = column(value).map_err(EngineError::io("making the column of a constant"))?;
        let made = made.ok_or_else(|| EngineError::internal("a column of text is none"))?;
        self.0.write().insert(value.to_owned(), made.clone());
        Ok(made)
    }
}

/// Makes the column of one document. It serves for all: each document has one value in it, and where all values are
/// the same they take no bits, so that any is read as the first one (tantivy's `BitpackedReader`).
fn column(value: &str) -> io::Result<Option<StrColumn>> {
    let mut writer = ColumnarWriter::default();
    writer.record_str(0, NAME, value);
    let mut bytes = Vec::new();
    writer.serialize(1, None, &mut bytes)?;
    let columns = ColumnarReader::open(bytes)?.read_columns(NAME)?;
    let Some(column) = columns.first() else {
        return Ok(None);
    };
    Ok(match column.open()? {
        DynamicColumn::Str(column) => Some(column),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_the_value_once() {
        for value in ["nginx", "", "ä"] {
            let column = ConstantColumns::default().of(value).expect("it is made");
            assert_eq!(column.num_terms(), 1);
            let mut text = String::new();
            assert!(column.ord_to_str(0, &mut text).expect("it is there"));
            assert_eq!(text, value);
            let documents = [0, 1, 7, 511, 512, 513, 1 << 20, u32::MAX - 1];
            for doc in documents {
                assert_eq!(column.term_ords(doc).collect::<Vec<_>>(), [0]);
            }
            let mut ords = vec![None; documents.len()];
            column.ords().first_vals(&documents, &mut ords);
            assert!(ords.iter().all(|ord| *ord == Some(0)));
        }
    }
}
