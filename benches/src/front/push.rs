//! How long a push of many changed files takes until searches find all of them in an index that follows the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::processes::{Running, until};
use super::site::Site;
use crate::client::Client;
use crate::report::{Section, Table};

/// Files that each push changes: all there are.
const NUM_CHANGED: usize = 1_000;

/// Longest time that is promised from the end of a push, in milliseconds.
const PROMISED_MS: f64 = 5_000.0;

/// A repository that is pushed to, and the one that pushes.
struct Repositories {
    shared: PathBuf,
    working: PathBuf,
}

fn git(folder: &Path, words: &[&str]) -> Result<()> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    for setting in [
        "user.name=Bench",
        "user.email=bench@example.org",
        "init.defaultBranch=main",
    ] {
        git.args(["-c", setting]);
    }
    let output = git.args(words).output().context("git does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {words:?}: {said}");
    Ok(())
}

impl Repositories {
    fn new(folder: &Path) -> Result<Self> {
        let made = Self {
            shared: folder.join("shared.git"),
            working: folder.join("working"),
        };
        fs::create_dir(&made.shared)?;
        fs::create_dir(&made.working)?;
        git(&made.shared, &["init", "--quiet", "--bare"])?;
        git(&made.working, &["init", "--quiet"])?;
        let shared = made.shared.display().to_string();
        git(&made.working, &["remote", "add", "origin", &shared])?;
        Ok(made)
    }

    /// Commits all files with another word in each.
    fn change(&self, word: &str) -> Result<()> {
        for n in 0..NUM_CHANGED {
            let text = format!("file {n} of many, with some words about tea: {word}\n");
            fs::write(self.working.join(format!("{n}.txt")), text)?;
        }
        git(&self.working, &["add", "--all"])?;
        git(&self.working, &["commit", "--quiet", "--message", word])
    }

    fn push(&self) -> Result<()> {
        git(
            &self.working,
            &["push", "--quiet", "origin", "HEAD:refs/heads/main"],
        )
    }
}

/// Returns how many documents have a word; 0 where the index is not there yet.
fn count(address: &str, word: &str) -> Result<u64> {
    let path = format!("/code/_count?q=content:{word}");
    let mut client = Client::connect(address)?;
    let (_, body) = client.ask("GET", &path, b"")?;
    let answer: Value = serde_json::from_slice(body)?;
    Ok(answer["count"].as_u64().unwrap_or_default())
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let folder = site.folder.path().join("push");
    fs::create_dir(&folder)?;
    let data = folder.join("data").display().to_string();
    let (_server, server) = site.run("push-server", &["serve", "--data", &data])?;
    let repositories = Repositories::new(&folder)?;
    repositories.change("begun")?;
    repositories.push()?;
    let mut follow = Command::new(&site.options.server);
    follow.args(["index", "--url", &format!("http://{server}")]);
    follow.args(["--index", "code", "--watch", "--ref", "main"]);
    let log = folder.join("index.log");
    let _following = Running::start(follow.arg(&repositories.shared), &log)?;
    let num_changed = NUM_CHANGED as u64;
    let has_all = |word: &str| count(&server, word).is_ok_and(|found| found == num_changed);
    until("the first commit", || has_all("begun"))?;
    let mut table = Table::new(["push", "push alone, ms", "until all is found, ms"]);
    let mut longest_ms = 0.0_f64;
    for round in 1..=site.options.sized(3, 10) {
        let word = format!("state{round}");
        repositories.change(&word)?;
        let begun = Instant::now();
        repositories.push()?;
        let pushed = begun.elapsed();
        until("the push", || has_all(&word))?;
        let after_ms = (begun.elapsed() - pushed).as_secs_f64() * 1e3;
        longest_ms = longest_ms.max(after_ms);
        table.row([
            round.to_string(),
            format!("{:.0}", pushed.as_secs_f64() * 1e3),
            format!("{after_ms:.0}"),
        ]);
    }
    Ok(Section {
        title: "A push",
        method: format!(
            "`git push` of a commit that changes {NUM_CHANGED} files of a repository which `gleaner index --watch` \
             follows with its usual period; from the end of the push until a count finds the new word in all of them. \
             It is asked for every 50 ms."
        ),
        tables: vec![table],
        remarks: vec![format!(
            "The longest took {longest_ms:.0} ms, of {PROMISED_MS:.0} promised."
        )],
    })
}
