//! Whether a query can be asked, and what it becomes.
//!
//! No shard is asked: patterns are shown as they are, not as the terms they stand for, and `more_like_this` as all the
//! words that a search chooses from by how many documents hold each.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_partial::pattern::TermAutomaton;
use gleaner_query::QueryError;
use gleaner_query::dsl::Query;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, ExpansionCandidate, Pattern, Statistics, StatisticsRequest};
use gleaner_query::search::SearchRequest;

use crate::RootError;
use crate::plan::{IndexPlan, Target};
use crate::planner::{DatedRequest, Planner};
use crate::resolve::Expansions;
use crate::statistics::zeros;

/// An index, and the resolved form of a query there or what is wrong with it.
pub type Validated = (String, Result<String, RootError>);

impl Planner {
    /// Checks that a query can be asked of each index; returns its resolved form or what is wrong.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved.
    pub fn validate(
        &self,
        target: &Target,
        request: &SearchRequest,
    ) -> Result<Vec<Validated>, RootError> {
        let now_ms = self.cluster.now_ms();
        let mut request = request.clone();
        request.query.iter_mut().for_each(take_all_words);
        let request = &request;
        let checked = self.targets(target)?.into_iter().map(|mut plan| {
            plan.alias_filters.iter_mut().for_each(take_all_words);
            let outcome = self.resolve_unexpanded(&mut plan, DatedRequest { request, now_ms });
            let shown = outcome.map(|()| plan.resolved.query.to_string());
            (plan.index.name.to_string(), shown)
        });
        Ok(checked.collect())
    }

    /// Resolves the queries of one index, where each pattern stands for itself and each word counts alike.
    fn resolve_unexpanded(
        &self,
        plan: &mut IndexPlan,
        asked: DatedRequest<'_>,
    ) -> Result<(), RootError> {
        let mut expansions = Expansions::default();
        self.resolve_plan(plan, asked, &mut expansions)?;
        if expansions.is_open() {
            let wanted = std::mem::take(&mut expansions.wanted);
            for request in &wanted {
                expansions.answer(request, vec![itself(&request.pattern)]);
            }
            let counted = one_of_each(&expansions.uncounted);
            expansions.count(Arc::new(counted));
            self.resolve_plan(plan, asked, &mut expansions)?;
        }
        check_patterns(&plan.resolved.query).map_err(|source| RootError::QueryOfIndex {
            index: plan.index.name.to_string(),
            uuid: plan.index.uuid.to_string(),
            source,
        })
    }
}

/// Returns a pattern as the one term it stands for.
fn itself(pattern: &Pattern) -> ExpansionCandidate {
    ExpansionCandidate {
        distance: 0,
        term: pattern.to_string(),
        documents: 1,
    }
}

/// Has each `more_like_this` take every word that it may choose: only the shards know which ones it does.
fn take_all_words(query: &mut Query) {
    if let Query::MoreLikeThis(like) = query {
        like.min_doc_freq = 0;
        like.max_doc_freq = u64::MAX;
        like.max_query_terms = usize::MAX;
        // How much a word tells is not known either.
        like.boost_terms = 0.0;
    }
    query.children_mut().into_iter().for_each(take_all_words);
}

/// Returns the numbers of an index in which one document holds each term.
fn one_of_each(wanted: &StatisticsRequest) -> Statistics {
    let mut counted = zeros(wanted);
    let numbers = counted.terms.values_mut().flat_map(BTreeMap::values_mut);
    numbers.for_each(|documents| *documents = 1);
    counted
}

/// Refuses a pattern that shards would refuse. Those that test each term are checked when they are read.
fn check_patterns(clause: &Clause) -> Result<(), QueryError> {
    if let Clause::Pattern { pattern, .. } = clause
        && !pattern.is_test()
    {
        let refuse = |error: gleaner_partial::EvaluationError| {
            QueryError::new(ErrorType::QueryShard, error.to_string())
        };
        TermAutomaton::new(pattern).map(drop).map_err(refuse)?;
    }
    let mut inside = clause.children();
    inside.try_for_each(|(_, clause)| check_patterns(clause))
}

#[cfg(test)]
mod tests {
    use gleaner_query::search::parse_query_body;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Fixture, index, limits};

    /// Returns what a query becomes, or what is wrong with it.
    fn validated(query: &Value) -> Result<String, String> {
        let mapping = json!({"properties": {"f": {"type": "text"}}});
        let fixture = Fixture::new([index(1, &mapping)]);
        let body = json!({"query": query}).to_string();
        let request = SearchRequest {
            query: parse_query_body(body.as_bytes(), &limits()).expect("a query"),
            ..SearchRequest::default()
        };
        let checked = fixture
            .root
            .planner()
            .validate(&Target::default(), &request);
        let (_, shown) = checked.expect("the index is there").remove(0);
        shown.map_err(|error| match error {
            RootError::QueryOfIndex { source, .. } => source.reason,
            other => other.to_string(),
        })
    }

    #[tokio::test]
    async fn queries_are_explained_as_lucene_does_before_it_looks_for_terms() {
        for (query, expected) in [
            (json!({"match_all": {}}), "*:*"),
            (
                json!({"fuzzy": {"f": {"value": "word", "fuzziness": 1}}}),
                "f:word~1",
            ),
            (
                json!({"match": {"f": {"query": "quick fox", "fuzziness": "AUTO"}}}),
                "f:quick~1 f:fox~1",
            ),
            (
                json!({"match_phrase_prefix": {"f": "quick fo"}}),
                "f:\"quick fo*\"",
            ),
            (json!({"prefix": {"f": "pre"}}), "f:pre*"),
            (json!({"wildcard": {"f": "w?ld*"}}), "f:w?ld*"),
            (json!({"regexp": {"f": "re.*"}}), "f:/re.*/"),
            (json!({"query_string": {"query": "f:word~1"}}), "f:word~1"),
        ] {
            assert_eq!(validated(&query).as_deref(), Ok(expected), "{query}");
        }
    }

    #[tokio::test]
    async fn more_like_this_is_explained_by_the_words_it_chooses_from() {
        let like = |options: Value| {
            let mut like = json!({"fields": ["f"], "like": "Quick fox, quick", "min_term_freq": 1});
            let options = options.as_object().expect("an object").clone();
            like.as_object_mut().expect("an object").extend(options);
            json!({"more_like_this": like})
        };
        let any = like(json!({}));
        let inside = json!({"bool": {"must": any, "must_not": {"prefix": {"f": "pre"}}}});
        let choosy = json!({"min_doc_freq": 9, "max_query_terms": 1, "boost_terms": 2});
        let texts = like(json!({"like": ["quick quick", "fox"], "min_term_freq": 2}));
        let document = like(json!({"like": [{"doc": {"f": "fox"}}]}));
        for (query, expected) in [
            (any, "f:quick f:fox"),
            (inside, "+(f:quick f:fox) -f:pre*"),
            (like(choosy), "f:quick f:fox"),
            (texts, "f:quick"),
            (document, "f:fox"),
            (like(json!({"min_term_freq": 3})), "MatchNoDocsQuery"),
        ] {
            assert_eq!(validated(&query).as_deref(), Ok(expected), "{query}");
        }
    }

    #[tokio::test]
    async fn a_regular_expression_that_is_none_is_not_valid() {
        let regexp = |expression: &str| json!({"regexp": {"f": expression}});
        let nested = json!({"bool": {"must_not": {"constant_score": {"filter": regexp("a(b")}}}});
        for query in [regexp("a(b"), regexp("[a"), regexp("\\"), nested] {
            let refused = validated(&query).expect_err("no regular expression");
            assert!(refused.contains("is refused"), "{refused}");
        }
        assert!(validated(&regexp("a(b|c)")).is_ok());
    }
}
