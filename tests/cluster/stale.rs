//! Answers of copies whose primaries are away say so, to clients of real processes.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::processes::Processes;
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

/// Shards of the index, each with a replica on the other leaf.
const NUM_SHARDS: u64 = 4;

/// Documents of the index.
const NUM_DOCUMENTS: u64 = 20;

/// Starts two leaves which both hold a copy of each shard, and all documents.
async fn filled() -> Result<Processes> {
    let cluster = Processes::start(2).await?;
    let settings = json!({"number_of_shards": NUM_SHARDS, "number_of_replicas": 1});
    let index = json!({"settings": settings});
    let create = Request::json("PUT", "/notes", &index);
    cluster.send(&create).await?.ok()?;
    let green = "/_cluster/health/notes?wait_for_status=green&timeout=60s";
    cluster.send(&Request::new("GET", green)).await?.ok()?;
    let lines = (0..NUM_DOCUMENTS).map(|n| {
        format!("{{\"index\": {{\"_id\": \"{n}\"}}}}\n{{\"text\": \"red fox\", \"n\": {n}}}\n")
    });
    let bulk = lines.collect::<String>();
    let bulk = Request::ndjson("POST", "/notes/_bulk?refresh=true", bulk);
    let written = cluster.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    // A replica shows what its primary does a moment later.
    let copies = Request::new("GET", "/_cat/shards/notes?format=json&h=docs");
    let is_whole = |answer: &Response| {
        let rows = answer.json().ok();
        let rows = rows.as_ref().and_then(Value::as_array);
        let docs = rows.into_iter().flatten();
        let docs = docs.filter_map(|row| row["docs"].as_str()?.parse::<u64>().ok());
        docs.sum::<u64>() == 2 * NUM_DOCUMENTS
    };
    cluster.until(&copies, is_whole).await?;
    Ok(cluster)
}

fn stale(answer: &Value) -> Option<u64> {
    answer["_shards"]["stale"].as_u64()
}

fn warning(answer: &Response) -> &str {
    answer.header("warning").unwrap_or_default()
}

/// Returns searches of all kinds, each of all shards.
fn searches() -> Vec<Request> {
    let post = |path: &str, body: &Value| Request::json("POST", path, body);
    let fox = json!({"match": {"text": "fox"}});
    vec![
        post("/notes/_search", &json!({})),
        post("/notes/_search", &json!({"query": fox})),
        // What nothing holds is asked of the copies that may lack it.
        post(
            "/notes/_search",
            &json!({"query": {"match": {"text": "yew"}}}),
        ),
        post("/notes/_search", &json!({"query": fox, "scatter": "terms"})),
        post(
            "/notes/_search",
            &json!({"size": 0, "aggs": {"most": {"max": {"field": "n"}}}}),
        ),
        post("/notes/_count", &json!({"query": fox})),
        post("/notes/_search?scroll=1m", &json!({"size": 2})),
    ]
}

/// Checks that no answer is marked: all primaries are there.
async fn assert_fresh(cluster: &Processes) -> Result<()> {
    for request in searches() {
        let answer = cluster.send(&request).await?;
        let shown = answer.shown();
        ensure!(warning(&answer).is_empty(), "{shown}");
        let answer = answer.ok()?;
        ensure!(stale(&answer).is_none(), "{shown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_copies_without_their_primaries_say_so_until_those_are_back() -> Result<()> {
    if !etcd::is_installed() {
        let test = "cluster::answers_of_copies_without_their_primaries_say_so_until_those_are_back";
        return skipped(test, etcd::NO_ETCD);
    }
    let mut cluster = filled().await?;
    assert_fresh(&cluster).await?;

    // While one leaf is down the other takes writes alone: the copies of the first are not in sync any more.
    let (away, left) = ("leaf-1", "leaf-2");
    // A leaf that is killed shows what it has committed: a flush reaches all copies.
    let flush = Request::new("POST", "/notes/_flush");
    let flushed = cluster.send(&flush).await?.ok()?;
    cluster.kill(left)?;
    let shards = &flushed["_shards"];
    ensure!(shards["successful"] == 2 * NUM_SHARDS, "{flushed}");
    for n in 0..NUM_DOCUMENTS {
        let again = Request::json(
            "PUT",
            &format!("/notes/_doc/{n}"),
            &json!({"text": "red fox", "n": n}),
        );
        cluster.until(&again, |answer| answer.status == 200).await?;
    }
    cluster.kill(away)?;
    cluster.start_again(left).await?;
    let expected = NUM_SHARDS;
    let all = Request::json("POST", "/notes/_count", &json!({}));
    let is_whole = |answer: &Response| {
        answer
            .json()
            .is_ok_and(|told| told["_shards"]["failed"] == 0)
    };
    // The root finds out that the leaf is back.
    let counted = cluster.until(&all, is_whole).await?.ok()?;
    ensure!(counted["count"] == NUM_DOCUMENTS, "{counted}");
    let text = format!("{expected} of {NUM_SHARDS} shards may be old: their primaries are away");
    for request in searches() {
        let answer = cluster.send(&request).await?;
        let shown = answer.shown();
        let warning = warning(&answer);
        let is_said = warning.starts_with("299 Gleaner-") && warning.contains(&text);
        ensure!(is_said, "{shown}");
        ensure!(stale(&answer.ok()?) == Some(expected), "{shown}");
    }
    check_parts(&cluster, expected).await?;
    check_documents(&cluster, expected).await?;

    cluster.start_again(away).await?;
    let is_fresh = |answer: &Response| {
        answer
            .json()
            .is_ok_and(|told| told["_shards"]["failed"] == 0 && stale(&told).is_none())
    };
    cluster.until(&all, is_fresh).await?;
    assert_fresh(&cluster).await
}

/// Searches inside an `_msearch`, and pages of a scroll behind the first.
async fn check_parts(cluster: &Processes, expected: u64) -> Result<()> {
    let lines = "{\"index\": \"notes\"}\n{\"size\": 1}\n".repeat(2);
    let both = Request::ndjson("POST", "/_msearch", lines);
    let answer = cluster.send(&both).await?;
    let text = format!("{} of {} shards may be old", 2 * expected, 2 * NUM_SHARDS);
    ensure!(warning(&answer).contains(&text), "{}", answer.shown());
    let answer = answer.ok()?;
    for part in answer["responses"].as_array().context("responses")? {
        ensure!(stale(part) == Some(expected), "{part}");
    }
    let begin = Request::json("POST", "/notes/_search?scroll=1m", &json!({"size": 2}));
    let page = cluster.send(&begin).await?.ok()?;
    let next = json!({"scroll_id": page["_scroll_id"], "scroll": "1m"});
    let next = Request::json("POST", "/_search/scroll", &next);
    let page = cluster.send(&next).await?;
    ensure!(warning(&page).contains("may be old"), "{}", page.shown());
    let page = page.ok()?;
    ensure!(stale(&page) == Some(expected), "{page}");
    ensure!(page["hits"]["hits"].as_array().map(Vec::len) == Some(2));
    Ok(())
}

/// Documents by id, as searches see them: any copy answers, and those of some shards may be old.
async fn check_documents(cluster: &Processes, expected: u64) -> Result<()> {
    let mut num_warned = 0;
    let mut num_missing_warned = 0;
    for n in 0..NUM_DOCUMENTS {
        let path = format!("/notes/_doc/{n}?realtime=false");
        let found = cluster.send(&Request::new("GET", &path)).await?;
        ensure!(found.status == 200, "{}", found.shown());
        num_warned += u64::from(warning(&found).contains("1 of 1 shards may be old"));
        for path in ["_doc", "_source"] {
            let path = format!("/notes/{path}/none-{n}?realtime=false");
            let missing = cluster.send(&Request::new("GET", &path)).await?;
            ensure!(missing.status == 404, "{}", missing.shown());
            num_missing_warned += u64::from(warning(&missing).contains("may be old"));
        }
    }
    ensure!(num_warned > 0 && num_missing_warned > 0);
    ensure!(expected == NUM_SHARDS || num_warned < NUM_DOCUMENTS);
    let ids: Vec<String> = (0..NUM_DOCUMENTS).map(|n| n.to_string()).collect();
    let path = "/notes/_mget?realtime=false";
    let all = Request::json("POST", path, &json!({"ids": ids}));
    let all = cluster.send(&all).await?;
    let text = format!("{num_warned} of {NUM_DOCUMENTS} documents may be old");
    ensure!(warning(&all).contains(&text), "{}", all.shown());
    Ok(())
}
