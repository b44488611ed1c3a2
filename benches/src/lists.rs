//! Lists, sorts, pages and aggregations over many documents, with Lucene over the same ones in the same run.
//!
//! They have no score, or an order of their own, so what they cost shows what the index reads to answer them. The documents are
//! drawn at random by a program that stands beside the checkout; `cargo xtask bench lists` makes them, gets Lucene and
//! starts the binary `lists`. Does: load, time, compare. Does not: check answers, but for failures and totals of exports.
//! Read [`run`] first.

mod classes;
mod export;
mod findings;
mod load;
mod lucene;
mod pages;
mod timing;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use classes::Class;
use findings::{Findings, Row};
pub use lucene::Peer;

use crate::client::Client;
use crate::process::Server;
use crate::report::{machine, tell};

/// The index that is asked.
const INDEX: &str = "lists";
/// Its shards, and those of the copy.
const NUM_SHARDS: usize = 4;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// The documents, NDJSON with `id`, `body`, `cat`, `ts` and `num`.
    pub documents: PathBuf,
    /// About how many segments a shard has; 1 merges each to one.
    pub segments: usize,
    /// The program that serves and loads.
    pub server: PathBuf,
    /// Lucene's runner; `None` leaves it out.
    pub peer: Option<Peer>,
    /// Where the figures are written as JSON; the page stands beside it, with the ending `md`.
    pub out: PathBuf,
    /// How it was started.
    pub command: String,
}

/// Measures everything, writes the figures, and returns the page.
///
/// # Errors
/// When something cannot be measured or written. Where Lucene fails, what was measured of ours is written.
pub fn run(options: &Options) -> Result<String> {
    let mut findings = serve(options)?;
    // Its turn comes when the server has ended: neither takes the other's cores or memory.
    let peer = options.peer.as_ref();
    let lucene = peer.map(|peer| lucene::run(peer, &options.documents));
    let failed = match lucene.transpose() {
        Ok(measured) => {
            findings.lucene = measured;
            None
        }
        Err(error) => Some(error),
    };
    findings.machine = machine::facts();
    let page = findings.to_string();
    let json = serde_json::to_vec_pretty(&findings)?;
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).with_context(|| path.display().to_string())
    };
    write(&options.out, &json)?;
    write(&options.out.with_extension("md"), page.as_bytes())?;
    failed.map_or(Ok(page), Err)
}

/// Measures ours, in a process that has ended when this returns.
fn serve(options: &Options) -> Result<Findings> {
    let beside = options.out.parent().context("the figures have a folder")?;
    // Beside the figures, as folders for temporary files may lie in memory.
    let folder = TempDir::new_in(beside)?;
    let server = start(&options.server, folder.path())?;
    tell("loading");
    let loaded = load::fill(
        &server,
        &options.server,
        &options.documents,
        options.segments,
    )?;
    let mut client = server.client()?;
    let mut classes = Vec::new();
    tell("searches and aggregations");
    for class in [classes::searches(), classes::aggregations()].concat() {
        classes.push(time(&mut client, &class).context(class.name)?);
    }
    tell("pages");
    for (name, peer, times) in pages::measure(&mut client)? {
        classes.push(Row { name, peer, times });
    }
    tell("exports");
    let exports = export::exports(&mut client, loaded.documents)?;
    tell("_reindex");
    let reindex_per_second = export::reindex(&mut client, loaded.documents)?;
    Ok(Findings {
        command: options.command.clone(),
        machine: String::new(),
        shards: NUM_SHARDS,
        loaded,
        classes,
        exports,
        reindex_per_second,
        lucene: None,
    })
}

/// Starts the server without caches of answers and filters, as Lucene runs without its query cache. The cache of documents
/// stays: Lucene reads none at all.
fn start(binary: &Path, folder: &Path) -> Result<Server> {
    let data = folder.join("data");
    let data = data.to_string_lossy();
    let arguments = [
        "serve",
        "--data",
        &*data,
        "--cache-memory",
        "0",
        "--filter-cache",
        "0",
    ];
    let log = folder.join("gleaner.log");
    Server::start(binary, &arguments, &log, "/_health/ready")
}

/// Times a class, after an answer that is looked at.
fn time(client: &mut Client, class: &Class) -> Result<Row> {
    let (path, body) = (Class::path(), class.body.to_string());
    let answer: Value = serde_json::from_slice(client.expect("POST", &path, body.as_bytes())?)?;
    let is_whole = answer["timed_out"] == false && answer["_shards"]["failed"] == 0;
    ensure!(is_whole, "not answered in full: {}", answer["_shards"]);
    let times = timing::repeat(|| {
        let begun = Instant::now();
        client.expect("POST", &path, body.as_bytes())?;
        Ok(begun.elapsed())
    })?;
    Ok(Row {
        name: class.name.to_owned(),
        peer: class.peer,
        times,
    })
}
