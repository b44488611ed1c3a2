//! A disk that is full, refuses, or takes less than it was given.

use gleaner_log::files::{Fault, Operation, SimulatedFiles, Survival};
use gleaner_log::{Append, LogError, LogOptions, ShardLog};
use gleaner_model::{FaultKind, PrimaryTerm, SeqNo};

use crate::world::{append, fill, journaled, numbered, open, options, payload, read_all, shard};

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_when_there_is_room() {
    for setting in [options, journaled] {
        fill_the_disk(setting).await;
    }
}

async fn fill_the_disk(setting: fn(&SimulatedFiles) -> LogOptions) {
    let files = SimulatedFiles::new();
    let (log, _) = open(setting(&files));
    fill(&log, shard(0), 10).await;
    files.set_capacity(files.used_bytes() + 150);
    let large = append(shard(0), vec![payload(10), vec![b'x'; 500].into()]);
    for _ in 0..3 {
        let refused = log.append(large.clone()).await.expect_err("no room");
        assert!(matches!(refused, LogError::DiskFull { .. }), "{refused}");
        assert_eq!(refused.fault_kind(), FaultKind::BUSY);
    }
    let small = log.append(append(shard(0), vec![payload(10)])).await;
    assert_eq!(small.expect("there is room for it").first, SeqNo(10));
    let another = log.append(append(shard(1), vec![payload(0)])).await;
    assert!(
        matches!(another, Err(LogError::DiskFull { .. })),
        "{another:?}"
    );
    files.set_capacity(usize::MAX);
    assert_eq!(log.append(large).await.expect("room").last, SeqNo(12));
    log.append(append(shard(1), vec![payload(0)]))
        .await
        .expect("room");
    drop(log);
    let (log, report) = open(setting(&files));
    assert!(
        report
            .shards
            .iter()
            .all(|s| s.cut.is_none() && s.failed.is_none())
    );
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 13);
}

#[tokio::test]
async fn a_refused_batch_does_not_come_back_after_a_crash() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    files.fail_next(Operation::Write, Fault::NoSpace);
    let refused = Append {
        producer: numbered(1, 1),
        ..append(shard(0), vec![payload(3)])
    };
    log.append(refused.clone()).await.expect_err("no room");
    for survival in 0..50 {
        let crashed = files.fork();
        crashed.reboot(Survival::Random(survival));
        let (log, _) = open(options(&crashed));
        assert_eq!(log.tail(shard(0)).await.expect("tail"), Some(SeqNo(2)));
        let again = log.append(refused.clone()).await.expect("room");
        assert!(!again.duplicate);
    }
}

#[tokio::test]
async fn an_append_that_was_answered_well_leaves_a_log_that_goes_on_however_full_the_disk_is() {
    let mut num_full = 0;
    // The record, its sync and the floor.
    for edge in 0..3 {
        let files = SimulatedFiles::new();
        let (log, _) = open(options(&files));
        fill(&log, shard(0), 3).await;
        files.fail_operation(files.num_operations() + edge, Fault::NoSpace);
        let first = log.append(append(shard(0), vec![payload(3)])).await;
        let next = log.append(append(shard(0), vec![payload(4)])).await;
        match first {
            // The sync of the record is no matter of room.
            Err(LogError::Indeterminate { .. }) => {
                assert!(matches!(next, Err(LogError::Poisoned { .. })), "{next:?}");
            }
            Ok(_) | Err(LogError::DiskFull { .. }) => {
                num_full += 1;
                let records = 3 + u64::from(first.is_ok());
                assert_eq!(next.expect("there is room").first, SeqNo(records));
            }
            Err(other) => panic!("{other:?} at {edge}"),
        }
        files.reboot(Survival::Synced);
        drop(log);
        let (_log, report) = open(options(&files));
        assert!(report.shards[0].failed.is_none(), "{report:?} at {edge}");
    }
    assert!(
        num_full >= 2,
        "neither a record nor a floor met a full disk"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_a_fence_a_trim_and_a_cut_and_changes_nothing() {
    let files = SimulatedFiles::new();
    let few = LogOptions {
        segment_bytes: 400,
        ..options(&files)
    };
    let (log, _) = open(few.clone());
    fill(&log, shard(0), 20).await;
    let full = || files.fail_next(Operation::Write, Fault::NoSpace);
    let is_full = |error: LogError| matches!(error, LogError::DiskFull { .. });

    full();
    let fenced = log.fence(shard(0), PrimaryTerm(2)).await;
    assert!(is_full(fenced.expect_err("no room")));
    fill(&log, shard(0), 1).await;
    log.fence(shard(0), PrimaryTerm(2)).await.expect("room");

    full();
    let trimmed = log.trim(shard(0), SeqNo(10)).await;
    assert!(is_full(trimmed.expect_err("no room")));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 21);
    let first = log.trim(shard(0), SeqNo(10)).await.expect("room");
    assert!(first > SeqNo(0));

    full();
    let cut = log.truncate(shard(0), SeqNo(15)).await;
    assert!(is_full(cut.expect_err("no room")));
    assert_eq!(log.tail(shard(0)).await.expect("tail"), Some(SeqNo(20)));
    log.truncate(shard(0), SeqNo(15)).await.expect("room");

    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(few);
    assert_eq!(log.tail(shard(0)).await.expect("tail"), Some(SeqNo(14)));
    let late = log.append(append(shard(0), vec![payload(0)])).await;
    assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
}

#[tokio::test]
async fn a_failed_sync_stops_the_shard_until_it_is_opened_again() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 1).await;
    files.fail_next(Operation::Sync, Fault::Io);
    let lost = Append {
        producer: numbered(1, 1),
        ..append(shard(0), vec![payload(3)])
    };
    let unknown = log.append(lost.clone()).await;
    assert!(matches!(unknown, Err(LogError::Indeterminate { .. })));
    let refused = log.append(lost.clone()).await;
    assert!(matches!(refused, Err(LogError::Poisoned { .. })));
    let fenced = log.fence(shard(0), PrimaryTerm(2)).await;
    assert!(matches!(fenced, Err(LogError::Poisoned { .. })));
    assert_eq!(
        read_all(&log, shard(0)).await.expect("reads go on").len(),
        3
    );
    fill(&log, shard(1), 1).await;
    drop(log);
    let (log, _) = open(options(&files));
    let again = log.append(lost).await.expect("opened again");
    assert_eq!(
        again.first,
        SeqNo(3),
        "there once, whether it was found or not"
    );
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 4);
}

#[tokio::test]
async fn short_writes_are_continued() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 1).await;
    files.fail_next(Operation::Write, Fault::ShortWrite);
    files.fail_next(Operation::Write, Fault::ShortWrite);
    fill(&log, shard(0), 3).await;
    drop(log);
    let (log, _) = open(options(&files));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 4);
}

#[tokio::test]
async fn an_error_of_the_disk_stops_the_shard_without_losing_what_was_there() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    files.fail_next(Operation::Write, Fault::Io);
    let refused = log.append(append(shard(0), vec![payload(3)])).await;
    assert!(matches!(refused, Err(LogError::Io { .. })), "{refused:?}");
    drop(log);
    let (log, report) = open(options(&files));
    assert!(
        report.shards[0].cut.is_none(),
        "the partial write was undone"
    );
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
}

#[tokio::test]
async fn a_round_that_its_journal_cannot_take_is_synced_in_its_place() {
    let faults = [
        (Operation::Create, Fault::Io),
        (Operation::Create, Fault::NoSpace),
        (Operation::Rename, Fault::Io),
        (Operation::SyncDir, Fault::Io),
        (Operation::Sync, Fault::Io),
    ];
    for (operation, fault) in faults {
        let files = SimulatedFiles::new();
        // The segment is there, the journal is not yet.
        let (log, _) = open(options(&files));
        fill(&log, shard(0), 1).await;
        drop(log);
        let (log, _) = open(journaled(&files));
        files.fail_next(operation, fault);
        fill(&log, shard(0), 4).await;
        files.reboot(Survival::Synced);
        drop(log);
        let (log, _) = open(journaled(&files));
        let records = read_all(&log, shard(0)).await.expect("whole");
        assert_eq!(records.len(), 5, "{operation:?} {fault:?}");
    }
}

#[tokio::test]
async fn what_a_failed_checkpoint_leaves_is_in_the_journal() {
    let files = SimulatedFiles::new();
    let few = LogOptions {
        segment_bytes: 400,
        ..journaled(&files)
    };
    let (log, _) = open(few.clone());
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 1).await;
    // The segment is full: it is synced before the next one begins, and what it had is lost by that.
    files.fail_next(Operation::Sync, Fault::Io);
    let mut num_written = 3;
    let refused = loop {
        match log
            .append(append(shard(0), vec![payload(num_written)]))
            .await
        {
            Ok(_) => num_written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Poisoned { .. }), "{refused}");
    fill(&log, shard(1), 3).await;
    let removed = log.remove(shard(1)).await;
    assert!(removed.is_err(), "the journal is needed: {removed:?}");
    fill(&log, shard(1), 1).await;
    drop(log);
    files.reboot(Survival::Synced);
    let (log, report) = open(few);
    assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
    let records = read_all(&log, shard(0)).await.expect("whole");
    assert_eq!(records.len() as u64, num_written);
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 5);
    log.remove(shard(1)).await.expect("it can go now");
}

#[tokio::test]
async fn what_an_undone_write_may_have_lost_is_in_the_journal() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 3).await;
    // The write is refused, and the sync that makes its removal durable fails.
    files.fail_next(Operation::Write, Fault::NoSpace);
    files.fail_next(Operation::Sync, Fault::Io);
    let unknown = log.append(append(shard(0), vec![payload(3)])).await;
    assert!(matches!(unknown, Err(LogError::Indeterminate { .. })));
    fill(&log, shard(1), 1).await;
    drop(log);
    files.reboot(Survival::Synced);
    let (log, report) = open(journaled(&files));
    assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 1);
}

#[tokio::test]
async fn a_shard_whose_sync_failed_can_be_removed() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 3).await;
    // Segments are synced before one of them goes: first that of shard 0.
    files.fail_next(Operation::Sync, Fault::Io);
    log.remove(shard(0))
        .await
        .expect("it is not wanted any more");
    fill(&log, shard(0), 1).await;
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(journaled(&files));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 1);
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 3);
}
