//! Measures lists, sorts, pages and aggregations, and prints a page of figures. `cargo xtask bench lists` starts it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use gleaner_benches::lists::{self, Options, Peer};

/// Measures what has no score, beside Lucene over the same documents.
#[derive(Debug, Parser)]
struct Arguments {
    /// The documents, NDJSON.
    #[arg(long)]
    documents: PathBuf,
    /// About how many segments a shard has.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    segments: u16,
    /// The program that serves and loads.
    #[arg(long, default_value = "target/dist/gleaner")]
    server: PathBuf,
    /// Where the figures are written as JSON; the page stands beside it.
    #[arg(long)]
    out: PathBuf,
    /// How the page says that it is made.
    #[arg(long, default_value = "lists")]
    command: String,
    /// Lucene's runner.
    #[arg(long, requires_all = ["peer_python", "peer_folder"])]
    peer_script: Option<PathBuf>,
    /// Python that it runs with.
    #[arg(long)]
    peer_python: Option<PathBuf>,
    /// The folder that it runs in.
    #[arg(long)]
    peer_folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let peer = match (
        arguments.peer_script,
        arguments.peer_python,
        arguments.peer_folder,
    ) {
        (Some(script), Some(python), Some(folder)) => Some(Peer {
            python: std::path::absolute(python)?,
            script: std::path::absolute(script)?,
            folder,
        }),
        _ => None,
    };
    let options = Options {
        documents: std::path::absolute(arguments.documents)?,
        segments: arguments.segments.into(),
        server: std::path::absolute(arguments.server)?,
        peer,
        out: std::path::absolute(arguments.out)?,
        command: arguments.command,
    };
    let page = lists::run(&options)?;
    std::io::stdout().write_all(page.as_bytes())?;
    Ok(())
}
