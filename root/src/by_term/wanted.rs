//! Which posting lists a search needs of each index, and of which terms it needs the numbers.

use std::collections::BTreeMap;

use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::resolved::{Clause, StatisticsRequest};

use super::check::refused;
use crate::plan::IndexPlan;

/// A term of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) field: &'a FieldPath,
    pub(super) text: &'a str,
}

/// A term of which the shards of an index are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedTerm {
    pub(super) field: FieldPath,
    pub(super) term: String,
    /// Whether frequencies and lengths are needed.
    pub(super) is_weighted: bool,
}

/// The terms of one index, and where each stands among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WantedTerms {
    pub(super) terms: Vec<WantedTerm>,
    positions: BTreeMap<FieldPath, BTreeMap<String, usize>>,
}

impl WantedTerms {
    /// Returns the position of a term.
    pub(super) fn position(&self, field: &FieldPath, term: &str) -> Option<usize> {
        self.positions.get(field)?.get(term).copied()
    }

    fn add(&mut self, field: &FieldPath, term: &str, is_weighted: bool) {
        let of_field = self.positions.entry(field.clone()).or_default();
        match of_field.get(term) {
            Some(at) => self.terms[*at].is_weighted |= is_weighted,
            None => {
                of_field.insert(term.to_owned(), self.terms.len());
                self.terms.push(WantedTerm {
                    field: field.clone(),
                    term: term.to_owned(),
                    is_weighted,
                });
            }
        }
    }
}

/// What a search needs.
#[derive(Debug, Default)]
pub(super) struct TermDemand {
    /// Per plan.
    pub(super) of_plans: Vec<WantedTerms>,
    /// Terms whose numbers scores are made of, over all indices; none where nothing is scored.
    pub(super) scored: StatisticsRequest,
}

/// Collects what the queries of `plans` need.
///
/// A term that one index scores is counted in all, as a scatter by shards counts it: where the others
/// do not look for it themselves, their lists are asked for only to be counted.
pub(super) fn wanted(plans: &[IndexPlan], is_scored: bool) -> Result<TermDemand, QueryError> {
    let mut wanted = TermDemand::default();
    for plan in plans {
        let mut terms = WantedTerms::default();
        collect(plan, &plan.resolved.query, is_scored, &mut terms);
        wanted.of_plans.push(terms);
        if is_scored {
            wanted.scored.collect(&plan.resolved.query);
        }
    }
    for (plan, terms) in plans.iter().zip(&mut wanted.of_plans) {
        for (field, scored) in &wanted.scored.fields {
            // A field that the mapping does not have is on none of its documents.
            let Some(known) = plan.index.mapping.fields.get(field.as_str()) else {
                continue;
            };
            for term in scored {
                if terms.position(field, term).is_some() {
                    continue;
                }
                let is_listed = matches!(
                    known.kind,
                    FieldKind::Text { .. } | FieldKind::Keyword { .. }
                );
                if !is_listed || !known.kind.is_indexed() {
                    let index = &plan.index.name;
                    return Err(refused(&format!(
                        "field [{field}], which index [{index}] does not index as text or keyword"
                    )));
                }
                terms.add(field, term, false);
            }
        }
    }
    Ok(wanted)
}

fn collect(plan: &IndexPlan, clause: &Clause, is_scored: bool, terms: &mut WantedTerms) {
    match clause {
        Clause::Boost { clause, .. } => collect(plan, clause, is_scored, terms),
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            ..
        } => {
            let scored = must.iter().chain(should);
            scored.for_each(|clause| collect(plan, clause, is_scored, terms));
            let unscored = filter.iter().chain(must_not);
            unscored.for_each(|clause| collect(plan, clause, false, terms));
        }
        other => {
            if let Some(Term { field, text }) = term_of(other) {
                let known = plan.index.mapping.fields.get(field.as_str());
                let is_counted = known.is_some_and(|known| known.kind.counts_occurrences());
                terms.add(field, text, is_scored && is_counted);
            }
        }
    }
}

/// Returns the term of a clause that is one.
pub(super) fn term_of(clause: &Clause) -> Option<Term<'_>> {
    match clause {
        Clause::Term { field, term: text } => Some(Term { field, text }),
        Clause::Synonyms { field, terms } => match terms.as_slice() {
            [text] => Some(Term { field, text }),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::by_term::tests::planned;

    fn clause(query: &serde_json::Value) -> (IndexPlan, TermDemand) {
        let mapping = json!({"properties": {
            "text": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"}
        }});
        let plan = planned(1, &mapping, query);
        let wanted = wanted(std::slice::from_ref(&plan), true).expect("it is taken");
        (plan, wanted)
    }

    #[test]
    fn each_term_is_wanted_once_and_weighted_where_it_scores_text() {
        let query = json!({"bool": {
            "must": {"match": {"text": "cat dog"}},
            "filter": [{"term": {"tag": "a"}}, {"term": {"text": "cow"}}, {"term": {"text": "dog"}}],
            "must_not": {"term": {"text": "emu"}},
            "should": {"term": {"tag": "b"}}
        }});
        let (_, wanted) = clause(&query);
        let terms = &wanted.of_plans[0].terms;
        let seen: Vec<(&str, bool)> = terms.iter().map(|t| (&*t.term, t.is_weighted)).collect();
        let expected = [
            ("cat", true),
            ("dog", true),
            ("b", false),
            ("a", false),
            ("cow", false),
            ("emu", false),
        ];
        assert_eq!(seen, expected);
        let scored: Vec<_> = wanted.scored.fields.values().flatten().collect();
        assert_eq!(scored, ["b", "cat", "dog"]);
    }

    #[test]
    fn what_one_index_scores_is_counted_in_the_others() {
        let text = json!({"properties": {"text": {"type": "text"}}});
        let english = json!({"properties": {"text": {"type": "text", "analyzer": "english"}}});
        let elsewhere = json!({"properties": {"other": {"type": "text"}}});
        let query = json!({"match": {"text": "cats"}});
        let plans = [
            planned(1, &text, &query),
            planned(2, &english, &query),
            planned(3, &elsewhere, &query),
        ];
        let wanted = wanted(&plans, true).expect("taken");
        let terms = |at: usize| -> Vec<(&str, bool)> {
            let terms = wanted.of_plans[at].terms.iter();
            terms.map(|t| (&*t.term, t.is_weighted)).collect()
        };
        assert_eq!(terms(0), [("cats", true), ("cat", false)]);
        assert_eq!(terms(1), [("cat", true), ("cats", false)]);
        assert_eq!(terms(2), []);
    }
}
