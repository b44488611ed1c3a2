//! Single durable documents over HTTP.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::loading::{INDEX, create, start};
use super::{Section, Table, tell};
use crate::bare::{Bare, Tokens};
use crate::client::Client;
use crate::corpus::Corpus;
use crate::process::Server;
use crate::spread::{at_share, sorted};

/// Clients that write.
const NUM_CLIENTS: usize = 64;
/// The indices that they write to: of one shard, as bare has one file and one index; and of the default
/// number.
const INDICES: [Target; 6] = [
    target(1, Some("5s"), Ids::OfClients),
    target(4, Some("5s"), Ids::OfClients),
    target(4, Some("5s"), Ids::Made),
    target(1, None, Ids::OfClients),
    target(4, None, Ids::OfClients),
    target(4, None, Ids::Made),
];
/// How long an index without a declared interval is not searched before it is written to: its refreshes
/// rest then (`index.search.idle.after`).
const RESTED: Duration = Duration::from_secs(32);
/// How long they write, per turn.
const WRITING: Duration = Duration::from_secs(8);
/// Rounds, of one turn of each: the machine's speed moves within minutes, so what is told is the median of
/// what the turns of one round are to each other.
const ROUNDS: usize = 5;

/// An index, and how it is written to.
#[derive(Clone, Copy)]
struct Target {
    shards: u32,
    /// The refresh interval that is declared, if one is.
    refresh: Option<&'static str>,
    ids: Ids,
}

/// Who gives documents their ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// `PUT /index/_doc/id`.
    OfClients,
    /// `POST /index/_doc`: the server.
    Made,
}

const fn target(shards: u32, refresh: Option<&'static str>, ids: Ids) -> Target {
    Target {
        shards,
        refresh,
        ids,
    }
}

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
    let created = Instant::now();
    for (at, target) in INDICES.into_iter().enumerate() {
        create(
            &mut ours.client()?,
            &name(at),
            target.shards,
            target.refresh,
        )?;
    }
    let next = AtomicUsize::new(0);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut turns = Vec::with_capacity(1 + INDICES.len());
        let committed = commits(&bare, corpus)?;
        let rate = clients(&bare, corpus, |client, source| {
            client.expect("POST", "/write", source).map(|_| ())
        })?;
        // What is left to do of a turn is done before the next one, merges too.
        bare.client()?.expect("POST", "/commit", b"")?;
        bare.settled_cpu()?;
        turns.push(Turn { rate, committed });
        for (at, target) in INDICES.into_iter().enumerate() {
            if target.refresh.is_none() {
                // The turns before take longer.
                ensure!(created.elapsed() >= RESTED, "refreshes do not rest yet");
            }
            let committed = commits(&bare, corpus)?;
            let rate = turn(&ours, corpus, &name(at), target.ids, &next)?;
            turns.push(Turn { rate, committed });
        }
        rounds.push(turns);
    }
    Ok(Section {
        title: "Single documents",
        method: format!(
            "{NUM_CLIENTS} clients on kept connections, each waits until its document is durable; \
             documents of at most 2 kB; ours also checks and routes them, orders them by version, \
             and indexes them. Ids are those of the clients (`PUT`), or made by the server (`POST`). With default settings the index was not searched for 30 s, so its \
             refreshes rest, as in Elasticsearch. Bare is an axum handler that \
             appends to one file and shares `fdatasync`s; nothing else; the second one then hands the \
             document to tantivy's writer, one index of one thread, a commit every 5 s. Clients \
             and server share the cores. Medians of {ROUNDS} rounds of one turn of {} s each: of the rates, of the ratios \
             to a turn of bare appends right before, and of those to the turn of the round that indexes; in brackets \
             the least and the most.",
            WRITING.as_secs()
        ),
        tables: vec![table(&rounds)],
        remarks: Vec::new(),
    })
}

/// Documents per second of one turn, and of the bare group commit right before it: the machine's speed moves
/// within a round too.
#[derive(Clone, Copy)]
struct Turn {
    rate: f64,
    committed: f64,
}

/// Shows the rates of all rounds, each of which has a turn of the bare server that indexes, then one of each of
/// [`INDICES`].
fn table(rounds: &[Vec<Turn>]) -> Table {
    let mut table = Table::new([
        "single documents",
        "docs/s",
        "/ group commit",
        "/ and index",
    ]);
    let committed = rounds.iter().flatten().map(|turn| turn.committed);
    let rate = format!("{:.0}", at_share(&sorted(committed), 0.5));
    let whole = || "1.00".to_owned();
    table.row(["bare group commit".to_owned(), rate, whole(), String::new()]);
    let names = std::iter::once("bare group commit and index".to_owned());
    for (at, name) in names.chain(INDICES.into_iter().map(shown)).enumerate() {
        let of_all = |part: &dyn Fn(&[Turn]) -> f64| sorted(rounds.iter().map(|turns| part(turns)));
        let ratio = |ratios: Vec<f64>| {
            let [median, least, most] = [0.5, 0.0, 1.0].map(|share| at_share(&ratios, share));
            format!("{median:.2} ({least:.2}–{most:.2})")
        };
        let rate = at_share(&of_all(&|turns| turns[at].rate), 0.5);
        let to_commit = of_all(&|turns| turns[at].rate / turns[at].committed);
        let to_index = of_all(&|turns| turns[at].rate / turns[0].rate);
        table.row([
            name,
            format!("{rate:.0}"),
            ratio(to_commit),
            ratio(to_index),
        ]);
    }
    table
}

/// Names an index as the table does.
fn shown(target: Target) -> String {
    let Target {
        shards,
        refresh,
        ids,
    } = target;
    let plural = if shards == 1 { "" } else { "s" };
    let refresh = refresh.map_or("default settings".to_owned(), |every| {
        format!("refresh every {every}")
    });
    let made = if ids == Ids::Made { ", ids made" } else { "" };
    format!("ours, {shards} shard{plural}, {refresh}{made}")
}

/// Lets all clients append to the bare group commit; returns documents per second.
fn commits(bare: &Server, corpus: &Corpus) -> Result<f64> {
    clients(bare, corpus, |client, source| {
        client.expect("POST", "/append", source).map(|_| ())
    })
}

/// Lets all clients write to an index of ours, and waits until what is left to do is done.
fn turn(ours: &Server, corpus: &Corpus, index: &str, ids: Ids, next: &AtomicUsize) -> Result<f64> {
    let created = format!("/{index}/_doc");
    let rate = clients(ours, corpus, |client, source| {
        if ids == Ids::Made {
            return client.expect("POST", &created, source).map(|_| ());
        }
        let id = next.fetch_add(1, Ordering::Relaxed);
        let path = format!("/{index}/_doc/{id}");
        client.expect("PUT", &path, source).map(|_| ())
    })?;
    let refresh = format!("/{index}/_refresh");
    ours.client()?.expect("POST", &refresh, b"")?;
    ours.settled_cpu()?;
    Ok(rate)
}

/// Returns the name of one of [`INDICES`].
fn name(at: usize) -> String {
    format!("{INDEX}-{at}")
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
