//! Requests that mean something: those of the documentation, one for each route, and some of what monitors and loaders send.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::requests::pick;

/// A request to change.
pub(super) struct Seed {
    pub(super) method: &'static str,
    /// With parts in braces.
    pub(super) path: String,
    /// Names of the route's parameters.
    pub(super) parameters: Vec<&'static str>,
    /// Values of the body, one a line; none: no body.
    pub(super) lines: Vec<Value>,
}

impl Seed {
    fn new(method: &'static str, path: &str, lines: Vec<Value>) -> Self {
        let routes = gleaner_api::parameter_tables();
        let mut routes =
            routes.filter(|route| route.paths.iter().any(|known| is_alike(known, path)));
        let parameters = routes
            .next()
            .map(|route| route.all_parameters().map(|own| own.name).collect());
        Self {
            method,
            path: path.to_owned(),
            parameters: parameters.unwrap_or_default(),
            lines,
        }
    }
}

/// Returns whether a path is one of a route's.
fn is_alike(route: &str, path: &str) -> bool {
    let mut parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{" } else { part });
    let mut known = route
        .split('/')
        .map(|part| if part.starts_with('{') { "{" } else { part });
    parts.by_ref().eq(known.by_ref())
}

/// Returns all of them.
pub(super) fn all() -> Result<Vec<Seed>> {
    let mut seeds = of_documentation()?;
    let num_documented = seeds.len();
    ensure!(
        num_documented > 100,
        "only {num_documented} requests in the documentation"
    );
    for route in gleaner_api::parameter_tables() {
        // What refuses whatever it is asked is asked once.
        let most = if route.is_refused { 1 } else { usize::MAX };
        let asked = route
            .paths
            .iter()
            .flat_map(|path| route.methods.iter().map(move |method| (*path, method)));
        for (path, method) in asked.take(most) {
            let is_read = *method == http::Method::GET || *method == http::Method::HEAD;
            seeds.push(Seed {
                method: method_of(method),
                path: path.to_owned(),
                parameters: route.all_parameters().map(|own| own.name).collect(),
                lines: if is_read { Vec::new() } else { vec![json!({})] },
            });
        }
    }
    // Several times, as they say most.
    for _ in 0..4 {
        let written = written().into_iter();
        seeds.extend(written.map(|(method, path, lines)| Seed::new(method, path, lines)));
    }
    Ok(seeds)
}

fn method_of(method: &http::Method) -> &'static str {
    ["GET", "POST", "PUT", "DELETE", "HEAD"]
        .into_iter()
        .find(|known| method == *known)
        .unwrap_or("OPTIONS")
}

/// Returns the requests that the pages of documentation show.
fn of_documentation() -> Result<Vec<Seed>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut seeds = Vec::new();
    for name in [
        "query-dsl.md",
        "aggregations.md",
        "search.md",
        "mapping.md",
        "scatter.md",
    ] {
        let page = fs::read_to_string(folder.join(name)).with_context(|| name.to_owned())?;
        let blocks = page
            .split("```json\n")
            .skip(1)
            .filter_map(|rest| rest.split_once("```"));
        for (block, _) in blocks {
            let Ok(body) = serde_json::from_str::<Value>(block) else {
                continue;
            };
            let has = |key: &str| body.get(key).is_some();
            seeds.push(if has("mappings") || has("settings") {
                Seed::new("PUT", "/{made}", vec![body])
            } else if has("properties") {
                Seed::new("PUT", "/{index}/_mapping", vec![body])
            } else {
                Seed::new("POST", "/{index}/_search", vec![body])
            });
        }
    }
    Ok(seeds)
}

/// Returns a path with something for each of its parts.
pub(super) fn filled_in(random: &mut Random, path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{index}" => pick(
            random,
            &[
                "stable",
                "stable",
                "stable",
                "growing",
                "growing",
                "made-1",
                "stable,growing",
                "g*",
                "_all",
                "al",
                "no",
            ],
        ),
        "{made}" => pick(random, &["made-1", "made-2", "made-3"]),
        "{*rest}" => "some/more",
        "{metric}" => pick(random, &["_all", "docs", "store", "os", "search", "x"]),
        _ if part.starts_with('{') => pick(
            random,
            &["1", "2", "3", "made-2", "al", "title", "_all", "%E2%98%83"],
        ),
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the index that requests are about, with fields of all types.
pub(super) fn index() -> Value {
    json!({
        "settings": {"number_of_shards": 2, "analysis": {
            "analyzer": {"near": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "syn"], "position_increment_gap": 0}},
            "filter": {"syn": {"type": "synonym_graph", "synonyms": ["new york, ny", "fox => red fox"]}},
            "normalizer": {"folding": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
        }},
        "aliases": {"al": {"filter": {"range": {"n": {"lt": 40}}}}},
        "mappings": {"properties": {
            "title": {"type": "text", "fields": {"raw": {"type": "keyword"}, "near": {"type": "text", "analyzer": "near"}}},
            "summary": {"type": "text", "term_vector": "with_positions_offsets"},
            "author": {"type": "keyword", "normalizer": "folding", "ignore_above": 20}, "tag": {"type": "keyword"},
            "n": {"type": "long", "ignore_malformed": true}, "year": {"type": "integer"}, "big": {"type": "unsigned_long"},
            "price": {"type": "scaled_float", "scaling_factor": 100}, "x": {"type": "double"}, "half": {"type": "half_float"},
            "published": {"type": "date"}, "at": {"type": "date_nanos"}, "flag": {"type": "boolean"}, "ip": {"type": "ip"},
            "place": {"type": "geo_point"}, "span": {"type": "integer_range"}, "days": {"type": "date_range"},
            "labels": {"type": "flattened"}, "pattern": {"type": "wildcard"}, "kind": {"type": "constant_keyword", "value": "k"},
            "rank": {"type": "rank_feature"}, "typed": {"type": "search_as_you_type"}, "log": {"type": "match_only_text"},
            "count": {"type": "token_count", "analyzer": "standard"}, "named": {"type": "alias", "path": "author"},
            "o": {"properties": {"p": {"type": "keyword"}, "q": {"type": "short"}}},
        }},
    })
}

/// Returns lines of a bulk request with documents of [`index`].
pub(super) fn documents() -> String {
    let mut lines = String::new();
    for n in 0..60_i64 {
        let document = json!({
            "title": [format!("Word{n} new york fox"), "", "the second value"], "summary": format!("a b x a {n} b a"),
            "author": format!("Émile {}", n % 5), "tag": ["red", format!("t{n}")], "n": if n == 7 { json!("none") } else { json!(n) },
            "year": 1800 + n, "big": u64::MAX - n as u64, "price": n as f64 * 1.01, "x": n as f64 / 7.0, "half": n,
            "published": format!("20{:02}-02-03", n), "at": "2020-01-01T00:00:00.123456789Z", "flag": n % 2 == 0,
            "ip": format!("10.0.0.{n}"), "place": {"lat": n, "lon": -n}, "span": {"gte": n, "lt": n + 9},
            "days": {"gte": "2020-01-01", "lte": "2021-01-01"}, "labels": {"a": {"b": n.to_string()}}, "pattern": format!("p*{n}"),
            "rank": n + 1, "typed": "quick brown fox", "log": "an error", "count": "one two", "o": {"p": "q", "q": n},
        });
        lines.push_str(&format!("{{\"index\":{{\"_id\":\"{n}\"}}}}\n{document}\n"));
    }
    lines
}

type Written = (&'static str, &'static str, Vec<Value>);

/// Requests that the pages do not show, or not whole.
fn written() -> Vec<Written> {
    let query = || json!({"query": {"bool": {"must": [{"match": {"title": "fox"}}], "filter": [{"range": {"n": {"gte": 1}}}]}}});
    let mut all = searches();
    all.extend([
        ("POST", "/{index}/_count", vec![query()]),
        ("POST", "/{index}/_validate/query", vec![query()]),
        ("POST", "/{index}/_explain/{id}", vec![query()]),
        ("POST", "/{index}/_delete_by_query", vec![json!({"query": {"term": {"n": 59}}, "max_docs": 1})]),
        ("POST", "/{index}/_update_by_query", vec![json!({"query": {"term": {"n": 3}}, "conflicts": "proceed"})]),
        ("POST", "/_reindex", vec![json!({"source": {"index": "stable", "query": {"term": {"n": 1}}}, "dest": {"index": "made-3"}})]),
        ("POST", "/_bulk", vec![json!({"index": {"_index": "growing", "_id": "9"}}), json!({"t": "text", "z": [1, "2"]}), json!({"update": {"_index": "growing", "_id": "9"}}), json!({"doc": {"t": "new"}, "doc_as_upsert": true}), json!({"delete": {"_index": "growing", "_id": "8"}})]),
        ("POST", "/{index}/_bulk", vec![json!({"create": {}}), json!({"title": ["a", "", null, "b"], "new": {"er": "word"}})]),
        ("POST", "/_msearch", vec![json!({"index": "stable"}), query(), json!({}), json!({"aggs": {"t": {"terms": {"field": "tag"}}}})]),
        ("POST", "/_mget", vec![json!({"docs": [{"_index": "stable", "_id": "7"}, {"_index": "growing", "_id": "1", "_source": false}]})]),
        ("POST", "/_mtermvectors", vec![json!({"docs": [{"_index": "stable", "_id": "1", "fields": ["summary"], "term_statistics": true}]})]),
        ("POST", "/{index}/_termvectors/{id}", vec![json!({"fields": ["title", "summary"], "filter": {"max_num_terms": 3}})]),
        ("POST", "/_analyze", vec![json!({"tokenizer": "standard", "filter": ["lowercase", {"type": "shingle"}], "char_filter": [{"type": "mapping", "mappings": ["a=>b"]}], "text": ["Quick brown", "", "fox"], "explain": true})]),
        ("POST", "/{index}/_analyze", vec![json!({"field": "title.near", "text": ["new york", "fox"]})]),
        ("PUT", "/{index}/_doc/{id}", vec![json!({"title": ["one", "", "two"], "fresh": {"word": "text"}, "n": "12", "place": [1, 2]})]),
        ("POST", "/{index}/_update/{id}", vec![json!({"doc": {"title": "changed", "late": "text"}, "upsert": {"n": 1}})]),
        ("PUT", "/{index}/_mapping", vec![json!({"properties": {"extra": {"type": "text", "fields": {"k": {"type": "keyword"}}}}, "dynamic": true})]),
        ("PUT", "/{index}/_settings", vec![json!({"index": {"refresh_interval": "1s", "max_result_window": 10_000}})]),
        ("PUT", "/_index_template/{name}", vec![json!({"index_patterns": ["made-*"], "priority": 3, "template": {"settings": {"number_of_shards": 1}, "mappings": {"dynamic_templates": [{"a": {"match": "x*", "mapping": {"type": "keyword"}}}]}}})]),
        ("PUT", "/_component_template/{name}", vec![json!({"template": {"mappings": {"properties": {"c": {"type": "text"}}}, "aliases": {"al2": {}}}})]),
        ("POST", "/_aliases", vec![json!({"actions": [{"add": {"index": "growing", "alias": "al", "routing": "1", "filter": {"term": {"f1": "word"}}}}, {"remove": {"index": "growing", "alias": "al"}}]})]),
        ("POST", "/{index}/_pit?keep_alive=1m", vec![json!({"index_filter": {"range": {"n": {"gte": 1}}}})]),
        ("POST", "/{index}/_terms_enum", vec![json!({"field": "tag", "string": "t", "size": 5, "case_insensitive": true})]),
        ("POST", "/{index}/_field_caps?fields=*", vec![json!({"index_filter": {"exists": {"field": "f1"}}})]),
        ("POST", "/{index}/_rank_eval", vec![json!({"requests": [{"id": "q", "request": {"query": {"match": {"title": "fox"}}}, "ratings": [{"_index": "stable", "_id": "1", "rating": 1}]}], "metric": {"precision": {"k": 5}}})]),
        ("PUT", "/_cluster/settings", vec![json!({"transient": {"search.default_search_timeout": "10s"}})]),
        ("POST", "/_search/scroll", vec![json!({"scroll": "1m", "scroll_id": "x"})]),
    ]);
    all
}

/// Searches with much in them.
fn searches() -> Vec<Written> {
    let searches = [
        json!({"query": {"intervals": {"summary": {"match": {"query": "a b a", "max_gaps": 3, "ordered": false}}}}, "highlight": {"fields": {"*": {}}}}),
        json!({"query": {"match_phrase": {"title.near": {"query": "fox the", "slop": 2}}}, "highlight": {"fields": {"title*": {"number_of_fragments": 0}}}, "explain": true}),
        json!({"query": {"query_string": {"query": "title:(wor* OR \"new york\"~2) AND n:[1 TO 50] -author:É*", "default_operator": "and"}}, "sort": [{"n": {"order": "desc", "missing": "_first"}}, "_doc"], "search_after": ["-9223372036854775808", 1]}),
        json!({"query": {"wildcard": {"author": {"value": "É*\\*?", "case_insensitive": true}}}, "fields": ["*", {"field": "published", "format": "yyyy"}], "docvalue_fields": ["_ignored", "tag", "price"]}),
        json!({"query": {"regexp": {"author": "Émile [0-9]+"}}, "collapse": {"field": "tag", "inner_hits": {"name": "i", "size": 2}}}),
        json!({"query": {"span_near": {"clauses": [{"span_term": {"summary": "a"}}, {"span_multi": {"match": {"prefix": {"summary": "b"}}}}], "slop": 3, "in_order": false}}}),
        json!({"query": {"function_score": {"query": {"match_all": {}}, "functions": [{"field_value_factor": {"field": "n", "missing": 1}}, {"gauss": {"published": {"origin": "2020-01-01", "scale": "10d"}}}], "score_mode": "sum"}}, "rescore": {"window_size": 5, "query": {"rescore_query": {"match": {"title": "fox"}}}}}),
        json!({"size": 0, "aggs": {"t": {"terms": {"field": "tag", "order": {"m.max": "desc"}}, "aggs": {"m": {"stats": {"field": "price"}}, "h": {"top_hits": {"size": 1, "docvalue_fields": ["_seq_no"]}}}}, "s": {"significant_terms": {"field": "tag"}}}}),
        json!({"size": 0, "aggs": {"d": {"date_histogram": {"field": "published", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"sum": {"sum": {"field": "n"}}, "der": {"derivative": {"buckets_path": "sum"}}}}, "c": {"composite": {"sources": [{"a": {"terms": {"field": "author"}}}, {"y": {"histogram": {"field": "year", "interval": 5}}}]}}}}),
        json!({"size": 0, "aggs": {"g": {"geohash_grid": {"field": "place", "precision": 3}}, "i": {"ip_range": {"field": "ip", "ranges": [{"mask": "10.0.0.0/28"}]}}, "p": {"percentiles": {"field": "x"}}, "k": {"cardinality": {"field": "_id"}}, "l": {"terms": {"field": "labels.a.b"}}}}),
        json!({"query": {"more_like_this": {"fields": ["title", "summary"], "like": [{"_index": "stable", "_id": "1"}, "some text"], "min_term_freq": 1}}}),
        json!({"query": {"terms": {"tag": {"index": "stable", "id": "1", "path": "tag"}}}, "post_filter": {"exists": {"field": "f*"}}, "track_total_hits": 3}),
        json!({"query": {"geo_distance": {"distance": "500km", "place": {"lat": 1, "lon": 1}}}, "sort": [{"_geo_distance": {"place": [0, 0], "unit": "km"}}]}),
        json!({"query": {"multi_match": {"query": "fox york", "fields": ["title^2", "summary", "f*"], "type": "cross_fields"}}, "_source": {"includes": ["t*"], "excludes": ["*.q"]}}),
        json!({"query": {"combined_fields": {"query": "fox york", "fields": ["title", "summary"], "operator": "and"}}, "min_score": 0.1, "profile": true}),
        json!({"query": {"simple_query_string": {"query": "\"new york\" +fox -x* | b~1", "fields": ["title", "f*"]}}, "slice": {"id": 0, "max": 2}}),
    ];
    let asked = searches
        .into_iter()
        .map(|body| ("POST", "/{index}/_search", vec![body]));
    asked.collect()
}
