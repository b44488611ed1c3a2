//! Which columns of a shard the fields of a query are in.

use gleaner_model::FieldPath;
use smallvec::SmallVec;
use tantivy::schema::Field as Column;

use crate::lower;
use crate::{EngineError, View};

/// A column per word of a query; `None` where no document of the shard has the field.
pub(super) type Columns = SmallVec<[Option<Column>; 4]>;

/// Returns the columns of the `fields` of words; `None` when one of them does not count its terms on the shard.
///
/// # Errors
/// `EvaluationError::Query` for fields that cannot be searched.
pub(super) fn of_counted<'q>(
    view: &View,
    fields: impl Iterator<Item = &'q FieldPath>,
) -> Result<Option<Columns>, EngineError> {
    let mut columns = Columns::new();
    let mut before = None;
    for field in fields {
        // Mostly all words are of one field.
        if before == Some(field)
            && let Some(known) = columns.last().copied()
        {
            columns.push(known);
            continue;
        }
        before = Some(field);
        let Some(handle) = view.field(field.as_str()) else {
            columns.push(None);
            continue;
        };
        if !handle.kind.counts_occurrences() {
            return Ok(None);
        }
        lower::require_index(field, handle)?;
        columns.push(Some(handle.column));
    }
    Ok(Some(columns))
}
