//! The part of an order that ranges of the query leave: a sort by the field of a range begins and ends there.

use std::ops::Bound;

use gleaner_model::mapping::Resolution;
use gleaner_query::resolved::{Clause, Scalar};
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value;

use super::key::KeyReader;
use crate::doc_order::column::{Interval, number_of_bound};
use crate::view::View;

/// Returns the ranges that each match of `clause` lies in, of the field that `key` sorts by: `reader` reads it. None where a
/// document may match by another value than the one that it is sorted by.
pub(super) fn intervals(
    clause: &Clause,
    key: &SortKey,
    reader: &KeyReader,
    view: &View,
) -> Vec<Interval> {
    let mut found = Vec::new();
    let SortTarget::Field(path) = &key.target else {
        return found;
    };
    let resolution = sort_value::resolution(key, view.mapping());
    if !reader.has_exact_numbers() || resolution.is_some_and(Resolution::is_nanos) {
        return found;
    }
    if let Some(handle) = view.field(path) {
        collect(clause, &mut |field, lower, upper| {
            if view
                .field(field)
                .is_some_and(|other| other.name == handle.name)
                && let (Some(lower), Some(upper)) = (
                    number_of_bound(reader.kind, lower),
                    number_of_bound(reader.kind, upper),
                )
            {
                found.push((lower, upper));
            }
        });
    }
    found
}

/// Calls `take` with the ranges that all matches of `clause` lie in.
fn collect(clause: &Clause, take: &mut impl FnMut(&str, &Bound<Scalar>, &Bound<Scalar>)) {
    match clause {
        Clause::Range {
            field,
            lower,
            upper,
        } => take(field.as_str(), lower, upper),
        Clause::Constant(inner) | Clause::Boost { clause: inner, .. } => collect(inner, take),
        Clause::Bool { must, filter, .. } => {
            for clause in must.iter().chain(filter) {
                collect(clause, take);
            }
        }
        _ => {}
    }
}
