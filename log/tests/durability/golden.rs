//! The format on disk, byte for byte. A change here needs a new format version and a new folder.

use std::path::{Path, PathBuf};

use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{Agreement, Append, LocalLog, LogError, LogOptions, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::world::{
    ROOT, append, file, fill, journaled, numbered, open, options, payload, read_all, shard,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/durability/golden")
        .join(name)
}

/// Endings of the sample's files, and their names here.
const FILES: [(&str, &str); 2] = [(".log", "segment.bin"), ("state", "state.bin")];

const AGREEMENT: Agreement = Agreement {
    point: SeqNo(4),
    entry_version: 6,
};

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
    log.note_agreement(shard(3), AGREEMENT);
    log.fence(shard(3), PrimaryTerm(5)).await.expect("fence");
}

#[tokio::test]
async fn files_are_written_as_version_2_has_them() {
    let files = SimulatedFiles::new();
    write_sample(&files).await;
    for (ending, name) in FILES {
        let bytes = files.bytes(&file(&files, ending)).expect("file");
        let golden = golden("v2").join(name);
        if std::env::var_os("GLEANER_WRITE_GOLDEN").is_some() {
            std::fs::write(&golden, &bytes).expect("golden file");
        }
        let expected = std::fs::read(golden).expect("golden file");
        assert!(bytes == expected, "{name} differs");
    }
}

#[tokio::test]
async fn files_of_every_version_are_read() {
    for (version, agreement) in [("v1", Agreement::default()), ("v2", AGREEMENT)] {
        let files = SimulatedFiles::new();
        write_sample(&files).await;
        for (ending, name) in FILES {
            let bytes = std::fs::read(golden(version).join(name)).expect("golden file");
            files.replace(&file(&files, ending), bytes).expect("file");
        }
        let (log, report) = open(options(&files));
        assert_eq!(report.shards[0].tail, Some(SeqNo(4)), "{version}");
        let found = log.agreement(shard(3)).expect("it can be read");
        assert_eq!(found, agreement, "{version}");
        let records = read_all(&log, shard(3)).await.expect("whole");
        let seen: Vec<_> = records.iter().map(|r| (r.seq_no.0, r.term.0)).collect();
        assert_eq!(seen, [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2)], "{version}");
        assert_eq!(records[4].payload, payload(4));
        let chain = log.chain(shard(3), SeqNo(4)).await.expect("chain");
        let frozen = 0x4af3_e3dd_6d9e_7c03;
        assert_eq!(chain, Some(frozen), "the chain hash is frozen");
        let late = log.append(append(shard(3), vec![payload(5)])).await;
        assert!(matches!(late, Err(LogError::Fenced { .. })), "{version}");
    }
}

/// Each segment is begun by the program that reads the ones before.
#[tokio::test]
async fn a_log_of_version_1_goes_on_in_version_2() {
    let files = SimulatedFiles::new();
    write_sample(&files).await;
    let bytes = std::fs::read(golden("v1/segment.bin")).expect("golden file");
    files.replace(&file(&files, ".log"), bytes).expect("file");
    let small = LogOptions {
        segment_bytes: 1,
        ..options(&files)
    };
    let (log, _) = open(small.clone());
    let next = Append {
        term: PrimaryTerm(5),
        ..append(shard(3), vec![payload(5)])
    };
    log.append(next).await.expect("append");
    drop(log);
    let (log, _) = open(small.clone());
    assert_eq!(read_all(&log, shard(3)).await.expect("whole").len(), 6);
    assert_eq!(log.trim(shard(3), SeqNo(5)).await.expect("trim"), SeqNo(5));
    drop(log);
    // What only the first segment had, the second one begins with.
    let (log, _) = open(small);
    let terms = log.terms(shard(3)).await.expect("terms");
    assert_eq!(terms.before, Some(PrimaryTerm(2)));
    let sent = numbered(0x1234_5678_9abc_def0, 7).expect("it is one");
    let produced = log.produced(shard(3), sent).await.expect("known");
    assert_eq!(produced.map(|appended| appended.last), Some(SeqNo(4)));
}

#[tokio::test]
async fn a_state_of_version_1_outlives_a_power_cut_while_it_is_opened() {
    let files = SimulatedFiles::new();
    write_sample(&files).await;
    let path = file(&files, "state");
    let bytes = std::fs::read(golden("v1/state.bin")).expect("golden file");
    files.replace(&path, bytes).expect("state");
    for seed in 0..300 {
        let files = files.fork();
        files.fail_operation(files.num_operations() + seed % 6, Fault::PowerCut);
        drop(LocalLog::open(Path::new(ROOT), options(&files)));
        files.reboot(Survival::Random(seed));
        let (log, report) = open(options(&files));
        assert!(report.shards[0].failed.is_none(), "{seed}: {report:?}");
        let records = read_all(&log, shard(3)).await.expect("whole");
        assert_eq!(records.len(), 5, "{seed}");
    }
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
    let golden = golden("v2/journal.bin");
    if std::env::var_os("GLEANER_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &bytes).expect("golden file");
    }
    let expected = std::fs::read(golden).expect("golden file");
    assert!(bytes == expected, "journal.bin differs");
    check_journal(&killed, "v2/journal.bin").await;
}

/// With segments as programs began them then; without a nonce as well.
#[tokio::test]
async fn a_journal_for_segments_of_version_1_is_read() {
    for name in ["v1/journal.bin", "v1/journal_without_nonce.bin"] {
        let killed = killed_with_journal().await;
        let mut segments = killed.paths();
        segments.retain(|path| path.extension().is_some_and(|end| end == "log"));
        for path in segments {
            let mut bytes = killed.bytes(&path).expect("segment");
            bytes.truncate(52);
            bytes[8] = 1;
            let crc = crc32c::crc32c(&bytes[..48]);
            bytes[48..].copy_from_slice(&crc.to_le_bytes());
            killed.replace(&path, bytes).expect("segment");
        }
        check_journal(&killed, name).await;
    }
}

async fn check_journal(killed: &SimulatedFiles, name: &str) {
    let path = file(killed, "journal-0");
    let bytes = std::fs::read(golden(name)).expect("golden file");
    killed.replace(&path, bytes).expect("journal");
    let (log, report) = open(journaled(killed));
    assert!(report.replayed_bytes > 0, "{name}");
    for (number, len) in [(3, 2), (4, 1)] {
        let records = read_all(&log, shard(number)).await.expect("whole");
        assert_eq!(records.len(), len, "{name}");
    }
}
