//! kill -9 in the middle of bulk loads, and of single writes beside them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_datasets::Random;
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::load::{BATCH, Client, INDEX, create_index, read_all};

/// Times the server is killed: reduced, and in full.
const NUM_ROUNDS: (usize, usize) = (3, 50);
/// Clients, and how many writes each of their requests has at most: bulks, and single documents, which the
/// server gathers.
const CLIENTS: [(u64, u64); 2] = [(3, BATCH), (16, 1)];
/// At most this many writes are acknowledged before the server is killed.
const MAX_ACKNOWLEDGED: u64 = 1_000;
/// The kill comes up to this much later: in the middle of whatever happens then.
const MAX_DELAY_MICROS: u64 = 30_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_document_survives_kill_9_and_none_is_doubled() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let seed = run::seed();
    let mut random = Random::new(seed);
    let batches = CLIENTS.into_iter();
    let batches = batches.flat_map(|(clients, batch)| (0..clients).map(move |_| batch));
    let mut clients: Vec<Client> = (0..)
        .zip(batches)
        .map(|(number, batch)| Client::new(number, seed, batch))
        .collect();
    let num_rounds = run::sized(NUM_ROUNDS.0, NUM_ROUNDS.1);
    let (mut num_pending, mut num_checked) = (0, 0);
    let mut server = Server::start(&data).await?;
    create_index(server.address()).await?;
    for round in 0..num_rounds {
        let context = || format!("seed {seed}, round {round}");
        clients = load_and_kill(&mut server, clients, &mut random).await?;
        num_pending += clients
            .iter()
            .map(|c| c.ledger.num_pending())
            .sum::<usize>();
        damage_tail(&data, &mut random, round)?;
        server = Server::start(&data).await.with_context(context)?;
        let hits = read_all(server.address()).await.with_context(context)?;
        for (number, client) in clients.iter_mut().enumerate() {
            let name = format!("c{number}-");
            let is_own = |hit: &&serde_json::Value| {
                hit["_id"].as_str().is_some_and(|id| id.starts_with(&name))
            };
            let own: Vec<_> = hits.iter().filter(is_own).cloned().collect();
            client.ledger.check(&own).with_context(context)?;
            num_checked += client.ledger.num_acknowledged();
        }
    }
    server.stop().await?;
    let server = Server::start(&data).await?;
    let num_documents = read_all(server.address()).await?.len();
    let expected: usize = clients.iter().map(|c| c.ledger.num_acknowledged()).sum();
    assert_eq!(num_documents, expected, "after a stop in order");
    run::report(
        "crashes",
        &json!({
            "kills": num_rounds,
            "documents_at_the_end": num_documents,
            "documents_checked": num_checked,
            "writes_without_an_answer": num_pending,
            "lost": 0,
            "doubled": 0,
        }),
    )
}

/// Loads with all clients at once until enough is acknowledged, then kills.
async fn load_and_kill(
    server: &mut Server,
    clients: Vec<Client>,
    random: &mut Random,
) -> Result<Vec<Client>> {
    let address = server.address();
    let (acknowledged, mut acknowledgements) = mpsc::unbounded_channel();
    let loads: Vec<JoinHandle<Client>> = clients
        .into_iter()
        .map(|client| tokio::spawn(load(client, address, acknowledged.clone())))
        .collect();
    let commits = tokio::spawn(commit_now_and_then(address));
    drop(acknowledged);
    let wanted = random.below(MAX_ACKNOWLEDGED) as usize;
    let mut num_acknowledged = 0;
    while num_acknowledged <= wanted {
        let more = acknowledgements.recv().await;
        num_acknowledged += more.context("all loads ended too early")?;
    }
    // No event marks the moments between two acknowledgements: that is the point of them.
    sleep(Duration::from_micros(random.below(MAX_DELAY_MICROS))).await;
    server.kill()?;
    let mut clients = Vec::new();
    for load in loads {
        clients.push(load.await?);
    }
    commits.await?;
    Ok(clients)
}

async fn load(
    mut client: Client,
    address: SocketAddr,
    told: mpsc::UnboundedSender<usize>,
) -> Client {
    while let Ok(num_acknowledged) = client.send_bulk(address).await {
        // The receiver outlives the load: the loads end first, by the kill.
        told.send(num_acknowledged).expect("somebody counts");
    }
    client
}

/// Refreshes and commits beside the load, so that kills meet them too.
async fn commit_now_and_then(address: SocketAddr) {
    for path in ["_refresh", "_flush", "_forcemerge"].iter().cycle() {
        let request = Request::new("POST", &format!("/{INDEX}/{path}"));
        if request.send(address).await.is_err() {
            return;
        }
    }
}

/// Adds half a record to a log in every other round, as a write that was cut off leaves it.
fn damage_tail(data: &Path, random: &mut Random, round: usize) -> Result<()> {
    if round.is_multiple_of(2) {
        return Ok(());
    }
    let Some(path) = crate::folder::newest_log_file(&data.join("log"))? else {
        return Ok(());
    };
    crate::folder::append_torn_record(&path, 1 + random.below(60) as usize)
        .with_context(|| path.display().to_string())
}
