//! The format on disk, byte for byte. A change here needs a new format version and a new folder.

use std::path::{Path, PathBuf};

use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_log::{Append, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::world::{
    append, file, fill, journaled, numbered, open, options, payload, read_all, shard,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/durability/golden/v1")
        .join(name)
}

async fn write_sample(files: &SimulatedFiles) {
    let (log, _) = open(options(files));
    let first = append(shard(3), vec![payload(0), payload(1)]);
    log.append(first).await.expect("append");
    let second = Append {
        term: PrimaryTerm(2),
        producer: numbered(0x1234_5678_9abc_def0, 7),
        ..append(shard(3), vec![payload(2), Vec::new().into(), payload(4)])
    };
    log.append(second).await.expect("append");
    log.fence(shard(3), PrimaryTerm(5)).await.expect("fence");
}

#[tokio::test]
async fn files_are_written_as_version_1_has_them() {
    let files = SimulatedFiles::new();
    write_sample(&files).await;
    for (ending, name) in [(".log", "segment.bin"), ("state", "state.bin")] {
        let bytes = files.bytes(&file(&files, ending)).expect("file");
        if std::env::var_os("GLEANER_WRITE_GOLDEN").is_some() {
            std::fs::write(golden(name), &bytes).expect("golden file");
        }
        let expected = std::fs::read(golden(name)).expect("golden file");
        assert_eq!(bytes, expected, "{name} differs");
    }
}

#[tokio::test]
async fn files_of_version_1_are_read() {
    let files = SimulatedFiles::new();
    write_sample(&files).await;
    for (ending, name) in [(".log", "segment.bin"), ("state", "state.bin")] {
        let bytes = std::fs::read(golden(name)).expect("golden file");
        files.replace(&file(&files, ending), bytes).expect("file");
    }
    let (log, report) = open(options(&files));
    assert_eq!(report.shards[0].tail, Some(SeqNo(4)));
    let records = read_all(&log, shard(3)).await.expect("whole");
    let seen: Vec<_> = records.iter().map(|r| (r.seq_no.0, r.term.0)).collect();
    assert_eq!(seen, [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2)]);
    assert_eq!(records[4].payload, payload(4));
    let chain = log.chain(shard(3), SeqNo(4)).await.expect("chain");
    assert_eq!(
        chain,
        Some(0x4af3_e3dd_6d9e_7c03),
        "the chain hash is frozen"
    );
}

/// A log whose journal holds frames of two shards, as a power cut leaves it.
async fn killed_with_journal() -> SimulatedFiles {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(3), 2).await;
    fill(&log, shard(4), 1).await;
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    killed
}

#[tokio::test]
async fn a_journal_is_written_and_read_as_version_1_has_it() {
    let killed = killed_with_journal().await;
    let path = file(&killed, "journal-0");
    let mut bytes = killed.bytes(&path).expect("journal");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("frames");
    bytes.truncate(end + 1);
    if std::env::var_os("GLEANER_WRITE_GOLDEN").is_some() {
        std::fs::write(golden("journal.bin"), &bytes).expect("golden file");
    }
    let expected = std::fs::read(golden("journal.bin")).expect("golden file");
    assert_eq!(bytes, expected, "journal.bin differs");
    // As it is, and as programs wrote it that knew no nonce.
    for name in ["journal.bin", "journal_without_nonce.bin"] {
        let killed = killed.fork();
        let bytes = std::fs::read(golden(name)).expect("golden file");
        killed.replace(&path, bytes).expect("journal");
        let (log, report) = open(journaled(&killed));
        assert!(report.replayed_bytes > 0, "{name}");
        for (number, len) in [(3, 2), (4, 1)] {
            let records = read_all(&log, shard(number)).await.expect("whole");
            assert_eq!(records.len(), len, "{name}");
        }
    }
}
