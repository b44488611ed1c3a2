//! Power cuts at every persist edge: nothing acknowledged is lost, nothing half is found, nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{Append, LocalLog, LogError, LogOptions, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use crate::world::{Dice, append, numbered, open, options, read_all, scale, seed, shard};

const NUM_SHARDS: u64 = 2;

/// What the callers of a log know after it went down.
#[derive(Default, Clone)]
pub(crate) struct Known {
    shards: BTreeMap<ShardKey, ShardKnown>,
    num_batches: u64,
}

#[derive(Default, Clone)]
struct ShardKnown {
    /// By position.
    acknowledged: BTreeMap<u64, Bytes>,
    /// Appends without an answer: there whole or not at all.
    open: Vec<Append>,
    last: Option<(Append, u64)>,
    fence: u64,
    trimmed: u64,
}

/// How the log is set up that goes down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) floor_interval: Duration,
    pub(crate) journal_bytes: u64,
}

/// Segments are synced each round.
pub(crate) const IN_PLACE: Setting = Setting {
    floor_interval: Duration::MAX,
    journal_bytes: 0,
};

pub(crate) fn small_segments(files: &SimulatedFiles, setting: Setting) -> LogOptions {
    LogOptions {
        segment_bytes: 700,
        floor_interval: setting.floor_interval,
        journal_bytes: setting.journal_bytes,
        ..options(files)
    }
}

/// Appends (several at once), fences and trims until something fails.
pub(crate) async fn work(log: &LocalLog, seed: u64, known: &mut Known) {
    let mut dice = Dice(seed);
    for _ in 0..14 {
        let key = shard(dice.below(NUM_SHARDS) as u32);
        let fine = match dice.below(8) {
            0 => fence(log, key, known).await,
            1 => trim(log, key, known).await,
            _ => append_some(log, key, &mut dice, known).await,
        };
        if !fine {
            return;
        }
    }
}

async fn fence(log: &LocalLog, key: ShardKey, known: &mut Known) -> bool {
    let shard = known.shards.entry(key).or_default();
    let fenced = log.fence(key, PrimaryTerm(shard.fence + 1)).await.is_ok();
    if fenced {
        shard.fence += 1;
    }
    fenced
}

async fn trim(log: &LocalLog, key: ShardKey, known: &mut Known) -> bool {
    let shard = known.shards.entry(key).or_default();
    let below = shard.acknowledged.len() as u64 / 2;
    shard.trimmed = shard.trimmed.max(below);
    log.trim(key, SeqNo(below)).await.is_ok()
}

async fn append_some(log: &LocalLog, key: ShardKey, dice: &mut Dice, known: &mut Known) -> bool {
    let shard = known.shards.entry(key).or_default();
    let mut appends = Vec::new();
    for _ in 0..=dice.below(3) {
        known.num_batches += 1;
        let len = 1 + dice.below(3);
        let batch = (0..len).map(|i| Bytes::from(format!("{}:{i}:{len}", known.num_batches)));
        appends.push(Append {
            term: PrimaryTerm(shard.fence),
            producer: numbered(known.num_batches.into(), 1),
            ..append(key, batch.collect())
        });
    }
    let answers = join_all(appends.iter().map(|append| log.append(append.clone()))).await;
    let mut fine = true;
    for (append, answer) in appends.into_iter().zip(answers) {
        match answer {
            Ok(appended) => {
                let positions = appended.first.0..=appended.last.0;
                let records = positions.zip(append.batch.iter().cloned());
                shard.acknowledged.extend(records);
                shard.last = Some((append, appended.first.0));
            }
            Err(_) => {
                shard.open.push(append);
                fine = false;
            }
        }
    }
    fine
}

/// Checks what is there, and sends again what has no answer; then it has one.
pub(crate) async fn check(log: &LocalLog, known: &mut Known, hint: &str) {
    for (key, shard) in &mut known.shards {
        let records = read_all(log, *key).await.expect(hint);
        let first = records.first().map_or(0, |record| record.seq_no.0);
        assert!(
            first <= shard.trimmed,
            "{hint}: more was trimmed than asked"
        );
        let found: BTreeMap<u64, Bytes> = records
            .into_iter()
            .map(|record| (record.seq_no.0, record.payload))
            .collect();
        for (position, payload) in shard.acknowledged.range(first..) {
            assert_eq!(found.get(position), Some(payload), "{hint}: at {position}");
        }
        check_open(log, shard, &found, hint).await;
        check_fence(log, *key, shard, hint).await;
    }
}

/// What was not acknowledged is there whole or not at all, and sending it again does it once.
async fn check_open(
    log: &LocalLog,
    shard: &mut ShardKnown,
    found: &BTreeMap<u64, Bytes>,
    hint: &str,
) {
    let mut rest: Vec<(u64, Bytes)> = found
        .iter()
        .filter(|(position, _)| !shard.acknowledged.contains_key(position))
        .map(|(position, payload)| (*position, payload.clone()))
        .collect();
    for append in std::mem::take(&mut shard.open) {
        let at = rest.iter().position(|(_, found)| *found == append.batch[0]);
        let first = at.map(|at| {
            let batch = rest.drain(at..at + append.batch.len());
            let (positions, payloads): (Vec<u64>, Vec<Bytes>) = batch.unzip();
            assert_eq!(payloads, append.batch, "{hint}: half a batch");
            positions[0]
        });
        let term = PrimaryTerm(shard.fence + 1);
        let again = Append {
            term,
            ..append.clone()
        };
        let answer = log.append(again).await.expect(hint);
        assert_eq!(
            answer.duplicate,
            first.is_some(),
            "{hint}: doubled or forgotten"
        );
        assert!(first.is_none_or(|first| first == answer.first.0), "{hint}");
        let positions = answer.first.0..=answer.last.0;
        let records = positions.zip(append.batch.iter().cloned());
        shard.acknowledged.extend(records);
    }
    assert!(rest.is_empty(), "{hint}: records nobody wrote: {rest:?}");
    if let Some((append, first)) = &shard.last
        && found.contains_key(first)
    {
        let term = PrimaryTerm(shard.fence + 1);
        let again = Append {
            term,
            ..append.clone()
        };
        let answer = log.append(again).await.expect(hint);
        assert!(
            answer.duplicate && answer.first.0 == *first,
            "{hint}: doubled"
        );
    }
}

async fn check_fence(log: &LocalLog, key: ShardKey, shard: &ShardKnown, hint: &str) {
    if let Some(term) = shard.fence.checked_sub(1) {
        let late = Append {
            term: PrimaryTerm(term),
            ..append(key, vec![Bytes::from_static(b"late")])
        };
        let refused = log.append(late).await;
        assert!(
            matches!(refused, Err(LogError::Fenced { .. })),
            "{hint}: {refused:?}"
        );
    }
}

/// Runs the work with the power cut at operation `edge`; `false` when it ended before.
async fn crash_at(edge: u64, seed: u64, survival: Survival, setting: Setting) -> bool {
    let files = SimulatedFiles::new();
    files.fail_operation(edge, Fault::PowerCut);
    let mut known = Known::default();
    let opened = LocalLog::open(
        std::path::Path::new(crate::world::ROOT),
        small_segments(&files, setting),
    );
    if let Ok((log, _)) = opened {
        work(&log, seed, &mut known).await;
    }
    let was_cut = files.is_down();
    files.reboot(survival);
    let hint = format!("edge {edge}, seed {seed}, {survival:?}, {setting:?}");
    let (log, report) = open(small_segments(&files, setting));
    let failed = report.shards.iter().find(|shard| shard.failed.is_some());
    assert!(failed.is_none(), "{hint}: {failed:?}");
    check(&log, &mut known, &hint).await;
    drop(log);
    let (log, report) = open(small_segments(&files, setting));
    assert!(
        report.shards.iter().all(|shard| shard.cut.is_none()),
        "{hint}: cut twice"
    );
    check_fences(&log, &known, &hint).await;
    was_cut
}

async fn check_fences(log: &LocalLog, known: &Known, hint: &str) {
    for (key, shard) in &known.shards {
        check_fence(log, *key, shard, hint).await;
    }
}

/// Cuts the power at every operation, for several seeds, with three fates for what was not synced; returns
/// how often.
async fn cut_everywhere(setting: Setting) -> u64 {
    let mut num_cuts = 0;
    for seed in seed(0)..seed(0) + 2 * scale() {
        for edge in 0.. {
            let survivals = [Survival::Synced, Survival::All, Survival::Random(edge)];
            let mut was_cut = false;
            for survival in survivals {
                was_cut |= crash_at(edge, seed, survival, setting).await;
                num_cuts += 1;
            }
            if !was_cut {
                break;
            }
        }
    }
    num_cuts
}

#[tokio::test]
async fn a_power_cut_at_any_edge_loses_nothing_acknowledged() {
    let num_cuts = cut_everywhere(IN_PLACE).await;
    println!("{num_cuts} power cuts, 0 acknowledged records lost");
    assert!(num_cuts > 500, "only {num_cuts} cuts were tried");
}

#[tokio::test]
async fn a_power_cut_at_any_edge_loses_nothing_that_only_a_journal_has() {
    let setting = Setting {
        journal_bytes: 8 << 20,
        ..IN_PLACE
    };
    let num_cuts = cut_everywhere(setting).await;
    println!("{num_cuts} power cuts with a journal, 0 acknowledged records lost");
    assert!(num_cuts > 300, "only {num_cuts} cuts were tried");
}

#[tokio::test]
async fn a_power_cut_while_a_journal_begins_anew_loses_nothing_acknowledged() {
    // Room for a few frames of this work.
    let setting = Setting {
        journal_bytes: 4096 + 1000,
        ..IN_PLACE
    };
    let num_cuts = cut_everywhere(setting).await;
    println!("{num_cuts} power cuts with a small journal, 0 acknowledged records lost");
    assert!(num_cuts > 300, "only {num_cuts} cuts were tried");
}

#[tokio::test]
async fn a_power_cut_during_a_checkpoint_loses_nothing_acknowledged() {
    // One is due after each round.
    let setting = Setting {
        journal_bytes: 8 << 20,
        floor_interval: Duration::from_nanos(1),
    };
    let num_cuts = cut_everywhere(setting).await;
    println!(
        "{num_cuts} power cuts with a checkpoint after each round, 0 acknowledged records lost"
    );
    assert!(num_cuts > 300, "only {num_cuts} cuts were tried");
}

#[tokio::test]
async fn a_power_cut_between_floors_loses_nothing_acknowledged() {
    let setting = Setting {
        floor_interval: Duration::ZERO,
        ..IN_PLACE
    };
    for edge in 0.. {
        let survival = Survival::Random(edge ^ 0x5eed);
        if !crash_at(edge, 3, survival, setting).await {
            break;
        }
    }
}

/// A disk after a power cut in the middle of the work, and what is known of it.
pub(crate) async fn cut_with_frames(setting: Setting) -> (SimulatedFiles, Known) {
    let files = SimulatedFiles::new();
    let (log, _) = open(small_segments(&files, setting));
    let mut known = Known::default();
    work(&log, 4, &mut known).await;
    files.reboot(Survival::Synced);
    drop(log);
    (files, known)
}

#[tokio::test]
async fn a_power_cut_while_a_journal_is_read_back_loses_nothing_acknowledged() {
    let setting = Setting {
        journal_bytes: 8 << 20,
        ..IN_PLACE
    };
    let (files, known) = cut_with_frames(setting).await;
    for edge in files.num_operations().. {
        for survival in [Survival::Synced, Survival::All, Survival::Random(edge)] {
            let again = files.fork();
            again.fail_operation(edge, Fault::PowerCut);
            let root = std::path::Path::new(crate::world::ROOT);
            drop(LocalLog::open(root, small_segments(&again, setting)));
            if !again.is_down() {
                return;
            }
            again.reboot(survival);
            let (log, report) = open(small_segments(&again, setting));
            let hint = format!("edge {edge}, {survival:?}");
            assert!(
                report.shards.iter().all(|shard| shard.failed.is_none()),
                "{hint}"
            );
            check(&log, &mut known.clone(), &hint).await;
        }
    }
}
