//! Forty searches, aggregations and gets over the documents of [`crate::site`].

use gleaner_root::Root;
use gleaner_root::read::GetRequest;
use gleaner_testkit::node;
use serde_json::{Value, json};

/// Documents by id that are asked for: some were deleted.
const GETS: [usize; 8] = [0, 1, 2, 3, 40, 77, 110, 139];

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Of all shards.
    Whole(String),
    /// Shards are missing; the reasons.
    Partial(String),
}

/// Asks all of them.
pub(crate) async fn ask(root: &Root) -> Vec<Answer> {
    let mut answers = Vec::new();
    for body in searches() {
        answers.push(match node::search(root, "books", &body).await {
            Ok(found) if found.shards.failures.is_empty() => {
                let total = found.total.map(|total| total.value);
                Answer::Whole(format!(
                    "{total:?} {:?} {:?} {:?}",
                    found.max_score, found.hits, found.aggregations
                ))
            }
            Ok(found) => Answer::Partial(format!("{:?}", found.shards.failures)),
            Err(error) => Answer::Partial(format!("{error:#}")),
        });
    }
    for number in GETS {
        let request = GetRequest {
            index: "books".to_owned(),
            id: format!("d{number}"),
            routing: None,
            realtime: false,
            refresh: false,
        };
        answers.push(match root.reader().get(&request).await {
            Ok(found) => Answer::Whole(format!("{:?}", found.document)),
            Err(error) => Answer::Partial(format!("{error:?}")),
        });
    }
    answers
}

fn searches() -> Vec<Value> {
    let query = |query: Value| json!({"query": query, "size": 20, "track_total_hits": true});
    let aggregate = |of: Value| json!({"size": 0, "aggs": {"a": of}});
    let words = ["ash", "beech", "cedar", "elm", "fir", "gum"];
    let mut searches: Vec<Value> = words
        .iter()
        .map(|word| query(json!({"match": {"text": word}})))
        .collect();
    searches.extend([
        query(json!({"match_all": {}})),
        query(json!({"match": {"text": "ash elm"}})),
        query(json!({"match": {"text": {"query": "beech gum", "operator": "and"}}})),
        query(json!({"match_phrase": {"text": "ash beech"}})),
        query(json!({"match_phrase": {"text": {"query": "elm fir", "slop": 2}}})),
        query(json!({"term": {"tag": "t3"}})),
        query(json!({"terms": {"tag": ["t1", "t4"]}})),
        query(json!({"prefix": {"tag": "t"}})),
        query(json!({"wildcard": {"text": "c*r"}})),
        query(json!({"fuzzy": {"text": "bech"}})),
        query(json!({"range": {"n": {"gte": 20, "lt": 60}}})),
        query(json!({"range": {"day": {"gte": "2026-02-01"}}})),
        query(json!({"exists": {"field": "rare"}})),
        query(json!({"ids": {"values": ["d1", "d5", "d139"]}})),
        query(json!({"bool": {"must": [{"match": {"text": "ash"}}], "must_not": [{"term": {"tag": "t0"}}]}})),
        json!({"query": {"match_all": {}}, "sort": [{"n": "desc"}], "size": 30}),
        json!({"query": {"match": {"text": "fir"}}, "sort": [{"tag": "asc"}, {"n": "asc"}], "size": 30}),
        json!({"query": {"match_all": {}}, "docvalue_fields": ["n", "tag"], "size": 140}),
        json!({"query": {"match": {"text": "cedar"}}, "highlight": {"fields": {"text": {}}}, "size": 10}),
        aggregate(json!({"terms": {"field": "tag", "size": 20}})),
        aggregate(json!({"avg": {"field": "n"}})),
        aggregate(json!({"stats": {"field": "price"}})),
        aggregate(json!({"histogram": {"field": "n", "interval": 10}})),
        aggregate(json!({"date_histogram": {"field": "day", "calendar_interval": "month"}})),
        aggregate(json!({"range": {"field": "n", "ranges": [{"to": 50}, {"from": 50}]}})),
        aggregate(json!({"cardinality": {"field": "tag"}})),
    ]);
    searches
}
