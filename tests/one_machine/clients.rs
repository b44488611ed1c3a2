//! The first requests of programs that people have: their whole bodies are taken, and what they ask comes back.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    Start::on(&folder.path().join("data")).spawn().await
}

async fn put(server: &Server, path: &str, body: &Value) -> Result<Response> {
    let answer = server.send(&Request::json("PUT", path, body)).await?;
    answer.ok()?;
    Ok(answer)
}

async fn searched(server: &Server, path: &str, body: &Value) -> Result<Value> {
    server.send(&Request::json("POST", path, body)).await?.ok()
}

fn analyzer(tokenizer: &str, filters: &[&str]) -> Value {
    json!({"type": "custom", "tokenizer": tokenizer, "filter": filters})
}

/// What Searchkick (Rails) creates an index with.
fn searchkick() -> Value {
    let folded =
        |last: &[&'static str]| -> Vec<&str> { [&["lowercase", "asciifolding"], last].concat() };
    let marked = |last: &[&'static str]| {
        let mut analyzer = analyzer("standard", &folded(last));
        analyzer["char_filter"] = json!(["ampersand"]);
        analyzer
    };
    let reversed = ["reverse", "searchkick_edge_ngram", "reverse"];
    let keyword = |name: &str| {
        let analyzed = json!({"type": "text", "index": true, "analyzer": "searchkick_index"});
        let mut fields = json!({"analyzed": analyzed});
        if !name.is_empty() {
            fields[name] = json!({
                "type": "text", "index": true, "analyzer": format!("searchkick_{name}_index"),
            });
        }
        json!({"type": "keyword", "ignore_above": 30_000, "fields": fields})
    };
    json!({
        "settings": {
            "analysis": {
                "analyzer": {
                    "searchkick_keyword": analyzer("keyword", &["lowercase", "searchkick_stemmer"]),
                    "searchkick_index": marked(&["searchkick_index_shingle", "searchkick_stemmer"]),
                    "searchkick_search": marked(&["searchkick_search_shingle", "searchkick_stemmer"]),
                    "searchkick_search2": marked(&["searchkick_stemmer"]),
                    "searchkick_autocomplete_search": analyzer("keyword", &folded(&[])),
                    "searchkick_word_search": analyzer("standard", &folded(&[])),
                    "searchkick_suggest_index": analyzer("standard", &folded(&["searchkick_suggest_shingle"])),
                    "searchkick_text_start_index": analyzer("keyword", &folded(&["searchkick_edge_ngram"])),
                    "searchkick_text_middle_index": analyzer("keyword", &folded(&["searchkick_ngram"])),
                    "searchkick_text_end_index": analyzer("keyword", &folded(&reversed)),
                    "searchkick_word_start_index": analyzer("standard", &folded(&["searchkick_edge_ngram"])),
                    "searchkick_word_middle_index": analyzer("standard", &folded(&["searchkick_ngram"])),
                    "searchkick_word_end_index": analyzer("standard", &folded(&reversed)),
                },
                "filter": {
                    "searchkick_index_shingle": {"type": "shingle", "token_separator": ""},
                    "searchkick_search_shingle": {
                        "type": "shingle", "token_separator": "", "output_unigrams": false,
                        "output_unigrams_if_no_shingles": true,
                    },
                    "searchkick_suggest_shingle": {"type": "shingle", "max_shingle_size": 5},
                    "searchkick_edge_ngram": {"type": "edge_ngram", "min_gram": 1, "max_gram": 50},
                    "searchkick_ngram": {"type": "ngram", "min_gram": 1, "max_gram": 50},
                    "searchkick_stemmer": {"type": "snowball", "language": "English"},
                },
                "char_filter": {"ampersand": {"type": "mapping", "mappings": ["&=> and "]}},
            },
            "index": {"max_ngram_diff": 49, "max_shingle_diff": 4},
            "number_of_shards": 1,
            "number_of_replicas": 0,
        },
        "mappings": {
            "properties": {"name": keyword("word_start")},
            "_routing": {},
            "dynamic_templates": [{"string_template": {
                "match": "*", "match_mapping_type": "string", "mapping": keyword(""),
            }}],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn searchkick_creates_its_index_and_searches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    put(&server, "/products", &searchkick()).await?;
    let document = json!({"name": "Dish washer & Soap", "color": "Deep Blue"});
    put(&server, "/products/_doc/1?refresh=true", &document).await?;
    let matching = |analyzer: &str, more: Value| {
        let mut body = json!({
            "query": "dishwasher", "boost": 10, "operator": "and", "analyzer": analyzer,
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        json!({"match": {"name.analyzed": body}})
    };
    let fuzzy = json!({"fuzziness": 1, "prefix_length": 0, "max_expansions": 3,
        "fuzzy_transpositions": true, "boost": 1});
    let body = json!({
        "query": {"bool": {"must": {"bool": {"should": [{"dis_max": {"queries": [
            matching("searchkick_search", json!({})),
            matching("searchkick_search2", json!({})),
            matching("searchkick_search", fuzzy.clone()),
            matching("searchkick_search2", fuzzy),
        ]}}]}}}},
        "timeout": "11000ms", "_source": false, "size": 10_000,
    });
    let answer = searched(&server, "/products/_search", &body).await?;
    ensure!(answer["hits"]["total"]["value"] == 1, "{answer}");
    let start = json!({"query": {"match": {"name.word_start": {
        "query": "wash", "analyzer": "searchkick_word_search",
    }}}});
    let answer = searched(&server, "/products/_search", &start).await?;
    ensure!(answer["hits"]["total"]["value"] == 1, "{answer}");
    // The settings hold for what is analysed by hand, too.
    let text = json!({"analyzer": "searchkick_suggest_index", "text": "a b c d e"});
    let tokens = searched(&server, "/products/_analyze", &text).await?;
    let longest = tokens["tokens"].as_array().map(|all| {
        all.iter()
            .filter(|token| token["token"] == "a b c d e")
            .count()
    });
    ensure!(longest == Some(1), "{tokens}");
    let mut narrow = searchkick();
    narrow["settings"]["index"] = json!({"max_ngram_diff": 49});
    let refused = server
        .send(&Request::json("PUT", "/narrow", &narrow))
        .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    ensure!(
        refused.shown().contains("index.max_shingle_diff"),
        "{}",
        refused.shown()
    );
    Ok(())
}

/// What Wagtail (Django) creates an index with.
fn wagtail() -> Value {
    let edge = json!({
        "type": "text", "analyzer": "edgengram_analyzer", "search_analyzer": "standard",
    });
    let mut title_edge = edge.clone();
    title_edge["copy_to"] = "_edgengrams".into();
    json!({
        "settings": {
            "analysis": {
                "analyzer": {
                    "ngram_analyzer": analyzer("lowercase", &["asciifolding", "ngram"]),
                    "edgengram_analyzer": analyzer("lowercase", &["asciifolding", "edgengram"]),
                },
                "tokenizer": {
                    "ngram_tokenizer": {"type": "ngram", "min_gram": 3, "max_gram": 15},
                    "edgengram_tokenizer": {
                        "type": "edge_ngram", "min_gram": 2, "max_gram": 15, "side": "front",
                    },
                },
                "filter": {
                    "ngram": {"type": "ngram", "min_gram": 3, "max_gram": 15},
                    "edgengram": {"type": "edge_ngram", "min_gram": 1, "max_gram": 15},
                },
            },
            "index": {"max_ngram_diff": 12},
        },
        "mappings": {"properties": {
            "pk": {"type": "keyword", "store": true},
            "content_type": {"type": "keyword"},
            "_all_text": {"type": "text"},
            "_edgengrams": edge,
            "title": {"type": "text", "copy_to": "_all_text"},
            "title_edgengrams": title_edge,
            "live_filter": {"type": "boolean"},
        }},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn wagtail_creates_its_index_and_is_warned() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let made = put(&server, "/wagtail__page", &wagtail()).await?;
    let warning = made.header("warning").unwrap_or_default();
    let expected = "unknown setting [side] of tokenizer [edgengram_tokenizer] was ignored";
    ensure!(warning.contains(expected), "{warning}");
    let document = json!({"pk": "7", "content_type": ["blog.Post", "wagtailcore.Page"],
        "title": "Hello world", "title_edgengrams": "Hello world", "live_filter": true});
    put(&server, "/wagtail__page/_doc/7?refresh=true", &document).await?;
    let path = "/wagtail__page/_search?_source=false&stored_fields=pk&size=100&scroll=2m";
    for (field, text) in [("_all_text", "hello"), ("_edgengrams", "wor")] {
        let body = json!({"query": {"bool": {
            "filter": [{"match": {"content_type": "blog.Post"}}, {"term": {"live_filter": true}}],
            "must": {"match": {field: {"query": text}}},
        }}});
        let answer = searched(&server, path, &body).await?;
        let hit = &answer["hits"]["hits"][0];
        ensure!(hit["fields"]["pk"] == json!(["7"]), "{field}: {answer}");
        ensure!(hit.get("_source").is_none(), "{answer}");
    }
    // A plain answer has no warning, and a change that repeats the setting has.
    let other = put(&server, "/other", &json!({})).await?;
    ensure!(other.header("warning").is_none(), "{}", other.shown());
    server
        .send(&Request::new("POST", "/other/_close"))
        .await?
        .ok()?;
    let settings =
        json!({"analysis": wagtail()["settings"]["analysis"], "index.max_ngram_diff": 12});
    let changed = put(&server, "/other/_settings", &settings).await?;
    let warning = changed.header("warning").unwrap_or_default();
    ensure!(warning.contains(expected), "{warning}");
    let inline =
        json!({"tokenizer": "standard", "filter": [{"type": "stop", "x": 1}], "text": "a"});
    let analyzed = server
        .send(&Request::json("POST", "/_analyze", &inline))
        .await?;
    let warning = analyzed.header("warning").unwrap_or_default();
    ensure!(
        warning.contains("unknown setting [x]"),
        "{}",
        analyzed.shown()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_name_their_similarity_create_their_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let store = |bm25: &Value| {
        json!({
            "settings": {
                "analysis": {"analyzer": {"default": {"type": "standard"}}},
                "similarity": {"custom_bm25": bm25},
            },
            "mappings": {"properties": {"content": {"type": "text", "similarity": "custom_bm25"}}},
        })
    };
    for (name, bm25) in [
        ("plain", json!({"type": "BM25"})),
        (
            "full",
            json!({"type": "BM25", "k1": 1.2, "b": 0.75, "discount_overlaps": true}),
        ),
    ] {
        put(&server, &format!("/{name}"), &store(&bm25)).await?;
        let path = format!("/{name}/_doc/1?refresh=true");
        put(
            &server,
            &path,
            &json!({"content": "foo bar", "metadata": {"a": 1}}),
        )
        .await?;
        let body = json!({"query": {"match": {"content": "foo"}}});
        let answer = searched(&server, &format!("/{name}/_search"), &body).await?;
        ensure!(answer["hits"]["total"]["value"] == 1, "{answer}");
    }
    let default = json!({"settings": {"similarity": {"default": {"type": "BM25"}}}});
    put(&server, "/default", &default).await?;
    let unknown = json!({"mappings": {"properties": {
        "content": {"type": "text", "similarity": "custom_bm25"},
    }}});
    let refused = server
        .send(&Request::json("PUT", "/unknown", &unknown))
        .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    ensure!(
        refused
            .shown()
            .contains("[custom_bm25] for field [content]"),
        "{}",
        refused.shown()
    );
    Ok(())
}

/// Returns a server with three lines of a log.
async fn with_log(folder: &tempfile::TempDir) -> Result<Server> {
    let server = started(folder).await?;
    for minute in 0..3 {
        let at = format!("2026-01-02T00:0{minute}:00Z");
        let path = format!("/logs/_doc/{minute}?refresh=true");
        put(
            &server,
            &path,
            &json!({"@timestamp": at, "message": "started"}),
        )
        .await?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_asks_for_a_histogram_and_for_lines() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_log(&folder).await?;
    let (from, to) = (1_767_312_000_000_i64, 1_767_315_600_000_i64);
    let range = json!({"@timestamp": {"gte": from, "lte": to, "format": "epoch_millis"}});
    let text = json!({"query_string": {"analyze_wildcard": true, "query": "message:start*"}});
    let query = json!({"bool": {"filter": [{"range": range}, text]}});
    let histogram = json!({
        "size": 0, "query": query,
        "aggs": {"2": {
            "date_histogram": {
                "fixed_interval": "60s", "field": "@timestamp", "min_doc_count": 0,
                "extended_bounds": {"min": from, "max": to}, "format": "epoch_millis",
            },
            "aggs": {},
        }},
    });
    let lines = json!({
        "size": 500, "query": query,
        "sort": [
            {"@timestamp": {"order": "desc", "unmapped_type": "boolean"}},
            {"_doc": {"order": "desc"}},
        ],
        "script_fields": {},
        "aggs": {},
        "highlight": {
            "fields": {"*": {}}, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"],
            "fragment_size": 2_147_483_647,
        },
    });
    let header = json!({"ignore_unavailable": true, "index": "logs",
        "search_type": "query_then_fetch"});
    let body = format!("{header}\n{histogram}\n{header}\n{lines}\n");
    let path = "/_msearch?max_concurrent_shard_requests=5";
    let answer = server
        .send(&Request::ndjson("POST", path, body))
        .await?
        .ok()?;
    let [first, second] = [0, 1].map(|at| &answer["responses"][at]);
    let buckets = first["aggregations"]["2"]["buckets"]
        .as_array()
        .map(Vec::len);
    ensure!(buckets == Some(61), "{first}");
    ensure!(second["hits"]["hits"][0]["_id"] == "2", "{second}");
    let marked = &second["hits"]["hits"][0]["highlight"]["message"][0];
    ensure!(*marked == "@HIGHLIGHT@started@/HIGHLIGHT@", "{second}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn discover_asks_for_documents_and_for_a_histogram() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_log(&folder).await?;
    let format = "strict_date_optional_time";
    let range = json!({"@timestamp": {
        "format": format, "gte": "2026-01-02T00:01:00.000Z", "lte": "2026-01-02T01:00:00.000Z",
    }});
    let query = json!({"bool": {
        "must": [], "filter": [{"range": range}], "should": [], "must_not": [],
    }});
    let shared = json!({
        "query": query, "script_fields": {}, "stored_fields": ["*"], "runtime_mappings": {},
        "ext": {}, "suggest": {}, "rescore": [],
    });
    let with = |more: Value| {
        let mut body = shared.clone();
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    };
    let documents = with(json!({
        "sort": [
            {"@timestamp": {"order": "desc", "format": format, "unmapped_type": "boolean"}},
            {"_doc": {"order": "desc", "unmapped_type": "boolean"}},
        ],
        "track_total_hits": false, "size": 500, "version": true, "_source": false,
        "fields": [
            {"field": "*", "include_unmapped": true},
            {"field": "@timestamp", "format": format},
        ],
        "highlight": {
            "pre_tags": ["@kibana-highlighted-field@"], "post_tags": ["@/kibana-highlighted-field@"],
            "fields": {"*": {}}, "fragment_size": 2_147_483_647,
        },
    }));
    let answer = searched(&server, "/logs/_search", &documents).await?;
    let hits = answer["hits"]["hits"].as_array().map(Vec::len);
    ensure!(hits == Some(2), "{answer}");
    let first = &answer["hits"]["hits"][0];
    ensure!(first["fields"]["message"] == json!(["started"]), "{answer}");
    ensure!(first["sort"][0] == "2026-01-02T00:02:00.000Z", "{answer}");
    let histogram = with(json!({
        "aggs": {"2": {"date_histogram": {
            "field": "@timestamp", "fixed_interval": "30s", "time_zone": "Europe/Berlin",
            "min_doc_count": 1,
        }}},
        "size": 0, "_source": {"excludes": []}, "track_total_hits": true,
    }));
    let answer = searched(&server, "/logs/_search", &histogram).await?;
    let buckets = answer["aggregations"]["2"]["buckets"]
        .as_array()
        .map(Vec::len);
    ensure!(buckets == Some(2), "{answer}");
    for part in ["runtime_mappings", "script_fields", "suggest"] {
        let asking = json!({part: {"x": {"type": "keyword"}}});
        let refused = server
            .send(&Request::json("POST", "/logs/_search", &asking))
            .await?;
        ensure!(refused.status == 400, "{part}: {}", refused.shown());
    }
    Ok(())
}
