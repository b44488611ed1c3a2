//! What a front adds to a request that it forwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::paced::UNCACHED;
use super::site::{Cluster, QUESTION, Site};
use crate::client::Client;
use crate::report::{Section, Table};

/// Asks once; returns how long the answer took.
pub(super) fn ask(client: &mut Client, path: &str) -> Result<Duration> {
    let begun = Instant::now();
    client.expect("POST", path, QUESTION.as_bytes())?;
    Ok(begun.elapsed())
}

/// Returns the median and the 99th of a hundred.
pub(super) fn quantiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let (num, first) = (site.options.sized(1_000, 5_000), 200);
    let counts = [
        "--leaves", "1", "--copies", "1", "--roots", "1", "--fronts", "1",
    ];
    let cluster = Cluster::start(site, "misses", &counts)?;
    let client = |role| -> Result<Client> {
        let found = cluster.of(role);
        let (address, _) = found.first().context("an address")?;
        Client::connect(address)
    };
    site.index(None, &cluster.url())?;
    let mut ways = [client("root")?, client("front")?];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..num + first {
        for (client, times) in ways.iter_mut().zip(&mut times) {
            let took = ask(client, UNCACHED)?;
            if round >= first {
                times.push(took);
            }
        }
    }
    let mut table = Table::new(["asked", "p50, µs", "p99, µs"]);
    let all = times.map(quantiles);
    for (name, quantiles) in ["the root", "a front"].into_iter().zip(&all) {
        let [p50, p99] = quantiles.map(|time| format!("{:.0}", time.as_secs_f64() * 1e6));
        table.row([name.to_owned(), p50, p99]);
    }
    let added = (all[1][0].as_secs_f64() - all[0][0].as_secs_f64()) * 1e6;
    Ok(Section {
        title: "Misses",
        method: format!(
            "{num} searches one after another, to the root and through a front in turns, each over one connection; \
             nothing is kept."
        ),
        tables: vec![table],
        remarks: vec![format!("The front adds {added:.0} µs to the median.")],
    })
}
