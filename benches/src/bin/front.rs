//! Measures fronts and answers that are kept, and writes `docs/reports/0007-front.md`.
//!
//! `cargo run --profile dist -p gleaner-benches --bin front -- --quick`. It needs `nginx`, `hitch`, `varnishd`, `h2load` and
//! `openssl`: `apt-get install nginx-light hitch varnish nghttp2-client openssl`; the parts `push` and `key` need `git` and
//! `etcd` (`apt-get install git etcd-server`).

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use gleaner_benches::front::{self, Options, PARTS};

/// Measures the tier ahead beside nginx, and hitch with Varnish.
#[derive(Debug, Parser)]
struct Arguments {
    /// Fewer requests and rounds.
    #[arg(long)]
    quick: bool,
    /// The program that fronts, roots and leaves are.
    #[arg(long, default_value = "target/dist/gleaner")]
    server: PathBuf,
    /// Measure these parts only.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(PARTS))]
    only: Vec<String>,
    /// Where the page is written.
    #[arg(long, default_value = "docs/reports/0007-front.md")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        is_quick: arguments.quick,
        server: std::path::absolute(&arguments.server)?,
        only: arguments.only,
        command: command(),
    };
    front::write_page(&arguments.out, &options)
}

/// Returns the command line, as it would be typed.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let separator = if arguments.is_empty() { "" } else { " -- " };
    let arguments = arguments.join(" ");
    format!("cargo run --profile dist -p gleaner-benches --bin front{separator}{arguments}")
}
