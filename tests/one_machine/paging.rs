//! Pages of any size are parts of one list, whatever the types of a field in several indices and
//! wherever missing values stand.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use gleaner_query::answer::Hit;
use gleaner_query::limits::Limits;
use gleaner_query::search::parse_search;
use gleaner_root::SearchResponse;
use gleaner_root::by_query::{ByQueryRequest, Change};
use gleaner_root::ingest::{IngestItem, RefreshPolicy};
use gleaner_root::origin::Origin;
use gleaner_root::plan::Target;
use gleaner_root::scroll::ScrollOrigin;
use gleaner_root::search::SearchOptions;
use gleaner_testkit::Node;
use gleaner_testkit::node::item;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// Creates an index; every document becomes a segment of its own.
async fn index(node: &Node, name: &str, field: Option<&str>, values: &[Value]) -> Result<()> {
    let mut properties = json!({"id": {"type": "long"}});
    if let Some(type_name) = field {
        properties["f"] = json!({"type": type_name});
    }
    let body = json!({"mappings": {"properties": properties}});
    node.create(name, &body).await?;
    for (i, value) in values.iter().enumerate() {
        let mut source = json!({"id": i});
        if !value.is_null() {
            source["f"] = value.clone();
        }
        node.put(name, &[(format!("{name}{i}"), source)]).await?;
    }
    Ok(())
}

fn shown(hits: &[Hit]) -> Vec<Value> {
    hits.iter().map(|hit| hit.sort[0].clone()).collect()
}

fn names(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.content.id.to_string()).collect()
}

fn target(indices: &str) -> Target {
    Target {
        expression: Some(indices.to_owned()),
        ..Target::default()
    }
}

/// Reads pages of one hit, each after the last one's values, or in a point in time.
async fn by_values(node: &Node, indices: &str, sort: &Value, is_pit: bool) -> Result<Vec<Hit>> {
    let mut body = json!({"size": 1, "sort": sort});
    if is_pit {
        let id = node
            .root
            .contexts()
            .open_pit(&target(indices), MINUTE)
            .await?;
        body["pit"] = json!({"id": id});
    }
    let mut found: Vec<Hit> = Vec::new();
    while found.len() < 50 {
        let hits = node.search(indices, &body).await?.hits;
        let Some(hit) = hits.into_iter().next() else {
            break;
        };
        body["search_after"] = json!(hit.sort);
        found.push(hit);
    }
    Ok(found)
}

/// Reads the pages of a scroll, up to the empty one at the end.
async fn pages(node: &Node, indices: &str, body: &Value) -> Result<Vec<SearchResponse>> {
    let origin = ScrollOrigin {
        body: Bytes::from(body.to_string()),
        ..ScrollOrigin::default()
    };
    let (target, options) = (target(indices), SearchOptions::default());
    let begun = node
        .root
        .contexts()
        .start_scroll(&target, origin, MINUTE, &options);
    let mut page = begun.await?;
    let mut pages = Vec::new();
    while !page.hits.is_empty() && pages.len() < 50 {
        let id = page.scroll_id.clone().unwrap_or_default();
        pages.push(page);
        page = node
            .root
            .contexts()
            .continue_scroll(&id, None, &Default::default())
            .await?;
    }
    pages.push(page);
    Ok(pages)
}

/// Reads pages of one hit by a scroll.
async fn by_scroll(node: &Node, indices: &str, sort: &Value) -> Result<Vec<Hit>> {
    let pages = pages(node, indices, &json!({"size": 1, "sort": sort})).await?;
    let of_all = |page: &SearchResponse| (page.total.map(|total| total.value), page.max_score);
    let first = of_all(&pages[0]);
    for page in &pages {
        assert_eq!(of_all(page), first);
    }
    let found: Vec<Hit> = pages.into_iter().flat_map(|page| page.hits).collect();
    assert_eq!(first.0, Some(found.len() as u64));
    Ok(found)
}

/// Checks that pages of one hit are what one page of all hits is; returns that one.
async fn check(node: &Node, indices: &str, sort: &Value) -> Result<Vec<Hit>> {
    let body = json!({"size": 50, "sort": sort});
    let all = node.search(indices, &body).await?.hits;
    let expected = names(&all);
    for is_pit in [false, true] {
        let found = by_values(node, indices, sort, is_pit).await?;
        assert_eq!(names(&found), expected, "{sort} {is_pit}");
    }
    let found = by_scroll(node, indices, sort).await?;
    assert_eq!(names(&found), expected, "{sort} scroll");
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_several_types_are_one_list() -> Result<()> {
    let node = Node::start().await?;
    let wholes = [1, 2, 3, -4].map(Value::from);
    index(&node, "wholes", Some("long"), &wholes).await?;
    let fractions = [1.5, 2.5, 0.5, -3.5].map(Value::from);
    index(&node, "fractions", Some("double"), &fractions).await?;
    let ascending = json!([{"f": "asc"}, {"id": "asc"}]);
    let all = check(&node, "wholes,fractions", &ascending).await?;
    let expected = json!([-4, -3.5, 0.5, 1, 1.5, 2, 2.5, 3]);
    assert_eq!(json!(shown(&all)), expected);
    check(
        &node,
        "wholes,fractions",
        &json!([{"f": "desc"}, {"id": "asc"}]),
    )
    .await?;

    let large = [0u64, 1, 9_007_199_254_740_993, u64::MAX].map(Value::from);
    index(&node, "large", Some("unsigned_long"), &large).await?;
    let exact = [i64::MAX, 9_007_199_254_740_993, i64::MIN, 2].map(Value::from);
    index(&node, "exact", Some("long"), &exact).await?;
    let edges = [
        json!(9_007_199_254_740_992.0),
        json!(1e300),
        json!(-0.0),
        Value::Null,
    ];
    index(&node, "edges", Some("double"), &edges).await?;
    index(&node, "without", None, &[Value::Null, Value::Null]).await?;
    for order in ["asc", "desc"] {
        for missing in [json!("_last"), json!("_first"), json!(1.5), json!(2)] {
            let key = json!({"order": order, "missing": missing, "unmapped_type": "long"});
            let sort = json!([{"f": key}, {"id": order}]);
            let indices = "wholes,fractions,large,exact,edges,without";
            // What stands for a missing value must be one of the type.
            let is_of_all = !missing.is_f64();
            let indices = if is_of_all {
                indices
            } else {
                "wholes,fractions,exact,edges,without"
            };
            check(&node, indices, &sort).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_of_both_widths_are_one_list() -> Result<()> {
    let node = Node::start().await?;
    let narrow = [json!(0.7), json!(0.1), json!(0.3), Value::Null];
    index(&node, "narrow", Some("float"), &narrow).await?;
    index(&node, "half", Some("half_float"), &narrow).await?;
    // Doubles on either side of floats, and one that a float holds.
    let between = [0.7, 0.1, f64::from(0.7_f32), 0.300_000_01, -0.7].map(Value::from);
    index(&node, "wide", Some("double"), &between).await?;
    index(&node, "without", None, &[Value::Null]).await?;
    for order in ["asc", "desc"] {
        for missing in [json!("_last"), json!("_first"), json!(0.3)] {
            let key = json!({"order": order, "missing": missing, "unmapped_type": "float"});
            let sort = json!([{"f": key}, {"id": "asc"}]);
            for indices in [
                "narrow",
                "narrow,half,without",
                "narrow,wide",
                "narrow,half,wide",
            ] {
                check(&node, indices, &sort).await?;
            }
        }
    }
    let sort = json!([{"f": "asc"}]);
    let alone = check(&node, "narrow", &sort).await?;
    assert_eq!(json!(shown(&alone)), json!([0.1, 0.3, 0.7, "Infinity"]));
    // Of several widths all digits are shown: those of a float would not do.
    let float = |value: f32| f64::from(value);
    let all = check(&node, "narrow,wide", &sort).await?;
    let expected = json!([
        -0.7,
        0.1,
        float(0.1),
        0.300_000_01,
        float(0.3),
        float(0.7),
        float(0.7),
        0.7,
        "Infinity"
    ]);
    assert_eq!(json!(shown(&all)), expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_numbers_are_at_the_ends_of_their_type() -> Result<()> {
    let node = Node::start().await?;
    let (min, max) = (i64::MIN, i64::MAX);
    let wholes = [json!(1), json!(max), json!(min)];
    let day = [json!("2026-01-01")];
    for (kind, values, ends) in [
        ("long", &wholes[..], json!([min, max])),
        ("integer", &wholes[..1], json!([min, max])),
        ("boolean", &[json!(true)], json!([min, max])),
        ("date", &day, json!([min, max])),
        ("unsigned_long", &wholes[..1], json!([0, u64::MAX])),
        ("double", &[json!(1e300)], json!(["-Infinity", "Infinity"])),
        (
            "half_float",
            &[json!(0.5)],
            json!(["-Infinity", "Infinity"]),
        ),
        ("keyword", &[json!("a")], json!([null, null])),
    ] {
        let documents = [values, &[Value::Null, Value::Null, Value::Null]].concat();
        index(&node, kind, Some(kind), &documents).await?;
        for (order, missing, end, place) in [
            ("asc", "_last", 1, documents.len() - 1),
            ("asc", "_first", 0, 0),
            ("desc", "_last", 0, documents.len() - 1),
            ("desc", "_first", 1, 0),
        ] {
            let key = json!({"order": order, "missing": missing});
            // Documents that are equal but for the tie-break have no other order.
            let all = check(&node, kind, &json!([{"f": key}, {"id": "asc"}])).await?;
            assert_eq!(shown(&all)[place], ends[end], "{kind} {key}");
            by_scroll(&node, kind, &json!([{"f": key}])).await?;
            // What was given back as nothing is taken as the same.
            let of = |after: &Value| json!({"sort": [{"f": key}], "search_after": [after]});
            let rest = node.search(kind, &of(&ends[end])).await?.hits;
            let same = node.search(kind, &of(&Value::Null)).await?.hits;
            assert_eq!(names(&same), names(&rest), "{kind} {key}");
        }
    }
    let pattern = json!({"order": "desc", "missing": "_first", "format": "yyyy"});
    let all = check(&node, "date", &json!([{"f": pattern}, {"id": "asc"}])).await?;
    assert_eq!(json!(shown(&all)), json!([max, max, max, "2026"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_text_are_one_list_in_a_scroll_and_refused_by_values() -> Result<()> {
    let node = Node::start().await?;
    index(&node, "numbers", Some("long"), &[json!(5), json!(7)]).await?;
    index(&node, "words", Some("keyword"), &[json!("6"), json!("a")]).await?;
    index(
        &node,
        "places",
        Some("ip"),
        &[json!("::1"), json!("10.0.0.1")],
    )
    .await?;
    let all = "numbers,words,places";
    for order in ["asc", "desc"] {
        let sort = json!([{"f": order}]);
        let body = json!({"size": 50, "sort": sort});
        let expected = names(&node.search(all, &body).await?.hits);
        assert_eq!(
            names(&by_scroll(&node, all, &sort).await?),
            expected,
            "{order}"
        );
    }
    let after = json!({"sort": ["f"], "search_after": [5]});
    let refused = node.search(all, &after).await.expect_err("of which type?");
    let refused = format!("{refused:#}");
    assert!(refused.contains("incompatible sort types"), "{refused}");
    assert!(node.search("words", &after).await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_scroll_shows_the_largest_score_of_all() -> Result<()> {
    let node = Node::start().await?;
    index(&node, "notes", Some("long"), &[1, 2, 3].map(Value::from)).await?;
    let weighed = |n| json!({"constant_score": {"filter": {"term": {"f": n}}, "boost": n}});
    let clauses = [1, 2, 3].map(weighed);
    let query = json!({"bool": {"should": clauses}});
    for (mut body, expected) in [
        (json!({"size": 1}), Some(3.0_f32)),
        (
            json!({"size": 1, "sort": ["f"], "track_scores": true}),
            Some(3.0),
        ),
        (json!({"size": 1, "sort": ["f"]}), None),
        (json!({"size": 1, "sort": ["_score"]}), Some(3.0)),
        // By the score and more, it is not known without tracking scores.
        (json!({"size": 1, "sort": ["_score", "f"]}), None),
        (json!({"size": 1, "sort": [{"_score": "asc"}]}), None),
    ] {
        body["query"] = query.clone();
        let pages = pages(&node, "notes", &body).await?;
        let shown: Vec<Option<f32>> = pages.iter().map(|page| page.max_score).collect();
        assert_eq!(shown, [expected; 4], "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_a_missing_word_has_a_place_of_its_own() -> Result<()> {
    let node = Node::start().await?;
    let words = [json!("a"), json!("c"), json!("bb"), Value::Null, json!("c")];
    index(&node, "words", Some("keyword"), &words).await?;
    node.create(
        "others",
        &json!({"mappings": {"properties": {"f": {"type": "keyword"}, "id": {"type": "long"}}}}),
    )
    .await?;
    let pair = [
        ("x".to_owned(), json!({"f": "c", "id": 2})),
        ("y".to_owned(), json!({"id": 10})),
    ];
    node.put("others", &pair).await?;
    for order in ["asc", "desc"] {
        for missing in ["", "a", "aa", "b", "bb", "bbb", "d"] {
            for second in ["asc", "desc"] {
                let key = json!({"order": order, "missing": missing});
                let sort = json!([{"f": key}, {"id": second}]);
                check(&node, "words", &sort).await?;
                check(&node, "words,others", &sort).await?;
            }
        }
    }
    Ok(())
}

/// Puts documents of the same ids, each under several routings.
async fn routed(node: &Node, index: &str) -> Result<()> {
    let routings = (0..6).map(|routing| routing.to_string());
    let items = routings.flat_map(|routing| {
        (0..4).map(move |id| IngestItem {
            routing: Some(routing.clone()),
            ..item(index, &id.to_string(), &json!({"f": id % 2, "r": routing}))
        })
    });
    let results = node.ingest(items.collect(), RefreshPolicy::Immediate).await;
    for result in results {
        result.outcome?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_one_id_in_several_shards_are_all_in_the_list() -> Result<()> {
    let node = Node::start().await?;
    for name in ["one", "two"] {
        let settings = json!({"settings": {"number_of_shards": 5}});
        node.create(name, &settings).await?;
        routed(&node, name).await?;
    }
    for indices in ["one", "one,two"] {
        for sort in [
            json!([{"f": "asc"}]),
            json!(["_score"]),
            json!([{"_score": "asc"}]),
            json!(["_shard_doc"]),
            json!(["_doc"]),
        ] {
            let all = check(&node, indices, &sort).await?;
            let mut distinct = BTreeSet::new();
            for hit in &all {
                let routing = hit.content.routing.clone();
                distinct.insert((hit.index.clone(), hit.content.id.to_string(), routing));
            }
            assert_eq!(distinct.len(), all.len());
            assert_eq!(total(&node, indices).await?, all.len() as u64);
        }
    }
    delete_all(&node, "one", (3, None, MINUTE)).await?;
    // A pause of more than three seconds, over which the views are kept.
    let keep_alive = Duration::from_secs(2);
    delete_all(&node, "two", (13, Some(4.0), keep_alive)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_a_document_is_text_and_taken_as_both() -> Result<()> {
    let node = Node::start().await?;
    let values: Vec<Value> = (0..6).map(|n| json!(n % 2)).collect();
    index(&node, "notes", Some("long"), &values).await?;
    for (sort, place) in [
        (json!(["_shard_doc"]), 0),
        (json!([{"_shard_doc": "desc"}]), 0),
        (json!(["f", "_shard_doc"]), 1),
        (json!(["f", {"_shard_doc": "desc"}, "id"]), 1),
    ] {
        let all = check(&node, "notes", &sort).await?;
        let third = &all[2].sort;
        let text = third[place].as_str().expect("text");
        let mut as_number = third.clone();
        as_number[place] = json!(text.parse::<u64>()?);
        for after in [third, &as_number] {
            let body = json!({"sort": sort, "search_after": after});
            let rest = node.search("notes", &body).await?.hits;
            assert_eq!(names(&rest), names(&all[3..]), "{body}");
        }
    }
    Ok(())
}

async fn total(node: &Node, indices: &str) -> Result<u64> {
    let found = node.search(indices, &json!({"size": 0})).await?.total;
    Ok(found.map_or(0, |total| total.value))
}

/// Deletes all documents by pages of a size, at a rate.
async fn delete_all(
    node: &Node,
    index: &str,
    (page_size, requests_per_second, keep_alive): (usize, Option<f64>, Duration),
) -> Result<()> {
    let query = json!({"query": {"match_all": {}}});
    let search = parse_search(query.to_string().as_bytes(), &Limits::default())?;
    let request = ByQueryRequest {
        page_size,
        is_refreshed: true,
        requests_per_second,
        keep_alive,
        ..ByQueryRequest::new(Change::Delete, target(index), search)
    };
    let num_documents = total(node, index).await?;
    assert!(num_documents > 13, "more than one page");
    let begun = node
        .root
        .by_query()
        .begin(request, &Origin::default(), None)?;
    let counts = begun.ended().await?.status.counts;
    assert_eq!(
        (counts.total, counts.deleted),
        (num_documents, num_documents)
    );
    assert_eq!(total(node, index).await?, 0);
    Ok(())
}
