//! An index that follows a git repository, and one that follows a folder: a real server, a real push.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Makes a commit of `main` with nine levels of trees, each of which names the tree below it ten times.
fn plant_bomb(root: &Path, leaf: &str) {
    let made = |lines: String| {
        let mut making = Command::new("git")
            .arg("-C")
            .arg(root)
            .arg("mktree")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git runs");
        let mut stdin = making.stdin.take().expect("a pipe");
        stdin.write_all(lines.as_bytes()).expect("it reads");
        drop(stdin);
        let output = making.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let mut tree = made(leaf.to_owned());
    for _ in 0..9 {
        let lines = (0..10).map(|at| format!("040000 tree {tree}\tx{at}\n"));
        tree = made(lines.collect());
    }
    fs::write(root.join("commit"), commit_of(&tree)).expect("written");
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["hash-object", "-t", "commit", "-w", "commit"])
        .output()
        .expect("git runs");
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    git(root, &["update-ref", "refs/heads/main", &commit]);
}

fn commit_of(tree: &str) -> String {
    let who = "Test <test@example.org> 1700000000 +0000";
    format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nbomb\n")
}

#[test]
fn a_repository_that_names_ever_so_many_paths_is_refused_and_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path());
    git(folder.path(), &["init", "--quiet", "--bare", "bomb.git"]);
    let bomb = folder.path().join("bomb.git");
    let url = server.url();
    let words = [
        "index",
        "--url",
        &url,
        "--index",
        "code",
        "--watch",
        "--ref",
        "main",
        "--period",
        "100ms",
        bomb.to_str().expect("text"),
    ];
    // Files without end.
    let blob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    fs::write(bomb.join("empty"), "")?;
    git(&bomb, &["hash-object", "-w", "empty"]);
    plant_bomb(&bomb, &format!("100644 blob {blob}\ta\n"));
    let watching = Running::start(&[&words[..10], &["--max-files", "1000"], &words[10..]].concat());
    watching.until("more than 1,000 files");
    assert_eq!(watching.stop(), 0);
    // Folders without end, and no file: nothing is listed, and it is left when that is asked for.
    plant_bomb(&bomb, "");
    let begun = Running::of(
        gleaner()
            .args(words)
            .args(["--probe-listen", "127.0.0.1:0"]),
    );
    let ready = format!("http://{}/_health/ready", probes_of(&begun));
    until("the first look", || {
        let said = ask(&ready, &[]);
        said.contains("the first look has not ended").then_some(())
    });
    assert_eq!(begun.stop(), 0);
    Ok(())
}

#[test]
fn a_repository_of_another_user_is_followed_only_where_that_is_asked_for() -> Result<()> {
    let name = "secure::a_repository_of_another_user_is_followed_only_where_that_is_asked_for";
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("theirs");
    fs::create_dir(&root)?;
    git(&root, &["init", "--quiet"]);
    fs::write(root.join("tea.md"), "green tea\n")?;
    git(&root, &["add", "."]);
    git(&root, &["commit", "--quiet", "-m", "first"]);
    let marker = folder.path().join("was-run");
    let run = format!("touch {};", marker.display());
    for (setting, value) in [
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", "/"),
        ("remote.evil.uploadpack", run.as_str()),
        ("core.fsmonitor", run.as_str()),
    ] {
        git(&root, &["config", setting, value]);
    }
    for path in [&root, &root.join(".git")] {
        if std::os::unix::fs::chown(path, Some(12_345), None).is_err() {
            return skipped(name, "this user may not give files away");
        }
    }
    let server = Server::start(folder.path());
    let url = server.url();
    let look = |flags: &[&str]| -> Result<(i32, String)> {
        let mut command = gleaner();
        command
            .args(["index", "--url", &url, "--index", "code", "--watch"])
            .args(["--ref", "main", "--once"])
            .args(flags)
            .arg(&root);
        Ok(told(&command.output()?))
    };
    let (code, said) = look(&[])?;
    assert!(
        code == 1 && said.contains("belongs to another user"),
        "{code} {said}"
    );
    let (code, said) = look(&["--any-owner"])?;
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.found("code", "tea"), ["tea.md"]);
    assert!(!marker.exists(), "nothing of it was run");
    Ok(())
}
