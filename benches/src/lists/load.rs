//! The index: made, filled through `gleaner index`, merged.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{INDEX, NUM_SHARDS};
use crate::client::Client;
use crate::process::Server;

/// Parts of one size, where several segments are to be left. Merges begin by themselves with eight segments of like size.
const OF_ONE_SIZE: usize = 6;
/// How long the server may keep one question for a task.
const WAIT: &str = "20s";

/// What the load came to.
#[derive(Debug, Serialize)]
pub(super) struct Loaded {
    /// Documents that the index has.
    pub(super) documents: usize,
    /// Documents a second over HTTP, merges that are waited for afterwards left out.
    pub(super) per_second: f64,
    /// Most anonymous memory of the server meanwhile, bytes.
    pub(super) peak_bytes: u64,
    /// Segments of all shards afterwards.
    pub(super) segments: u64,
    /// Bytes of all shards on disk afterwards.
    pub(super) store_bytes: u64,
}

/// Creates an index with the fields of the documents, but for `id`, which they are written under.
///
/// # Errors
/// When the server refuses.
pub(super) fn create(client: &mut Client, index: &str, num_shards: usize) -> Result<()> {
    let body = json!({
        "settings": {"number_of_shards": num_shards, "number_of_replicas": 0, "refresh_interval": "5s"},
        "mappings": {"dynamic": false, "properties": {
            "body": {"type": "text"}, "cat": {"type": "keyword"}, "ts": {"type": "date"}, "num": {"type": "long"},
        }},
    });
    client.expect("PUT", &format!("/{index}"), body.to_string().as_bytes())?;
    Ok(())
}

/// Fills the index with `documents`, NDJSON, and merges it to about `segments` a shard.
///
/// Several are had by parts that become smaller: each is loaded, then merged to one more segment than there were.
///
/// # Errors
/// When the server or the loader refuses something.
pub(super) fn fill(
    server: &Server,
    binary: &Path,
    documents: &Path,
    segments: usize,
) -> Result<Loaded> {
    create(&mut server.client()?, INDEX, NUM_SHARDS)?;
    let num_documents = BufReader::new(File::open(documents)?).lines().count();
    let mut lines = BufReader::new(File::open(documents)?);
    let watch = server.watch_memory();
    let mut loading = Duration::ZERO;
    for (before, part) in parts(num_documents, segments).into_iter().enumerate() {
        let begun = Instant::now();
        load(server, binary, &mut lines, part)?;
        loading += begun.elapsed();
        // A connection of its own: the server closes those that were idle for as long as a part takes to load.
        merge(&mut server.client()?, before + 1)?;
    }
    let flush = format!("/{INDEX}/_flush");
    server.client()?.expect("POST", &flush, b"")?;
    server.settled_cpu()?;
    let peak_bytes = watch.stop();
    let mut client = server.client()?;
    let path = format!("/{INDEX}/_stats");
    let stats: Value = serde_json::from_slice(client.expect("GET", &path, b"")?)?;
    let whole = &stats["_all"]["primaries"];
    ensure!(whole["docs"]["count"] == num_documents, "{whole}");
    let figure = |of: &str, name: &str| whole[of][name].as_u64().context("a figure is missing");
    Ok(Loaded {
        documents: num_documents,
        per_second: num_documents as f64 / loading.as_secs_f64(),
        peak_bytes,
        segments: figure("segments", "count")?,
        store_bytes: figure("store", "size_in_bytes")?,
    })
}

/// Returns how many documents each part has: as many parts as segments, the largest first, each [`OF_ONE_SIZE`] half as large as
/// those before.
fn parts(num_documents: usize, segments: usize) -> Vec<usize> {
    let weight = |part: usize| 0.5f64.powi((part / OF_ONE_SIZE) as i32);
    let whole: f64 = (0..segments).map(weight).sum();
    let mut parts: Vec<usize> = (0..segments)
        .map(|part| (num_documents as f64 * weight(part) / whole) as usize)
        .collect();
    if let Some(first) = parts.first().copied() {
        // Rounding leaves some over.
        parts[0] = first + num_documents - parts.iter().sum::<usize>();
    }
    parts
}

/// Has `gleaner index` load the next `num_documents` of `lines`.
fn load(
    server: &Server,
    binary: &Path,
    lines: &mut impl BufRead,
    num_documents: usize,
) -> Result<()> {
    let url = format!("http://{}", server.address());
    let mut loader = Command::new(binary)
        .args([
            "index",
            "--quiet",
            "--index",
            INDEX,
            "--id-field",
            "id",
            "--url",
            &url,
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))?;
    let mut input = BufWriter::new(loader.stdin.take().context("the loader's input is open")?);
    let mut line = Vec::new();
    for _ in 0..num_documents {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        input.write_all(&line)?;
    }
    drop(input.into_inner()?);
    let status = loader.wait()?;
    ensure!(status.success(), "`gleaner index` ended with {status}");
    Ok(())
}

/// Merges the smallest segments of each shard, so that at most `segments` are left.
fn merge(client: &mut Client, segments: usize) -> Result<()> {
    let path =
        format!("/{INDEX}/_forcemerge?max_num_segments={segments}&wait_for_completion=false");
    let answer: Value = serde_json::from_slice(client.expect("POST", &path, b"")?)?;
    wait_for(client, &answer).map(drop)
}

/// Waits for a task that `begun` names; returns what it came to.
///
/// # Errors
/// When the task failed.
pub(super) fn wait_for(client: &mut Client, begun: &Value) -> Result<Value> {
    let task = begun["task"].as_str().context("no task was begun")?;
    let path = format!("/_tasks/{task}?wait_for_completion=true&timeout={WAIT}");
    loop {
        let (status, answer) = client.ask("GET", &path, b"")?;
        let answer: Value = serde_json::from_slice(answer)?;
        match status {
            200 if answer["completed"] == true => {
                ensure!(answer["error"].is_null(), "a task failed: {answer}");
                return Ok(answer["response"].clone());
            }
            // It waited as long as it was asked to.
            200 | 429 => {}
            _ => bail!("{path}: {status} {answer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_documents_and_become_smaller() {
        assert_eq!(parts(100_000, 1), [100_000]);
        let parts = parts(8_000_000, 26);
        assert_eq!(parts.len(), 26);
        assert_eq!(parts.iter().sum::<usize>(), 8_000_000);
        assert!(parts.is_sorted_by(|one, next| one >= next));
        // The smallest of a fourth of them is above what counts as of like size whatever it has.
        assert!(parts[25] / NUM_SHARDS > 10_000);
    }
}
