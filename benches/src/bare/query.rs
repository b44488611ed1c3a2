//! Queries as tantivy's own examples build them.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, PhraseQuery,
    Query as TantivyQuery, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;

use super::Fields;
use crate::queries::{Class, Filter, Query, TITLE_BOOST};

type Clauses = Vec<(Occur, Box<dyn TantivyQuery>)>;

/// Returns `query` on the baseline's columns.
pub(super) fn build(fields: &Fields, query: &Query) -> Box<dyn TantivyQuery> {
    let terms_of = |field| -> Vec<Term> {
        let terms = query.terms.iter();
        terms
            .map(|term| Term::from_field_text(field, term))
            .collect()
    };
    let terms = terms_of(fields.body);
    let any = |terms| -> Box<dyn TantivyQuery> {
        Box::new(BooleanQuery::new(clauses(terms, Occur::Should)))
    };
    match query.class {
        Class::Term => scored(terms[0].clone()),
        Class::And => Box::new(BooleanQuery::new(clauses(terms, Occur::Must))),
        Class::Or => any(terms),
        Class::BestField => {
            let title = BoostQuery::new(any(terms_of(fields.title)), TITLE_BOOST);
            let fields: Vec<Box<dyn TantivyQuery>> = vec![Box::new(title), any(terms)];
            Box::new(DisjunctionMaxQuery::new(fields))
        }
        Class::TitleToo => preferred(any(terms), any(terms_of(fields.title))),
        Class::PhraseToo => preferred(any(terms.clone()), Box::new(PhraseQuery::new(terms))),
        Class::Two => {
            let terms = clauses(terms, Occur::Should);
            Box::new(BooleanQuery::with_minimum_required_clauses(terms, 2))
        }
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

fn preferred(must: Box<dyn TantivyQuery>, should: Box<dyn TantivyQuery>) -> Box<dyn TantivyQuery> {
    let clauses = vec![(Occur::Must, must), (Occur::Should, should)];
    Box::new(BooleanQuery::new(clauses))
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
