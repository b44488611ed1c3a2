//! Single durable documents over HTTP.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use super::loading::{INDEX, create, start};
use super::{Section, Table, tell};
use crate::bare::{Bare, Tokens};
use crate::client::Client;
use crate::corpus::Corpus;
use crate::process::Server;

/// Clients that write.
const NUM_CLIENTS: usize = 64;
/// How long they write, per turn.
const WRITING: Duration = Duration::from_secs(4);

/// Lets many clients write single documents, to our server and to the bare one in turns.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(corpus: &Corpus, binary: &Path) -> Result<Section> {
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
