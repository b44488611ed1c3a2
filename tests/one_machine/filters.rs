//! Filters beside each other, at the ends of what fields hold, and how their matches are counted.

use anyhow::{Context, Result, ensure};
use gleaner_query::answer::AggregationValue;
use gleaner_testkit::Node;
use serde_json::{Value, json};

const NUM_DOCUMENTS: usize = 60;

async fn index() -> Result<Node> {
    let node = Node::start().await?;
    let mapping = json!({
        "settings": {"number_of_shards": 2},
        "mappings": {"properties": {
            "tag": {"type": "keyword"},
            "n": {"type": "integer"},
            "flag": {"type": "boolean"},
            "text": {"type": "text"},
        }},
    });
    node.create("notes", &mapping).await?;
    let documents: Vec<(String, Value)> = (0..NUM_DOCUMENTS)
        .map(|n| {
            let (tag, word) = if n % 2 == 0 {
                ("even", "searching")
            } else {
                ("odd", "seas")
            };
            let text = format!("{word} note");
            let source = json!({"tag": tag, "n": n, "flag": n % 3 == 0, "text": text});
            (n.to_string(), source)
        })
        .collect();
    node.put("notes", &documents).await?;
    Ok(node)
}

async fn total(node: &Node, query: &Value) -> Result<u64> {
    let body = json!({"query": query, "size": 0, "track_total_hits": true});
    let response = node.search("notes", &body).await?;
    Ok(response.total.map_or(0, |total| total.value))
}

async fn best(node: &Node, query: &Value) -> Result<Option<f32>> {
    let body = json!({"query": query, "size": 1});
    let response = node.search("notes", &body).await?;
    Ok(response.hits.first().and_then(|hit| hit.score))
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_share_no_document_end() -> Result<()> {
    let node = index().await?;
    let disjoint = [
        json!([{"prefix": {"tag": "e"}}, {"prefix": {"tag": "o"}}]),
        json!([{"terms": {"tag": ["even"]}}, {"wildcard": {"tag": "o*"}}]),
        json!([{"terms": {"tag": ["odd"]}}, {"range": {"n": {"gte": 4, "lte": 4}}}]),
    ];
    for filters in &disjoint {
        for clause in ["filter", "must"] {
            // From their second use on filters are bitmaps.
            for _ in 0..3 {
                let query = json!({"bool": {clause: filters}});
                ensure!(total(&node, &query).await? == 0, "{query}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn booleans_have_ranges() -> Result<()> {
    let node = index().await?;
    for (bounds, expected) in [
        (json!({"gte": true}), 20),
        (json!({"lt": true}), 40),
        (json!({"lte": true}), 60),
        (json!({"gt": true}), 0),
        (json!({"gte": "true"}), 20),
        (json!({"lt": "true"}), 40),
        (json!({"gte": "false", "lte": "true"}), 60),
    ] {
        let query = json!({"range": {"flag": bounds}});
        ensure!(total(&node, &query).await? == expected, "{query}");
    }
    let neither = json!({"range": {"flag": {"gte": "yes"}}});
    ensure!(total(&node, &neither).await.is_err(), "{neither}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_are_counted_up_to_the_limit() -> Result<()> {
    let node = index().await?;
    for (limit, value, is_exact) in [
        (0, 0, false),
        (1, 1, false),
        (5, 5, false),
        (59, 59, false),
        (60, 60, true),
        (61, 60, true),
    ] {
        for query in [
            json!({"match_all": {}}),
            json!({"match": {"text": "note"}}),
            json!({"range": {"n": {"gte": 0}}}),
        ] {
            for size in [0, 10] {
                let body = json!({"query": query, "size": size, "track_total_hits": limit});
                let counted = node.search("notes", &body).await?.total;
                let counted = counted.map(|total| (total.value, total.is_exact));
                ensure!(counted == Some((value, is_exact)), "{body}: {counted:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_one_word_is_scored_by_what_it_stands_for() -> Result<()> {
    let node = index().await?;
    let phrase = |max: u64| json!({"match_phrase_prefix": {"text": {"query": "sea", "max_expansions": max}}});
    ensure!(total(&node, &phrase(50)).await? == 60);
    ensure!(total(&node, &phrase(1)).await? == 30);
    let word = json!({"match": {"text": "searching"}});
    ensure!(best(&node, &phrase(1)).await? == best(&node, &word).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_index_names_are_found_in_query_strings() -> Result<()> {
    let node = index().await?;
    for (text, expected) in [
        ("_id:7", 1),
        ("_id:(7 OR 8)", 2),
        ("_index:notes", 60),
        ("_index:not*", 60),
        ("_index:other", 0),
    ] {
        let query = json!({"query_string": {"query": text}});
        ensure!(total(&node, &query).await? == expected, "{text}");
    }
    Ok(())
}

/// A `bool` that asks for none of its clauses, and has no others, still wants one of them; a shard in
/// which each document has one is not left out for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bool_of_optional_clauses_alone_wants_one() -> Result<()> {
    let node = index().await?;
    for minimum in [json!(0), json!("0%"), json!("25%")] {
        let should = json!([{"range": {"n": {"gte": 50}}}, {"term": {"n": 7}}]);
        let any = json!({"bool": {"should": should, "minimum_should_match": minimum}});
        assert_eq!(total(&node, &any).await?, 11, "{minimum}");
        let filter = json!({"bool": {"filter": [any]}});
        assert_eq!(total(&node, &filter).await?, 11, "{minimum}");
        let none = json!({"bool": {"must_not": [any]}});
        assert_eq!(total(&node, &none).await?, 49, "{minimum}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn alternatives_of_a_regexp_that_begin_alike_all_match() -> Result<()> {
    let node = index().await?;
    for expression in ["search|searching|sea|seas", "(sea|search)(s|ing)?"] {
        let query = json!({"regexp": {"text": expression}});
        // From its second use on it is a bitmap.
        for _ in 0..3 {
            assert_eq!(total(&node, &query).await?, 60, "{expression}");
        }
    }
    let keys = json!({"terms": {"field": "tag", "include": "ev|even|odd|o"}});
    let response = node
        .search("notes", &json!({"aggs": {"keys": keys}}))
        .await?;
    let AggregationValue::Buckets { buckets, .. } = &response.aggregations[0].value else {
        anyhow::bail!("{:?} are no terms", response.aggregations[0].value);
    };
    assert_eq!(buckets.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn global_goes_beyond_the_query_but_not_beyond_the_alias() -> Result<()> {
    let node = Node::start().await?;
    let filter = json!({"term": {"tenant": "a"}});
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {"tenant": {"type": "keyword"}}},
        "aliases": {"mine": {"filter": filter}},
    });
    node.create("all", &body).await?;
    let tenants = ["a", "b", "b", "a", "c"].into_iter().enumerate();
    let documents: Vec<_> = tenants
        .map(|(n, tenant)| (n.to_string(), json!({"tenant": tenant, "n": n})))
        .collect();
    node.put("all", &documents).await?;
    let seen =
        json!({"of_c": {"filter": {"term": {"tenant": "c"}}}, "hits": {"top_hits": {"size": 10}}});
    let body = json!({
        "query": {"range": {"n": {"gte": 3}}},
        "aggs": {"everything": {"global": {}, "aggs": seen}},
    });
    for (index, counts) in [("mine", [2, 0, 2]), ("all", [5, 1, 5])] {
        let response = node.search(index, &body).await?;
        let AggregationValue::Single { doc_count, sub } = &response.aggregations[0].value else {
            anyhow::bail!("{:?} is no bucket", response.aggregations[0].value);
        };
        let mut of_sub = Vec::new();
        for sub in sub {
            of_sub.push(match &sub.value {
                AggregationValue::Single { doc_count, .. } => *doc_count,
                AggregationValue::TopHits { hits, .. } => hits.len() as u64,
                other => anyhow::bail!("{other:?} was not asked for"),
            });
        }
        assert_eq!([*doc_count, of_sub[0], of_sub[1]], counts, "{index}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_without_an_index_are_searched_by_their_doc_values() -> Result<()> {
    let node = Node::start().await?;
    let plain = |kind: &str| json!({"type": kind, "index": false});
    let properties = json!({
        "n": plain("long"), "f": plain("double"), "b": plain("boolean"), "d": plain("date"),
        "a": plain("ip"), "k": plain("keyword"),
        "none": {"type": "long", "index": false, "doc_values": false},
    });
    let mappings = json!({"properties": properties});
    let body = json!({"settings": {"number_of_shards": 2}, "mappings": mappings});
    node.create("notes", &body).await?;
    let documents: Vec<_> = (0..20)
        .map(|n| {
            let day = format!("2026-01-{:02}", n + 1);
            let (address, is_even) = (format!("10.0.0.{n}"), n % 2 == 0);
            let source = json!({
                "n": [n, n + 100], "f": 0.5 * f64::from(n), "b": is_even, "d": day, "a": address,
                "k": "x", "none": n,
            });
            (n.to_string(), source)
        })
        .collect();
    node.put("notes", &documents).await?;
    for (query, expected) in [
        (json!({"term": {"n": 107}}), 1),
        (json!({"terms": {"n": [3, 4, 104, 7000]}}), 2),
        (json!({"range": {"n": {"gte": 5, "lt": 100}}}), 15),
        (json!({"term": {"f": 2.5}}), 1),
        (json!({"term": {"d": "2026-01-03"}}), 1),
        (json!({"range": {"d": {"gt": "2026-01-18"}}}), 2),
        (json!({"term": {"a": "10.0.0.0/30"}}), 4),
        (
            json!({"query_string": {"query": "n:[0 TO 3] AND d:[2026-01-02 TO *]"}}),
            3,
        ),
        (json!({"exists": {"field": "b"}}), 20),
    ] {
        // From its second use on a filter is a bitmap.
        for _ in 0..3 {
            let filter = json!({"bool": {"filter": [query]}});
            for query in [&filter, &query] {
                let found = total(&node, query)
                    .await
                    .with_context(|| query.to_string())?;
                assert_eq!(found, expected, "{query}");
            }
        }
        let score = best(&node, &query).await?;
        assert!(
            query.get("query_string").is_some() || score == Some(1.0),
            "{query}"
        );
    }
    for field in ["k", "b", "none"] {
        let query = json!({"term": {field: "true"}});
        let refused = total(&node, &query).await.expect_err("refused").to_string();
        let reason = format!("Cannot search on field [{field}] since it is not indexed.");
        assert!(refused.ends_with(&reason), "{refused}");
    }
    Ok(())
}
