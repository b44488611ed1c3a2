//! `_reindex` of what a bulk load has put in, beside that load: documents a second and memory of the server.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::loading::{INDEX, bulks, create, send, start};
use super::{Section, Table, tell};
use crate::client::Client;
use crate::corpus::Corpus;

/// Documents that are copied, where there are so many.
const NUM_DOCUMENTS: usize = 100_000;
/// Bytes of one bulk.
const BULK_BYTES: usize = 5 << 20;
/// The index that is copied to.
const COPY: &str = "copied";

/// What one way of writing took.
struct Pass {
    per_second: f64,
    /// Most anonymous memory that the server had.
    peak_bytes: u64,
}

/// Loads documents over HTTP, then has the same server copy them to an index of the same fields.
///
/// # Errors
/// When the server does not start or refuses a request, or the copy lacks documents.
pub fn measure(corpus: &Corpus, binary: &Path) -> Result<Section> {
    tell("timing reindex beside bulk");
    let corpus = corpus.first(NUM_DOCUMENTS);
    let num_documents = corpus.sources.len();
    let mut table = Table::new([
        "shards",
        "bulk, docs/s",
        "reindex, docs/s",
        "reindex / bulk",
        "peak of bulk, MiB",
        "peak of reindex, MiB",
    ]);
    for shards in [1, 4] {
        let [bulk, reindex] = both(&corpus, binary, shards)?;
        table.row([
            shards.to_string(),
            format!("{:.0}", bulk.per_second),
            format!("{:.0}", reindex.per_second),
            format!("{:.2}", reindex.per_second / bulk.per_second),
            (bulk.peak_bytes >> 20).to_string(),
            (reindex.peak_bytes >> 20).to_string(),
        ]);
    }
    Ok(Section {
        title: "Copying with _reindex",
        method: format!(
            "One client sends {num_documents} documents in bulks of 5 MiB, then asks the same server to copy them \
             with `_reindex` and its default options. Each ends with a refresh. The peak is that of the server's \
             anonymous memory."
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

fn both(corpus: &Corpus, binary: &Path, shards: u32) -> Result<[Pass; 2]> {
    let folder = TempDir::new()?;
    let server = start(binary, folder.path())?;
    let mut client = server.client()?;
    create(&mut client, INDEX, shards, Some("5s"))?;
    create(&mut client, COPY, shards, Some("5s"))?;
    let num_documents = corpus.sources.len();
    let mut timed = |work: &mut dyn FnMut(&mut Client) -> Result<()>| -> Result<Pass> {
        let watch = server.watch_memory();
        let begun = Instant::now();
        work(&mut client)?;
        let took = begun.elapsed();
        server.settled_cpu()?;
        Ok(Pass {
            per_second: num_documents as f64 / took.as_secs_f64(),
            peak_bytes: watch.stop(),
        })
    };
    let bulk = timed(&mut |client| {
        for body in bulks(corpus, BULK_BYTES) {
            send(client, INDEX, &body)?;
        }
        let refresh = format!("/{INDEX}/_refresh");
        client.expect("POST", &refresh, b"").map(drop)
    })?;
    let body = json!({"source": {"index": INDEX}, "dest": {"index": COPY}}).to_string();
    let reindex = timed(&mut |client| {
        let answer = client.expect("POST", "/_reindex?refresh=true", body.as_bytes())?;
        let answer: Value = serde_json::from_slice(answer)?;
        ensure!(answer["created"] == num_documents, "{answer}");
        Ok(())
    })?;
    Ok([bulk, reindex])
}
