//! What slow leaves do to the slowest searches, and what each means against it is worth.

use anyhow::Result;
use gleaner_testkit::slow::Pace;

use super::connections::Connections;
use super::counters::Requests;
use super::latency::{Latencies, ms};
use super::load::{Answer, Rate, open_loop};
use super::nodes::{Leaves, Means, Nodes, Start};
use super::{Bench, low_rate, targets};
use crate::client::Client;
use crate::report::{Section, Table, tell};

/// The roots, all over the same leaves.
const ROOTS: [(&str, Means); 4] = [
    ("all means", Means::ALL),
    (
        "no hedging",
        Means {
            hedge_share: 0.0,
            choose_copies: true,
        },
    ),
    (
        "no choice of copy",
        Means {
            hedge_share: 0.05,
            choose_copies: false,
        },
    ),
    (
        "neither",
        Means {
            hedge_share: 0.0,
            choose_copies: false,
        },
    ),
];

/// How the leaves are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Healthy,
    OneSlow,
    AllSometimes,
}

const STATES: [State; 3] = [State::Healthy, State::OneSlow, State::AllSometimes];

/// How many times as long a slow call takes.
const TIMES: u32 = 100;
/// One call in so many is slow where all leaves are slow sometimes.
const ONE_IN: u64 = 100;
/// Turns over all rows.
const ROUNDS: usize = 2;
/// Seconds at the rate before a row counts: until then roots learn what has changed.
const WARM_UP: f64 = 2.0;

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::OneSlow => "one leaf 100 × slower",
            Self::AllSometimes => "every leaf 100 × slower on 1 %",
        }
    }

    /// Returns the pace of a leaf; another one is slow in each round.
    fn pace(self, leaf: usize, round: usize) -> Pace {
        match self {
            Self::OneSlow if leaf == round => Pace::Times(TIMES),
            Self::Healthy | Self::OneSlow => Pace::Normal,
            Self::AllSometimes => Pace::Sometimes {
                one_in: ONE_IN,
                times: TIMES,
            },
        }
    }
}

/// What one root did in one state.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Of all rounds.
    latencies: Latencies,
    /// p99.9 of each round.
    by_round: Vec<f64>,
    requests: Requests,
    num_failed: usize,
    num_partial: usize,
}

/// Measures all rows in turns.
///
/// # Errors
/// When a process fails.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let mut nodes = Nodes::start(&Start {
        binary: &bench.options.server,
        roots: &ROOTS.map(|(_, means)| means),
        leaves: Leaves::Paced,
        leaf_settings: "",
    })?;
    tell("loading 4 leaves with 2 copies of 8 shards");
    nodes.load(&bench.corpus, 2)?;
    let requests = bench.requests("")?;
    let capacity = bench.capacity(&nodes.roots[0].http, &requests)?;
    let per_second = low_rate(&capacity);
    let wanted = bench.options.sized(1_000, 20_000) / ROUNDS;
    // A slow machine gets fewer samples, and the page says so.
    let longest = bench.options.sized(6.0, 60.0);
    let rate = Rate {
        per_second,
        number: wanted.min((per_second * longest) as usize).max(1),
    };
    let mut rows = vec![vec![Row::default(); ROOTS.len()]; STATES.len()];
    for round in 0..ROUNDS {
        for (state, rows) in STATES.iter().zip(&mut rows) {
            nodes.set_paces(|leaf| state.pace(leaf, round))?;
            for (at, row) in rows.iter_mut().enumerate() {
                tell(&format!(
                    "round {}: {}, {}: {} searches at {per_second}/s",
                    round + 1,
                    state.name(),
                    ROOTS[at].0,
                    rate.number,
                ));
                row.measure(bench, &nodes.roots[at].http, rate)?;
            }
        }
    }
    Ok(Section {
        title: "Slow leaves",
        method: format!(
            "Four leaves in processes of their own, 8 shards with 2 copies each; four roots over the \
             same leaves, one for each row of a state. A slow call takes {TIMES} × the time that it \
             took, statistics, query and fetch alike. Open loop at {per_second}/s; {} clients got \
             {:.0}/s in a closed loop. {} searches a row in {ROUNDS} rounds over all rows, another \
             leaf slow in each; {WARM_UP} s at the rate before each do not count. *Extra* is second \
             requests and repetitions as a share of first shard requests, from the root's own \
             metrics. Ratios are to the healthy root with all means. No row has more than {} samples \
             beyond its p99.9.",
            super::CLIENTS,
            capacity.per_second(),
            rate.number * ROUNDS,
            rate.number * ROUNDS / 1_000,
        ),
        tables: vec![table(&rows)],
        remarks: vec![
            "*No hedging* still asks another copy when one fails. *No choice of copy* asks the primary \
             first, and so knows no slow leaf before it asks it."
                .to_owned(),
        ],
    })
}

impl Row {
    fn measure(&mut self, bench: &Bench, root: &str, rate: Rate) -> Result<()> {
        let connections = Connections::to(root);
        let requests = bench.requests("")?;
        let warm_up = Rate {
            number: (rate.per_second * WARM_UP) as usize,
            ..rate
        };
        let run = |rate| {
            bench
                .runtime
                .block_on(open_loop(&connections, &requests, rate))
        };
        run(warm_up)?;
        // A connection each: the root closes one that was silent for the length of a run.
        let before = Requests::read(&mut Client::connect(root)?)?;
        let outcomes = run(rate)?;
        let counted = Requests::read(&mut Client::connect(root)?)?.since(before);
        self.requests = self.requests.plus(counted);
        let latencies: Latencies = outcomes.iter().map(|outcome| outcome.latency).collect();
        self.by_round.push(latencies.at(0.999));
        self.latencies.merge(&latencies);
        for outcome in &outcomes {
            match &outcome.answer {
                Answer::Whole => {}
                Answer::Partial(_) => self.num_partial += 1,
                Answer::Failed(why) => {
                    if self.num_failed == 0 {
                        tell(&format!("a search failed: {why}"));
                    }
                    self.num_failed += 1;
                }
            }
        }
        Ok(())
    }
}

fn table(rows: &[Vec<Row>]) -> Table {
    let mut table = Table::new([
        "leaves",
        "root",
        "searches",
        "p50, ms",
        "p99",
        "p99.9",
        "max",
        "p99.9 by round",
        "p50 / healthy",
        "p99 / healthy",
        "p99.9 / healthy",
        "extra",
        "failed",
        "partial",
    ]);
    let healthy = &rows[0][0].latencies;
    for (state, rows) in STATES.iter().zip(rows) {
        for (at, row) in rows.iter().enumerate() {
            // Targets are for roots as they are by default.
            let has_target = at == 0;
            let ratio = |quantile: f64| {
                let ratio = row.latencies.at(quantile) / healthy.at(quantile);
                let is_bound = has_target && *state != State::Healthy;
                match quantile {
                    0.5 if is_bound => targets::MEDIAN.cell(ratio),
                    0.999 if is_bound => targets::TAIL.cell(ratio),
                    _ => format!("{ratio:.2}"),
                }
            };
            let count = |number: usize| match has_target {
                true => targets::NONE.cell(number as f64),
                false => number.to_string(),
            };
            let extra = row.requests.extra_share();
            let by_round: Vec<String> = row.by_round.iter().copied().map(ms).collect();
            table.row([
                state.name().to_owned(),
                ROOTS[at].0.to_owned(),
                row.latencies.number().to_string(),
                ms(row.latencies.at(0.5)),
                ms(row.latencies.at(0.99)),
                ms(row.latencies.at(0.999)),
                ms(row.latencies.max()),
                by_round.join(", "),
                ratio(0.5),
                ratio(0.99),
                ratio(0.999),
                match has_target {
                    true => targets::EXTRA_REQUESTS.cell(extra),
                    false => format!("{extra:.3}"),
                },
                count(row.num_failed),
                count(row.num_partial),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(ms: u64) -> Row {
        Row {
            latencies: (0..1_000).map(|_| Duration::from_millis(ms)).collect(),
            by_round: vec![ms as f64],
            requests: Requests {
                first: 1_000.0,
                hedges: 60.0,
                retries: 0.0,
            },
            ..Row::default()
        }
    }

    #[test]
    fn verdicts_are_of_the_default_root_and_against_its_healthy_row() {
        let of_state = |ms: u64| vec![row(ms), row(ms * 10), row(ms * 10), row(ms * 10)];
        let rows = vec![of_state(10), of_state(15), of_state(30)];
        let text = table(&rows).to_string();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 12);
        let ratios = "| 1.50 (target ≤ 1.1: **missed**) | 1.50 | 1.50 (target ≤ 1.5: met) |";
        assert!(lines[4].contains(ratios), "{}", lines[4]);
        assert!(lines[4].contains("0.06000 (target ≤ 0.05: **missed**)"));
        assert!(lines[8].contains("3.00 (target ≤ 1.5: **missed**)"));
        assert!(!lines[5].contains("target"));
        assert!(!lines[0].contains("target ≤ 1.5"));
    }

    #[test]
    fn another_leaf_is_slow_in_each_round() {
        let slow =
            |round| (0..4).filter(move |leaf| State::OneSlow.pace(*leaf, round) != Pace::Normal);
        assert_eq!(slow(0).chain(slow(1)).collect::<Vec<_>>(), [0, 1]);
    }
}
