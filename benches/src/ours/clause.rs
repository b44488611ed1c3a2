//! Queries as the root resolves them.

use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Clause, Scalar};

use crate::queries::{Class, Filter, Query, TITLE_BOOST};

/// Returns `query` as the root resolves it.
pub fn clause(query: &Query) -> Clause {
    let mut terms = terms_in("body", query);
    match query.class {
        Class::Term => terms.swap_remove(0),
        Class::And => combined(terms, Vec::new(), Vec::new()),
        Class::Or => any(terms, 1),
        Class::Filtered => combined(
            terms,
            Vec::new(),
            query.filter.iter().map(filter_clause).collect(),
        ),
        Class::Phrase => phrase(query),
        Class::BestField => {
            let title = Clause::Boost {
                clause: Box::new(any(terms_in("title", query), 1)),
                factor: TITLE_BOOST,
            };
            Clause::DisMax {
                clauses: vec![title, any(terms, 1)],
                tie_breaker: 0.0,
            }
        }
        Class::TitleToo => preferred(any(terms, 1), any(terms_in("title", query), 1)),
        Class::PhraseToo => preferred(any(terms, 1), phrase(query)),
        Class::Two => any(terms, 2),
    }
}

fn terms_in(field: &str, query: &Query) -> Vec<Clause> {
    let terms = query.terms.iter().map(|term| Clause::Term {
        field: FieldPath::new(field),
        term: term.clone(),
    });
    terms.collect()
}

fn combined(must: Vec<Clause>, should: Vec<Clause>, filter: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should,
        filter,
        must_not: Vec::new(),
        minimum_should_match: 0,
    }
}

fn preferred(must: Clause, should: Clause) -> Clause {
    combined(vec![must], vec![should], Vec::new())
}

fn any(should: Vec<Clause>, minimum_should_match: u32) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match,
    }
}

fn phrase(query: &Query) -> Clause {
    let terms = query.terms.iter().zip(0..);
    Clause::Phrase {
        field: FieldPath::new("body"),
        positions: terms.map(|(term, at)| (at, vec![term.clone()])).collect(),
        slop: 0,
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
