//! Errors of the disk that a log outlives without the machine: what a failed sync lost is seen by whoever opens
//! the log next, and is not on disk. Nothing acknowledged, before or after, may stand on it.

use std::path::Path;
use std::time::Duration;

use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{LocalLog, LogError, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::crashes::{IN_PLACE, Known, Setting, check, cut_with_frames, small_segments, work};
use crate::world::{
    ROOT, append, fill, journaled, numbered, open, options, payload, read_all, scale,
};
use crate::world::{seed, shard};

const SETTINGS: [Setting; 4] = [
    IN_PLACE,
    Setting {
        journal_bytes: 8 << 20,
        ..IN_PLACE
    },
    Setting {
        journal_bytes: 4096 + 1000,
        ..IN_PLACE
    },
    Setting {
        floor_interval: Duration::from_nanos(1),
        journal_bytes: 8 << 20,
    },
];

/// Opens a log on a disk whose machine did not go down, checks it, then cuts the power and checks again.
async fn look(files: &SimulatedFiles, known: &Known, setting: Setting, hint: &str) {
    let files = files.fork();
    let mut known = known.clone();
    for step in ["opened again", "after the power cut"] {
        let (log, report) = open(small_segments(&files, setting));
        let failed = report.shards.iter().find(|shard| shard.failed.is_some());
        assert!(failed.is_none(), "{hint}, {step}: {failed:?}");
        check(&log, &mut known, &format!("{hint}, {step}")).await;
        // Killed, not closed: the log's last words must not be what saves it.
        files.reboot(Survival::Synced);
        drop(log);
    }
}

/// Runs the work with one operation that fails; `false` when it ended before.
async fn fail_at(edge: u64, seed: u64, fault: Fault, setting: Setting) -> bool {
    let files = SimulatedFiles::new();
    files.fail_operation(edge, fault);
    let mut known = Known::default();
    let hint = format!("operation {edge}, seed {seed}, {fault:?}, {setting:?}");
    if let Ok((log, _)) = LocalLog::open(Path::new(ROOT), small_segments(&files, setting)) {
        work(&log, seed, &mut known).await;
        // As if the process was killed here.
        look(&files, &known, setting, &format!("{hint}, killed")).await;
    }
    look(&files, &known, setting, &format!("{hint}, closed")).await;
    files.num_operations() > edge
}

#[tokio::test]
async fn what_is_opened_after_any_failed_operation_outlives_a_power_cut() {
    let mut num_faults = 0;
    for setting in SETTINGS {
        for seed in seed(20)..seed(20) + scale().div_ceil(8) {
            for edge in 0.. {
                let mut was_reached = false;
                for fault in [
                    Fault::Io,
                    Fault::IoPartly(edge),
                    Fault::NoSpace,
                    Fault::PowerCut,
                ] {
                    was_reached |= fail_at(edge, seed, fault, setting).await;
                    num_faults += 1;
                }
                if !was_reached {
                    break;
                }
            }
        }
    }
    println!("{num_faults} faults, the log opened again and then a power cut: 0 records lost");
    assert!(num_faults > 500, "only {num_faults} faults were tried");
}

#[tokio::test]
async fn what_is_opened_after_an_opening_that_failed_outlives_a_power_cut() {
    let setting = SETTINGS[1];
    let (files, known) = cut_with_frames(setting).await;
    for edge in files.num_operations().. {
        for fault in [Fault::Io, Fault::IoPartly(edge)] {
            let again = files.fork();
            again.fail_operation(edge, fault);
            let opened = LocalLog::open(Path::new(ROOT), small_segments(&again, setting));
            if let Ok((log, report)) = opened {
                let failed = report.shards.iter().filter(|shard| shard.failed.is_some());
                assert!(
                    failed.count() <= 1,
                    "operation {edge}: one shard is concerned at most"
                );
                drop(log);
            }
            let hint = format!("operation {edge} of an opening, {fault:?}");
            look(&again, &known, setting, &hint).await;
            if again.num_operations() <= edge {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_shard_that_refuses_what_a_journal_holds_fails_alone() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 3).await;
    files.reboot(Survival::Synced);
    drop(log);
    // Its first write goes to the segment of shard 0.
    files.fail_next(gleaner_log::files::Operation::Write, Fault::Io);
    let (log, report) = open(journaled(&files));
    assert!(report.shards[0].failed.is_some() && report.shards[1].failed.is_none());
    assert!(log.tail(shard(0)).await.is_err());
    fill(&log, shard(1), 2).await;
    let removed = log.remove(shard(1)).await.expect_err("the journal stays");
    assert!(removed.to_string().contains("journal"), "{removed}");
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(journaled(&files));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 3);
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 5);
    log.remove(shard(1))
        .await
        .expect("nothing is left of the journal");
}

#[tokio::test]
async fn a_fence_whose_sync_failed_holds_once_it_is_repeated() {
    for fault in [Fault::Io, Fault::IoPartly(7)] {
        for number in 0..2 {
            let files = SimulatedFiles::new();
            let (log, _) = open(options(&files));
            fill(&log, shard(0), 1).await;
            let first = files.num_operations();
            // A write and a sync for each of two slots.
            files.fail_operation(first + 1 + 2 * number, fault);
            let refused = log.fence(shard(0), PrimaryTerm(5)).await;
            assert!(matches!(refused, Err(LogError::Indeterminate { .. })));
            drop(log);
            let (log, _) = open(options(&files));
            log.fence(shard(0), PrimaryTerm(5)).await.expect("fence");
            files.reboot(Survival::Synced);
            drop(log);
            let (log, _) = open(options(&files));
            let late = log.append(append(shard(0), vec![payload(1)])).await;
            assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
        }
    }
}

#[tokio::test]
async fn what_an_opening_found_in_one_slot_outlives_the_damage_of_that_slot() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 1).await;
    // Closed: both slots say the same.
    drop(log);
    let (log, _) = open(options(&files));
    let second_write = files.num_operations() + 2;
    files.fail_operation(second_write, Fault::Io);
    let fenced = log.fence(shard(0), PrimaryTerm(5)).await;
    fenced.expect_err("one slot has it, the other has not");
    drop(log);
    let (log, _) = open(options(&files));
    files.reboot(Survival::Synced);
    drop(log);
    for slot in [0, 4096] {
        let damaged = files.fork();
        let path = crate::world::file(&damaged, "state");
        damaged.flip_bit(&path, (slot + 50) * 8).expect("a bit");
        let (log, _) = open(options(&damaged));
        let late = log.append(append(shard(0), vec![payload(1)])).await;
        assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
    }
}

#[tokio::test]
async fn segments_that_a_failed_trim_names_go_when_that_is_on_disk() {
    let files = SimulatedFiles::new();
    let small = |files: &SimulatedFiles| small_segments(files, IN_PLACE);
    let (log, _) = open(small(&files));
    fill(&log, shard(0), 30).await;
    files.fail_next(gleaner_log::files::Operation::Sync, Fault::Io);
    log.trim(shard(0), SeqNo(20)).await.expect_err("its sync");
    for edge in files.num_operations().. {
        let again = files.fork();
        again.fail_operation(edge, Fault::PowerCut);
        drop(LocalLog::open(Path::new(ROOT), small(&again)));
        let was_cut = again.is_down();
        again.reboot(Survival::Synced);
        let (log, report) = open(small(&again));
        let failed = &report.shards[0].failed;
        assert!(failed.is_none(), "operation {edge}: {failed:?}");
        let records = read_all(&log, shard(0)).await.expect("whole");
        let last = records.last().map(|record| record.seq_no);
        assert_eq!(last, Some(SeqNo(29)), "operation {edge}");
        if !was_cut {
            break;
        }
    }
}

#[tokio::test]
async fn a_large_batch_whose_sync_failed_is_there_once_it_is_repeated() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 2).await;
    let large = gleaner_log::Append {
        producer: numbered(1, 1),
        ..append(shard(0), vec![vec![b'x'; 600_000].into()])
    };
    files.fail_next(gleaner_log::files::Operation::Sync, Fault::Io);
    log.append(large.clone()).await.expect_err("its sync fails");
    let killed = files.fork();
    drop(log);
    let (log, _) = open(journaled(&killed));
    let again = log.append(large).await.expect("it is repeated");
    assert!(again.duplicate && again.last == SeqNo(2), "{again:?}");
    fill(&log, shard(0), 2).await;
    killed.reboot(Survival::Synced);
    drop(log);
    let (log, report) = open(journaled(&killed));
    assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
    assert_eq!(read_all(&log, shard(0)).await.expect("whole").len(), 5);
}

#[tokio::test]
async fn a_journal_goes_when_its_sync_failed_and_all_it_held_is_synced() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    fill(&log, shard(0), 2).await;
    fill(&log, shard(1), 2).await;
    files.fail_next(gleaner_log::files::Operation::Sync, Fault::Io);
    fill(&log, shard(1), 1).await;
    let has_journal = |files: &SimulatedFiles| {
        let paths = files.paths();
        paths
            .iter()
            .any(|path| path.to_string_lossy().contains("journal"))
    };
    // The thread makes a checkpoint after its answers: this waits for its end.
    log.produced(shard(0), numbered(1, 1).expect("some"))
        .await
        .expect("answer");
    assert!(!has_journal(&files));
    log.remove(shard(0))
        .await
        .expect("nothing is needed any more");
    fill(&log, shard(1), 1).await;
    assert!(has_journal(&files), "there is another one");
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(journaled(&files));
    assert_eq!(read_all(&log, shard(1)).await.expect("whole").len(), 4);
}
