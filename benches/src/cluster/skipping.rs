//! What it saves to leave out shards that cannot match: days of a log, an index each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use gleaner_datasets::Random;
use serde_json::{Value, json};

use super::connections::{self, Connections};
use super::latency::ms;
use super::load::{Closed, closed_loop};
use super::nodes::{self, Leaves, Means, NUM_LEAVES, Nodes, Start};
use super::{Bench, CLIENTS};
use crate::client::Client;
use crate::corpus::SEED;
use crate::report::{Section, Table, tell};

/// Days, an index each.
const NUM_DAYS: u64 = 30;
/// Shards of each.
const SHARDS_PER_DAY: u64 = 2;
/// The first midnight, milliseconds since the epoch.
const FIRST_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 86_400_000;
/// Requests of each kind.
const NUM_REQUESTS: usize = 20;
/// Services, of which each runs for some days.
const NUM_SERVICES: u64 = 40;

/// Settings of the leaves of both sides.
const SIDES: [(&str, &str); 2] = [
    ("all are asked", "search_lease = \"0s\"\n"),
    ("known ones are not", "search_lease_after = \"1s\"\n"),
];

/// A kind of search.
struct Kind {
    name: &'static str,
    requests: Arc<Vec<Bytes>>,
}

/// What came of one kind on one side, over all rounds.
#[derive(Debug, Default)]
struct Figures {
    closed: Closed,
    /// Shards asked for hits, per search.
    asked: f64,
}

/// Measures both sides in turns.
///
/// # Errors
/// When a process fails or a search is not answered whole.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let per_day = bench.options.sized(200, 2_000);
    let mut clusters = Vec::new();
    for (name, leaf_settings) in SIDES {
        tell(&format!("loading {NUM_DAYS} days on 4 leaves, {name}"));
        let nodes = Nodes::start(&Start {
            binary: &bench.options.server,
            roots: &[Means::ALL],
            leaves: Leaves::Real,
            leaf_settings,
        })?;
        load(&mut nodes.client()?, per_day)?;
        nodes::settle(|| nodes.cpu())?;
        clusters.push(nodes);
    }
    let kinds = kinds();
    let mut figures: Vec<[Figures; 2]> = kinds.iter().map(|_| Default::default()).collect();
    let rounds = bench.options.sized(1, 3);
    let while_for = Duration::from_secs(bench.options.sized(1, 3));
    for round in 1..=rounds {
        tell(&format!("round {round} of days"));
        for (kind, sides) in kinds.iter().zip(&mut figures) {
            for (nodes, side) in clusters.iter().zip(sides) {
                let connections = Connections::to(&nodes.roots[0].http);
                let run = || closed_loop(&connections, &kind.requests, CLIENTS, while_for);
                // What is said of shards, and caches, as they are after a while.
                bench.runtime.block_on(run())?;
                let before = nodes.cpu()?;
                let seen = bench.runtime.block_on(run())?;
                side.closed.add(&seen, nodes.cpu()?.saturating_sub(before));
                side.asked = asked(&bench.runtime, &connections, kind)?;
            }
        }
    }
    Ok(Section {
        title: "Shards that cannot match",
        method: format!(
            "{NUM_DAYS} indices of {SHARDS_PER_DAY} shards, one for each day of a log, with {per_day} \
             generated lines each (seed {SEED}), on {NUM_LEAVES} leaves behind a root; every search is \
             of all days. {NUM_REQUESTS} different searches of each kind, in turns, by {CLIENTS} clients \
             in closed loops, {rounds} rounds of {} s after as long a warm-up, sides in turns. `Shards \
             asked` is `_shards.total` less `skipped`; CPU is that of all five processes. One side's \
             leaves give no leases (`search_lease = \"0s\"`), the other's after a second of quiet.",
            while_for.as_secs(),
        ),
        tables: vec![table(&kinds, &figures)],
        remarks: Vec::new(),
    })
}

fn table(kinds: &[Kind], figures: &[[Figures; 2]]) -> Table {
    let mut table = Table::new([
        "search",
        "shards",
        "shards asked",
        "searches/s",
        "CPU µs per search",
        "p50, ms",
        "p99",
        "searches/s, to all asked",
        "CPU, to all asked",
    ]);
    for (kind, sides) in kinds.iter().zip(figures) {
        for ((name, _), side) in SIDES.iter().zip(sides) {
            let (closed, all) = (&side.closed, &sides[0].closed);
            let ratio = |of: fn(&Closed) -> f64| format!("{:.2}", of(closed) / of(all));
            table.row([
                kind.name.to_owned(),
                (*name).to_owned(),
                format!("{:.1}", side.asked),
                format!("{:.0}", closed.per_second()),
                format!("{:.0}", closed.cpu_us()),
                ms(closed.latencies.at(0.5)),
                ms(closed.latencies.at(0.99)),
                ratio(Closed::per_second),
                ratio(Closed::cpu_us),
            ]);
        }
    }
    table
}

/// Asks each search of a kind once and returns how many shards were asked for it, in the mean.
fn asked(
    runtime: &tokio::runtime::Runtime,
    connections: &Arc<Connections>,
    kind: &Kind,
) -> Result<f64> {
    let mut num_asked = 0.0;
    for request in kind.requests.iter() {
        let (status, body) = runtime.block_on(connections.ask(request))?;
        ensure!(status == 200, "a search was answered with {status}");
        let answer: Value = serde_json::from_slice(&body)?;
        let number = |name: &str| answer["_shards"][name].as_f64().unwrap_or(f64::NAN);
        num_asked += number("total") - number("skipped");
    }
    Ok(num_asked / kind.requests.len() as f64)
}

fn kinds() -> Vec<Kind> {
    let mut random = Random::stream(SEED, 7);
    let mut draw = |name, of: fn(&mut Random) -> Value| Kind {
        name,
        requests: Arc::new(
            (0..NUM_REQUESTS)
                .map(|_| {
                    connections::post("/log-*/_search", of(&mut random).to_string().as_bytes())
                })
                .collect(),
        ),
    };
    vec![
        draw("newest lines of the last hours", newest),
        draw("a dashboard of one day", dashboard),
        draw("lines of one service", of_service),
        draw("a frequent word", frequent),
    ]
}

fn newest(random: &mut Random) -> Value {
    let from = FIRST_MS + (NUM_DAYS - 1) * DAY_MS + random.below(DAY_MS / 2);
    json!({"query": {"range": {"at": {"gte": from}}}, "sort": [{"at": "desc"}], "size": 10})
}

fn dashboard(random: &mut Random) -> Value {
    let from = FIRST_MS + random.below(NUM_DAYS) * DAY_MS;
    json!({
        "query": {"range": {"at": {"gte": from, "lt": from + DAY_MS}}},
        "size": 0,
        "aggs": {
            "by_hour": {"date_histogram": {"field": "at", "fixed_interval": "1h"}},
            "services": {"terms": {"field": "service"}},
        },
    })
}

fn of_service(random: &mut Random) -> Value {
    let service = format!("s{}", random.below(NUM_SERVICES));
    json!({"query": {"term": {"service": service}}, "size": 10})
}

fn frequent(random: &mut Random) -> Value {
    let word = format!("w{}", random.below(20));
    json!({"query": {"match": {"message": word}}, "size": 10, "track_total_hits": false})
}

/// Makes the indices behind `client` and fills them.
fn load(client: &mut Client, per_day: u64) -> Result<()> {
    let mut random = Random::stream(SEED, 8);
    for day in 0..NUM_DAYS {
        let index = format!("log-{day:02}");
        let body = json!({
            "settings": {
                "number_of_shards": SHARDS_PER_DAY, "number_of_replicas": 0,
                "refresh_interval": "-1",
            },
            "mappings": {"properties": {
                "at": {"type": "date"}, "service": {"type": "keyword"}, "message": {"type": "text"},
            }},
        });
        client.expect("PUT", &format!("/{index}"), body.to_string().as_bytes())?;
        let mut bulk = String::new();
        for _ in 0..per_day {
            bulk += "{\"index\":{}}\n";
            bulk += &line(&mut random, day).to_string();
            bulk.push('\n');
        }
        let path = format!("/{index}/_bulk");
        let answer: Value =
            serde_json::from_slice(client.expect("POST", &path, bulk.as_bytes())?)?;
        ensure!(answer["errors"] == false, "a line was refused: {answer}");
    }
    client.expect("POST", "/log-*/_forcemerge?max_num_segments=1", b"")?;
    client.expect("POST", "/log-*/_refresh", b"")?;
    client.expect("POST", "/log-*/_flush", b"")?;
    Ok(())
}

fn line(random: &mut Random, day: u64) -> Value {
    let words: Vec<String> = (0..8).map(|_| format!("w{}", random.below(200))).collect();
    let service = (day + random.below(6)) % NUM_SERVICES;
    json!({
        "at": FIRST_MS + day * DAY_MS + random.below(DAY_MS),
        "service": format!("s{service}"),
        "message": words.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beside_those_of_asking_all() {
        let side = |asked: f64, cpu: f64| Figures {
            closed: Closed {
                latencies: (0..10).map(|_| Duration::from_millis(2)).collect(),
                wall: 1.0,
                cpu,
                by_round: vec![],
            },
            asked,
        };
        let kinds = kinds();
        let figures = [[side(60.0, 0.02), side(2.0, 0.005)]];
        let shown = table(&kinds[..1], &figures).to_string();
        let last = shown.lines().last().expect("rows");
        assert!(last.contains("| 2.0 | 10 | 500 |"), "{last}");
        assert!(last.trim_end().ends_with("| 1.00 | 0.25 |"), "{last}");
    }
}
