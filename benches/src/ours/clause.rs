//! Queries as the root resolves them.

use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Clause, Scalar};

use crate::queries::{Class, Filter, Query};

/// Returns `query` as the root resolves it.
pub fn clause(query: &Query) -> Clause {
    let body = FieldPath::new("body");
    let term = |term: &String| Clause::Term {
        field: body.clone(),
        term: term.clone(),
    };
    let mut terms: Vec<Clause> = query.terms.iter().map(term).collect();
    let combined = |must, should, filter| Clause::Bool {
        must,
        minimum_should_match: u32::from(!Vec::is_empty(&should)),
        should,
        filter,
        must_not: Vec::new(),
    };
    match query.class {
        Class::Term => terms.swap_remove(0),
        Class::And => combined(terms, Vec::new(), Vec::new()),
        Class::Or => combined(Vec::new(), terms, Vec::new()),
        Class::Filtered => combined(
            terms,
            Vec::new(),
            query.filter.iter().map(filter_clause).collect(),
        ),
        Class::Phrase => {
            let terms = query.terms.iter().zip(0..);
            let positions = terms.map(|(term, at)| (at, vec![term.clone()])).collect();
            Clause::Phrase {
                field: body,
                positions,
                slop: 0,
            }
        }
    }
}

fn filter_clause(filter: &Filter) -> Clause {
    match filter {
        Filter::Kind(kind) => Clause::Term {
            field: FieldPath::new("kind"),
            term: kind.clone(),
        },
        Filter::Published(from, to) => Clause::Range {
            field: FieldPath::new("published"),
            lower: Bound::Included(Scalar::Date(*from)),
            upper: Bound::Excluded(Scalar::Date(*to)),
        },
    }
}
