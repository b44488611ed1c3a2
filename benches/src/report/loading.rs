//! Loads over HTTP: CPU of the server and size of its index.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Section, Table, tell};
use crate::client::Client;
use crate::corpus::Corpus;
use crate::ours;
use crate::process::Server;
use crate::writes::{self, Settled};

/// The index that is loaded.
pub(super) const INDEX: &str = "articles";
/// Refresh interval of both sides.
const REFRESH: Duration = Duration::from_secs(5);

/// Starts our server on a folder of its own in `folder`.
pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Server> {
    start_with(binary, folder, &[])
}

/// As [`start`], with more arguments.
pub(super) fn start_with(binary: &Path, folder: &Path, more: &[&str]) -> Result<Server> {
    let data = folder.join("gleaner");
    let data = data.to_string_lossy();
    let arguments = [&["serve", "--data", &*data], more].concat();
    Server::start(
        binary,
        &arguments,
        &folder.join("gleaner.log"),
        "/_health/ready",
    )
}

/// Creates `index` with the mapping of articles, and a refresh interval if one is declared.
pub(super) fn create(
    client: &mut Client,
    index: &str,
    shards: u32,
    refresh: Option<&str>,
) -> Result<()> {
    let mut settings = json!({"number_of_shards": shards, "number_of_replicas": 0});
    if let Some(refresh) = refresh {
        settings["refresh_interval"] = json!(refresh);
    }
    let body = json!({"settings": settings, "mappings": ours::declared_mapping()});
    client.expect("PUT", &format!("/{index}"), body.to_string().as_bytes())?;
    Ok(())
}

/// Returns the corpus as bulk bodies of about `num_bytes` each.
pub(crate) fn bulks(corpus: &Corpus, num_bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut documents = corpus.articles.iter().zip(&corpus.sources).peekable();
    std::iter::from_fn(move || {
        documents.peek()?;
        let mut body = Vec::with_capacity(num_bytes + (num_bytes >> 3));
        while body.len() < num_bytes {
            let Some((article, source)) = documents.next() else {
                break;
            };
            action(&mut body, &article.id, source);
        }
        Some(body)
    })
}

fn action(body: &mut Vec<u8>, id: &str, source: &[u8]) {
    body.extend(json!({"index": {"_id": id}}).to_string().into_bytes());
    body.push(b'\n');
    body.extend_from_slice(source);
    body.push(b'\n');
}

/// Sends one bulk; every item must be taken.
pub(crate) fn send(client: &mut Client, index: &str, body: &[u8]) -> Result<()> {
    let answer = client.expect(
        "POST",
        &format!("/{index}/_bulk?filter_path=errors,items.*.error"),
        body,
    )?;
    let answer: Value = serde_json::from_slice(answer)?;
    let first = &answer["items"][0];
    ensure!(
        answer["errors"] == false,
        "a bulk had errors, the first: {first}"
    );
    Ok(())
}

/// Loads our server with one shard and with four, beside the baseline in this process.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(corpus: &Corpus, binary: &Path) -> Result<Section> {
    tell("timing bulks over HTTP");
    let num_thousands = corpus.sources.len() as f64 / 1_000.0;
    let bare = writes::index_bare_refreshing(corpus, REFRESH)?;
    let bare_cpu = bare.cpu.as_secs_f64() / num_thousands;
    let bare_bytes = writes::index_bare(corpus, Settled::Merged)?.index_bytes;
    let mut table = Table::new([
        "bulk",
        "docs/s",
        "CPU-s per 1,000 docs",
        "CPU / bare",
        "index merged, MB",
        "size / bare",
    ]);
    let mut row = |name: &str, rate: f64, cpu: f64, bytes: u64| {
        table.row([
            name.to_owned(),
            format!("{rate:.0}"),
            format!("{cpu:.3}"),
            format!("{:.2}", cpu / bare_cpu),
            format!("{:.1}", bytes as f64 / 1e6),
            format!("{:.2}", bytes as f64 / bare_bytes as f64),
        ]);
    };
    row("bare, in process", bare.per_second(), bare_cpu, bare_bytes);
    for shards in [1, 4] {
        let (wall, cpu, bytes) = bulk_ours(corpus, binary, shards)?;
        let name = format!(
            "ours over HTTP, {shards} shard{}",
            if shards == 1 { "" } else { "s" }
        );
        let rate = corpus.sources.len() as f64 / wall.as_secs_f64();
        row(&name, rate, cpu.as_secs_f64() / num_thousands, bytes);
    }
    Ok(Section {
        title: "Bulk over HTTP",
        method: format!(
            "One client sends bulks of 5 MiB; each is on the disk before it is answered. CPU is user \
             and system time of the server's process from the first bulk until its background \
             merges have ended and everything is flushed. Bare indexes in one process without HTTP, \
             log or ids looked up: JSON in, same fields, source stored as text, one thread, a \
             commit every {} s. Sizes after merging each shard to one segment.",
            REFRESH.as_secs()
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

fn bulk_ours(corpus: &Corpus, binary: &Path, shards: u32) -> Result<(Duration, Duration, u64)> {
    let folder = TempDir::new()?;
    let server = start(binary, folder.path())?;
    let mut client = server.client()?;
    create(&mut client, INDEX, shards, Some("5s"))?;
    let (start, before) = (Instant::now(), server.cpu()?);
    for body in bulks(corpus, 5 << 20) {
        send(&mut client, INDEX, &body)?;
    }
    let wall = start.elapsed();
    client.expect("POST", &format!("/{INDEX}/_flush"), b"")?;
    let cpu = server.settled_cpu()? - before;
    client.expect(
        "POST",
        &format!("/{INDEX}/_forcemerge?max_num_segments=1"),
        b"",
    )?;
    client.expect("POST", &format!("/{INDEX}/_flush"), b"")?;
    server.settled_cpu()?;
    let stats: Value = serde_json::from_slice(client.expect("GET", "/_stats", b"")?)?;
    let bytes = stats["_all"]["primaries"]["store"]["size_in_bytes"].as_u64();
    Ok((wall, cpu, bytes.context("the statistics have no size")?))
}
