//! What a full handshake costs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::contenders;
use super::processes::cpu_of_tree;
use super::site::Site;
use crate::report::{Section, Table};

/// Makes new sessions of TLS 1.3 for `seconds`; returns how many.
fn connect(port: &str, seconds: u64) -> Result<u32> {
    let output = Command::new("openssl")
        .args(["s_time", "-connect", port, "-new", "-tls1_3"])
        .args(["-time", &seconds.to_string()])
        .output()
        .context("openssl does not run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said
        .lines()
        .find(|line| line.contains("connections in") && line.contains("real"));
    let num = line.and_then(|line| line.split(' ').next()?.parse().ok());
    let num = num.with_context(|| format!("openssl said: {said}"))?;
    ensure!(num > 0, "no handshake was made");
    Ok(num)
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let (seconds, rounds) = (site.options.sized(2, 5), site.options.sized(3, 5));
    let nginx = contenders::static_file(site)?;
    let of_nginx = nginx.url.trim_start_matches("https://").split('/').next();
    let of_nginx = of_nginx.context("an address")?.to_owned();
    let ours = format!("127.0.0.1:{}", site.serve_port);
    let mut table = Table::new(["server", "CPU a handshake, µs", "to nginx"]);
    let mut used = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (i, (pid, address)) in [(nginx.process.pid(), &of_nginx), (site.serve.pid(), &ours)]
            .into_iter()
            .enumerate()
        {
            let before = cpu_of_tree(pid)?;
            let num = connect(address, seconds)?;
            used[i].push((cpu_of_tree(pid)? - before) / num);
        }
    }
    let medians = used.map(|mut rounds: Vec<Duration>| {
        rounds.sort_unstable();
        rounds[rounds.len() / 2].as_secs_f64() * 1e6
    });
    for (name, micros) in ["nginx", "gleaner"].into_iter().zip(medians) {
        table.row([
            name.to_owned(),
            format!("{micros:.0}"),
            format!("{:.2}", micros / medians[0]),
        ]);
    }
    Ok(Section {
        title: "Handshakes",
        method: format!(
            "Full handshakes of TLS 1.3 one after another for {seconds} s, {rounds} rounds in turns, the same \
             certificate; median of the CPU time of the server's processes."
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}
