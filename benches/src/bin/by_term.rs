//! Holds scatter by term against scatter by shard and writes `docs/reports/0004-scatter-by-term.md`.
//!
//! `cargo run --profile dist -p gleaner-benches --bin by_term -- --quick`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use gleaner_benches::by_term::{self, Options};
use gleaner_datasets::catalog;

/// Answers every intersection and union of the query set both ways, compares the answers and counts
/// what each way costs. Ends with 1 when an answer differs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer documents, searches and rounds.
    #[arg(long)]
    quick: bool,
    /// Documents; 20,000 when quick, else 100,000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    docs: Option<u32>,
    /// The folder of shared collections; generated documents and searches where there is none.
    #[arg(long, env = "GLEANER_DATA")]
    data: Option<PathBuf>,
    /// Where the page is written.
    #[arg(long, default_value = "docs/reports/0004-scatter-by-term.md")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (num_documents, rounds, every_nth) = match arguments.quick {
        true => (20_000, 3, 10),
        false => (100_000, 5, 5),
    };
    let options = Options {
        data: catalog::locate(arguments.data.as_deref()),
        num_documents: arguments.docs.map_or(num_documents, |docs| docs as usize),
        rounds,
        every_nth,
        command: command(),
    };
    let num_differences = by_term::write_page(&arguments.out, &options).await?;
    Ok(match num_differences {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Returns the command line, as it would be typed.
fn command() -> String {
    let profile = if cfg!(debug_assertions) {
        ""
    } else {
        "--profile dist "
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let separator = if arguments.is_empty() { "" } else { " -- " };
    let arguments = arguments.join(" ");
    format!("cargo run {profile}-p gleaner-benches --bin by_term{separator}{arguments}")
}
