//! What users feel of a shadow that gets all that they ask: one that answers, and one that stands still.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::misses::quantiles;
use super::paced::{Answers, PacedClient, UNCACHED, send_all};
use super::processes::Running;
use super::site::{QUESTION, Site};
use crate::report::{Section, Table};

const NUM_USERS: usize = 4;
const RATE: f64 = 40.0;

/// Starts a server with the documents.
fn start_server(site: &Site, name: &str) -> Result<(Running, String)> {
    let data = site.folder.path().join(name).display().to_string();
    let (running, address) = site.run(name, &["serve", "--data", &data])?;
    site.index(None, &format!("http://{address}"))?;
    Ok((running, address))
}

fn users(front: &str) -> Vec<PacedClient<'_>> {
    let user = |n| PacedClient {
        to: front,
        address: format!("198.51.{n}.7"),
        rate: RATE,
        path: UNCACHED,
        body: QUESTION,
    };
    (0..NUM_USERS).map(user).collect()
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let (_main, main) = start_server(site, "main")?;
    let (shadow, shadow_address) = start_server(site, "shadow")?;
    let (main, to) = (format!("http://{main}"), format!("http://{shadow_address}"));
    let (_plain, plain) = site.run("plain", &["front", "--backend", &main])?;
    let words = [
        "front",
        "--backend",
        &main,
        "--shadow",
        &to,
        "--shadow-share",
        "100%",
    ];
    let (_shadowed, shadowed) = site.run("shadowed", &words)?;
    let rounds = site.options.sized(2, 8);
    let span = Duration::from_secs(site.options.sized(2, 10));
    let signal = |signal: &str| -> Result<()> {
        let sent = Command::new("kill")
            .args([signal, &shadow.pid().to_string()])
            .status()?;
        ensure!(sent.success(), "the shadow is gone");
        Ok(())
    };
    let mut found = [Answers::default(), Answers::default(), Answers::default()];
    for round in 0..=rounds {
        let mut answers = vec![send_all(&users(&plain), span)?];
        answers.push(send_all(&users(&shadowed), span)?);
        signal("-STOP")?;
        answers.push(send_all(&users(&shadowed), span)?);
        signal("-CONT")?;
        // What it was sent while it stood still is answered, and the first round is over.
        send_all(&users(&shadowed), span / 10)?;
        if round == 0 {
            continue;
        }
        for (found, answers) in found.iter_mut().zip(answers) {
            found.add(answers);
        }
    }
    let mut table = Table::new([
        "shadow",
        "requests",
        "not answered 200",
        "p50, ms",
        "p99, ms",
        "to none",
    ]);
    let mut first = None;
    for (name, answers) in ["none", "of all requests", "the same, it stands still"]
        .iter()
        .zip(&found)
    {
        let [p50, p99] = quantiles(answers.times.clone()).map(|time| time.as_secs_f64() * 1e3);
        let least = *first.get_or_insert(p99);
        let [num, num_failed] = answers.counts();
        table.row([
            (*name).to_owned(),
            num,
            num_failed,
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{:.2}", p99 / least),
        ]);
    }
    Ok(Section {
        title: "A shadow",
        method: format!(
            "{NUM_USERS} users send {RATE} searches a second each through a front to one server; another gets a copy of each. \
             {rounds} rounds of {} s in turns; nothing is kept. All processes share the processors.",
            span.as_secs()
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}
