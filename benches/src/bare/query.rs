//! Queries as tantivy's own examples build them.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;

use super::Fields;
use crate::queries::{Class, Filter, Query};

type Clauses = Vec<(Occur, Box<dyn TantivyQuery>)>;

/// Returns `query` on the baseline's columns.
pub(super) fn build(fields: &Fields, query: &Query) -> Box<dyn TantivyQuery> {
    let terms: Vec<Term> = query
        .terms
        .iter()
        .map(|term| Term::from_field_text(fields.body, term))
        .collect();
    match query.class {
        Class::Term => scored(terms[0].clone()),
        Class::And => Box::new(BooleanQuery::new(clauses(terms, Occur::Must))),
        Class::Or => Box::new(BooleanQuery::new(clauses(terms, Occur::Should))),
        Class::Phrase => Box::new(PhraseQuery::new(terms)),
        Class::Filtered => {
            let mut clauses = clauses(terms, Occur::Must);
            if let Some(filter) = &query.filter {
                let filter = ConstScoreQuery::new(unscored(fields, filter), 0.0);
                clauses.push((Occur::Must, Box::new(filter)));
            }
            Box::new(BooleanQuery::new(clauses))
        }
    }
}

fn scored(term: Term) -> Box<dyn TantivyQuery> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn clauses(terms: Vec<Term>, occur: Occur) -> Clauses {
    terms
        .into_iter()
        .map(|term| (occur, scored(term)))
        .collect()
}

fn unscored(fields: &Fields, filter: &Filter) -> Box<dyn TantivyQuery> {
    match filter {
        Filter::Kind(kind) => {
            let term = Term::from_field_text(fields.kind, kind);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic))
        }
        Filter::Published(from, to) => {
            let border = |at: &i64| Term::from_field_i64(fields.published, *at);
            Box::new(RangeQuery::new(
                Bound::Included(border(from)),
                Bound::Excluded(border(to)),
            ))
        }
    }
}
