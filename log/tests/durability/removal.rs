//! Shards that are removed, or begin anew, while an operation of the disk fails.

use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{LocalLog, LogError, LogOptions, ShardLog};
use gleaner_model::{SeqNo, ShardKey};

use crate::world::{append, fill, journaled, open, options, payload, read_all, shard};

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
            Self::BeginAt(at) => log.begin_at(key, SeqNo(at)).await,
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

/// Appends to the shard that was worked on, cuts the power, and checks both.
async fn look(
    files: &SimulatedFiles,
    log: LocalLog,
    setting: fn(&SimulatedFiles) -> LogOptions,
    work: Work,
    hint: &str,
) {
    for number in 0..2 {
        let appended = log
            .append(append(shard(0), vec![payload(40 + number)]))
            .await;
        let first = appended.expect(hint).first;
        assert_eq!(first, SeqNo(work.first().0 + number), "{hint}");
    }
    // Its own sync may have failed.
    let beside = log.append(append(shard(1), vec![payload(2)])).await;
    let is_fine = matches!(beside, Ok(_) | Err(LogError::Poisoned { .. }));
    assert!(is_fine, "{hint}: {beside:?}");
    files.reboot(Survival::Synced);
    drop(log);
    let (log, report) = open(setting(files));
    let failed = report.shards.iter().find(|shard| shard.failed.is_some());
    assert!(failed.is_none(), "{hint}: {failed:?}");
    let records = read_all(&log, shard(0)).await.expect(hint);
    let expected: Vec<_> = (0..2).map(|number| payload(40 + number)).collect();
    let found: Vec<_> = records.into_iter().map(|record| record.payload).collect();
    assert_eq!(found, expected, "{hint}");
    let num_beside = read_all(&log, shard(1)).await.expect(hint).len();
    assert_eq!(num_beside, 2 + usize::from(beside.is_ok()), "{hint}");
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
                if !was_reached {
                    break;
                }
                look(&files, log, setting, work, &hint).await;
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
