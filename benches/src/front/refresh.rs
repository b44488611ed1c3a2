//! What fronts that follow cost a write that is to be visible.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::misses::{ask, quantiles};
use super::site::{Cluster, Site};
use crate::client::Client;
use crate::report::{Section, Table};

fn write(root: &mut Client, n: usize) -> Result<Duration> {
    let (begun, path) = (
        Instant::now(),
        format!("/notes/_doc/w{}?refresh=true", n % 64),
    );
    root.expect("PUT", &path, b"{\"text\":\"oolong\"}")?;
    Ok(begun.elapsed())
}

/// Returns how long `num` writes took; each of `readers` has an answer before each, and so follows.
fn writes(root: &mut Client, readers: &mut [Client], num: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(num);
    for n in 0..num + 20 {
        for reader in &mut *readers {
            ask(reader, "/notes/_search")?;
        }
        let took = write(root, n)?;
        if n >= 20 {
            times.push(took);
        }
    }
    Ok(times)
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let num = site.options.sized(150, 600);
    let counts = [
        "--leaves", "1", "--copies", "1", "--roots", "1", "--fronts", "3",
    ];
    let cluster = Cluster::start(site, "refresh", &counts)?;
    site.index(None, &cluster.url())?;
    let mut root = Client::connect(&cluster.of("root").remove(0).0)?;
    let fronts = cluster.of("front");
    let mut readers = Vec::new();
    for (address, _) in &fronts {
        readers.push(Client::connect(address)?);
    }
    let mut table = Table::new(["who follows", "p50, ms", "p99, ms", "longest, ms"]);
    let mut row = |name: &str, times: Vec<Duration>| {
        let longest = times.iter().max().copied().unwrap_or_default();
        let [p50, p99] = quantiles(times);
        let all = [p50, p99, longest].map(|time| format!("{:.1}", time.as_secs_f64() * 1e3));
        let [p50, p99, longest] = all;
        table.row([name.to_owned(), p50, p99, longest]);
    };
    row("nobody", writes(&mut root, &mut [], num)?);
    row(
        "a root and three fronts",
        writes(&mut root, &mut readers, num)?,
    );
    let stopped = fronts[0].1.to_string();
    let signal = |signal: &str| Command::new("kill").args([signal, &stopped]).status();
    ensure!(signal("-STOP")?.success(), "a front is gone");
    let first = write(&mut root, 0);
    let others: Result<Vec<_>> = (1..100).map(|n| write(&mut root, n)).collect();
    ensure!(signal("-CONT")?.success(), "a front is gone");
    row("the same, right after one front has stopped", vec![first?]);
    row("the same, after that", others?);
    Ok(Section {
        title: "Writes that are to be visible",
        method: format!("{num} documents one after another with `refresh=true`, sent to the root."),
        tables: vec![table],
        remarks: Vec::new(),
    })
}
