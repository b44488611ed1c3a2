//! What a scatter by terms does not take is refused by name.

use serde_json::{Value, json};

use super::copies::Pair;
use super::{scattered, search};
use crate::RootOptions;
use crate::testing::index;

fn pair() -> Pair {
    let mapping = json!({"properties": {
        "text": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"}
    }});
    Pair::new(vec![index(1, &mapping)], RootOptions::default())
}

async fn refusal(pair: &Pair, body: &Value) -> String {
    match search(&pair.root, &scattered(body, "terms")).await {
        Ok(_) => format!("taken: {body}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn other_queries_are_refused_by_name() {
    let pair = pair();
    let refused = [
        (json!({"match_all": {}}), "[match_all]"),
        (json!({"match_phrase": {"text": "a b"}}), "[match_phrase]"),
        (json!({"range": {"n": {"gte": 1}}}), "[range]"),
        (json!({"term": {"n": 1}}), "neither text nor keyword"),
        (json!({"terms": {"tag": ["a", "b"]}}), "[terms] query"),
        (json!({"exists": {"field": "tag"}}), "[exists]"),
        (json!({"ids": {"values": ["1"]}}), "[ids]"),
        (json!({"prefix": {"tag": "a"}}), "[prefix]"),
        (json!({"wildcard": {"tag": "a*"}}), "[wildcard]"),
        (json!({"regexp": {"tag": "a.*"}}), "[regexp]"),
        (
            json!({"constant_score": {"filter": {"term": {"tag": "a"}}}}),
            "[constant_score]",
        ),
        (
            json!({"dis_max": {"queries": [{"term": {"tag": "a"}}]}}),
            "[dis_max]",
        ),
        (
            json!({"bool": {"must_not": {"term": {"tag": "a"}}}}),
            "must not match",
        ),
        (
            json!({"bool": {"must": {"term": {"tag": "a"}}, "filter": {"range": {"n": {"gte": 1}}}}}),
            "[range]",
        ),
    ];
    for (query, name) in refused {
        let reason = refusal(&pair, &json!({"query": query})).await;
        assert!(
            reason.contains(name) && reason.contains("[scatter]"),
            "{query}: {reason}"
        );
    }
    assert_eq!(pair.num_asked(), 0);
}

#[tokio::test]
async fn other_parts_of_a_search_are_refused_by_name() {
    let pair = pair();
    let refused = [
        (
            json!({"aggs": {"a": {"terms": {"field": "tag"}}}}),
            "[aggregations]",
        ),
        (
            json!({"post_filter": {"term": {"tag": "a"}}}),
            "[post_filter]",
        ),
        (json!({"sort": ["n"]}), "[sort]"),
        (json!({"sort": [{"_score": "asc"}]}), "[sort]"),
        (
            json!({"search_after": [1.0], "sort": ["_score"]}),
            "[search_after]",
        ),
        (json!({"terminate_after": 5}), "[terminate_after]"),
    ];
    for (mut body, name) in refused {
        body["query"] = json!({"term": {"tag": "a"}});
        let reason = refusal(&pair, &body).await;
        assert!(
            reason.contains(name) && reason.contains("[scatter]"),
            "{body}: {reason}"
        );
    }
    assert_eq!(pair.num_asked(), 0);
}

#[tokio::test]
async fn what_matches_nothing_is_taken() {
    let pair = pair();
    for query in [
        json!({"term": {"nowhere": "a"}}),
        json!({"match": {"text": ""}}),
    ] {
        let body = scattered(&json!({"query": query}), "terms");
        let found = search(&pair.root, &body).await.expect("it is taken");
        assert_eq!(
            (found.hits.len(), found.total.map(|t| t.value)),
            (0, Some(0))
        );
        assert_eq!(found.shards.successful, 2);
        assert_eq!(found.shards.failures, []);
    }
}

#[tokio::test]
async fn more_lists_than_allowed_are_refused() {
    let pair = pair();
    let words: Vec<String> = (0..1_000).map(|n| format!("w{n}")).collect();
    let matched = json!({"match": {"text": words.join(" ")}});
    let many: Vec<Value> = (0..6)
        .map(|n| {
            let words: Vec<String> = (0..1_000).map(|m| format!("w{n}x{m}")).collect();
            json!({"match": {"text": words.join(" ")}})
        })
        .collect();
    let few = refusal(&pair, &json!({"query": matched})).await;
    assert!(few.starts_with("taken"), "{few}");
    let reason = refusal(&pair, &json!({"query": {"bool": {"should": many}}})).await;
    assert!(reason.contains("[12000] posting lists"), "{reason}");
}
