//! Shards that are removed, or begin anew, while an operation of the disk fails.

use bytes::Bytes;
use gleaner_log::files::{Fault, Operation, SimulatedFiles, Survival};
use gleaner_log::{LocalLog, LogError, LogOptions, ShardLog};
use gleaner_model::{SeqNo, ShardKey};

use crate::world::{
    append, beginning, file, fill, journaled, open, options, payload, read_all, shard,
};

/// What is done to a shard of three records, and what is there of it then.
#[derive(Debug, Clone, Copy)]
enum Work {
    Remove,
    BeginAt(u64),
}

impl Work {
    async fn run(self, log: &LocalLog, key: ShardKey) -> Result<(), LogError> {
        match self {
            Self::Remove => log.remove(key).await,
            Self::BeginAt(at) => log.begin_at(key, beginning(at)).await,
        }
    }

    fn first(self) -> SeqNo {
        match self {
            Self::Remove => SeqNo(0),
            Self::BeginAt(at) => SeqNo(at),
        }
    }
}

const WORK: [Work; 3] = [Work::Remove, Work::BeginAt(7), Work::BeginAt(0)];

/// A log with records of two shards, and the number of the next operation.
async fn filled(setting: fn(&SimulatedFiles) -> LogOptions) -> (SimulatedFiles, LocalLog, u64) {
    let files = SimulatedFiles::new();
    let (log, _) = open(setting(&files));
    fill(&log, shard(0), 3).await;
    fill(&log, shard(1), 2).await;
    let next = files.num_operations();
    (files, log, next)
}

/// A payload that a journal does not take, so that no later one hides what a former one left.
fn large(number: u64) -> Bytes {
    vec![number as u8; 300_000].into()
}

/// Appends to the shard that was worked on, cuts the power, and checks both; of the other one so many records
/// are known.
async fn look(
    files: &SimulatedFiles,
    log: LocalLog,
    setting: fn(&SimulatedFiles) -> LogOptions,
    (work, mut num_beside): (Work, usize),
    hint: &str,
) {
    for number in 0..2 {
        let appended = log.append(append(shard(0), vec![large(number)])).await;
        let first = appended.expect(hint).first;
        assert_eq!(first, SeqNo(work.first().0 + number), "{hint}");
    }
    num_beside += append_beside(&log, large(2), hint).await;
    files.reboot(Survival::Synced);
    drop(log);
    let (log, report) = open(setting(files));
    let failed = report.shards.iter().find(|shard| shard.failed.is_some());
    assert!(failed.is_none(), "{hint}: {failed:?}");
    let records = read_all(&log, shard(0)).await.expect(hint);
    let found: Vec<_> = records.into_iter().map(|record| record.payload).collect();
    assert!(found == [large(0), large(1)], "{hint}");
    let beside = read_all(&log, shard(1)).await.expect(hint);
    assert_eq!(beside.len(), num_beside, "{hint}");
}

/// Appends to the other shard, whose own sync may have failed; returns how many records it took.
async fn append_beside(log: &LocalLog, payload: Bytes, hint: &str) -> usize {
    let beside = log.append(append(shard(1), vec![payload])).await;
    let is_fine = matches!(beside, Ok(_) | Err(LogError::Poisoned { .. }));
    assert!(is_fine, "{hint}: {beside:?}");
    usize::from(beside.is_ok())
}

#[tokio::test]
async fn what_fails_can_be_called_again() {
    for (setting, name) in [(options as fn(&_) -> _, "in place"), (journaled, "journal")] {
        for work in WORK {
            for edge in 0.. {
                let (files, mut log, next) = filled(setting).await;
                files.fail_operation(next + edge, Fault::Io);
                let hint = format!("{work:?}, operation {edge}, {name}");
                let first = work.run(&log, shard(0)).await;
                let was_reached = files.num_operations() > next + edge;
                let mut num_beside = 2;
                if was_reached {
                    num_beside += append_beside(&log, payload(2), &hint).await;
                }
                if first.is_err()
                    && let Err(error) = work.run(&log, shard(0)).await
                {
                    let is_needed =
                        matches!(&error, LogError::Io { action, .. } if action.contains("journal"));
                    assert!(is_needed, "{hint}: {error}");
                    drop(log);
                    log = open(setting(&files)).0;
                    work.run(&log, shard(0)).await.expect(&hint);
                }
                let cut = files.fork();
                cut.reboot(Survival::Synced);
                let (found, report) = open(setting(&cut));
                let failed = report.shards.iter().find(|shard| shard.failed.is_some());
                assert!(failed.is_none(), "{hint}: {failed:?}");
                let tail = found.tail(shard(0)).await.expect(&hint);
                assert_eq!(tail, work.first().0.checked_sub(1).map(SeqNo), "{hint}");
                let beside = read_all(&found, shard(1)).await.expect(&hint);
                assert_eq!(beside.len(), num_beside, "{hint}");
                if !was_reached {
                    break;
                }
                look(&files, log, setting, (work, num_beside), &hint).await;
            }
        }
    }
}

#[tokio::test]
async fn what_fails_leaves_a_shard_that_is_whole_or_gone() {
    for (setting, name) in [(options as fn(&_) -> _, "in place"), (journaled, "journal")] {
        for work in WORK {
            for edge in 0.. {
                let (files, log, next) = filled(setting).await;
                files.fail_operation(next + edge, Fault::Io);
                let hint = format!("{work:?}, operation {edge}, {name}");
                if work.run(&log, shard(0)).await.is_ok() {
                    break;
                }
                // Not called again: the next append goes to what is there.
                let appended = log.append(append(shard(0), vec![payload(9)])).await;
                files.reboot(Survival::Synced);
                drop(log);
                let (log, report) = open(setting(&files));
                let failed = report.shards.iter().find(|shard| shard.failed.is_some());
                assert!(failed.is_none(), "{hint}: {failed:?}");
                assert_eq!(
                    read_all(&log, shard(1)).await.expect(&hint).len(),
                    2,
                    "{hint}"
                );
                let records = read_all(&log, shard(0)).await.expect(&hint);
                if let Ok(appended) = appended {
                    let last = records.last().expect(&hint);
                    assert_eq!(last.seq_no, appended.last, "{hint}");
                    assert_eq!(last.payload, payload(9), "{hint}");
                }
                let first = records.first().map_or(SeqNo(0), |record| record.seq_no);
                let is_sound = records.len() >= 3 || records.len() <= 1 || first == work.first();
                assert!(is_sound, "{hint}: {records:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_half_removed_shard_had_in_the_journal_does_not_reach_the_next_of_its_name() {
    let (files, log, _) = filled(journaled).await;
    files.fail_next(Operation::SyncDir, Fault::Io);
    log.remove(shard(0)).await.expect_err("its folder's sync");
    let appended = log.append(append(shard(0), vec![payload(40)])).await;
    assert_eq!(appended.expect("a new shard").first, SeqNo(0));
    let killed = files.fork();
    // With the first frame torn, frames of earlier epochs are read back too.
    let path = file(&killed, "journal-0");
    killed.flip_bit(&path, (4096 + 20) * 8).expect("a bit");
    let (log, report) = open(journaled(&killed));
    assert!(report.shards.iter().all(|shard| shard.failed.is_none()));
    let records = read_all(&log, shard(0)).await.expect("whole");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload, payload(40));
}
