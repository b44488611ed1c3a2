//! Values of any type: equal to one of several, between bounds, or there at all.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_query::mapping::ignored_field;
use gleaner_query::resolved::Scalar;
use tantivy::Term;
use tantivy::query::{EmptyWeight, EnableScoring, ExistsQuery, Query, RangeQuery, Weight};
use tantivy::schema::Field as Column;

use super::{Scope, compound, posting_set};
use crate::EngineError;
use crate::schema::{FieldHandle, names};

/// Documents with a value equal to one of `values`.
pub(super) fn any_of(
    scope: &Scope<'_>,
    field: &FieldPath,
    values: &[Scalar],
) -> Result<Box<dyn Weight>, EngineError> {
    if field.as_str() == names::ROUTING {
        let routing = scope.view.fields().system().routing;
        let texts = values.iter().filter_map(|value| match value {
            Scalar::Text(text) => Some(Term::from_field_text(routing, text)),
            _ => None,
        });
        return posting_set::of_list(scope, routing, texts.collect());
    }
    let Some(handle) = scope.view.field(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    let terms = values.iter().map(|value| term_of(field, handle, value));
    let terms = terms.collect::<Result<Vec<_>, _>>()?;
    if handle.kind.is_indexed() {
        return posting_set::of_list(scope, handle.column, terms);
    }
    let mut weights = Vec::with_capacity(terms.len());
    for term in terms {
        let only = Bound::Included(term);
        weights.push(fast_range(scope, field, handle, (only.clone(), only))?);
    }
    Ok(compound::any_matching(weights))
}

/// Documents with a value between the bounds.
pub(super) fn range(
    scope: &Scope<'_>,
    field: &FieldPath,
    lower: &Bound<Scalar>,
    upper: &Bound<Scalar>,
) -> Result<Box<dyn Weight>, EngineError> {
    let Some(handle) = scope.view.field(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    if matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded)) {
        return exists(scope, std::slice::from_ref(field));
    }
    let term = |bound: &Bound<Scalar>| -> Result<Bound<Term>, EngineError> {
        Ok(match bound {
            Bound::Included(value) => Bound::Included(term_of(field, handle, value)?),
            Bound::Excluded(value) => Bound::Excluded(term_of(field, handle, value)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    let bounds = (term(lower)?, term(upper)?);
    // The column of terms that are counted has an index alone.
    if handle.kind.has_doc_values() && !handle.kind.counts_occurrences() {
        return fast_range(scope, field, handle, bounds);
    }
    posting_set::require_index(field, handle)?;
    let bytes = |bound: Bound<Term>| bound.map(|term| term.serialized_value_bytes().to_vec());
    Ok(posting_set::of_range(
        scope,
        handle.column,
        bytes(bounds.0),
        bytes(bounds.1),
    ))
}

/// Documents with a value in any of `fields`.
pub(super) fn exists(
    scope: &Scope<'_>,
    fields: &[FieldPath],
) -> Result<Box<dyn Weight>, EngineError> {
    let searcher = scope.view.searcher();
    let (mut weights, mut listed) = (Vec::new(), Vec::new());
    let present: Column = scope.view.fields().system().present;
    for field in fields {
        if let Some(ignored) = ignored_field(field.as_str()) {
            let handle = scope.view.field(ignored);
            let ordinal = handle.map(|handle| names::IGNORED | u64::from(handle.ordinal));
            listed.extend(ordinal.map(|ordinal| Term::from_field_u64(present, ordinal)));
            continue;
        }
        if field.as_str() == names::ROUTING {
            let routing = scope.view.fields().system().routing;
            let any = (Bound::Unbounded, Bound::Unbounded);
            weights.push(posting_set::of_range(scope, routing, any.0, any.1));
            continue;
        }
        let field = field.as_str();
        let handle = scope.view.field(field).map(Cow::Borrowed);
        // A feature has a column of its own.
        let Some(handle) = handle.or_else(|| scope.view.values(field)) else {
            continue;
        };
        if names::is_listed(&handle.kind) {
            listed.push(Term::from_field_u64(present, u64::from(handle.ordinal)));
        } else {
            let query = ExistsQuery::new(handle.name.clone(), false);
            weights.push(query.weight(EnableScoring::disabled_from_searcher(searcher))?);
        }
    }
    if !listed.is_empty() {
        weights.push(posting_set::of_list(scope, present, listed)?);
    }
    if weights.is_empty() {
        return Ok(Box::new(EmptyWeight));
    }
    Ok(compound::any_matching(weights))
}

fn fast_range(
    scope: &Scope<'_>,
    field: &FieldPath,
    handle: &FieldHandle,
    (lower, upper): (Bound<Term>, Bound<Term>),
) -> Result<Box<dyn Weight>, EngineError> {
    if !handle.kind.has_doc_values() {
        posting_set::require_index(field, handle)?;
    }
    let query = RangeQuery::new(lower, upper);
    Ok(query.weight(EnableScoring::disabled_from_searcher(scope.view.searcher()))?)
}

/// Returns the term `value` is indexed as; its type must be the column's.
pub(crate) fn term_of(
    field: &FieldPath,
    handle: &FieldHandle,
    value: &Scalar,
) -> Result<Term, EngineError> {
    let column = handle.column;
    let letter = handle.name.as_bytes().first().copied().unwrap_or_default();
    Ok(match (letter, value) {
        (b't' | b'k', Scalar::Text(text)) => Term::from_field_text(column, text),
        (b'i' | b'd', Scalar::I64(value) | Scalar::Date(value)) => {
            Term::from_field_i64(column, *value)
        }
        (b'u', Scalar::U64(value)) => Term::from_field_u64(column, *value),
        (b'f', Scalar::F64(value)) => Term::from_field_f64(column, *value),
        (b'b', Scalar::Bool(value)) => Term::from_field_bool(column, *value),
        (b'p', Scalar::Ip(value)) => Term::from_field_ip_addr(column, Ipv6Addr::from(*value)),
        _ => {
            let kind = handle.kind.type_name();
            let reason = format!("{value:?} is no value of field `{field}` of type {kind}");
            return Err(EngineError::internal(reason));
        }
    })
}
