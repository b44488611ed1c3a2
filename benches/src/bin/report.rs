//! Measures us against the baseline and writes `docs/reports/0001-one-machine.md`.
//!
//! `cargo run --profile dist -p gleaner-benches --bin report -- --quick`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use gleaner_benches::bare::server;
use gleaner_benches::corpus::Size;
use gleaner_benches::report::{self, Options, PARTS};
use gleaner_datasets::catalog;

/// Compares the engine and the server with bare tantivy on the same documents and queries.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer documents, queries and rounds: minutes instead of a quarter of an hour.
    #[arg(long)]
    quick: bool,
    /// The folder of shared collections; generated documents where there is none.
    #[arg(long, env = "GLEANER_DATA")]
    data: Option<PathBuf>,
    /// The server's binary, for the sections over HTTP.
    #[arg(long, default_value = "target/dist/gleaner")]
    server: PathBuf,
    /// Leave the sections over HTTP out.
    #[arg(long)]
    no_server: bool,
    /// Measure these parts only.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(PARTS))]
    only: Vec<String>,
    /// Rounds over all queries, after one to warm up; 5 when quick, else 10.
    #[arg(long)]
    rounds: Option<usize>,
    /// Serve the baseline's index in this folder instead; for the report itself.
    #[arg(long, hide = true, requires = "listen")]
    serve_bare: Option<PathBuf>,
    /// Where the baseline listens.
    #[arg(long, hide = true, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where the page is written.
    #[arg(long, default_value = "docs/reports/0001-one-machine.md")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.serve_bare {
        return server::serve(folder, &arguments.listen);
    }
    let options = Options {
        data: catalog::locate(arguments.data.as_deref()),
        size: if arguments.quick {
            Size::QUICK
        } else {
            Size::FULL
        },
        per_class: if arguments.quick { 40 } else { 100 },
        rounds: arguments
            .rounds
            .unwrap_or(if arguments.quick { 5 } else { 10 }),
        server: (!arguments.no_server)
            .then(|| absolute(&arguments.server))
            .transpose()?,
        only: arguments.only,
        command: command(),
    };
    report::write_page(&arguments.out, &options)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

/// Returns the command line, as it would be typed.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let separator = if arguments.is_empty() { "" } else { " -- " };
    let arguments = arguments.join(" ");
    format!("cargo run --profile dist -p gleaner-benches --bin report{separator}{arguments}")
}
