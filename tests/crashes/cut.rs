//! Files of an index that are cut while the server runs: the shard fails or is mended, and the process lives.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};

/// Documents of each index.
const NUM_DOCUMENTS: u64 = 3_000;

/// Each kind of file of a segment, and how much of it stays.
const CUTS: [(&str, f64); 8] = [
    ("idx", 0.0),
    ("term", 0.0),
    ("pos", 0.0),
    ("store", 0.0),
    ("fast", 0.0),
    ("fieldnorm", 0.0),
    ("store", 0.5),
    ("idx", 0.5),
];

async fn load(server: &Server, index: &str) -> Result<()> {
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}});
    let create = Request::json("PUT", &format!("/{index}"), &settings);
    server.send(&create).await?.ok()?;
    let mut body = String::new();
    for n in 0..NUM_DOCUMENTS {
        let document = json!({"text": format!("common word{} tail{n}", n % 50), "n": n, "tag": format!("t{}", n % 9)});
        body += &format!("{{\"index\":{{\"_id\":\"{n}\"}}}}\n{document}\n");
    }
    let bulk = Request::ndjson("POST", &format!("/{index}/_bulk"), body);
    let loaded = server.send(&bulk).await?.ok()?;
    ensure!(loaded["errors"] == false, "{loaded}");
    for step in ["_refresh", "_flush"] {
        let step = Request::new("POST", &format!("/{index}/{step}"));
        server.send(&step).await?.ok()?;
    }
    Ok(())
}

/// Returns the folders of indices.
fn folders_in(data: &Path) -> Result<BTreeSet<PathBuf>> {
    let indices = fs::read_dir(data.join("indices"))?;
    let folders = indices.map(|folder| Ok(folder?.path()));
    folders.collect()
}

/// Returns the files of an index's only shard with that ending.
fn files_of(index: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let shard = index.join("0");
    let files = fs::read_dir(&shard).with_context(|| shard.display().to_string())?;
    let paths = files.map(|file| Ok(file?.path()));
    let paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    let is_of_kind = |path: &PathBuf| path.extension().is_some_and(|of| of == ending);
    Ok(paths.into_iter().filter(is_of_kind).collect())
}

/// A search that reads postings, positions, norms, doc values and documents.
fn search(index: &str) -> Request {
    let body = json!({
        "query": {"bool": {"should": [{"match_phrase": {"text": "common word7"}}, {"match": {"text": "word8 common"}}]}},
        "size": 50,
        "track_total_hits": true,
        "aggs": {"sum": {"sum": {"field": "n"}}, "tags": {"terms": {"field": "tag.keyword"}}},
    });
    Request::json("POST", &format!("/{index}/_search"), &body)
}

/// Returns what an answer says, without how long it took; `None` where it says that the shard failed.
fn said(answer: &Response) -> Result<Option<Value>> {
    if answer.status >= 500 {
        return Ok(None);
    }
    let mut body = answer.ok()?;
    if body["_shards"]["failed"] != 0 {
        return Ok(None);
    }
    for part in ["took", "_shards"] {
        body[part].take();
    }
    Ok(Some(body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_under_a_running_server_fails_its_shard_and_not_the_process()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut server = Server::start(&data).await?;
    load(&server, "other").await?;
    let other = said(&server.send(&search("other")).await?)?;
    for (number, (ending, kept)) in CUTS.into_iter().enumerate() {
        let index = format!("cut{number}");
        let context = || format!("`.{ending}` cut to {kept}");
        let before = folders_in(&data)?;
        load(&server, &index).await.with_context(context)?;
        let mut made = folders_in(&data)?
            .into_iter()
            .filter(|of| !before.contains(of));
        let made = made.next().context("an index has a folder")?;
        let whole = said(&server.send(&search(&index)).await?)?;
        ensure!(whole.is_some(), "{index} answers");
        let files = files_of(&made, ending)?;
        ensure!(!files.is_empty(), "{}: no such file", context());
        for path in files {
            let file = File::options().write(true).open(&path)?;
            file.set_len((file.metadata()?.len() as f64 * kept) as u64)?;
        }
        for _ in 0..4 {
            let answer = server.send(&search(&index)).await;
            let alive = server.is_alive()?;
            ensure!(
                alive,
                "{}: the process ended\n{}",
                context(),
                server.printed()?
            );
            let said = said(&answer.with_context(context)?)?;
            ensure!(said.is_none() || said == whole, "{}: {said:?}", context());
            let document = Request::new("GET", &format!("/{index}/_doc/17"));
            let document = server.send(&document).await?;
            let is_told = document.status >= 500 || document.ok()?["_source"]["n"] == 17;
            ensure!(is_told, "{}: {}", context(), document.shown());
        }
        ensure!(
            said(&server.send(&search("other")).await?)? == other,
            "{}",
            context()
        );
    }
    let printed = server.printed()?;
    ensure!(
        printed.contains("a copy is damaged and is closed"),
        "the operator is told:\n{printed}"
    );
    // Those whose log has everything come back by themselves.
    server
        .until(&search("cut3"), |answer| {
            said(answer).is_ok_and(|said| said.is_some())
        })
        .await?;
    server.stop().await
}
