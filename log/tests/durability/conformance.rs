//! One suite for all implementations.

use gleaner_log::conformance::suite;
use gleaner_log::files::SimulatedFiles;
use gleaner_log::{LocalLog, LogOptions, MemoryLog};

use crate::world::{open, options};

#[tokio::test]
async fn memory_log_conforms() {
    suite(&MemoryLog::default()).await;
}

#[tokio::test]
async fn local_log_conforms_on_a_real_disk() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = LogOptions {
        segment_bytes: 20_000,
        ..LogOptions::default()
    };
    let (log, _) = LocalLog::open(dir.path(), options).expect("log opens");
    suite(&log).await;
}

#[tokio::test]
async fn local_log_conforms_with_one_batch_per_segment() {
    let files = SimulatedFiles::new();
    let (log, _) = open(LogOptions {
        segment_bytes: 1,
        ..options(&files)
    });
    suite(&log).await;
}
