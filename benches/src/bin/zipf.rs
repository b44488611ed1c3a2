//! Measures hit rates of several fronts, and writes `docs/reports/0008-hit-rates.md`.
//!
//! `cargo run --profile dist -p gleaner-benches --bin zipf`.

use std::path::Path;

use anyhow::Result;
use gleaner_benches::zipf;

fn main() -> Result<()> {
    let command = "cargo run --profile dist -p gleaner-benches --bin zipf";
    zipf::write_page(Path::new("docs/reports/0008-hit-rates.md"), command)
}
