//! One suite for all implementations.

use std::path::Path;

use gleaner_log::conformance::suite;
use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_log::{LocalLog, LogOptions, MemoryLog, ShardLog};

use crate::world::{ROOT, append, journaled, open, options, payload, read_all, shard};

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

#[tokio::test]
async fn local_log_conforms_where_its_caller_does_the_work_of_its_threads() {
    let files = SimulatedFiles::new();
    let opened = LocalLog::open_stepped(Path::new(ROOT), options(&files));
    let (log, mut steps, _) = opened.expect("log opens");
    let working = async {
        loop {
            steps.asked().await;
            steps.run();
        }
    };
    tokio::select! {
        () = suite(&log) => {}
        () = working => {}
    }
}

#[tokio::test]
async fn what_a_stepped_log_was_asked_for_and_has_not_done_is_lost() {
    let files = SimulatedFiles::new();
    let opened = LocalLog::open_stepped(Path::new(ROOT), journaled(&files));
    let (log, mut steps, _) = opened.expect("log opens");
    let durable = log.queue(append(shard(0), vec![payload(0)])).expect("room");
    steps.run();
    durable.durable().await.expect("it is done");
    let lost = log.queue(append(shard(0), vec![payload(1)])).expect("room");
    drop((steps, log));
    assert!(lost.durable().await.is_err(), "nobody knows");
    files.reboot(Survival::Synced);
    let (log, _) = open(journaled(&files));
    let found = read_all(&log, shard(0)).await.expect("it opens");
    assert_eq!(found.len(), 1);
}
