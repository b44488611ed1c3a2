//! The part of an order that ranges of the query leave: a sort by the field of a range begins and ends there.

use std::ops::{Bound, Range};

use gleaner_model::mapping::Resolution;
use gleaner_partial::sorting::Kind;
use gleaner_query::resolved::{Clause, Scalar};
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value;
use tantivy::{f64_to_u64, i64_to_u64};

use super::key::KeyReader;
use crate::view::View;

/// Numbers of an order between which all matches lie.
pub(super) type Interval = (Bound<u64>, Bound<u64>);

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
                && let (Some(lower), Some(upper)) =
                    (number(reader.kind, lower), number(reader.kind, upper))
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

fn number(kind: Kind, bound: &Bound<Scalar>) -> Option<Bound<u64>> {
    let of = |value: &Scalar| match (kind, value) {
        (Kind::Whole, Scalar::I64(value) | Scalar::Date(value)) => Some(i64_to_u64(*value)),
        (Kind::Unsigned, Scalar::U64(value)) => Some(*value),
        (Kind::Fraction, Scalar::F64(value)) => Some(f64_to_u64(*value)),
        _ => None,
    };
    Some(match bound {
        Bound::Included(value) => Bound::Included(of(value)?),
        Bound::Excluded(value) => Bound::Excluded(of(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// Narrows `ranks` to an interval; `first` returns the first of some ranks whose number is not below a value, or above it.
pub(super) fn narrow<E>(
    ranks: Range<usize>,
    (lower, upper): Interval,
    first: impl Fn(Range<usize>, u64, Side) -> Result<usize, E>,
) -> Result<Range<usize>, E> {
    let start = match lower {
        Bound::Unbounded => ranks.start,
        Bound::Included(number) => first(ranks.clone(), number, Side::NotBelow)?,
        Bound::Excluded(number) => first(ranks.clone(), number, Side::Above)?,
    };
    let end = match upper {
        Bound::Unbounded => ranks.end,
        Bound::Included(number) => first(start..ranks.end, number, Side::Above)?,
        Bound::Excluded(number) => first(start..ranks.end, number, Side::NotBelow)?,
    };
    Ok(start..end)
}

/// Where numbers begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    NotBelow,
    Above,
}
