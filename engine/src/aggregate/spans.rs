//! Ranges of a field in one segment, as their least and greatest values.

use std::sync::Arc;

use tantivy::columnar::StrColumn;
use tantivy::{DocId, SegmentReader};

use super::node::SegmentContext;
use super::source::visit_column;
use crate::doc_values::RangeColumn;
use crate::error::EngineError;
use crate::schema::FieldHandle;

/// The ranges of a field in a segment; `None` where there are none.
pub(super) struct Spans(Option<Arc<RangeColumn>>);

impl Spans {
    /// Opens the ranges of a field that `formats::of_ranges` knows; `what` names the aggregation.
    ///
    /// # Errors
    /// `EvaluationError::Query` where the segment has ranges and no column of them. When they cannot be read,
    /// or take too much memory.
    pub(super) fn open(
        field: &str,
        what: &str,
        context: &SegmentContext<'_>,
    ) -> Result<Self, EngineError> {
        let Some(handle) = context.view.field(field) else {
            return Ok(Self(None));
        };
        let reader = context.segment.reader();
        let decoded = context.segment.decoded();
        let mut meter = context.ledger.meter();
        let ranges = decoded.ranges(reader, handle, |bytes| Ok(meter.charge(bytes)?))?;
        if ranges.is_none() {
            check_kept(reader, handle, field, what)?;
        }
        Ok(Self(ranges))
    }

    /// Calls `f` with the place in `docs` and the least and the greatest value of each range.
    pub(super) fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, (f64, f64))) {
        let Some(ranges) = &self.0 else {
            return;
        };
        visit_column(ranges.ords(), docs, |i, ord: Option<u64>| {
            let span = ord.and_then(|ord| ranges.value(ord));
            span.into_iter().for_each(|span| f(i, span));
        });
    }
}

/// Opens the terms that ranges or points of a field are kept as; `what` names the aggregation. `None` where no document
/// of the segment has one.
///
/// # Errors
/// As [`Spans::open`].
pub(super) fn open_terms(
    field: &str,
    what: &str,
    context: &SegmentContext<'_>,
) -> Result<Option<StrColumn>, EngineError> {
    let Some(handle) = context.view.field(field) else {
        return Ok(None);
    };
    let reader = context.segment.reader();
    let column = reader.fast_fields().str(handle.name.as_str())?;
    if column.is_none() {
        check_kept(reader, handle, field, what)?;
    }
    Ok(column)
}

/// Refuses a segment that has terms of a field without a column: earlier versions kept none of ranges.
fn check_kept(
    reader: &SegmentReader,
    handle: &FieldHandle,
    field: &str,
    what: &str,
) -> Result<(), EngineError> {
    if !handle.kind.is_indexed() {
        return Ok(());
    }
    let inverted = reader.inverted_index(handle.column)?;
    if inverted.terms().num_terms() == 0 {
        return Ok(());
    }
    Err(EngineError::query(format!(
        "Field [{field}] of type [{}] was indexed by an earlier version, which kept no column of it: aggregation \
         [{what}] needs its documents to be indexed again",
        handle.kind.type_name()
    )))
}

#[cfg(test)]
mod tests {
    use gleaner_partial::EvaluationError;
    use serde_json::json;

    use super::*;
    use crate::aggregate::testing::{Index, Layout, mapping};

    #[test]
    fn terms_without_a_column_are_refused_by_name() {
        let layout = Layout {
            shards: 1,
            segments: 1,
            has_deletes: false,
        };
        let check = |source: serde_json::Value| {
            let no_column = json!({"type": "keyword", "doc_values": false});
            let mapping = mapping(&json!({"span": no_column, "n": {"type": "long"}}));
            let documents = vec![("d".to_owned(), source)];
            let view = Index::new(&mapping, &documents, layout).views().remove(0);
            let handle = view.field("span").expect("it is mapped");
            check_kept(view.segments()[0].reader(), handle, "span", "histogram")
        };
        let refused = check(json!({"span": "a"})).expect_err("there is a term");
        assert!(
            matches!(refused, EngineError::Evaluation(EvaluationError::Query(_))),
            "{refused:?}"
        );
        assert!(refused.to_string().starts_with("Field [span] of type"));
        assert!(check(json!({"n": 1})).is_ok());
    }
}
