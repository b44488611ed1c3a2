//! How large a run is, and where its figures go.
//!
//! ```text
//! GLEANER_PROVE       set: the full size, as `cargo xtask prove --tier replication` asks for
//! GLEANER_SEED        the seed of random walks, a whole number (default 1)
//! GLEANER_REPORT_DIR  where figures go, as `replication-<part>-<seed>.json`
//! ```

use std::env;
use std::path::Path;

use serde_json::Value;

/// Returns `reduced`, or `full` when the full size was asked for.
pub(super) fn sized(reduced: usize, full: usize) -> usize {
    if env::var_os("GLEANER_PROVE").is_some() {
        full
    } else {
        reduced
    }
}

/// Returns the seed of this run.
pub(super) fn seed() -> u64 {
    let asked = env::var("GLEANER_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Prints figures, and writes them where reports are collected.
pub(super) fn report(part: &str, figures: &Value) {
    let seed = seed();
    println!("report replication-{part} seed {seed}: {figures}");
    if let Some(folder) = env::var_os("GLEANER_REPORT_DIR") {
        let path = Path::new(&folder).join(format!("replication-{part}-{seed}.json"));
        std::fs::write(path, figures.to_string()).expect("the folder of reports can be written");
    }
}
