//! One drill: a leaf fails under load and comes back, then both leaves of a shard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::asked::{self, JUDGED, Shown};
use crate::fleet::{Fault, Fleet, bulk};
use crate::load::{LEDGER, Load};

/// How long a drill may take: it hangs beyond that.
const WITHIN: Duration = Duration::from_secs(240);

/// Shards of each index, each with two copies.
const NUM_SHARDS: usize = 4;

/// Documents acknowledged before a leaf fails: every shard has some.
const WRITTEN_BEFORE: u64 = 40;

/// Documents acknowledged after all is whole again.
const WRITTEN_AFTER: u64 = 10;

/// Documents of one lookup.
const LOOKED_UP: usize = 500;

/// Runs the drill on containers of its own.
pub(crate) async fn run(fault: Fault) -> Result<()> {
    let fleet = Fleet::start(fault).await?;
    let drilled = timeout(WITHIN, drill(&fleet, fault)).await;
    let outcome = drilled.context("the drill hangs").flatten();
    outcome.with_context(|| fleet.logs())
}

async fn drill(fleet: &Fleet, fault: Fault) -> Result<()> {
    let mut stages = Stages::new(fault);
    fill(fleet).await?;
    let expected = Arc::new(asked::all(fleet.root()).await?);
    let copies = fleet.copies(JUDGED).await?;
    let (victim, other) = (&copies[0][0], &copies[0][1]);
    stages.ended("filled");
    let acknowledged = one_leaf(fleet, fault, victim, &expected).await?;
    all_there(fleet, &acknowledged).await?;
    stages.ended("one leaf failed and came back");
    // Shard 0 has no copy but the one that came back.
    fleet.strike(fault, other)?;
    asked::same(fleet.root(), &expected)
        .await
        .context("what came back does not answer")?;
    stages.ended("what came back answered alone");
    fleet.mend(fault, other)?;
    fleet.whole().await?;
    stages.ended("the other came back too");
    both_leaves(fleet, fault, &copies).await?;
    asked::same(fleet.root(), &expected).await?;
    all_there(fleet, &acknowledged).await?;
    stages.ended("both leaves failed and came back");
    Ok(())
}

/// Tells how long each stage took.
struct Stages {
    fault: Fault,
    began: Instant,
}

impl Stages {
    fn new(fault: Fault) -> Self {
        let began = Instant::now();
        Self { fault, began }
    }

    #[expect(clippy::print_stdout, reason = "the harness shows it with a failure")]
    fn ended(&mut self, stage: &str) {
        let took = self.began.elapsed().as_secs_f64();
        println!("{:?}: {stage} in {took:.1} s", self.fault);
        self.began = Instant::now();
    }
}

async fn fill(fleet: &Fleet) -> Result<()> {
    for index in [JUDGED, LEDGER] {
        let body = json!({"settings": {
            "number_of_shards": NUM_SHARDS, "number_of_replicas": 1, "refresh_interval": "1s"
        }});
        let create = Request::json("PUT", &format!("/{index}"), &body);
        fleet.send(&create).await?.ok()?;
    }
    fleet.whole().await?;
    let lines = bulk(asked::documents()?.into_iter());
    let path = format!("/{JUDGED}/_bulk?refresh=true");
    let written = fleet.send(&Request::ndjson("POST", &path, lines)).await?;
    let written = written.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(())
}

/// A leaf fails under load and comes back; no search fails or changes. Returns the documents that were
/// acknowledged meanwhile.
async fn one_leaf(
    fleet: &Fleet,
    fault: Fault,
    victim: &str,
    expected: &Arc<Vec<Shown>>,
) -> Result<Vec<u64>> {
    let mut load = Load::start(fleet.root(), Arc::clone(expected));
    load.rounds(1).await?;
    load.acknowledged(WRITTEN_BEFORE).await?;
    fleet.strike(fault, victim)?;
    load.rounds(3).await?;
    // Shards that it led have another primary.
    load.acknowledged(WRITTEN_BEFORE).await?;
    fleet.mend(fault, victim)?;
    fleet.whole().await?;
    load.rounds(2).await?;
    load.acknowledged(WRITTEN_AFTER).await?;
    load.finish().await
}

/// Every document that was acknowledged is there, as it was written.
async fn all_there(fleet: &Fleet, acknowledged: &[u64]) -> Result<()> {
    for numbers in acknowledged.chunks(LOOKED_UP) {
        let ids: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let path = format!("/{LEDGER}/_mget");
        let request = Request::json("POST", &path, &json!({"ids": ids}));
        let found = fleet.send(&request).await?.ok()?;
        let found = found["docs"].as_array().context("no documents")?.clone();
        ensure!(found.len() == numbers.len(), "{} documents", found.len());
        for (number, document) in numbers.iter().zip(&found) {
            ensure!(
                document["_source"]["number"] == *number,
                "document {number} was acknowledged and is lost: {document}"
            );
        }
    }
    Ok(())
}

/// Both leaves of shard 0 fail: the shards without a copy are named, the others answer.
async fn both_leaves(fleet: &Fleet, fault: Fault, copies: &[Vec<String>]) -> Result<()> {
    let lost = &copies[0];
    let is_lost = |(_, of_shard): &(usize, &Vec<String>)| of_shard.iter().all(|n| lost.contains(n));
    let missing: BTreeSet<u64> = copies
        .iter()
        .enumerate()
        .filter(is_lost)
        .map(|(number, _)| number as u64)
        .collect();
    for leaf in lost {
        fleet.strike(fault, leaf)?;
    }
    for mut body in asked::searches().into_iter().take(3) {
        body["timeout"] = "2s".into();
        let answer = asked::search(fleet.root(), &body).await?;
        named(&answer, &missing).with_context(|| answer["_shards"].to_string())?;
    }
    for leaf in lost {
        fleet.mend(fault, leaf)?;
    }
    fleet.whole().await
}

fn named(answer: &Value, missing: &BTreeSet<u64>) -> Result<()> {
    let shards = &answer["_shards"];
    let failures = shards["failures"].as_array().context("nothing is named")?;
    let named: BTreeSet<u64> = failures
        .iter()
        .filter_map(|f| f["shard"].as_u64())
        .collect();
    ensure!(named == *missing, "{missing:?} are missing");
    ensure!(
        failures.iter().all(|failure| failure["index"] == JUDGED),
        "another index"
    );
    let answered = NUM_SHARDS - missing.len();
    ensure!(shards["successful"] == answered, "{answered} shards answer");
    Ok(())
}
