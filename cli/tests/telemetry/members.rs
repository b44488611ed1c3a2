//! `gleaner top` on a cluster of processes: each member has its row, whichever of them is asked.

use std::path::Path;

use anyhow::Result;
use gleaner_testkit::{etcd, skipped};

use crate::running::{Running, gleaner, told};
use crate::{serve, text, until, url_in};

/// All members, with what they do.
const MEMBERS: [[&str; 2]; 5] = [
    ["front-1", "front"],
    ["leaf-1", "leaf"],
    ["leaf-2", "leaf"],
    ["root-1", "root"],
    ["root-2", "root"],
];

/// Returns the names, roles and shares of the processors that the view of all nodes shows, by name.
fn rows(url: &str, file: &Path) -> Vec<Vec<String>> {
    let top = ["top", "--once", "--url", url, "--cluster", text(file)];
    let (code, said) = told(&gleaner().args(top).output().expect("it runs"));
    assert_eq!(code, 0, "{said}");
    let after_head = said.lines().skip_while(|line| !line.starts_with("NODE"));
    let rows = after_head.skip(1).take_while(|line| !line.is_empty());
    let words = |line: &str| line.split_whitespace().take(3).map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> = rows.map(words).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn top_shows_every_root_front_and_leaf() -> Result<()> {
    if !etcd::is_installed() {
        let test = "telemetry::top_shows_every_root_front_and_leaf";
        return skipped(test, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cluster");
    let members = ["--roots", "2", "--fronts", "1", "--leaves", "2"];
    let place = ["--listen", "127.0.0.1:0", "--data", text(&data)];
    let up = [&["cluster", "up"][..], &members[..], &place[..]].concat();
    let cluster = Running::start(&up);
    let said = cluster.until("gleaner top");
    let (url, file) = (url_in(&said), data.join("cluster.toml"));
    assert!(said.ends_with(text(&file)), "{said}");
    // A leaf that has not sent the root its first report yet has no figures.
    let rows = until("the figures of all members", || {
        let rows = rows(&url, &file);
        let has_figures =
            |row: &Vec<String>| row.get(2).is_some_and(|word| word.parse::<u64>().is_ok());
        let is_whole = rows.len() == MEMBERS.len() && rows.iter().all(has_figures);
        is_whole.then_some(rows)
    });
    let shown: Vec<&[String]> = rows.iter().map(|row| &row[..2]).collect();
    assert_eq!(shown, MEMBERS);
    assert_eq!(cluster.stop(), 0);
    Ok(())
}

#[test]
fn both_commands_call_a_single_process_by_one_role() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (served, url) = serve(&folder.path().join("data"), &[]);
    for command in [&["top", "--once"][..], &["topz"][..]] {
        let output = gleaner().args(command).args(["--url", &url]).output()?;
        let (code, said) = told(&output);
        assert_eq!(code, 0, "{said}");
        assert!(
            said.split_whitespace().any(|word| word == "serve"),
            "{said}"
        );
    }
    assert_eq!(served.stop(), 0);
    Ok(())
}
