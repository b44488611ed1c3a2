//! The examples of the README and of `docs/` are run: shell blocks in order, against a server.
//!
//! A block marked `sh` is a script; those of the README in Python are run by `cargo xtask test`, which
//! has the clients. `gleaner serve` in a script stands for the server that the test has started, on
//! another port. A search of an example finds something. The pages of the reference are held to the
//! parsers too: their examples in JSON are sent, and what they list is what the parsers know.

mod names;
mod page;
mod reference;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::server::binary;
use gleaner_testkit::{Server, skipped};

/// Where the documentation says the server listens.
const DOCUMENTED: &str = "127.0.0.1:9200";
/// Said where the examples cannot be run.
const NO_CURL: &str = "no `curl` on this machine";

/// A script with the place it stands at.
struct Example {
    place: String,
    script: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_example_ends_well() -> Result<()> {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("doc_examples::every_shell_example_ends_well", NO_CURL);
    }
    let mut num_run = 0;
    for page in pages()? {
        let examples = examples(&page)?;
        if examples.is_empty() {
            continue;
        }
        // One page, one server: its examples build on each other.
        let folder = tempfile::tempdir()?;
        let server = Server::start(&folder.path().join("data")).await?;
        let address = server.address().to_string();
        for example in examples {
            run(&example, &address, folder.path())?;
            num_run += 1;
        }
    }
    println!("{num_run} examples were run");
    ensure!(num_run >= 4, "the README has shell examples");
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the README and the pages of `docs/` itself; decisions and reports are history.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

fn examples(page: &Path) -> Result<Vec<Example>> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let mut examples = Vec::new();
    let mut open: Option<(usize, Vec<&str>)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```sh") => open = Some((number + 1, Vec::new())),
            (Some((start, lines)), "```") => {
                let place = format!("{}:{start}", page.display());
                let script = lines.join("\n");
                examples.push(Example { place, script });
                open = None;
            }
            // The server of the test stands for the one of the page.
            (Some(_), line) if line.starts_with("gleaner serve --data") => {}
            (Some((_, lines)), line) => lines.push(line),
            _ => {}
        }
    }
    Ok(examples)
}

/// Runs a script in `folder`; every command must end well, and every `curl` be answered well.
fn run(example: &Example, address: &str, folder: &Path) -> Result<()> {
    let script = example.script.replace(DOCUMENTED, address);
    // Functions, so that the scripts stay as they are written.
    let prelude = "curl() { command curl --fail-with-body \"$@\"; }\n";
    let programs = binary()?.parent().context("a binary stands in a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{prelude}{script}")])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("GLEANER_URL", format!("http://{address}"))
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    let place = &example.place;
    ensure!(
        output.status.success(),
        "{place}: {}\n{script}\n{printed}{told}",
        output.status
    );
    ensure!(
        !has_found_nothing(&printed),
        "{place}: a search finds nothing\n{script}\n{printed}"
    );
    Ok(())
}

/// Returns whether what was printed holds the answer of a search without hits, as a table or as JSON.
fn has_found_nothing(printed: &str) -> bool {
    let packed: String = printed.split_whitespace().collect();
    printed
        .lines()
        .any(|line| line.starts_with("0 documents match"))
        || packed.contains("\"total\":{\"value\":0,")
}

#[test]
fn answers_without_hits_are_noticed() {
    for (printed, expected) in [
        ("0 documents match, 0 shown, 1 ms\n", true),
        ("10 documents match, 3 shown, 1 ms\n", false),
        ("{\n  \"total\" : {\n    \"value\" : 0,\n", true),
        ("{\"total\":{\"value\":10,\"relation\":\"eq\"}", false),
    ] {
        assert_eq!(has_found_nothing(printed), expected, "{printed}");
    }
}
