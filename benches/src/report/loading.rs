//! Loads over HTTP: CPU and memory of the server during bulks, and single durable documents.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Section, Table, tell};
use crate::bare::{Bare, Tokens};
use crate::client::Client;
use crate::corpus::Corpus;
use crate::ours;
use crate::process::Server;
use crate::writes::{self, Settled};

/// The index that is loaded.
const INDEX: &str = "articles";
/// Clients that write single documents.
const NUM_CLIENTS: usize = 64;
/// How long they write, per turn.
const WRITING: Duration = Duration::from_secs(4);
/// Bytes sent in each measure of memory, at least.
const LOADED: usize = 200 << 20;
/// Refresh interval of both sides.
const REFRESH: Duration = Duration::from_secs(5);

/// Measures bulks, memory and single writes.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(corpus: &Corpus, binary: &Path) -> Result<Vec<Section>> {
    Ok(vec![
        bulk(corpus, binary)?,
        memory(corpus, binary)?,
        single(corpus, binary)?,
    ])
}

/// Starts our server on a folder of its own in `folder`.
pub(super) fn start(binary: &Path, folder: &Path) -> Result<Server> {
    let data = folder.join("gleaner");
    let arguments = ["serve", "--data", &data.to_string_lossy()];
    Server::start(
        binary,
        &arguments,
        &folder.join("gleaner.log"),
        "/_health/ready",
    )
}

/// Creates `index` with the mapping of articles.
pub(super) fn create(client: &mut Client, index: &str, shards: u32, refresh: &str) -> Result<()> {
    let body = json!({
        "settings": {"number_of_shards": shards, "number_of_replicas": 0, "refresh_interval": refresh},
        "mappings": ours::declared_mapping(),
    });
    client.expect("PUT", &format!("/{index}"), body.to_string().as_bytes())?;
    Ok(())
}

/// Returns the corpus as bulk bodies of about `num_bytes` each.
pub(super) fn bulks(corpus: &Corpus, num_bytes: usize) -> impl Iterator<Item = Vec<u8>> {
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
pub(super) fn send(client: &mut Client, index: &str, body: &[u8]) -> Result<()> {
    let answer = client.expect("POST", &format!("/{index}/_bulk?filter_path=errors"), body)?;
    let answer: Value = serde_json::from_slice(answer)?;
    ensure!(answer["errors"] == false, "a bulk had errors: {answer}");
    Ok(())
}

fn bulk(corpus: &Corpus, binary: &Path) -> Result<Section> {
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
             log or ids looked up: JSON in, same fields, source stored, one thread, a commit every \
             {} s. Sizes after merging each shard to one segment.",
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
    create(&mut client, INDEX, shards, "5s")?;
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

fn memory(corpus: &Corpus, binary: &Path) -> Result<Section> {
    tell("watching memory during bulks");
    let mut table = Table::new([
        "body, MiB",
        "sent, MiB",
        "RssAnon before, MiB",
        "most during the load, MiB",
    ]);
    for mebibytes in [1, 10, 99] {
        let folder = TempDir::new()?;
        let server = start(binary, folder.path())?;
        let mut client = server.client()?;
        create(&mut client, INDEX, 4, "5s")?;
        let before = server.anonymous_bytes()?;
        let watch = server.watch_memory();
        let mut num_sent = 0;
        while num_sent < LOADED {
            for body in bulks(corpus, mebibytes << 20) {
                send(&mut client, INDEX, &body)?;
                num_sent += body.len();
            }
        }
        let in_mib = |bytes: u64| format!("{}", bytes >> 20);
        table.row([
            mebibytes.to_string(),
            in_mib(num_sent as u64),
            in_mib(before),
            in_mib(watch.stop()),
        ]);
    }
    Ok(Section {
        title: "Memory during a load",
        method: "A new server each time, an index of 4 shards, one client; the server's anonymous \
                 resident memory (memory maps of index files are not in it), looked at every 10 ms. \
                 100 MiB is the largest body that is taken, action lines included."
            .to_owned(),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

fn single(corpus: &Corpus, binary: &Path) -> Result<Section> {
    tell("timing single documents of 64 clients");
    let folder = TempDir::new()?;
    let bare_folder = folder.path().join("bare");
    std::fs::create_dir(&bare_folder)?;
    drop(Bare::create(&bare_folder, Tokens::Ours)?.fill(&corpus.sources[..1], 1)?);
    let arguments = ["--serve-bare", &bare_folder.to_string_lossy()];
    let own = std::env::current_exe()?;
    let bare = Server::start(&own, &arguments, &folder.path().join("bare.log"), "/")?;
    let ours = start(binary, folder.path())?;
    create(&mut ours.client()?, INDEX, 4, "5s")?;
    let next = AtomicUsize::new(0);
    let (mut most_bare, mut most_ours) = (0.0_f64, 0.0_f64);
    for _ in 0..2 {
        most_bare = most_bare.max(clients(&bare, corpus, |client, source| {
            client.expect("POST", "/append", source).map(|_| ())
        })?);
        most_ours = most_ours.max(clients(&ours, corpus, |client, source| {
            let id = next.fetch_add(1, Ordering::Relaxed);
            client
                .expect("PUT", &format!("/{INDEX}/_doc/{id}"), source)
                .map(|_| ())
        })?);
    }
    let mut table = Table::new(["bare group commit, docs/s", "ours, docs/s", "ours / bare"]);
    let ratio = format!("{:.2}", most_ours / most_bare);
    table.row([format!("{most_bare:.0}"), format!("{most_ours:.0}"), ratio]);
    Ok(Section {
        title: "Single documents",
        method: format!(
            "{NUM_CLIENTS} clients on kept connections, each waits until its document is durable; \
             documents of at most 2 kB; ours also checks and routes them, orders them by version, \
             and indexes them with a refresh every 5 s, 4 shards. Bare is an axum handler that \
             appends to one file and shares `fdatasync`s; nothing else. Clients and server share \
             the cores. Best of two turns of {} s.",
            WRITING.as_secs()
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

/// Lets all clients write for a while; returns documents per second.
fn clients(
    server: &Server,
    corpus: &Corpus,
    write: impl Fn(&mut Client, &[u8]) -> Result<()> + Sync,
) -> Result<f64> {
    let sources: Vec<_> = corpus
        .sources
        .iter()
        .filter(|source| source.len() <= 2_000)
        .collect();
    let (start, num_written) = (Instant::now(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let client = |number: usize| {
            let (sources, write, num_written) = (&sources, &write, &num_written);
            move || -> Result<()> {
                let mut client = server.client()?;
                for source in sources.iter().cycle().skip(number * 100) {
                    if start.elapsed() >= WRITING {
                        break;
                    }
                    write(&mut client, source)?;
                    num_written.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        };
        let threads: Vec<_> = (0..NUM_CLIENTS)
            .map(|number| scope.spawn(client(number)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("clients do not panic"))
    })?;
    Ok(num_written.into_inner() as f64 / start.elapsed().as_secs_f64())
}
