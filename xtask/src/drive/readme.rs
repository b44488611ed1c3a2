//! A step that runs the README's examples in Python as they stand there.
//!
//! On an index that the README's own commands load. Its shell examples are run by `tests/doc_examples`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use crate::{
    drive::server::Server,
    report::{Counts, Outcome, Step},
    setup, test,
    workspace::Workspace,
};

/// The step; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[Step {
    name: "client: examples of the README",
    run,
}];

/// Where the README says that the server listens.
const DOCUMENTED: &str = "http://127.0.0.1:9200";

/// The start of the command that loads the index of the examples.
const LOADS: &str = "gleaner index --index ";

/// What an example imports, and the environments that have it.
const IMPORTS: &[(&str, &[&str])] = &[
    ("from elasticsearch import ", &["es8", "es9"]),
    ("from opensearchpy import ", &["os3"]),
];

fn run(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let readme = fs::read_to_string(workspace.root().join("README.md"))?;
    let examples = blocks(&readme, "python");
    ensure!(!examples.is_empty(), "the README has no example in Python");
    let mut runs: Vec<(&str, PathBuf, &str)> = Vec::new();
    for example in &examples {
        for environment in environments(example)? {
            match setup::python(workspace, environment)? {
                Ok(python) => runs.push((environment, python, example)),
                Err(absent) => return Ok(Outcome::Skipped(absent)),
            }
        }
    }
    let server = Server::start(workspace, "readme")?;
    load(workspace, &readme, &server)?;
    let mut counts = Counts::default();
    for (environment, python, example) in runs {
        match example_runs(&python, example, &server) {
            Ok(()) => {
                println!("PASS {environment}");
                counts.passed += 1;
            }
            Err(error) => {
                println!("FAIL {environment}: {error:#}\n{example}");
                counts.failed += 1;
            }
        }
    }
    Ok(counts.into())
}

/// Returns the blocks of Markdown that are marked with `language`.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.any(|line| line == opening) {
        let body = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(body.collect::<Vec<_>>().join("\n"));
    }
    blocks
}

/// Returns the environments that have the client of an example.
fn environments(example: &str) -> anyhow::Result<&'static [&'static str]> {
    let mut imports = IMPORTS.iter();
    let found = imports.find(|(import, _)| example.contains(import));
    let (_, environments) =
        found.with_context(|| format!("no client that is known is imported by\n{example}"))?;
    Ok(environments)
}

/// Runs the commands of the README that load its index, in a folder that is new: a checkpoint of an
/// earlier run would leave out what it has loaded.
fn load(workspace: &Workspace, readme: &str, server: &Server) -> anyhow::Result<()> {
    let scripts = blocks(readme, "sh");
    let script = scripts.iter().find(|script| script.contains(LOADS));
    let script = script.with_context(|| format!("no block of the README has `{LOADS}`"))?;
    let folder = workspace.scratch().join("readme");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let binary = test::binary(workspace);
    let programs = binary.parent().context("a binary stands in a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(&folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("GLEANER_URL", server.url())
        .status()
        .context("cannot start bash")?;
    ensure!(status.success(), "{status}\n{script}");
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// Runs an example against the server; it must end well and print a hit with a highlight.
fn example_runs(python: &Path, example: &str, server: &Server) -> anyhow::Result<()> {
    ensure!(example.contains(DOCUMENTED), "it asks no {DOCUMENTED}");
    let example = example.replace(DOCUMENTED, &server.url());
    let output = Command::new(python)
        .args(["-c", &example])
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {told}", output.status);
    }
    ensure!(shows_a_hit(&printed), "no hit with a highlight is printed");
    Ok(())
}

/// Does a line begin with a score and hold a highlight?
fn shows_a_hit(printed: &str) -> bool {
    printed.lines().any(|line| {
        let score = line.split(' ').next().unwrap_or_default().parse::<f64>();
        score.is_ok_and(|score| score > 0.0) && line.contains("<em>")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_language() {
        let text =
            "a\n```sh\none\ntwo\n```\n```python\nx\n```\n```\nplain\n```\n```python\ny\n```\n";
        assert_eq!(blocks(text, "python"), ["x", "y"]);
        assert_eq!(blocks(text, "sh"), ["one\ntwo"]);
        assert!(blocks(text, "json").is_empty());
    }

    #[test]
    fn an_example_runs_with_the_clients_that_it_imports() {
        let found = environments("from elasticsearch import Elasticsearch\n");
        assert_eq!(found.expect("known"), ["es8", "es9"]);
        let found = environments("from opensearchpy import OpenSearch\n");
        assert_eq!(found.expect("known"), ["os3"]);
        assert!(environments("import requests\n").is_err());
    }

    #[test]
    fn a_hit_has_a_score_and_a_highlight() {
        for (printed, expected) in [
            ("1.5 Shells {'text': ['<em>shells</em>']}\n", true),
            ("1.5 Shells None\n", false),
            ("None Shells {'text': ['<em>shells</em>']}\n", false),
            ("", false),
        ] {
            assert_eq!(shows_a_hit(printed), expected, "{printed}");
        }
    }
}
