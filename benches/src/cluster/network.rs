//! What roots and leaves in processes of their own cost, beside one process on the same documents.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tempfile::TempDir;

use super::connections::Connections;
use super::latency::{Latencies, ms};
use super::load::{Answer, Closed, Rate, closed_loop, open_loop};
use super::nodes::{self, Leaves, Means, NUM_LEAVES, NUM_SHARDS, Nodes, Start};
use super::{Bench, CLIENTS, low_rate, targets};
use crate::process::Server;
use crate::report::{Section, Table, loading, tell};

/// Clients of the closed loops.
const CLIENT_COUNTS: [usize; 2] = [1, CLIENTS];

/// What one side did.
#[derive(Debug, Default)]
struct Side {
    /// For each of [`CLIENT_COUNTS`].
    closed: [Closed; 2],
    open: Latencies,
    num_open_not_whole: usize,
    /// Median of each round, ms.
    medians: Vec<f64>,
}

/// Where a side answers, and what it has used.
struct Place<'a> {
    connections: Arc<Connections>,
    cpu: &'a dyn Fn() -> Result<Duration>,
}

/// Measures both sides in turns.
///
/// # Errors
/// When a process fails or a search is not answered whole.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    tell("loading one process with 8 shards");
    let folder = TempDir::new()?;
    let server = loading::start(&bench.options.server, folder.path())?;
    nodes::load(&mut server.client()?, &bench.corpus, 1)?;
    nodes::settle(|| server.cpu())?;
    tell("loading a root and 4 leaves with 8 shards");
    let cluster = Nodes::start(&Start {
        binary: &bench.options.server,
        roots: &[Means::ALL],
        leaves: Leaves::Real,
        leaf_settings: "",
    })?;
    cluster.load(&bench.corpus, 1)?;
    let requests = bench.requests("")?;
    let sides = in_turns(bench, &requests, &server, &cluster)?;
    let rate = sides.1;
    Ok(Section {
        title: "What the network costs",
        method: format!(
            "The same {} documents in {NUM_SHARDS} shards, merged to one segment each, one copy: in one \
             process (`gleaner serve`), and on {NUM_LEAVES} leaves behind a root, five processes. \
             Closed loops of {CLIENT_COUNTS:?} clients in {} rounds, sides in turns; CPU is user and \
             system time of all processes of a side, without the load generator's. Then an open loop \
             at {rate}/s on both sides. Everything runs on the same cores: leaves on machines of their \
             own would have more of them.",
            bench.corpus.sources.len(),
            rounds(bench),
        ),
        tables: vec![closed_table(&sides.0), open_table(&sides.0)],
        remarks: Vec::new(),
    })
}

fn rounds(bench: &Bench) -> usize {
    bench.options.sized(2, 3)
}

fn in_turns(
    bench: &Bench,
    requests: &Arc<Vec<Bytes>>,
    server: &Server,
    cluster: &Nodes,
) -> Result<([Side; 2], f64)> {
    let (one, many) = (|| server.cpu(), || cluster.cpu());
    let places = [
        Place {
            connections: Connections::to(server.address()),
            cpu: &one,
        },
        Place {
            connections: Connections::to(&cluster.roots[0].http),
            cpu: &many,
        },
    ];
    let mut sides: [Side; 2] = Default::default();
    let warm = bench.capacity(server.address(), requests)?;
    let warm_many = bench.capacity(&cluster.roots[0].http, requests)?;
    // The same rate for both, low for the slower one.
    let rate = low_rate(&warm).min(low_rate(&warm_many));
    let open = Rate::lasting(rate, Duration::from_secs(bench.options.sized(4, 10)));
    let while_for = Duration::from_secs(bench.options.sized(3, 5));
    for round in 1..=rounds(bench) {
        tell(&format!("round {round} of closed loops and {rate}/s"));
        for (at, num_clients) in CLIENT_COUNTS.into_iter().enumerate() {
            for (side, place) in sides.iter_mut().zip(&places) {
                let closed = closed_loop(&place.connections, requests, num_clients, while_for);
                let before = (place.cpu)()?;
                let seen = bench.runtime.block_on(closed)?;
                side.closed[at].add(&seen, (place.cpu)()?.saturating_sub(before));
            }
        }
        for (side, place) in sides.iter_mut().zip(&places) {
            let outcomes = open_loop(&place.connections, requests, open);
            let outcomes = bench.runtime.block_on(outcomes)?;
            let latencies: Latencies = outcomes.iter().map(|outcome| outcome.latency).collect();
            side.medians.push(latencies.at(0.5));
            side.open.merge(&latencies);
            let not_whole = outcomes.iter().filter(|o| o.answer != Answer::Whole);
            side.num_open_not_whole += not_whole.count();
        }
    }
    Ok((sides, rate))
}

fn closed_table(sides: &[Side; 2]) -> Table {
    let mut table = Table::new([
        "clients",
        "side",
        "searches/s",
        "by round",
        "CPU µs per search",
        "p50, ms",
        "p99",
        "searches/s, many / one",
        "CPU, many / one",
    ]);
    for (at, num_clients) in CLIENT_COUNTS.into_iter().enumerate() {
        let [one, many] = [&sides[0].closed[at], &sides[1].closed[at]];
        for (name, closed) in [("one process", one), ("root and leaves", many)] {
            let by_round = closed.by_round.iter().map(|rate| format!("{rate:.0}"));
            let throughput = many.per_second() / one.per_second();
            let cpu = many.cpu_us() / one.cpu_us();
            let [throughput, cpu] = match name {
                "one process" => [String::new(), String::new()],
                // The target is for a server that is busy.
                _ if num_clients == 1 => [format!("{throughput:.2}"), format!("{cpu:.2}")],
                _ => [
                    targets::NETWORK_THROUGHPUT.cell(throughput),
                    targets::NETWORK_CPU.cell(cpu),
                ],
            };
            table.row([
                num_clients.to_string(),
                name.to_owned(),
                format!("{:.0}", closed.per_second()),
                by_round.collect::<Vec<_>>().join(", "),
                format!("{:.0}", closed.cpu_us()),
                ms(closed.latencies.at(0.5)),
                ms(closed.latencies.at(0.99)),
                throughput,
                cpu,
            ]);
        }
    }
    table
}

fn open_table(sides: &[Side; 2]) -> Table {
    let mut table = Table::new([
        "open loop",
        "searches",
        "p50, ms",
        "by round",
        "p99",
        "p99.9",
        "not whole",
        "p50, many / one",
    ]);
    let ratio = sides[1].open.at(0.5) / sides[0].open.at(0.5);
    for (at, side) in sides.iter().enumerate() {
        let medians: Vec<String> = side.medians.iter().copied().map(ms).collect();
        table.row([
            ["one process", "root and leaves"][at].to_owned(),
            side.open.number().to_string(),
            ms(side.open.at(0.5)),
            medians.join(", "),
            ms(side.open.at(0.99)),
            ms(side.open.at(0.999)),
            targets::NONE.cell(side.num_open_not_whole as f64),
            match at {
                0 => String::new(),
                _ => targets::NETWORK_P50.cell(ratio),
            },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(ms: u64, cpu: f64) -> Side {
        let latencies: Latencies = (0..1_000).map(|_| Duration::from_millis(ms)).collect();
        let closed = || Closed {
            latencies: latencies.clone(),
            wall: ms as f64,
            cpu,
            by_round: vec![],
        };
        Side {
            closed: [closed(), closed()],
            open: latencies.clone(),
            ..Side::default()
        }
    }

    #[test]
    fn ratios_are_of_many_processes_to_one() {
        let sides = [side(10, 0.3), side(24, 0.6)];
        let closed = closed_table(&sides).to_string();
        let last = closed.lines().last().expect("rows");
        assert!(last.contains("| 600 |"), "{last}");
        assert!(last.contains("0.42 (target ≥ 0.5: **missed**)"), "{last}");
        assert!(last.contains("2 (target ≤ 1.7: **missed**)"), "{last}");
        let open = open_table(&sides).to_string();
        assert!(open.contains("(target ≤ 2.5: met)"), "{open}");
    }
}
