//! The commands of `docs/front.md`, run as they stand there beside real processes: addresses, files and names of machines
//! are those of the test, and nothing else is another.
//!
//! A command that the page gains and this file does not know fails the test.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

use crate::certificates;
use crate::companions::{free_port, until};
use crate::rules::{asked_with, service};
use crate::running::{Running, curl, gleaner, told};

/// The commands of the page, as far as they tell which one it is.
const COMMANDS: [&str; 9] = [
    "gleaner front --backend http://127.0.0.1:8080 --cert",
    "gleaner certs --cluster",
    "gleaner front --cluster",
    "gleaner cluster up",
    "curl --cacert D/ca.pem",
    "gleaner front --backend http://old:9200 --split-to",
    "gleaner front --backend http://old:9200 --shadow",
    "curl 127.0.0.1:9220/_front/shadow",
    "curl -X PUT 127.0.0.1:9220/_front/rules",
];

/// Returns the lines of the blocks of this kind.
fn lines(page: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(opened) => is_open = opened == kind,
            None if is_open => found.push(line.to_owned()),
            None => {}
        }
    }
    found
}

fn page() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/front.md");
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Returns the command at `place` of [`COMMANDS`].
fn command(page: &str, place: usize) -> String {
    let lines = lines(page, "console");
    let lines = lines.iter().map(|line| line.trim_start_matches("$ "));
    let mut lines = lines.filter(|line| line.starts_with(COMMANDS[place]));
    let line = lines.next().expect("it is on the page");
    line.split(" # ").next().expect("a command").to_owned()
}

/// Returns the words of the command at `place` of [`COMMANDS`], with what the test puts in place of others.
fn words(page: &str, place: usize, instead: &[(&str, &str)]) -> Vec<String> {
    let line = command(page, place);
    let replaced = |word: &str| {
        let found = instead.iter().find(|(given, _)| word.contains(given));
        found.map_or(word.to_owned(), |(given, own)| word.replace(given, own))
    };
    line.split_whitespace().skip(1).map(replaced).collect()
}

/// Starts the command at `place` in a folder, and waits until it says `said`.
fn started(folder: &Path, words: &[String], said: &str) -> Running {
    let running = Running::of(gleaner().current_dir(folder).args(words));
    running.until(said);
    running
}

#[test]
fn every_command_of_the_page_is_known_here() -> Result<()> {
    let page = page()?;
    for line in lines(&page, "console") {
        let line = line.trim_start_matches("$ ");
        assert!(
            COMMANDS.iter().any(|known| line.starts_with(known)),
            "`{line}` of docs/front.md is run by no test"
        );
    }
    for place in 0..COMMANDS.len() {
        words(&page, place, &[]);
    }
    Ok(())
}

#[test]
fn the_commands_ahead_of_a_service_and_of_roots_run() -> Result<()> {
    let (page, folder) = (page()?, tempfile::tempdir()?);
    certificates(folder.path());
    for (from, to) in [("r.pem", "c.pem"), ("r.key", "k.pem")] {
        let from = folder.path().join("certs").join(from);
        fs::copy(from, folder.path().join(to))?;
    }
    let backend = service("200 OK", "plain");
    let listen = format!("127.0.0.1:{}", free_port());
    let instead = [
        ("http://127.0.0.1:8080", &*backend),
        ("0.0.0.0:8443", &*listen),
    ];
    let front = started(folder.path(), &words(&page, 0, &instead), "front serving");
    let ca = folder.path().join("certs/ca.pem");
    let (_, answer) = curl(&ca, &[&format!("https://{listen}/")]);
    assert!(answer.ends_with("plain"), "{answer}");
    assert_eq!(front.stop(), 0);

    // The roots of the file are away: the front says so.
    let listen = format!("127.0.0.1:{}", free_port());
    let members = json!({"cluster": {
        "etcd": ["https://127.0.0.1:2"],
        "nodes": [{"name": "r", "role": "root", "address": "127.0.0.1:1", "http_address": "127.0.0.1:3"}],
        "fronts": [{"name": "front-1", "http_address": listen}],
    }});
    let members = toml::to_string(&members)?;
    fs::write(folder.path().join("cluster.toml"), members)?;
    fs::remove_dir_all(folder.path().join("certs"))?;
    let made = gleaner()
        .current_dir(folder.path())
        .args(words(&page, 1, &[]))
        .output()?;
    assert_eq!(told(&made).0, 0, "{}", told(&made).1);
    let front = started(folder.path(), &words(&page, 2, &[]), "front serving");
    let (code, answer) = curl(&ca, &[&format!("https://{listen}/_health/live")]);
    assert!(code == 0 && answer.contains(" 200"), "{answer}");
    until("that no root is ready", || {
        let (_, answer) = curl(&ca, &[&format!("https://{listen}/_health/ready")]);
        answer.contains(" 503").then_some(())
    });
    assert_eq!(front.stop(), 0);
    Ok(())
}

#[test]
fn the_commands_of_split_and_shadow_run() -> Result<()> {
    let (page, folder) = (page()?, tempfile::tempdir()?);
    let (old, new) = (service("200 OK", "old"), service("200 OK", "new"));
    let admin = format!("127.0.0.1:{}", free_port());
    let instead = [
        ("http://old:9200", &*old),
        ("http://new:9200", &*new),
        ("127.0.0.1:9220", &*admin),
    ];
    let with_port = |place| {
        let mut words = words(&page, place, &instead);
        words.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        words
    };
    let split = started(folder.path(), &with_port(5), "front serving");
    let address = split.address_in("front serving");
    let bodies: Vec<String> = (0..200)
        .map(|user| asked_with(&address, &format!("Cookie: sid={user}")))
        .collect();
    let num_new = bodies.iter().filter(|body| *body == "new").count();
    assert!((5..=45).contains(&num_new), "a tenth: {num_new}");
    assert_eq!(split.stop(), 0);

    let shadowed = started(folder.path(), &with_port(6), "are shown");
    let rules = lines(&page, "json").join("\n");
    fs::write(folder.path().join("rules.json"), &rules)?;
    for (place, wanted) in [(7, "compared"), (8, "new analyzer")] {
        let asked = Command::new("curl")
            .current_dir(folder.path())
            .args(["-s", "--noproxy", "*", "--max-time", "60"])
            .args(words(&page, place, &instead))
            .output()?;
        let (code, said) = told(&asked);
        let said: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        assert_eq!(code, 0, "{said}");
        assert!(said.to_string().contains(wanted), "{said}");
    }
    assert_eq!(shadowed.stop(), 0);
    Ok(())
}

#[test]
fn the_commands_of_a_cluster_run() -> Result<()> {
    if !etcd::is_installed() {
        let test = "secure::the_commands_of_a_cluster_run";
        return skipped(test, etcd::NO_ETCD);
    }
    let (page, folder) = (page()?, tempfile::tempdir()?);
    let listen = format!("127.0.0.1:{}", free_port());
    let instead = [("127.0.0.1:9443", &*listen)];
    let up = words(&page, 3, &instead);
    let cluster = started(folder.path(), &up, "Its processes and shards");
    // A shell puts the key in its place.
    let asked = command(&page, 4).replace("127.0.0.1:9443", &listen);
    let asked = Command::new("sh")
        .current_dir(folder.path())
        .arg("-c")
        .arg(format!("{asked} -s --noproxy '*' --max-time 60"))
        .output()?;
    let (code, answer) = told(&asked);
    assert_eq!(code, 0, "{answer}");
    for node in ["root-1", "root-2", "leaf-1", "leaf-4"] {
        assert!(answer.contains(node), "{answer}");
    }
    assert_eq!(cluster.stop(), 0);
    Ok(())
}
