//! What an opened log remembers: fence, producers, trimmed segments, removed shards.

use std::path::Path;

use gleaner_log::files::{Fault, Files, Operation, SimulatedFiles, Survival};
use gleaner_log::{Append, LogError, LogOptions, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::world::{
    ROOT, append, beginning, fill, journaled, numbered, open, options, payload, read_all, shard,
};

#[tokio::test]
async fn a_fence_survives_a_power_cut() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    log.fence(shard(0), PrimaryTerm(4)).await.expect("fence");
    fill_with_term(&log, 4).await;
    fill_with_term(&log, 6).await;
    drop(log);
    files.reboot(Survival::Synced);
    let (log, _) = open(options(&files));
    let late = log.append(append(shard(0), vec![payload(0)])).await;
    assert!(matches!(
        late,
        Err(LogError::Fenced {
            current: PrimaryTerm(6)
        })
    ));
}

async fn fill_with_term(log: &dyn ShardLog, term: u64) {
    let append = Append {
        term: PrimaryTerm(term),
        ..append(shard(0), vec![payload(0)])
    };
    log.append(append).await.expect("append");
}

#[tokio::test]
async fn what_was_found_after_a_kill_survives_a_power_cut() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    files.fail_next(Operation::Sync, Fault::PowerCut);
    let unsynced = log.append(append(shard(0), vec![payload(3)])).await;
    unsynced.expect_err("killed before the sync");
    let killed = files.fork();
    let (log, report) = open(options(&killed));
    assert_eq!(
        report.shards[0].tail,
        Some(SeqNo(3)),
        "found in the page cache"
    );
    killed.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(options(&killed));
    assert_eq!(log.tail(shard(0)).await.expect("tail"), Some(SeqNo(3)));
}

#[tokio::test]
async fn producers_are_known_after_opening() {
    let files = SimulatedFiles::new();
    let few = LogOptions {
        num_producers: 3,
        ..options(&files)
    };
    let from = |id: u128, sequence: u64| Append {
        producer: numbered(id, sequence),
        ..append(shard(0), vec![payload(1), payload(2)])
    };
    let (log, _) = open(few.clone());
    for id in 0..5 {
        log.append(from(id, 7)).await.expect("append");
    }
    drop(log);
    let (log, _) = open(few);
    for id in 2..5 {
        let again = log.append(from(id, 7)).await.expect("append");
        assert!(again.duplicate);
        assert_eq!(again.first, SeqNo(id as u64 * 2));
    }
    let forgotten = log.append(from(0, 7)).await.expect("append");
    assert!(!forgotten.duplicate, "only the last three are remembered");
}

#[tokio::test]
async fn trimmed_segments_stay_trimmed_and_the_rest_stays() {
    let files = SimulatedFiles::new();
    let small = LogOptions {
        segment_bytes: 500,
        ..options(&files)
    };
    let (log, _) = open(small.clone());
    fill(&log, shard(0), 40).await;
    let before = files.used_bytes();
    files.fail_next(Operation::Remove, Fault::Io);
    let first = log.trim(shard(0), SeqNo(25)).await.expect("trim");
    assert!(first > SeqNo(15) && first <= SeqNo(25), "{first}");
    drop(log);
    let (log, report) = open(small);
    assert!(report.shards[0].failed.is_none());
    let page = log.read(shard(0), first, 10).await.expect("page");
    assert_eq!(page.first_available, first);
    assert_eq!(
        read_all(&log, shard(0)).await.expect("whole").len() as u64,
        40 - first.0
    );
    assert!(
        files.used_bytes() < before * 3 / 4,
        "room was not given back"
    );
}

#[tokio::test]
async fn a_removed_shard_stays_removed_when_its_files_could_not_be() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 3).await;
    let leftovers = files.fork();
    log.remove(shard(0)).await.expect("remove");
    drop(log);
    let (_, report) = open(options(&files));
    assert_eq!(report.shards.len(), 1);
    // A kill between the renaming of the folder and the removal of its files.
    let dir = crate::world::dir(shard(0));
    let files: &dyn Files = &leftovers;
    files
        .rename(&dir, &dir.with_extension("removed"))
        .expect("folder");
    let (log, report) = open(options(&leftovers));
    assert_eq!(report.shards.len(), 1);
    assert_eq!(log.tail(shard(0)).await.expect("tail"), None);
    let paths = leftovers.paths();
    let is_gone = |path: &std::path::PathBuf| !path.to_string_lossy().contains("removed");
    assert!(paths.iter().all(is_gone), "{paths:?}");
    log.remove(shard(1)).await.expect("remove");
    drop(log);
    open(options(&leftovers));
    let left = files.list(Path::new(ROOT)).expect("folder");
    assert!(left.is_empty(), "the index has no folder left: {left:?}");
}

#[tokio::test]
async fn what_a_journal_held_of_a_removed_shard_does_not_come_back() {
    // What is too large for a journal leaves none behind it.
    for num_bytes in [10, 300_000] {
        let files = SimulatedFiles::new();
        let (log, _) = open(journaled(&files));
        fill(&log, shard(0), 9).await;
        fill(&log, shard(1), 3).await;
        log.remove(shard(0)).await.expect("remove");
        let other = append(shard(0), vec![vec![b'x'; num_bytes].into()]);
        log.append(other).await.expect("append");
        for survival in [Survival::Synced, Survival::All] {
            let files = files.fork();
            files.reboot(survival);
            let (log, report) = open(journaled(&files));
            assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
            let records = read_all(&log, shard(0)).await.expect("whole");
            assert_eq!(records.len(), 1, "{survival:?}, {num_bytes} bytes");
            assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 3);
        }
    }
}

#[tokio::test]
async fn a_journal_is_there_after_a_crash_only() {
    let files = SimulatedFiles::new();
    let has_journal = |files: &SimulatedFiles| {
        let paths = files.paths();
        let is_journal = |path: &std::path::PathBuf| path.to_string_lossy().contains("journal");
        paths.iter().any(is_journal)
    };
    let (log, report) = open(journaled(&files));
    assert_eq!(report.replayed_bytes, 0);
    assert!(!has_journal(&files), "nothing was written");
    fill(&log, shard(0), 3).await;
    let killed = files.fork();
    drop(log);
    assert!(!has_journal(&files), "it was closed");
    let (_log, report) = open(journaled(&files));
    assert_eq!(report.replayed_bytes, 0);
    assert!(has_journal(&killed));
    let (log, report) = open(journaled(&killed));
    assert!(report.replayed_bytes > 0);
    assert!(!has_journal(&killed), "it was read");
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
}

#[tokio::test]
async fn a_journal_does_not_grow_beyond_its_limit() {
    let files = SimulatedFiles::new();
    let small = LogOptions {
        journal_bytes: 256 << 10,
        ..journaled(&files)
    };
    let (log, _) = open(small.clone());
    let batch = || vec![vec![b'x'; 20_000].into()];
    for number in 0..40 {
        let appended = log.append(append(shard(number % 2), batch())).await;
        appended.expect("append");
        let journal = files.bytes(&crate::world::file(&files, "journal-0"));
        assert!(journal.expect("journal").len() <= 256 << 10);
    }
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    let small = LogOptions {
        files: std::sync::Arc::new(killed.clone()),
        ..small
    };
    let (log, report) = open(small);
    assert!(
        report.replayed_bytes > 0,
        "some of it was in the journal only"
    );
    for number in 0..2 {
        let records = read_all(&log, shard(number)).await.expect("whole");
        assert_eq!(records.len(), 20);
    }
}

#[tokio::test]
async fn a_journal_of_a_newer_program_is_refused_by_name() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 3).await;
    let killed = files.fork();
    let path = crate::world::file(&killed, "journal-0");
    let mut bytes = killed.bytes(&path).expect("journal");
    bytes[8] = 2;
    // As the newer program would: a flipped bit alone is not believed.
    let damaged = bytes.clone();
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    killed.replace(&path, bytes).expect("journal");
    let refused = gleaner_log::LocalLog::open(Path::new(ROOT), journaled(&killed));
    let text = refused.expect_err("newer").to_string();
    assert!(text.contains("journal-0` has format version 2"), "{text}");
    killed.replace(&path, damaged).expect("journal");
    let (log, _) = open(journaled(&killed));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
}

#[tokio::test]
async fn the_folder_of_an_index_goes_with_its_last_shard() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 3).await;
    log.remove(shard(0)).await.expect("remove");
    let left = files.list(Path::new(ROOT)).expect("folder");
    assert_eq!(left.len(), 1, "the other shard is still there");
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 3);
    log.remove(shard(1)).await.expect("remove");
    let left = files.list(Path::new(ROOT)).expect("folder");
    assert!(left.is_empty(), "{left:?}");
    fill(&log, shard(0), 3).await;
    drop(log);
    let files = files.fork();
    let (log, _) = open(options(&files));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
}

#[tokio::test]
async fn a_power_cut_while_a_log_begins_leaves_the_old_one_none_or_the_new() {
    for setting in [options, journaled] {
        cut_while_a_log_begins(setting).await;
    }
}

async fn cut_while_a_log_begins(setting: fn(&SimulatedFiles) -> LogOptions) {
    let begin = async |files: &SimulatedFiles| {
        let (log, _) = open(setting(files));
        fill(&log, shard(0), 3).await;
        let first = files.num_operations();
        (log.begin_at(shard(0), beginning(7)).await, first, log)
    };
    let files = SimulatedFiles::new();
    let (begun, first, log) = begin(&files).await;
    begun.expect("nothing fails");
    drop(log);
    let mut seen = std::collections::BTreeSet::new();
    for edge in first..files.num_operations() {
        for survival in [Survival::Synced, Survival::All, Survival::Random(edge)] {
            let files = SimulatedFiles::new();
            files.fail_operation(edge, Fault::PowerCut);
            let (begun, _, log) = begin(&files).await;
            drop(log);
            files.reboot(survival);
            let (log, report) = open(setting(&files));
            assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
            let tail = log.tail(shard(0)).await.expect("tail");
            assert!(begun.is_err() || tail == Some(SeqNo(6)), "edge {edge}");
            seen.insert(tail);
            log.begin_at(shard(0), beginning(9))
                .await
                .expect("begins again");
            fill(&log, shard(0), 1).await;
            assert_eq!(log.tail(shard(0)).await.expect("tail"), Some(SeqNo(9)));
        }
    }
    let expected = [None, Some(SeqNo(2)), Some(SeqNo(6))];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn records_are_found_in_large_batches_and_many_segments() {
    let files = SimulatedFiles::new();
    let small = LogOptions {
        segment_bytes: 20_000,
        ..options(&files)
    };
    let (log, _) = open(small.clone());
    for batch in 0..6 {
        let batch = (batch * 500..(batch + 1) * 500).map(payload).collect();
        log.append(append(shard(0), batch)).await.expect("append");
    }
    check_lookups(&log).await;
    drop(log);
    let (log, _) = open(small);
    check_lookups(&log).await;
}

async fn check_lookups(log: &dyn ShardLog) {
    for seq_no in (0..3000).step_by(97) {
        let record = log.read_one(shard(0), SeqNo(seq_no)).await.expect("read");
        assert_eq!(record.expect("held").payload, payload(seq_no));
    }
    let chain = log.chain(shard(0), SeqNo(2999)).await.expect("chain");
    assert!(chain.is_some());
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_by_name() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    drop(log);
    let path = crate::world::file(&files, ".log");
    let mut bytes = files.bytes(&path).expect("segment");
    bytes[8] = 3;
    files.replace(&path, bytes).expect("segment");
    let (log, _) = open(options(&files));
    let refused = log.tail(shard(0)).await.expect_err("newer");
    let text = refused.to_string();
    assert!(
        text.contains(".log` has format version 3, this program reads up to 2"),
        "{text}"
    );
}
