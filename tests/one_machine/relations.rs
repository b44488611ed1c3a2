//! Words that stand to each other: `intervals`, `span_*`, `combined_fields`, `cross_fields`, `terms_set`,
//! `more_like_this`, the same for any number of shards.

use anyhow::{Result, ensure};
use gleaner_datasets::collection;
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

/// Names of the indices, by their numbers of shards.
const INDICES: [(&str, u32); 3] = [("one", 1), ("three", 3), ("eight", 8)];

async fn create(server: &Server, name: &str, num_shards: u32, fields: &Value) -> Result<()> {
    let body = json!({
        "settings": {"number_of_shards": num_shards},
        "mappings": {"properties": fields},
    });
    ok(server, "PUT", &format!("/{name}"), &body).await?;
    Ok(())
}

async fn put(server: &Server, index: &str, documents: &[(String, Value)]) -> Result<()> {
    let mut lines = String::new();
    for (id, source) in documents {
        lines += &format!(
            "{}\n{source}\n",
            json!({"index": {"_index": index, "_id": id}})
        );
    }
    let bulk = Request::ndjson("POST", "/_bulk?refresh=true", lines);
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(())
}

/// Returns ids with scores as they are shown, in order.
async fn hits(server: &Server, index: &str, query: &Value) -> Result<Vec<(String, String)>> {
    let body = json!({"query": query, "size": 50});
    let found = ok(server, "POST", &format!("/{index}/_search"), &body).await?;
    ensure!(found["_shards"]["failed"] == 0, "{found}");
    let hits = found["hits"]["hits"].as_array();
    let hits = hits.into_iter().flatten();
    Ok(hits
        .filter_map(|hit| Some((hit["_id"].as_str()?.to_owned(), hit["_score"].to_string())))
        .collect())
}

async fn ids(server: &Server, index: &str, query: &Value) -> Result<Vec<String>> {
    let mut ids: Vec<String> = hits(server, index, query)
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ids.sort();
    Ok(ids)
}

/// Queries over the judged collection, some for each of its questions.
fn queries(text: &str) -> Vec<Value> {
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    let spans: Vec<Value> = words
        .iter()
        .map(|word| json!({"span_term": {"text": word.to_lowercase()}}))
        .collect();
    let near = |slop: u32, in_order: bool| json!({"span_near": {"clauses": spans[..spans.len().min(2)], "slop": slop, "in_order": in_order}});
    let rule =
        |order: &str| json!({"match": {"query": words.join(" "), "mode": order, "max_gaps": 30}});
    vec![
        json!({"intervals": {"text": rule("ordered")}}),
        json!({"intervals": {"text": rule("unordered")}}),
        json!({"intervals": {"text": rule("unordered_no_overlap")}}),
        json!({"intervals": {"text": {"any_of": {"intervals": [
            {"prefix": {"prefix": words[0].chars().take(4).collect::<String>().to_lowercase()}},
            {"match": {"query": text, "filter": {"not_containing": {"match": {"query": "the"}}}}},
        ]}}}}),
        near(0, true),
        near(6, true),
        near(6, false),
        json!({"span_or": {"clauses": spans, "boost": 2}}),
        json!({"span_first": {"match": near(20, false), "end": 40}}),
        json!({"bool": {"must": near(9, false), "filter": {"intervals": {"text": rule("unordered")}}}}),
        json!({"combined_fields": {"query": text, "fields": ["title^2", "text"]}}),
        json!({"combined_fields": {"query": text, "fields": ["title", "text"], "operator": "and"}}),
        json!({"multi_match": {"query": text, "fields": ["title^3", "text"], "type": "cross_fields"}}),
        json!({"multi_match": {
            "query": text, "fields": ["title", "text"], "type": "cross_fields", "operator": "and",
            "tie_breaker": 0.3,
        }}),
        json!({"more_like_this": {"like": text, "fields": ["title", "text"], "min_term_freq": 1,
            "min_doc_freq": 2, "boost_terms": 1}}),
        json!({"terms_set": {"words": {"terms": words, "minimum_should_match_field": "wanted"}}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_order_and_scores_do_not_depend_on_the_shard_count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let fields = json!({
        "title": {"type": "text"},
        "text": {"type": "text"},
        "words": {"type": "keyword"},
        "wanted": {"type": "integer"},
    });
    let documents: Vec<(String, Value)> = collection::documents()
        .enumerate()
        .map(|(number, document)| {
            let document = document.expect("the collection is whole");
            let mut source: Value = serde_json::from_str(&document.source).expect("JSON");
            let text = source["title"].as_str().unwrap_or_default();
            source["words"] = text.split_whitespace().collect::<Vec<_>>().into();
            source["wanted"] = (number % 4).into();
            (document.id.expect("judged documents have ids"), source)
        })
        .collect();
    for (index, num_shards) in INDICES {
        create(&server, index, num_shards, &fields).await?;
        // In several refreshes, some documents written twice: segments with deletes.
        for chunk in documents.chunks(90) {
            put(&server, index, chunk).await?;
        }
        put(&server, index, &documents[..num_shards as usize * 5]).await?;
    }
    let mut num_found = 0;
    for asked in collection::queries().into_iter().take(12) {
        for query in queries(&asked.text) {
            let expected = hits(&server, "one", &query).await?;
            num_found += usize::from(!expected.is_empty());
            for (index, _) in &INDICES[1..] {
                let found = hits(&server, index, &query).await?;
                ensure!(found == expected, "{index} {query}: {found:?} {expected:?}");
            }
        }
    }
    ensure!(num_found > 60, "only {num_found} queries find something");
    Ok(())
}

/// Returns a rule for a word or a phrase that holds it.
fn cold_or_its_cold() -> Value {
    json!({"any_of": {"intervals": [
        {"match": {"query": "cold"}},
        {"match": {"query": "its cold", "ordered": true, "max_gaps": 0}},
    ]}})
}

/// Returns queries of intervals, with what they find.
fn intervals() -> Vec<(Value, Vec<&'static str>)> {
    let of = |rule: Value| json!({"intervals": {"text": rule}});
    let matching = |text: &str| json!({"match": {"query": text}});
    vec![
        (
            of(json!({"match": {"query": "cold outside", "ordered": true}})),
            vec!["2", "3"],
        ),
        (
            of(json!({"match": {"query": "cold outside"}})),
            vec!["2", "3", "4"],
        ),
        (
            of(json!({"match": {"query": "cold outside", "ordered": true, "max_gaps": 0}})),
            vec!["2"],
        ),
        (
            of(json!({"all_of": {
                "ordered": true,
                "intervals": [{"any_of": {"intervals": [matching("cold"), matching("hot")]}}, matching("outside")],
            }})),
            vec!["2", "3"],
        ),
        (
            of(json!({"match": {"query": "cold", "filter": {"before": matching("outside")}}})),
            vec!["2", "3"],
        ),
        (
            of(json!({"match": {"query": "cold", "filter": {"after": matching("outside")}}})),
            vec!["4"],
        ),
        (
            of(json!({"all_of": {
                "intervals": [matching("cold"), matching("outside")],
                "filter": {"not_containing": matching("is")},
            }})),
            vec!["2", "3"],
        ),
        (
            of(json!({"prefix": {"prefix": "out"}})),
            vec!["2", "3", "4"],
        ),
        (of(json!({"wildcard": {"pattern": "?aby"}})), vec!["3"]),
        (of(json!({"fuzzy": {"term": "dofs"}})), vec!["4"]),
        (of(json!({"match": {"query": "like like"}})), vec!["1"]),
        (of(json!({"match": {"query": "cold cold"}})), vec![]),
        (
            of(json!({"all_of": {
                "intervals": [matching("cats"), matching("dog")], "max_gaps": 1,
            }})),
            vec![],
        ),
        (
            of(json!({"all_of": {
                "intervals": [matching("cats"), {"match": {"query": "dog", "use_field": "text_en"}}],
                "max_gaps": 1,
            }})),
            vec!["4"],
        ),
        // The longer alternative leaves no word between.
        (
            of(json!({"all_of": {
                "ordered": true, "max_gaps": 1,
                "intervals": [matching("baby"), cold_or_its_cold(), matching("outside")],
            }})),
            vec!["3"],
        ),
        (
            of(json!({"any_of": {
                "intervals": [cold_or_its_cold()], "filter": {"containing": matching("its")},
            }})),
            vec!["2", "3"],
        ),
    ]
}

/// Returns queries of spans, with what they find.
fn spans() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (
            json!({"span_not": {
                "include": {"span_term": {"text": "cold"}}, "exclude": {"span_term": {"text": "it"}}, "pre": 2,
            }}),
            vec!["2", "3"],
        ),
        (
            json!({"span_containing": {
                "big": {"span_near": {
                    "clauses": [{"span_term": {"text": "some"}}, {"span_term": {"text": "hot"}}], "slop": 5,
                }},
                "little": {"span_term": {"text": "like"}},
            }}),
            vec!["1"],
        ),
        (
            json!({"span_multi": {"match": {"regexp": {"text": "rain.*"}}}}),
            vec!["4"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_where_they_stand() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let fields = json!({
        "text": {"type": "text"},
        "text_en": {"type": "text", "analyzer": "english"},
    });
    create(&server, "t", 2, &fields).await?;
    let texts = [
        ("1", "Some like it hot, some like it cold"),
        ("2", "Its cold outside, theres no kind of atmosphere"),
        ("3", "Baby its cold there outside"),
        ("4", "Outside it is cold and wet and raining cats and dogs"),
    ];
    let documents = texts.map(|(id, text)| (id.to_owned(), json!({"text": text, "text_en": text})));
    put(&server, "t", &documents).await?;
    for (query, expected) in intervals().into_iter().chain(spans()) {
        let found = ids(&server, "t", &query).await?;
        ensure!(found == expected, "{query}: {found:?}, not {expected:?}");
    }
    check_shown(&server).await
}

/// Checks scores, explanations, highlights and refusals.
async fn check_shown(server: &Server) -> Result<()> {
    // Two gaps: 1 / (4 - 2 + 1), saturated.
    let query =
        json!({"intervals": {"text": {"match": {"query": "outside cold", "ordered": true}}}});
    let found = hits(server, "t", &query).await?;
    ensure!(found == [("4".to_owned(), "0.25".to_owned())], "{found:?}");
    let body = json!({"query": query});
    let explained = ok(server, "POST", "/t/_explain/4", &body).await?;
    ensure!(explained["explanation"]["value"] == 0.25, "{explained}");
    let body = json!({
        "query": {"span_near": {
            "clauses": [{"span_term": {"text": "some"}}, {"span_term": {"text": "cold"}}], "slop": 4,
        }},
        "highlight": {"fields": {"text": {"number_of_fragments": 0}}},
    });
    let found = ok(server, "POST", "/t/_search", &body).await?;
    let marked = &found["hits"]["hits"][0]["highlight"]["text"][0];
    let expected = "Some like it hot, <em>some</em> like it <em>cold</em>";
    ensure!(marked == expected, "{found}");
    for (query, reason) in [
        (
            json!({"intervals": {"n": {"match": {"query": "x"}}}}),
            "Can only use interval queries on text fields",
        ),
        (
            json!({"span_near": {"clauses": [{"span_term": {"text": "a"}}, {"span_term": {"text_en": "b"}}]}}),
            "[span_near] Clauses must have same field",
        ),
        (
            json!({"combined_fields": {"query": "x", "fields": ["text", "text_en"]}}),
            "All fields in [combined_fields] query must have the same search analyzer",
        ),
        (
            json!({"terms_set": {"text": {"terms": ["x"], "minimum_should_match_field": "none"}}}),
            "failed to find minimum_should_match field [none]",
        ),
    ] {
        let grown = json!({"properties": {"n": {"type": "long"}}});
        ok(server, "PUT", "/t/_mapping", &grown).await?;
        let body = json!({"query": query});
        let answer = server
            .send(&Request::json("POST", "/t/_search", &body))
            .await?;
        ensure!(answer.status == 400, "{}", answer.shown());
        let shown = answer.shown();
        ensure!(shown.contains(reason), "{query}: {shown}");
    }
    Ok(())
}
