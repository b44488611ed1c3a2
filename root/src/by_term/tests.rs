//! Scatter by terms against scatter by shards, on real shard copies.

mod copies;
mod faults;
mod refusals;
mod same;

use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_query::dsl::parse_query;
use gleaner_query::search::parse_search;
use serde_json::Value;

use crate::plan::{IndexPlan, PlannedShard, ResolvedQueries, Target};
use crate::resolve::{Expansions, Resolver};
use crate::search::SearchOptions;
use crate::testing::{NOW_MS, index, limits};
use crate::{Root, RootError, SearchResponse};

/// Returns the plan of a query on index `n`.
pub(super) fn planned(n: u8, mapping: &Value, query: &Value) -> IndexPlan {
    let meta = Arc::new(index(n, mapping));
    let query = parse_query(query, &limits()).expect("a good query");
    let analyzers = AnalyzerRegistry::builtin();
    let mut expansions = Expansions::default();
    let limits = limits();
    let mut resolver = Resolver::new(&meta, &analyzers, &limits, NOW_MS, &mut expansions);
    let query = resolver.resolve(&query).expect("it resolves");
    IndexPlan {
        shards: meta
            .shards()
            .map(|shard| PlannedShard::newest(shard, None))
            .collect(),
        index: meta,
        alias_filters: Vec::new(),
        alias_filter_texts: Vec::new(),
        boost: 1.0,
        resolved: ResolvedQueries {
            query,
            ..ResolvedQueries::default()
        },
        has_patterns: false,
        lost: Vec::new(),
        hopeless: Vec::new(),
        excluded: Vec::new(),
    }
}

/// Answers a search of all indices.
async fn search(root: &Root, body: &Value) -> Result<SearchResponse, RootError> {
    let request = parse_search(body.to_string().as_bytes(), &limits()).expect("a good search");
    let (target, options) = (Target::default(), SearchOptions::default());
    root.search(&target, &request, &options).await
}

/// Returns `body` with another way to scatter.
fn scattered(body: &Value, way: &str) -> Value {
    let mut body = body.clone();
    body["scatter"] = way.into();
    body
}

/// What must be equal: total, largest score, and the hits with scores to the bit.
#[derive(Debug, PartialEq)]
struct Shown {
    total: Option<(u64, bool)>,
    max_score: Option<u32>,
    hits: Vec<(String, String, Option<u32>, Vec<Value>)>,
}

fn shown(response: &SearchResponse) -> Shown {
    assert_eq!(response.shards.failures, []);
    let hits = response.hits.iter().map(|hit| {
        let id = hit.content.id.to_string();
        (
            hit.index.clone(),
            id,
            hit.score.map(f32::to_bits),
            hit.sort.clone(),
        )
    });
    Shown {
        total: response.total.map(|total| (total.value, total.is_exact)),
        max_score: response.max_score.map(f32::to_bits),
        hits: hits.collect(),
    }
}

/// Answers both ways and expects the same; returns the answer.
async fn same_both_ways(root: &Root, body: &Value) -> SearchResponse {
    let by_shards = search(root, &scattered(body, "shards")).await;
    let by_terms = search(root, &scattered(body, "terms")).await;
    let by_shards = by_shards.unwrap_or_else(|error| panic!("{body}: {error}"));
    let by_terms = by_terms.unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(shown(&by_terms), shown(&by_shards), "{body}");
    assert_eq!(by_terms.coverage, by_shards.coverage);
    by_terms
}
