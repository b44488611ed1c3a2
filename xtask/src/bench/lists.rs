//! `cargo xtask bench lists`: searches without a score, sorts, pages and aggregations, with Lucene in the same run.
//!
//! The generator of the documents and the runner of Lucene stand in the shared folder beside the checkout, or where
//! `--peers` says. What they make stays in the build folder, so that the next run begins sooner.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use crate::{
    command::{cargo, run_program},
    report::{Outcome, Report},
    setup,
    workspace::Workspace,
};

const USAGE: &str =
    "usage: cargo xtask bench lists [--documents N] [--segments S] [--peers FOLDER]";

/// The generator writes documents in lots of so many.
const LOT: usize = 20_000;
/// Where the generator and the runner are, in the shared folder.
const PEERS: &str = "peers/scale";
/// What they import.
const PACKAGES: [&str; 2] = ["numpy>=2,<3", "JPype1>=1.5,<2"];
/// The package that has the jars of Lucene, and a Java runtime.
const JARS: &str = "arcadedb-embedded";

/// What is asked for.
#[derive(Debug, PartialEq)]
struct Options {
    documents: usize,
    segments: usize,
    peers: Option<PathBuf>,
}

/// Runs the bench, and prints its page.
pub(super) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Report> {
    let options = Options::parse(arguments)?;
    let mut report = Report::default();
    report.time("bench: lists", || measure(workspace, &options));
    Ok(report)
}

impl Options {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            documents: 1_000_000,
            segments: 1,
            peers: None,
        };
        let mut words = arguments.iter();
        while let Some(flag) = words.next() {
            let value = words.next().context(USAGE)?;
            match flag.as_str() {
                "--documents" => options.documents = value.parse().context(USAGE)?,
                "--segments" => options.segments = value.parse().context(USAGE)?,
                "--peers" => options.peers = Some(value.into()),
                _ => bail!(USAGE),
            }
        }
        ensure!(
            options.documents > 0 && options.documents.is_multiple_of(LOT),
            "--documents is a multiple of {LOT}, as the generator makes so many at once"
        );
        ensure!(options.segments > 0, "--segments is at least 1");
        Ok(options)
    }

    fn peers(&self, workspace: &Workspace) -> Result<PathBuf, String> {
        match &self.peers {
            None => workspace
                .shared(PEERS)
                .ok_or_else(|| format!("no ../shared/{PEERS} beside the checkout; see --peers")),
            Some(folder) => folder
                .canonicalize()
                .map_err(|error| format!("{}: {error}", folder.display())),
        }
    }
}

fn measure(workspace: &Workspace, options: &Options) -> anyhow::Result<Outcome> {
    let peers = match options.peers(workspace) {
        Ok(peers) => peers,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let packages = PACKAGES.map(str::to_owned);
    let python = match setup::python_with(workspace, "lists", &packages)? {
        Ok(python) => python,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let folder = workspace.scratch().join("lists");
    fs::create_dir_all(&folder)?;
    let documents = documents(&folder, &python, &peers, options.documents)?;
    let lucene = lucene(&folder, &python, options.documents)?;
    let Options {
        documents: number,
        segments,
        ..
    } = options;
    build(workspace)?;
    let built = workspace.target().join("dist");
    let mut bench = Command::new(built.join("lists"));
    bench.arg("--documents").arg(documents);
    bench.args(["--segments", &segments.to_string()]);
    bench.arg("--server").arg(built.join("gleaner"));
    let out = folder.join(format!("{number}-{segments}.json"));
    bench.arg("--out").arg(&out);
    let command = format!("cargo xtask bench lists --documents {number} --segments {segments}");
    bench.args(["--command", &command]);
    bench.arg("--peer-script").arg(peers.join("lucene.py"));
    bench.arg("--peer-python").arg(python);
    bench.arg("--peer-folder").arg(lucene);
    // Its page names the revision of the checkout.
    bench.current_dir(workspace.root());
    let outcome = run_program(bench)?;
    println!("the figures are in {}", out.display());
    Ok(outcome)
}

/// Builds the server as it is built to be shipped, without what the benches switch on in libraries, then the bench.
fn build(workspace: &Workspace) -> anyhow::Result<()> {
    for (package, binary) in [("gleaner-cli", "gleaner"), ("gleaner-benches", "lists")] {
        let arguments = [
            "build",
            "--profile",
            "dist",
            "--locked",
            "-p",
            package,
            "--bin",
            binary,
        ];
        run_program(cargo(workspace, arguments))?;
    }
    Ok(())
}

/// Returns the documents, made on first use.
fn documents(folder: &Path, python: &Path, peers: &Path, number: usize) -> anyhow::Result<PathBuf> {
    let documents = folder.join(format!("{number}.ndjson"));
    if documents.exists() {
        return Ok(documents);
    }
    println!("making {}", documents.display());
    // Renamed when it is whole, so that half of it is made again.
    let part = folder.join(format!("{number}.part"));
    let mut generate = Command::new(python);
    generate.arg("-B").arg(peers.join("generate.py"));
    generate.arg(number.to_string()).arg(&part);
    run_program(generate)?;
    fs::rename(part, &documents)?;
    Ok(documents)
}

/// Returns the folder that the runner of Lucene works in: it looks for the package of the jars in `a`, and keeps its index of
/// `number` documents.
fn lucene(folder: &Path, python: &Path, number: usize) -> anyhow::Result<PathBuf> {
    let jars = folder.join("jars");
    if !jars.exists() {
        let (wheels, part) = (folder.join("wheels"), folder.join("jars.part"));
        println!("fetching {JARS}");
        let mut fetch = Command::new(python);
        fetch.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            JARS,
            "--dest",
        ]);
        fetch.arg(&wheels);
        run_program(fetch)?;
        let wheel = fs::read_dir(&wheels)?.next().context("no wheel came")??;
        let mut unpack = Command::new(python);
        unpack.args(["-m", "zipfile", "--extract"]);
        unpack.arg(wheel.path()).arg(&part);
        run_program(unpack)?;
        fs::rename(part, &jars)?;
        fs::remove_dir_all(wheels)?;
    }
    let work = folder.join(format!("lucene-{number}"));
    fs::create_dir_all(&work)?;
    let link = work.join("a");
    if !link.exists() {
        std::os::unix::fs::symlink("../jars", link)?;
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&words)
    }

    #[test]
    fn flags_override_a_million_documents_in_one_segment_a_shard() {
        let options = parse(&[]).expect("the defaults");
        assert_eq!((options.documents, options.segments), (1_000_000, 1));
        let options = parse(&["--segments", "26", "--documents", "8000000", "--peers", "p"]);
        let expected = Options {
            documents: 8_000_000,
            segments: 26,
            peers: Some("p".into()),
        };
        assert_eq!(options.expect("all flags"), expected);
    }

    #[test]
    fn a_number_that_the_generator_cannot_make_is_refused() {
        let refused = [
            &["--documents", "1000"][..],
            &["--documents", "0"],
            &["--documents", "many"],
            &["--documents"],
            &["--segments", "0"],
            &["--quick", "1"],
        ];
        for words in refused {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
