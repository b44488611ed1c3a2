//! What searches see of leaves that are killed: one, then the only other copy too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::connections::Connections;
use super::latency::{Latencies, ms};
use super::load::{Answer, Outcome, Rate, open_loop};
use super::node::Node;
use super::nodes::{Leaves, Means, Nodes, Start};
use super::{Bench, low_rate, targets};
use crate::report::{Section, Table, tell};

/// Documents: what is killed matters, not how large it was.
const DOCUMENTS: usize = 20_000;
/// Seconds at the rate before a leaf is killed.
const BEFORE: f64 = 4.0;
/// Seconds after it that are told apart.
const SOON: f64 = 1.0;
/// Deadline of searches that lack shards.
const DEADLINE_MS: f64 = 500.0;

/// Outcomes at one stage of all turns.
#[derive(Debug, Default)]
struct Stage {
    latencies: Latencies,
    num_whole: usize,
    num_partial: usize,
    num_failed: usize,
    /// Partial answers that name exactly the shards that are missing.
    num_exact: usize,
}

/// Kills leaves in some turns, each on a cluster of its own.
///
/// # Errors
/// When a process fails that is not killed.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let corpus = bench.corpus.first(DOCUMENTS);
    let turns = bench.options.sized(1, 3);
    let mut first: [Stage; 3] = Default::default();
    let mut second: [Stage; 2] = Default::default();
    let mut rates = Vec::new();
    for turn in 1..=turns {
        tell(&format!(
            "turn {turn}: loading 4 leaves with 2 copies of 8 shards"
        ));
        let mut nodes = Nodes::start(&Start {
            binary: &bench.options.server,
            roots: &[Means::ALL],
            leaves: Leaves::Real,
            leaf_settings: "",
        })?;
        nodes.load(&corpus, 2)?;
        let root = nodes.roots[0].http.clone();
        let capacity = bench.capacity(&root, &bench.requests("")?)?;
        let rate = low_rate(&capacity);
        rates.push(rate);
        let (victim, partner, lost) = partners(&nodes.holdings()?)?;
        tell(&format!("killing leaf-{} at {rate}/s", victim + 1));
        let after = bench.options.sized(6.0, 12.0);
        let load = Rate::lasting(rate, Duration::from_secs_f64(BEFORE + after));
        let (outcomes, killed) = run(bench, &root, "", load, &mut nodes.leaves[victim])?;
        for outcome in &outcomes {
            first[stage_of(outcome, killed)].add(outcome, &[]);
        }
        tell(&format!(
            "killing leaf-{} too: shards {lost:?} have no copy",
            partner + 1
        ));
        let limit = format!("?timeout={DEADLINE_MS}ms");
        let partner = &mut nodes.leaves[partner];
        let (outcomes, killed) = run(bench, &root, &limit, load, partner)?;
        for outcome in &outcomes {
            // What was under way when the leaf died may lack its shards too.
            let is_after = outcome.due + outcome.latency >= killed;
            second[usize::from(is_after)].add(outcome, &lost);
        }
    }
    Ok(Section {
        title: "Leaves that are killed",
        method: format!(
            "Four leaves, 8 shards with 2 copies each, {} documents, {turns} turns on new clusters; all \
             processes are `gleaner`. Open loop at {rates:?}/s; `kill -9` {BEFORE} s after its start. \
             Then, where some shards have no other copy, the leaf with that copy is killed likewise, \
             under searches with a deadline of {DEADLINE_MS} ms.",
            corpus.sources.len(),
        ),
        tables: vec![table_of_first(&first), table_of_second(&second)],
        remarks: Vec::new(),
    })
}

/// Returns the two leaves that share most shards, and those shards.
fn partners(holdings: &[BTreeSet<u32>]) -> Result<(usize, usize, Vec<u32>)> {
    let pairs =
        (0..holdings.len()).flat_map(|one| (one + 1..holdings.len()).map(move |two| (one, two)));
    let shared = pairs.map(|(one, two)| {
        let both = holdings[one].intersection(&holdings[two]);
        (one, two, both.copied().collect::<Vec<u32>>())
    });
    let most = shared.max_by_key(|(_, _, both)| both.len());
    most.filter(|(_, _, both)| !both.is_empty())
        .context("no two leaves hold the same shard")
}

/// Runs an open loop and kills `leaf` in it; returns the outcomes and when it was killed.
fn run(
    bench: &Bench,
    root: &str,
    parameters: &str,
    rate: Rate,
    leaf: &mut Node,
) -> Result<(Vec<Outcome>, Instant)> {
    let connections = Connections::to(root);
    let requests = bench.requests(parameters)?;
    bench.runtime.block_on(async {
        let kill = async {
            tokio::time::sleep(Duration::from_secs_f64(BEFORE)).await;
            let killed = Instant::now();
            leaf.kill()?;
            Ok(killed)
        };
        tokio::try_join!(open_loop(&connections, &requests, rate), kill)
    })
}

/// Returns 0 for what was due before the kill, 1 soon after it, 2 later.
fn stage_of(outcome: &Outcome, killed: Instant) -> usize {
    let soon = killed + Duration::from_secs_f64(SOON);
    usize::from(outcome.due >= killed) + usize::from(outcome.due >= soon)
}

impl Stage {
    fn add(&mut self, outcome: &Outcome, lost: &[u32]) {
        self.latencies.add(outcome.latency);
        match &outcome.answer {
            Answer::Whole => self.num_whole += 1,
            Answer::Partial(missing) => {
                self.num_partial += 1;
                self.num_exact += usize::from(missing == lost);
            }
            Answer::Failed(why) => {
                if self.num_failed == 0 {
                    tell(&format!("a search failed: {why}"));
                }
                self.num_failed += 1;
            }
        }
    }
}

fn table_of_first(stages: &[Stage; 3]) -> Table {
    let mut table = Table::new([
        "one leaf killed: searches due",
        "searches",
        "p50, ms",
        "p99",
        "slowest",
        "failed",
        "partial",
    ]);
    let names = ["before", "in the first second after", "later"];
    for (name, stage) in names.iter().zip(stages) {
        table.row([
            (*name).to_owned(),
            stage.latencies.number().to_string(),
            ms(stage.latencies.at(0.5)),
            ms(stage.latencies.at(0.99)),
            ms(stage.latencies.max()),
            targets::NONE.cell(stage.num_failed as f64),
            targets::NONE.cell(stage.num_partial as f64),
        ]);
    }
    table
}

fn table_of_second(stages: &[Stage; 2]) -> Table {
    let mut table = Table::new([
        "no copy left of some shards: answered",
        "searches",
        "p50, ms",
        "p99",
        "slowest",
        "slowest − deadline, ms",
        "failed",
        "whole",
        "partial",
        "partial that name exactly the missing shards",
    ]);
    for (name, stage) in ["before the kill", "after it"].iter().zip(stages) {
        let is_after = *name == "after it";
        let beyond = stage.latencies.max() - DEADLINE_MS;
        let exact = stage.num_exact as f64 / stage.num_partial as f64;
        table.row([
            (*name).to_owned(),
            stage.latencies.number().to_string(),
            ms(stage.latencies.at(0.5)),
            ms(stage.latencies.at(0.99)),
            ms(stage.latencies.max()),
            targets::BEYOND_DEADLINE_MS.cell(beyond),
            targets::NONE.cell(stage.num_failed as f64),
            stage.num_whole.to_string(),
            stage.num_partial.to_string(),
            match is_after {
                true => targets::ALL.cell(exact),
                false => "–".to_owned(),
            },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_the_leaves_that_share_most() {
        let holdings = [vec![0, 1, 2], vec![3, 0], vec![1, 2], vec![3]];
        let holdings = holdings.map(BTreeSet::from_iter);
        assert_eq!(partners(&holdings).expect("they share"), (0, 2, vec![1, 2]));
        assert!(partners(&[BTreeSet::from([1]), BTreeSet::from([2])]).is_err());
    }

    #[test]
    fn stages_follow_the_kill() {
        let start = Instant::now();
        let at = |due| Outcome {
            due: start + Duration::from_millis(due),
            latency: Duration::ZERO,
            answer: Answer::Whole,
        };
        let killed = start + Duration::from_millis(500);
        let stages = [499, 500, 1_499, 1_500].map(|due| stage_of(&at(due), killed));
        assert_eq!(stages, [0, 1, 1, 2]);
    }
}
