//! Lucene over the same documents, by a runner that stands beside the checkout: what it prints is read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::report::tell;

/// Where the runner looks for the jars, in its folder.
const JARS: &str = "a/arcadedb_embedded/jars";

/// How the runner is started.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Python with the packages that it imports.
    pub python: PathBuf,
    /// The runner.
    pub script: PathBuf,
    /// The folder that it runs in: with the jars of Lucene, and its index from one run to the next.
    pub folder: PathBuf,
}

/// What it printed.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Lucene {
    /// Its release; empty where the jars do not say so.
    pub(super) release: String,
    pub(super) documents: u64,
    pub(super) segments: u64,
    /// Milliseconds that half of the repetitions of a class did not exceed.
    pub(super) p50_ms: BTreeMap<String, f64>,
    /// Whether it came to its end: over fewer than six million documents the runner fails at the deep page.
    pub(super) is_whole: bool,
}

/// Runs it over `documents`. It indexes them first, where it has not done so.
///
/// # Errors
/// When it cannot be started or ends without having timed a class.
pub(super) fn run(peer: &Peer, documents: &Path) -> Result<Lucene> {
    let mut runner = Command::new(&peer.python)
        // Without -B, Python would leave its bytecode beside the script.
        .arg("-B")
        .arg(&peer.script)
        .arg(documents)
        .current_dir(&peer.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", peer.python.display()))?;
    let output = runner
        .stdout
        .take()
        .context("the runner's output is open")?;
    let mut lucene = Lucene {
        release: release(&peer.folder.join(JARS)).unwrap_or_default(),
        ..Lucene::default()
    };
    for line in BufReader::new(output).lines() {
        let line = line?;
        tell(&format!("Lucene: {line}"));
        lucene.read(&line);
    }
    let status = runner.wait()?;
    lucene.is_whole = status.success();
    ensure!(!lucene.p50_ms.is_empty(), "the runner ended with {status}");
    Ok(lucene)
}

impl Lucene {
    /// Takes what a line says: `docs 8000000 segments 4` or `match_all top10: p50 6.81 ms`; others are progress.
    fn read(&mut self, line: &str) {
        if let Some((name, p50_ms)) = timed(line) {
            self.p50_ms.insert(name.to_owned(), p50_ms);
        } else if let ["docs", documents, "segments", segments] =
            line.split_whitespace().collect::<Vec<_>>()[..]
            && let (Ok(documents), Ok(segments)) = (documents.parse(), segments.parse())
        {
            (self.documents, self.segments) = (documents, segments);
        }
    }
}

/// Returns the release that the names of the `jars` end with.
fn release(jars: &Path) -> Option<String> {
    let jars = std::fs::read_dir(jars).ok()?;
    let names = jars.filter_map(|jar| jar.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let release = name.strip_prefix("lucene-core-")?.strip_suffix(".jar")?;
            Some(release.to_owned())
        })
        .next()
}

fn timed(line: &str) -> Option<(&str, f64)> {
    let (name, figure) = line.rsplit_once(": p50 ")?;
    let figure = figure.strip_suffix(" ms")?.parse().ok()?;
    Some((name, figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_sizes_are_read_and_progress_is_not() {
        let mut lucene = Lucene::default();
        for line in [
            "1000000 31",
            "indexed 250 s through JPype",
            "docs 8000000 segments 4",
            "match_all top10: p50 6.81 ms",
            "_doc page deep (searchAfter doc 6M, 10): p50 0.25 ms",
            "docs many segments few",
            "late: p50 unknown ms",
        ] {
            lucene.read(line);
        }
        assert_eq!((lucene.documents, lucene.segments), (8_000_000, 4));
        let names: Vec<_> = lucene.p50_ms.keys().map(String::as_str).collect();
        let deep = "_doc page deep (searchAfter doc 6M, 10)";
        assert_eq!(names, [deep, "match_all top10"]);
        assert_eq!(lucene.p50_ms["match_all top10"], 6.81);
    }
}
