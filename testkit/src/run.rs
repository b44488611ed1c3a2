//! How large a run is and what it draws from: one code, two sizes.
//!
//! ```text
//! GLEANER_PROVE       set: the full size, as `cargo xtask prove` asks for
//! GLEANER_SEED        the seed, a whole number; the same seed repeats the same run
//! GLEANER_DATA        the folder of shared collections (default ../shared/data)
//! GLEANER_REPORT_DIR  where reports go, as `<tier>-<seed>.json`
//! ```

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Returns whether the full size was asked for.
pub fn is_full() -> bool {
    env::var_os("GLEANER_PROVE").is_some()
}

/// Returns `reduced`, or `full` when the full size was asked for.
pub fn sized(reduced: usize, full: usize) -> usize {
    if is_full() { full } else { reduced }
}

/// Returns the seed of this run: `GLEANER_SEED`, else 1, so that a plain run is always the same.
pub fn seed() -> u64 {
    let asked = env::var("GLEANER_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Prints the figures of a tier as one line, and writes them where reports are collected.
///
/// # Errors
/// When the report cannot be written.
#[expect(clippy::print_stdout, reason = "figures are read on the terminal")]
pub fn report(tier: &str, figures: &Value) -> Result<()> {
    let seed = seed();
    println!("report {tier} seed {seed}: {figures}");
    let Some(folder) = env::var_os("GLEANER_REPORT_DIR") else {
        return Ok(());
    };
    let path = Path::new(&folder).join(format!("{tier}-{seed}.json"));
    std::fs::write(&path, figures.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns a shared collection, when it is on this machine.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("GLEANER_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    path.exists().then_some(path)
}
