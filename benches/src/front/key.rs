//! How long a changed key of etcd takes until a process that `gleaner config-sync` signals has the new value.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gleaner_testkit::etcd::Etcd;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::misses::quantiles;
use super::processes::{Running, until};
use super::site::Site;
use crate::client::Client;
use crate::report::{Section, Table};

const KEY: &str = "/bench/site.conf";

/// Longest time that is promised, in milliseconds.
const PROMISED_MS: f64 = 2_000.0;

/// Longest wait for a signal.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts a value at the key, through etcd's gateway for JSON.
fn put(etcd: &Etcd, value: &str) -> Result<()> {
    let [key, value] = [KEY, value].map(|text| STANDARD.encode(text));
    let body = json!({"key": key, "value": value}).to_string();
    let mut client = Client::connect(&etcd.address())?;
    client.expect("POST", "/v3/kv/put", body.as_bytes())?;
    Ok(())
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let times = runtime.block_on(times(site))?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mut table = Table::new(["change", "until the process has it, ms"]);
    for (number, time) in times.iter().enumerate() {
        table.row([(number + 1).to_string(), format!("{:.1}", ms(*time))]);
    }
    let longest = times.iter().max().copied().unwrap_or_default();
    let [p50, _] = quantiles(times);
    Ok(Section {
        title: "A changed key",
        method: "A put to an etcd of one member on this machine; until the process that `gleaner config-sync` signals \
                 has heard of it and has read the new value in the file. The process is the one that measures."
            .to_owned(),
        tables: vec![table],
        remarks: vec![format!(
            "The median is {:.1} ms, the longest {:.1} ms, of {PROMISED_MS:.0} promised.",
            ms(p50),
            ms(longest)
        )],
    })
}

/// Returns how long each change took.
async fn times(site: &Site) -> Result<Vec<Duration>> {
    // Before anybody may send one: without this it ends the process.
    let mut signals = signal(SignalKind::hangup())?;
    let folder = site.folder.path().join("key");
    fs::create_dir(&folder)?;
    let (file, pid_file) = (folder.join("site.conf"), folder.join("pid"));
    fs::write(&pid_file, std::process::id().to_string())?;
    let etcd = Etcd::start()?;
    until("etcd", || TcpStream::connect(etcd.address()).is_ok())?;
    until("a put", || put(&etcd, "begun\n").is_ok())?;
    let mut sync = Command::new(&site.options.server);
    let from = format!("etcd://{}/{KEY}", etcd.address());
    sync.args(["config-sync", "--from", &from, "--to"]);
    sync.arg(&file).arg("--pid-file").arg(&pid_file);
    let _sync = Running::start(&mut sync, &folder.join("sync.log"))?;
    let has = |value: &str| fs::read_to_string(&file).is_ok_and(|text| text == value);
    let mut times = Vec::new();
    for round in 0..=site.options.sized(5, 20) {
        let value = format!("state {round}\n");
        let begun = Instant::now();
        put(&etcd, &value)?;
        loop {
            let heard = timeout(PATIENCE, signals.recv()).await;
            heard.context("no signal comes")?;
            if has(&value) {
                break;
            }
        }
        // The first one waits until the companion is there.
        if round > 0 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}
