//! Queries in an order of their own, where the order in which they were written changes nothing.
//!
//! Does: sort what only matches, and the values of `terms`. Does not: drop or simplify anything, since limits count
//! what was written. Called by: [`super::answer`].

use std::sync::Arc;

use serde_json::Value;

use super::json;
use crate::dsl::{BoolQuery, Query};

/// Sorts the parts of `query` whose order does not matter, from the leaves up. Clauses whose scores are added keep
/// their order: sums of floating-point numbers depend on it.
pub(super) fn ordered(query: Query, is_scored: bool) -> Query {
    let one = |query: Box<Query>, is_scored| Box::new(ordered(*query, is_scored));
    match query {
        Query::Bool(BoolQuery {
            must,
            filter,
            should,
            must_not,
            minimum_should_match,
            boost,
        }) => Query::Bool(BoolQuery {
            must: all(must, is_scored),
            filter: all(filter, false),
            should: all(should, is_scored),
            must_not: all(must_not, false),
            minimum_should_match,
            boost,
        }),
        Query::ConstantScore { filter, boost } => Query::ConstantScore {
            filter: one(filter, false),
            boost,
        },
        Query::Named { name, query } => Query::Named {
            name,
            query: one(query, is_scored),
        },
        Query::DisMax {
            queries,
            tie_breaker,
            boost,
        } => Query::DisMax {
            queries: all(queries, is_scored),
            tie_breaker,
            boost,
        },
        Query::Boosting {
            positive,
            negative,
            negative_boost,
            boost,
        } => Query::Boosting {
            positive: one(positive, is_scored),
            negative: one(negative, false),
            negative_boost,
            boost,
        },
        Query::Terms(mut terms) => {
            Arc::make_mut(&mut terms.values).sort_by_cached_key(Value::to_string);
            Query::Terms(terms)
        }
        leaf => leaf,
    }
}

/// Sorts each of `queries`, and where they are not scored their list too.
fn all(queries: Vec<Query>, is_scored: bool) -> Vec<Query> {
    let queries = queries.into_iter().map(|query| ordered(query, is_scored));
    let mut queries: Vec<Query> = queries.collect();
    if !is_scored {
        queries.sort_by_cached_key(json);
    }
    queries
}
