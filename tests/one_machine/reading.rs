//! Searches: queries, order, pages, aggregations, scrolls, points in time.

use std::time::Duration;

use anyhow::Result;
use gleaner_query::answer::{AggregationValue, BucketKey};
use gleaner_query::names;
use gleaner_query::search::PointInTime;
use gleaner_root::plan::Target;
use gleaner_root::point_in_time::Context;
use gleaner_root::scroll::ScrollOrigin;
use gleaner_root::search::SearchOptions;
use gleaner_testkit::{Node, node};
use serde_json::{Value, json};

async fn library() -> Result<Node> {
    let node = Node::start().await?;
    let mapping = json!({"mappings": {"properties": {
        "title": {"type": "text"},
        "tag": {"type": "keyword"},
        "year": {"type": "integer"},
        "date": {"type": "date"},
    }}});
    node.create("books", &mapping).await?;
    let documents: Vec<(String, Value)> = (0..200)
        .map(|n| {
            let source = json!({
                "title": format!("volume {n} of the {} series", if n % 3 == 0 { "long" } else { "short" }),
                "tag": format!("t{}", n % 7),
                "year": 1900 + n % 50,
                "date": format!("2020-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
            });
            (format!("{n:03}"), source)
        })
        .collect();
    node.put("books", &documents).await?;
    Ok(node)
}

fn target() -> Target {
    Target {
        expression: Some("books".to_owned()),
        ..Target::default()
    }
}

async fn total(node: &Node, query: Value) -> Result<u64> {
    let response = node
        .search("books", &json!({"query": query, "size": 0}))
        .await?;
    Ok(response.total.expect("counted").value)
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_fields_are_shown_of_each_hit() -> Result<()> {
    let node = Node::start().await?;
    let mapping = json!({"mappings": {"properties": {
        "st": {"type": "keyword", "store": true},
        "n": {"type": "integer", "store": "true"},
        "not": {"type": "keyword"},
        "text": {"type": "text", "fields": {"st": {"type": "keyword", "store": true}}},
    }}});
    node.create("books", &mapping).await?;
    let source = json!({"st": ["b", "a"], "n": 7, "not": "x", "text": "some"});
    let documents = [
        ("1".to_owned(), source),
        ("2".to_owned(), json!({"not": "y"})),
    ];
    node.put("books", &documents).await?;
    for (wanted, expected) in [
        (json!("st"), json!({"st": ["b", "a"]})),
        (json!(["not", "nowhere"]), json!({})),
        (
            json!("*"),
            json!({"n": [7], "st": ["b", "a"], "text.st": ["some"]}),
        ),
        (json!("_none_"), json!({})),
    ] {
        let body = json!({"sort": [{"not": "asc"}], "stored_fields": wanted});
        let hits = node.search("books", &body).await?.hits;
        assert_eq!(json!(hits[0].content.fields), expected, "{wanted}");
        assert_eq!(json!(hits[1].content.fields), json!({}), "{wanted}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_every_kind_match_what_they_should() -> Result<()> {
    let node = library().await?;
    for (query, expected) in [
        (json!({"match_all": {}}), 200),
        (json!({"match": {"title": "long"}}), 67),
        (
            json!({"match": {"title": {"query": "volume 7", "operator": "and"}}}),
            1,
        ),
        (
            json!({"match": {"title": {"query": "lonk", "fuzziness": 1}}}),
            67,
        ),
        (json!({"match_phrase": {"title": "the long series"}}), 67),
        (
            json!({"match_phrase": {"title": {"query": "long the", "slop": 3}}}),
            67,
        ),
        (json!({"match_phrase_prefix": {"title": "the lon"}}), 67),
        (
            json!({"multi_match": {"query": "long", "fields": ["title^3", "tag"]}}),
            67,
        ),
        (json!({"term": {"tag": "t0"}}), 29),
        (json!({"terms": {"tag": ["t0", "t1"]}}), 58),
        (json!({"term": {"year": 1900}}), 4),
        (json!({"range": {"year": {"gte": 1900, "lt": 1902}}}), 8),
        (
            json!({"range": {"date": {"gte": "2020-03-01", "lte": "2020-03-31"}}}),
            17,
        ),
        (
            json!({"range": {"date": {"gte": "2020-03-01||/M", "lt": "2020-03-01||+1M/M"}}}),
            17,
        ),
        (json!({"exists": {"field": "tag"}}), 200),
        (json!({"exists": {"field": "nothing"}}), 0),
        (json!({"ids": {"values": ["000", "199", "200"]}}), 2),
        (json!({"prefix": {"tag": "t"}}), 200),
        (json!({"wildcard": {"tag": "?0"}}), 29),
        (json!({"regexp": {"tag": "t[0-1]"}}), 58),
        (
            json!({"fuzzy": {"tag": {"value": "t00", "fuzziness": 1}}}),
            29,
        ),
        (
            json!({"constant_score": {"filter": {"term": {"tag": "t0"}}}}),
            29,
        ),
        (
            json!({"dis_max": {"queries": [{"term": {"tag": "t0"}}, {"term": {"tag": "t1"}}]}}),
            58,
        ),
        (
            json!({"boosting": {"positive": {"term": {"tag": "t0"}},
            "negative": {"match": {"title": "long"}}, "negative_boost": 0.5}}),
            29,
        ),
        (
            json!({"query_string": {"query": "title:long AND tag:t0"}}),
            10,
        ),
        (json!({"query_string": {"query": "long -tag:t0"}}), 57),
        (
            json!({"simple_query_string": {"query": "\"the long\" -volume", "fields": ["title"]}}),
            67,
        ),
        (
            json!({"bool": {"must": [{"match": {"title": "long"}}], "filter": [{"term": {"tag": "t0"}}],
            "must_not": [{"range": {"year": {"lt": 1925}}}]}}),
            5,
        ),
    ] {
        assert_eq!(total(&node, query.clone()).await?, expected, "{query}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_window_counts_whatever_its_from() -> Result<()> {
    let node = library().await?;
    let query = json!({"match": {"title": "long"}});
    let body = json!({"query": query, "from": 5, "size": 0});
    let response = node.search("books", &body).await?;
    assert_eq!(response.total.expect("counted").value, 67);
    assert_eq!(response.hits, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn search_after_needs_an_order_or_a_point_in_time() -> Result<()> {
    let node = library().await?;
    let mut body = json!({"query": {"match": {"title": "long"}}, "search_after": [100.0]});
    let refused = node.search("books", &body).await.expect_err("no sort");
    assert_eq!(refused.to_string(), "Sort must contain at least one field.");
    body["sort"] = json!(["_score"]);
    assert!(!node.search("books", &body).await?.hits.is_empty());
    let keep_alive = Duration::from_secs(60);
    let id = node.root.contexts().open_pit(&target(), keep_alive).await?;
    let pinned = json!({"pit": {"id": id}, "search_after": [100.0]});
    assert!(!node.search("books", &pinned).await?.hits.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_search_after_meet_every_document_once() -> Result<()> {
    let node = library().await?;
    let sort = json!([{"year": "desc"}, {"tag": "asc"}]);
    let mut seen = Vec::new();
    let mut after: Option<Vec<Value>> = None;
    loop {
        let mut body = json!({"sort": sort, "size": 33});
        if let Some(after) = &after {
            body["search_after"] = json!(after);
        }
        let response = node.search("books", &body).await?;
        let Some(last) = response.hits.last() else {
            break;
        };
        after = Some(last.sort.clone());
        seen.extend(response.hits.iter().map(|hit| hit.content.id.to_string()));
    }
    assert_eq!(seen.len(), 200);
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_walks_a_frozen_view() -> Result<()> {
    let node = library().await?;
    for sort in [json!(["_doc"]), json!(["_score"]), json!([{"year": "asc"}])] {
        let body = json!({"sort": sort, "size": 30, "query": {"match": {"title": "series"}}});
        let origin = ScrollOrigin {
            body: body.to_string().into(),
            ..ScrollOrigin::default()
        };
        let keep_alive = Duration::from_secs(60);
        let mut page = node
            .root
            .contexts()
            .start_scroll(&target(), origin, keep_alive, &SearchOptions::default())
            .await?;
        let late = (format!("late-{sort}"), json!({"title": "late series"}));
        node.put("books", &[late]).await?;
        let mut seen = Vec::new();
        while !page.hits.is_empty() {
            seen.extend(page.hits.iter().map(|hit| hit.content.id.to_string()));
            let id = page.scroll_id.take().expect("a scroll has an id");
            page = node
                .root
                .contexts()
                .continue_scroll(&id, None, &SearchOptions::default())
                .await?;
        }
        assert!(
            !seen.iter().any(|id| *id == format!("late-{sort}")),
            "{sort}"
        );
        let before = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), before, "{sort}");
        assert!(before >= 200, "{sort}: {before}");
        let id = page.scroll_id.expect("a scroll has an id");
        assert_eq!(
            node.root
                .contexts()
                .clear_scrolls(std::slice::from_ref(&id))
                .await?,
            1
        );
        assert!(
            node.root
                .contexts()
                .continue_scroll(&id, None, &SearchOptions::default())
                .await
                .is_err()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_does_not_see_later_writes() -> Result<()> {
    let node = library().await?;
    let id = node
        .root
        .contexts()
        .open_pit(&target(), Duration::from_secs(60))
        .await?;
    node.put("books", &[("later".to_owned(), json!({"title": "later"}))])
        .await?;
    let mut request = gleaner_query::search::SearchRequest {
        pit: Some(PointInTime {
            id: id.clone(),
            keep_alive: None,
        }),
        size: Some(0),
        ..Default::default()
    };
    let options = SearchOptions::default();
    let pinned = node
        .root
        .search(&Target::default(), &request, &options)
        .await?;
    assert_eq!(pinned.total.expect("counted").value, 200);
    assert_eq!(node.root.contexts().close_pits(&[id]).await?, [true]);
    request.pit = None;
    let newest = node.root.search(&target(), &request, &options).await?;
    assert_eq!(newest.total.expect("counted").value, 201);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_with_another_time_to_live_is_of_the_same_context() -> Result<()> {
    let node = library().await?;
    let minute = Duration::from_secs(60);
    let id = node.root.contexts().open_pit(&target(), minute).await?;
    let opened = Context::of(&id).expect("an id");
    assert_eq!(opened.keep_alive, minute);
    let body = json!({"size": 0, "pit": {"id": id, "keep_alive": "5m"}});
    let next = node.search("books", &body).await?.pit_id.expect("an id");
    assert_ne!(next, id);
    let renewed = Context::of(&next).expect("an id");
    assert_eq!(renewed.number, opened.number);
    assert_eq!(renewed.keep_alive, 5 * minute);
    assert!(Context::of("books").is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregations_are_merged_over_shards() -> Result<()> {
    let node = library().await?;
    let body = json!({"size": 0, "aggs": {
        "tags": {"terms": {"field": "tag", "size": 3}, "aggs": {"years": {"avg": {"field": "year"}}}},
        "months": {"date_histogram": {"field": "date", "calendar_interval": "month"}},
        "all": {"stats": {"field": "year"}},
    }});
    let response = node.search("books", &body).await?;
    let AggregationValue::Buckets { buckets, .. } = &response.aggregations[0].value else {
        panic!("terms has buckets");
    };
    let keys: Vec<(BucketKey, u64)> = buckets
        .iter()
        .map(|bucket| (bucket.key.clone(), bucket.doc_count))
        .collect();
    let text = |key: &str| BucketKey::Text(key.to_owned());
    assert_eq!(keys, [(text("t0"), 29), (text("t1"), 29), (text("t2"), 29)]);
    let AggregationValue::Buckets { buckets, .. } = &response.aggregations[1].value else {
        panic!("date_histogram has buckets");
    };
    assert_eq!(buckets.len(), 12);
    let AggregationValue::Stats(stats) = &response.aggregations[2].value else {
        panic!("stats has numbers");
    };
    assert_eq!((stats.count, stats.min, stats.max), (200, 1900.0, 1949.0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_over_two_indices_meet_documents_of_equal_ids_once_each() -> Result<()> {
    let node = Node::start().await?;
    let documents: Vec<(String, Value)> = (0..40)
        .map(|n| (format!("{n}"), json!({"title": "same", "n": n % 3})))
        .collect();
    for index in ["twins-1", "twins-2"] {
        node.put(index, &documents).await?;
    }
    let both = Target {
        expression: Some("twins-*".to_owned()),
        ..Target::default()
    };
    let options = SearchOptions::default();
    for sort in [json!(["_score"]), json!([{"n": "asc"}])] {
        let body = json!({"sort": sort, "size": 7, "query": {"match": {"title": "same"}}});
        let origin = ScrollOrigin {
            body: body.to_string().into(),
            ..ScrollOrigin::default()
        };
        let minute = Duration::from_secs(60);
        let mut page = node
            .root
            .contexts()
            .start_scroll(&both, origin, minute, &options)
            .await?;
        let mut seen = Vec::new();
        while !page.hits.is_empty() {
            seen.extend(
                page.hits
                    .iter()
                    .map(|hit| (hit.index.clone(), hit.content.id.clone())),
            );
            let id = page.scroll_id.take().expect("a scroll has an id");
            page = node
                .root
                .contexts()
                .continue_scroll(&id, None, &SearchOptions::default())
                .await?;
        }
        let met = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((met, seen.len()), (80, 80), "{sort}");
        let mut after: Option<Value> = None;
        let mut met = 0;
        loop {
            let mut body = body.clone();
            if let Some(after) = &after {
                body["search_after"] = after.clone();
            }
            let response = node.search("twins-*", &body).await?;
            let Some(last) = response.hits.last() else {
                break;
            };
            after = Some(json!(last.sort));
            met += response.hits.len();
        }
        assert_eq!(met, 80, "{sort}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_opened_shows_what_was_written_before_it_was_closed() -> Result<()> {
    let node = Node::start().await?;
    let settings = json!({"number_of_shards": 2, "refresh_interval": "-1"});
    node.create("books", &json!({"settings": settings})).await?;
    let items = (0..8).map(|n| node::item("books", &n.to_string(), &json!({"n": n})));
    node.root
        .ingester()
        .ingest(items.collect(), &Default::default())
        .await;
    assert_eq!(total(&node, json!({"match_all": {}})).await?, 0);
    for is_closed in [true, false] {
        let options = names::ResolveOptions::default();
        node.root
            .admin()
            .set_closed("books", &options, is_closed)
            .await?;
    }
    assert_eq!(total(&node, json!({"match_all": {}})).await?, 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_beyond_any_number_are_refused() -> Result<()> {
    let node = library().await?;
    let boosted = |boost: f64| {
        let inner = json!({"match": {"title": {"query": "long", "boost": 1e20}}});
        json!({"query": {"bool": {"must": [inner], "boost": boost}}})
    };
    let hits = node.search("books", &boosted(1e9)).await?.hits;
    assert!(hits[0].score.is_some_and(f32::is_finite), "{hits:?}");
    for boost in [1e20, 1e38] {
        let error = node
            .search("books", &boosted(boost))
            .await
            .expect_err("refused");
        assert!(format!("{error:?}").contains("multiply"), "{error:?}");
    }
    Ok(())
}
