//! The classes of requests, and the documents that they ask about.

use anyhow::ensure;

use super::client::{Connection, Request};

/// Requests that cost the same.
pub(super) struct Class {
    /// How budgets name it.
    pub(super) name: &'static str,
    /// Whether the test command counts it.
    pub(super) is_reduced: bool,
    /// Requests of a batch.
    pub(super) batch: usize,
    /// Makes the n-th request. No two of a class that is evaluated have one key, so none is answered by what is kept.
    pub(super) request: fn(usize) -> Request,
    /// Whether what is kept answers it; `None` where its answers are not kept.
    pub(super) is_kept: Option<bool>,
}

/// Documents of the index; one segment.
const NUM_DOCUMENTS: usize = 2_000;

/// Documents of a bulk.
const BULK: usize = 1_000;

/// All of them, the cheapest first.
pub(super) const ALL: &[Class] = &[
    Class {
        name: "empty request",
        is_reduced: true,
        batch: 200,
        request: |_| Request::new("GET /_health/live", ""),
        is_kept: None,
    },
    Class {
        name: "kept answer",
        is_reduced: true,
        batch: 60,
        request: |_| search(r#""query": {"term": {"text": "w3"}}, "size": 10"#),
        is_kept: Some(true),
    },
    Class {
        name: "get by id",
        is_reduced: true,
        batch: 40,
        request: |n| Request::new(&format!("GET /cost/_doc/{}", n % NUM_DOCUMENTS), ""),
        is_kept: None,
    },
    Class {
        name: "term count",
        is_reduced: true,
        batch: 10,
        request: |n| {
            let query = format!(r#"{{"query": {}}}"#, term("w3", n));
            Request::new("POST /cost/_count", &query)
        },
        is_kept: Some(false),
    },
    Class {
        name: "term top-10",
        is_reduced: true,
        batch: 10,
        request: |n| top_10(&term("w3", n)),
        is_kept: Some(false),
    },
    Class {
        name: "AND top-10",
        is_reduced: false,
        batch: 10,
        request: |n| top_10(&words("and", n)),
        is_kept: Some(false),
    },
    Class {
        name: "OR top-10",
        is_reduced: false,
        batch: 10,
        request: |n| top_10(&words("or", n)),
        is_kept: Some(false),
    },
    Class {
        name: "phrase top-10",
        is_reduced: false,
        batch: 10,
        request: |n| {
            let boost = boost(n);
            top_10(&format!(
                r#"{{"match_phrase": {{"text": {{"query": "w3 w10", "boost": {boost}}}}}}}"#
            ))
        },
        is_kept: Some(false),
    },
    Class {
        name: "filtered top-10",
        is_reduced: false,
        batch: 10,
        request: |n| {
            let must = term("w3", n);
            top_10(&format!(
                r#"{{"bool": {{"must": [{must}], "filter": [{{"term": {{"tag": "t1"}}}}]}}}}"#
            ))
        },
        is_kept: Some(false),
    },
    Class {
        name: "sorted top-10",
        is_reduced: false,
        batch: 10,
        request: |n| {
            let query = term("w3", n);
            search(&format!(
                r#""query": {query}, "size": 10, "track_total_hits": false, "sort": [{{"number": "desc"}}]"#
            ))
        },
        is_kept: Some(false),
    },
    Class {
        name: "term top-10 and total",
        is_reduced: false,
        batch: 10,
        request: |n| {
            let query = term("w3", n);
            search(&format!(
                r#""query": {query}, "size": 10, "track_total_hits": true"#
            ))
        },
        is_kept: Some(false),
    },
    Class {
        name: "terms aggregation",
        is_reduced: false,
        batch: 10,
        request: |n| {
            let query = term("w3", n);
            search(&format!(
                r#""query": {query}, "size": 0, "aggs": {{"t": {{"terms": {{"field": "tag"}}}}}}"#
            ))
        },
        is_kept: Some(false),
    },
    Class {
        name: "msearch of 10",
        is_reduced: false,
        batch: 3,
        request: |n| {
            let one = |m: usize| {
                let query = term("w3", 10 * n + m);
                format!("{{\"index\": \"cost\"}}\n{{\"query\": {query}, \"size\": 10}}\n")
            };
            let all: String = (0..10).map(one).collect();
            Request::new("POST /_msearch", &all)
        },
        is_kept: Some(false),
    },
    Class {
        name: "document written",
        is_reduced: true,
        batch: 10,
        request: |n| Request::new(&format!("PUT /written/_doc/{n}"), &document(n)),
        is_kept: None,
    },
    Class {
        name: "bulk of 1,000",
        is_reduced: false,
        batch: 1,
        request: |n| bulk("written", (n + 10) * BULK..(n + 11) * BULK),
        is_kept: None,
    },
];

/// A number that makes a query another one, and costs nothing.
fn boost(n: usize) -> f64 {
    1.0 + n as f64 / 65_536.0
}

fn term(word: &str, n: usize) -> String {
    let boost = boost(n);
    format!(r#"{{"term": {{"text": {{"value": "{word}", "boost": {boost}}}}}}}"#)
}

fn words(operator: &str, n: usize) -> String {
    let boost = boost(n);
    format!(
        r#"{{"match": {{"text": {{"query": "w3 w10", "operator": "{operator}", "boost": {boost}}}}}}}"#
    )
}

fn top_10(query: &str) -> Request {
    search(&format!(
        r#""query": {query}, "size": 10, "track_total_hits": false"#
    ))
}

fn search(members: &str) -> Request {
    Request::new("POST /cost/_search", &format!("{{{members}}}"))
}

/// Returns the n-th document: twelve words, of which `w3` is in a seventh of all, half of them with `w10` behind it.
fn document(n: usize) -> String {
    let words = (0..12).map(|at| match at {
        0 => format!("w{}", n % 7),
        1 => format!("w{}", 7 + n / 7 % 2 * 3 + n % 3 % 2),
        at => format!("w{}", 20 + (n * 31 + at * 17) % 180),
    });
    let words: Vec<String> = words.collect();
    let (text, tag, number) = (words.join(" "), n % 5, n * 7919 % 10_007);
    format!(r#"{{"text": "{text}", "tag": "t{tag}", "number": {number}}}"#)
}

fn bulk(index: &str, documents: std::ops::Range<usize>) -> Request {
    let line = |n: usize| {
        let document = document(n);
        format!("{{\"index\": {{\"_id\": \"{n}\"}}}}\n{document}\n")
    };
    let body: String = documents.map(line).collect();
    Request::new(&format!("POST /{index}/_bulk"), &body)
}

/// Makes the indices: one of all documents, in one segment, and one that is written to.
pub(super) fn fill(connection: &mut Connection) -> anyhow::Result<()> {
    let mapping =
        r#"{"text": {"type": "text"}, "tag": {"type": "keyword"}, "number": {"type": "long"}}"#;
    for (index, refresh) in [("cost", "1s"), ("written", "-1")] {
        let body = format!(
            r#"{{"settings": {{"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "{refresh}"}}, "mappings": {{"properties": {mapping}}}}}"#
        );
        connection.ask(&Request::new(&format!("PUT /{index}"), &body))?;
    }
    let written = connection.ask(&bulk("cost", 0..NUM_DOCUMENTS))?;
    let text = String::from_utf8_lossy(&written.body);
    ensure!(text.contains(r#""errors":false"#), "not all was written");
    connection.ask(&Request::new(
        "POST /cost/_forcemerge?max_num_segments=1",
        "",
    ))?;
    connection.ask(&Request::new("POST /cost/_refresh", ""))?;
    Ok(())
}
