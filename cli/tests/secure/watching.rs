//! An index that follows a git repository, and one that follows a folder: a real server, a real push.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use gleaner_testkit::skipped;
use serde_json::Value;

use crate::companions::{ask, until};
use crate::following::probes_of;
use crate::running::{Running, gleaner, told};

/// Documents that one push changes.
const NUM_PUSHED: usize = 1_000;

fn git(folder: &Path, words: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .output()
        .expect("git runs");
    let (code, said) = told(&output);
    assert_eq!(code, 0, "git {words:?}: {said}");
}

/// A server and what is asked of it.
struct Server {
    running: Running,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let data = folder.join("data");
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().expect("text"),
        ];
        Self {
            running: Running::start(&words),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// Returns the paths of the files whose content matches, sorted.
    fn found(&self, index: &str, words: &str) -> Vec<String> {
        let query = format!("q=content:{words}&size=1000&_source=path&sort=path");
        let url = format!("{}/{index}/_search?{query}", self.url());
        let output = Command::new("curl")
            .args(["-s", "--noproxy", "*", &url])
            .output()
            .expect("curl");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let hits = answer["hits"]["hits"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        hits.iter()
            .filter_map(|hit| Some(hit["_source"]["path"].as_str()?.to_owned()))
            .collect()
    }

    fn until_found(&self, index: &str, words: &str, wanted: &[&str]) {
        until(&format!("{words}: {wanted:?}"), || {
            (self.found(index, words) == wanted).then_some(())
        });
    }
}

#[test]
fn a_push_is_searchable_and_deleted_files_disappear() -> Result<()> {
    let folder = tempfile::tempdir()?;
    if Command::new("git").arg("--version").output().is_err() {
        return skipped(
            "secure::a_push_is_searchable_and_deleted_files_disappear",
            "no `git` is installed here",
        );
    }
    let server = Server::start(folder.path());
    let (bare, work) = (
        folder.path().join("repository.git"),
        folder.path().join("work"),
    );
    fs::create_dir(&work)?;
    git(
        folder.path(),
        &["init", "--quiet", "--bare", "repository.git"],
    );
    git(&work, &["init", "--quiet"]);
    let repository = bare.to_str().expect("text");
    let url = server.url();
    let words = [
        "index", "--url", &url, "--index", "code", "--watch", "--ref", "main", "--period", "100ms",
        repository,
    ];
    // Nothing was pushed yet: the reference is not there.
    let watching = Running::start(&words);
    watching.until("not followed for now: the repository has no `main`");
    drop(watching);
    fs::create_dir(work.join("src"))?;
    fs::write(work.join("src/a b.rs"), "fn green_tea() {}\n")?;
    fs::write(work.join("tea.md"), "black tea\n")?;
    fs::write(work.join("tea.png"), b"\x89PNG\0tea")?;
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    git(&work, &["push", "--quiet", repository, "HEAD:main"]);
    let watching = Running::start(&words);
    watching.until("passed over: tea.png: it is no text");
    server.until_found("code", "tea", &["tea.md"]);
    server.until_found("code", "green_tea", &["src/a b.rs"]);
    fs::remove_file(work.join("tea.md"))?;
    fs::write(work.join("src/a b.rs"), "fn white_tea() {}\n")?;
    for number in 0..NUM_PUSHED {
        fs::write(
            work.join(format!("file{number:04}.txt")),
            format!("pushed number{number}\n"),
        )?;
    }
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "-m", "second"]);
    git(&work, &["push", "--quiet", repository, "HEAD:main"]);
    until("all files", || {
        (server.found("code", "pushed").len() == NUM_PUSHED).then_some(())
    });
    server.until_found("code", "white_tea", &["src/a b.rs"]);
    assert!(server.found("code", "green_tea").is_empty() && server.found("code", "tea").is_empty());
    drop(watching);
    // Started again, it knows from the index what is there.
    let words = [&words[..words.len() - 1], &["--once", repository][..]].concat();
    let (code, said) = told(&gleaner().args(&words).output()?);
    assert!(code == 0 && !said.contains("written"), "{code} {said}");
    Ok(())
}

#[test]
fn a_folder_is_followed_beside_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path());
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    for path in [&one, &two] {
        fs::create_dir(path)?;
        fs::write(path.join("same.txt"), "shared\n")?;
    }
    let url = server.url();
    let mut watching = Vec::new();
    for path in [&one, &two] {
        let path = path.to_str().expect("text");
        watching.push(Running::start(&[
            "index", "--url", &url, "--index", "notes", "--watch", "--period", "50ms", path,
        ]));
    }
    server.until_found("notes", "shared", &["same.txt", "same.txt"]);
    fs::remove_file(one.join("same.txt"))?;
    server.until_found("notes", "shared", &["same.txt"]);
    fs::write(two.join("same.txt"), "changed\n")?;
    server.until_found("notes", "shared", &[]);
    server.until_found("notes", "changed", &["same.txt"]);
    fs::write(two.join("large.txt"), "x".repeat(2 << 20))?;
    watching[1].until("passed over: large.txt: it is too large");
    Ok(())
}

#[test]
fn an_index_that_lacks_a_refused_file_is_not_ready() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path());
    let (notes, mapping) = (folder.path().join("notes"), folder.path().join("mapping"));
    fs::create_dir(&notes)?;
    fs::write(notes.join("one.txt"), "no number\n")?;
    let properties = r#"{"source": {"type": "keyword"}, "content": {"type": "integer"}}"#;
    let body = format!(r#"{{"mappings": {{"properties": {properties}}}}}"#);
    fs::write(&mapping, body)?;
    let mut command = gleaner();
    command
        .args(["index", "--url", &server.url(), "--index", "notes"])
        .args(["--watch", "--period", "50ms"])
        .args(["--probe-listen", "127.0.0.1:0", "--create-mapping"])
        .args([&mapping, &notes]);
    let watching = Running::of(&mut command);
    let ready = format!("http://{}/_health/ready", probes_of(&watching));
    let says = |wanted: &str| {
        until(wanted, || ask(&ready, &[]).contains(wanted).then_some(()));
    };
    says("the server refused 1 file");
    fs::remove_file(notes.join("one.txt"))?;
    says("\"ready\"");
    assert_eq!(watching.stop(), 0);
    Ok(())
}
