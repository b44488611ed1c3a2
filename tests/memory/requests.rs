//! No single request takes more than one and a half times `memory_per_query`, whatever it makes of what it reads, in a
//! control group that would end the server at 2 GiB.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{Server, run, skipped};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::SAMPLED_EVERY;
use crate::cgroup::Cgroup;

/// Beyond it the system ends the server.
const GROUP_BYTES: u64 = 2 << 30;
/// The default of `memory_per_query`, and half of it again.
const REQUEST_BYTES: u64 = 384 << 20;
/// Fields of the wide index beside the one that has values.
const NUM_ALIASES: usize = 990;
/// Documents of the wide index.
const NUM_WIDE: usize = 4_000;
/// Words of a long text, all equal.
const NUM_EQUAL: usize = 200_000;

/// A request, and the statuses that it may be answered with.
struct Case {
    name: &'static str,
    request: Request,
    expected: &'static [u16],
}

impl Case {
    fn new(name: &'static str, request: Request, expected: &'static [u16]) -> Self {
        Self {
            name,
            request,
            expected,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_takes_more_than_one_and_a_half_times_its_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::start(&folder.path().join("data")).await?;
    let group = match Cgroup::of(server.pid(), GROUP_BYTES) {
        Ok(group) => group,
        Err(error) => {
            let reason = format!("no control group for memory: {error:#}");
            return skipped("requests in a control group", &reason);
        }
    };
    fill(&server).await?;
    let mut figures = Map::new();
    let mut failures = String::new();
    for case in cases() {
        let before = server.anonymous_bytes()?;
        let (answer, peak) = peak_of(&server, &case.request).await;
        ensure!(server.is_alive()?, "[{}] ended the server", case.name);
        let answer = answer.with_context(|| case.name)?;
        let taken = peak.saturating_sub(before);
        figures.insert(
            case.name.to_owned(),
            json!({"status": answer.status, "taken_mib": taken >> 20, "before_mib": before >> 20}),
        );
        if taken > REQUEST_BYTES || !case.expected.contains(&answer.status) {
            let shown: String = answer.shown().chars().take(300).collect();
            let mib = taken >> 20;
            writeln!(failures, "[{}]: {mib} MiB, {shown}", case.name)?;
        }
    }
    run::report("memory_of_requests", &Value::Object(figures))?;
    server.stop().await?;
    drop(group);
    ensure!(failures.is_empty(), "{failures}");
    Ok(())
}

/// Sends a request and returns the most memory that the server held meanwhile.
async fn peak_of(server: &Server, request: &Request) -> (Result<Response>, u64) {
    let answer = server.send(request);
    tokio::pin!(answer);
    let mut peak = 0;
    loop {
        // A server that is gone answers nothing either.
        peak = peak.max(server.anonymous_bytes().unwrap_or(0));
        tokio::select! {
            answer = &mut answer => return (answer, peak),
            () = sleep(SAMPLED_EVERY) => {}
        }
    }
}

async fn fill(server: &Server) -> Result<()> {
    let alias = json!({"type": "alias", "path": "text"});
    let aliases = (0..NUM_ALIASES).map(|n| (format!("field_{n}"), alias.clone()));
    let mut properties: Map<String, Value> = aliases.collect();
    properties.insert("text".to_owned(), json!({"type": "text"}));
    let wide = json!({
        "settings": {"number_of_shards": 1},
        "mappings": {"properties": properties},
    });
    let plain = json!({"mappings": {"properties": {"text": {"type": "text"}}}});
    for (index, body) in [("wide", wide), ("long", plain)] {
        let path = format!("/{index}");
        server
            .send(&Request::json("PUT", &path, &body))
            .await?
            .ok()?;
    }
    let line = "{\"index\":{}}\n{\"text\":\"a few words\"}\n";
    let bulk = Request::ndjson("POST", "/wide/_bulk", line.repeat(NUM_WIDE));
    server.send(&bulk).await?.ok()?;
    let equal = json!({"text": "a ".repeat(NUM_EQUAL)});
    let distinct: Vec<String> = (0..99_000).map(|n| format!("w{n}")).collect();
    let distinct = json!({"text": distinct.join(" ")});
    for (id, document) in [("equal", equal), ("distinct", distinct)] {
        let path = format!("/long/_doc/{id}");
        server
            .send(&Request::json("PUT", &path, &document))
            .await?
            .ok()?;
    }
    for index in ["wide", "long"] {
        let refresh = Request::new("POST", &format!("/{index}/_refresh"));
        server.send(&refresh).await?.ok()?;
    }
    Ok(())
}

/// Requests that made much more than they read.
#[expect(clippy::too_many_lines, reason = "one list of requests")]
fn cases() -> Vec<Case> {
    let search = |index: &str, body: &Value| {
        let path = format!("/{index}/_search?timeout=120s");
        Request::json("POST", &path, body)
    };
    let text =
        |path: &str, body: String| Request::new("PUT", path).with_body("application/json", body);
    let refused: &[u16] = &[429];
    let clause = json!({"span_term": {"text": "a"}});
    let rule = json!({"match": {"query": "a"}});
    let all_of = json!({"ordered": true, "intervals": vec![rule; 100]});
    let near = json!({"clauses": vec![clause; 100], "slop": 1_000_000});
    let ids: Vec<&str> = vec!["distinct"; 100];
    let objects = vec![r#"{"b":1}"#; 3_000_000].join(",");
    let fields: Vec<String> = (0..300_000)
        .map(|n| format!(r#""f{n}":{{"type":"keyword"}}"#))
        .collect();
    let small = "{},".repeat(8_000_000);
    vec![
        Case::new(
            "all fields of many hits",
            search(
                "wide",
                &json!({"size": NUM_WIDE, "fields": ["*"], "_source": false}),
            ),
            refused,
        ),
        Case::new(
            "all fields, asked for many times",
            search("wide", &json!({"size": 10, "fields": vec!["*"; 4_000]})),
            &[200],
        ),
        Case::new(
            "marks in all fields of many hits",
            search(
                "wide",
                &json!({
                    "size": NUM_WIDE,
                    "query": {"match": {"text": "few"}},
                    "highlight": {"fields": {"*": {}}, "require_field_match": false},
                }),
            ),
            refused,
        ),
        Case::new(
            "terms of many documents",
            Request::json(
                "POST",
                "/long/_mtermvectors",
                &json!({"ids": ids, "parameters": {"fields": ["text"]}}),
            ),
            refused,
        ),
        Case::new(
            "spans of equal words",
            search(
                "long",
                &json!({"query": {"span_near": near}, "_source": false}),
            ),
            &[200],
        ),
        Case::new(
            "intervals of equal words",
            search(
                "long",
                &json!({"query": {"intervals": {"text": {"all_of": all_of}}}, "_source": false}),
            ),
            &[200],
        ),
        Case::new(
            "a document of many objects",
            text("/objects/_doc/1", format!(r#"{{"a":[{objects}]}}"#)),
            &[400],
        ),
        Case::new(
            "a mapping of many fields",
            text(
                "/fields",
                format!(
                    r#"{{"mappings":{{"properties":{{{}}}}}}}"#,
                    fields.join(",")
                ),
            ),
            &[400, 429],
        ),
        Case::new(
            "a body of small values",
            text(
                "/small",
                format!(r#"{{"settings":{{"index":[{small}0]}}}}"#),
            ),
            refused,
        ),
    ]
}
