//! Why a query matches nothing in a view: values that no document has, and where columns lie.
//!
//! What is said of a view holds for every view of the same generation: terms come from dictionaries
//! and spans from columns, which may know of deleted documents too, so they say too little, never too
//! much.

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use gleaner_model::FieldPath;
use gleaner_partial::control::Control;
use gleaner_query::mapping::{ignored_field, is_metadata};
use gleaner_query::resolved::{Clause, Extent, Scalar, Span};
use tantivy::Term;
use tantivy::columnar::Column;

use crate::doc_values::DocValues;
use crate::lower::term_of;
use crate::schema::FieldHandle;
use crate::{EngineError, View};

/// Values looked up in dictionaries for one query, at most; others are taken as there.
const MOST_LOOKUPS: usize = 128;

/// Returns what is known of the values in `view` that `clause` asks for.
///
/// # Errors
/// When the index cannot be read, or `control` stops it.
pub fn extent(view: &View, clause: &Clause, control: &Control) -> Result<Extent, EngineError> {
    let mut survey = Survey {
        view,
        control,
        lookups_left: MOST_LOOKUPS,
        extent: Extent::of(view.num_documents() == 0),
    };
    if !survey.extent.is_empty {
        survey.visit(clause)?;
    }
    Ok(survey.extent)
}

struct Survey<'a> {
    view: &'a View,
    control: &'a Control,
    lookups_left: usize,
    extent: Extent,
}

impl<'a> Survey<'a> {
    fn visit(&mut self, clause: &Clause) -> Result<(), EngineError> {
        if let Some((field, terms)) = clause.terms() {
            self.visit_terms(field, terms)?;
        }
        if let Some((field, values)) = clause.values() {
            self.visit_values(field, values)?;
        }
        match clause {
            Clause::Range { field, .. } => self.visit_column(field)?,
            Clause::Exists { fields } => {
                // Of ignored values nothing is known.
                let known = |field: &&FieldPath| ignored_field(field.as_str()).is_none();
                let mut fields = fields.iter().filter(known);
                fields.try_for_each(|field| self.visit_column(field))?;
            }
            _ => {}
        }
        let mut inside = clause.matching_children();
        inside.try_for_each(|clause| self.visit(clause))
    }

    fn visit_terms<'c>(
        &mut self,
        field: &FieldPath,
        terms: impl IntoIterator<Item = &'c str>,
    ) -> Result<(), EngineError> {
        let Some(handle) = self.handle(field) else {
            return Ok(());
        };
        for term in terms {
            let sought = Term::from_field_text(handle.column, term);
            if self.is_absent(handle, &sought)? {
                let value = Scalar::Text(term.to_owned());
                self.extent.note_absent(field, value);
            }
        }
        Ok(())
    }

    fn visit_values<'c>(
        &mut self,
        field: &FieldPath,
        values: impl IntoIterator<Item = &'c Scalar>,
    ) -> Result<(), EngineError> {
        self.visit_column(field)?;
        let Some(handle) = self.handle(field) else {
            return Ok(());
        };
        for value in values {
            let sought = term_of(field, handle, value)?;
            if self.is_absent(handle, &sought)? {
                self.extent.note_absent(field, value.clone());
            }
        }
        Ok(())
    }

    /// Notes between which values the column lies; of terms only whether there are any.
    fn visit_column(&mut self, field: &FieldPath) -> Result<(), EngineError> {
        let Some(handle) = self.handle(field) else {
            return Ok(());
        };
        if !handle.kind.has_doc_values() {
            return Ok(());
        }
        let mut all = Span::Nowhere;
        for segment in self.view.segments() {
            let Some(column) = DocValues::open(segment, handle)? else {
                continue;
            };
            match span_of(&column) {
                None => return Ok(()),
                Some(span) => all = all.joined(span),
            }
        }
        self.extent.note_span(field.clone(), all);
        Ok(())
    }

    /// Returns the column of `field`; where the view has none, no document has a value. Of metadata, of features and of
    /// constants, which columns do not hold, nothing is known.
    fn handle(&mut self, field: &FieldPath) -> Option<&'a FieldHandle> {
        let declared = self.view.mapping().field(field.as_str());
        if declared.is_some_and(|declared| declared.kind.is_constant()) {
            return None;
        }
        let handle = self.view.field(field.as_str());
        let is_key = handle.is_none() && self.view.values(field.as_str()).is_some();
        if handle.is_none() && !is_key && !is_metadata(field.as_str()) {
            self.extent.note_span(field.clone(), Span::Nowhere);
        }
        handle
    }

    /// Returns whether no document has the value, as far as dictionaries tell.
    fn is_absent(&mut self, handle: &FieldHandle, sought: &Term) -> Result<bool, EngineError> {
        if !handle.kind.is_indexed() || self.lookups_left == 0 {
            return Ok(false);
        }
        self.lookups_left -= 1;
        self.control.check()?;
        for segment in self.view.segments() {
            let inverted = segment.reader().inverted_index(sought.field())?;
            let frequency = inverted.doc_freq(sought);
            if frequency.map_err(EngineError::io("reading terms"))? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns where the values of a column of one segment lie; `None` for terms, whose order is not kept.
fn span_of(column: &DocValues) -> Option<Span> {
    fn within<T>(column: &Column<T>, scalar: impl Fn(T) -> Scalar) -> Span
    where
        T: PartialOrd + Copy + Debug + Send + Sync + 'static,
    {
        match column.values.num_vals() {
            0 => Span::Nowhere,
            _ => Span::Within(scalar(column.min_value()), scalar(column.max_value())),
        }
    }
    Some(match column {
        DocValues::I64(column) | DocValues::DateNanos(column) => within(column, Scalar::I64),
        DocValues::U64(column) => within(column, Scalar::U64),
        DocValues::F64(column) => within(column, Scalar::F64),
        DocValues::Bool(column) => within(column, Scalar::Bool),
        DocValues::Date(column) => within(column, Scalar::Date),
        DocValues::Ip(column) => within(column, |address| Scalar::Ip(address.into())),
        DocValues::Terms(_) => return None,
    })
}
