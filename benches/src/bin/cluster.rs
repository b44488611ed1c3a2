//! Measures roots and leaves and writes `docs/reports/0003-cluster.md`.
//!
//! `cargo run --profile dist -p gleaner-benches --bin cluster -- --quick`

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use gleaner_benches::cluster::paced::{self, PacedLeaf};
use gleaner_benches::cluster::{self, Options, PARTS};
use gleaner_datasets::catalog;

/// Measures a cluster of processes: slow and dying leaves, deadlines, what the network and shards cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer documents, requests and rounds: minutes instead of half an hour.
    #[arg(long)]
    quick: bool,
    /// The folder of shared collections; generated documents where there is none.
    #[arg(long, env = "GLEANER_DATA")]
    data: Option<PathBuf>,
    /// The program that roots, leaves and servers are.
    #[arg(long, default_value = "target/dist/gleaner")]
    server: PathBuf,
    /// Measure these parts only.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(PARTS))]
    only: Vec<String>,
    /// How many documents; 20,000 when quick, else 103,000.
    #[arg(long)]
    documents: Option<usize>,
    /// Where the page is written.
    #[arg(long, default_value = "docs/reports/0003-cluster.md")]
    out: PathBuf,
    #[command(flatten)]
    leaf: PacedLeaf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(name) = &arguments.leaf.paced_leaf {
        return paced::serve(name, &arguments.leaf);
    }
    let options = Options {
        data: catalog::locate(arguments.data.as_deref()),
        is_quick: arguments.quick,
        documents: arguments.documents,
        server: std::path::absolute(&arguments.server)?,
        only: arguments.only,
        command: command(),
    };
    cluster::write_page(&arguments.out, &options)
}

/// Returns the command line, as it would be typed.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let separator = if arguments.is_empty() { "" } else { " -- " };
    let arguments = arguments.join(" ");
    format!("cargo run --profile dist -p gleaner-benches --bin cluster{separator}{arguments}")
}
