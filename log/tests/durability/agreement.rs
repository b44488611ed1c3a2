//! What copies agreed on outlives the log as far as it was written beside something else.

use std::time::Duration;

use bytes::Bytes;
use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_log::{Agreement, LocalLog, LogOptions, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::world::{append, file, fill, journaled, open, options, payload, shard};

fn agreement(point: u64, entry_version: u64) -> Agreement {
    Agreement {
        point: SeqNo(point),
        entry_version,
    }
}

fn noted(log: &LocalLog) -> Agreement {
    log.agreement(shard(0)).expect("it can be read")
}

/// What is found after the machine (or the process) went down.
fn after(files: &SimulatedFiles, survival: Survival) -> Agreement {
    let again = files.fork();
    again.reboot(survival);
    noted(&open(options(&again)).0)
}

#[tokio::test]
async fn an_agreement_is_written_beside_the_floor_and_costs_no_sync() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    let syncs = files.num_syncs();
    log.note_agreement(shard(0), agreement(2, 7));
    assert_eq!(files.num_syncs(), syncs);
    // Not yet.
    assert_eq!(after(&files, Survival::All), agreement(0, 0));
    let next = append(shard(0), vec![payload(3)]);
    log.append(next).await.expect("append");
    assert_eq!(files.num_syncs(), syncs + 1, "that of the append");
    assert_eq!(after(&files, Survival::All), agreement(2, 7));
    assert_eq!(after(&files, Survival::Synced), agreement(0, 0));
    drop(log);
    assert_eq!(after(&files, Survival::Synced), agreement(2, 7));
}

#[tokio::test]
async fn an_agreement_is_durable_with_a_fence() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    log.note_agreement(shard(0), agreement(9, 7));
    log.fence(shard(0), PrimaryTerm(4)).await.expect("fence");
    assert_eq!(after(&files, Survival::Synced), agreement(3, 7));
}

#[tokio::test]
async fn an_agreement_noted_after_the_last_round_is_durable_with_its_floor() {
    let files = SimulatedFiles::new();
    let (log, _) = open(LogOptions {
        floor_interval: Duration::from_secs(3600),
        // Two rounds do not fit: a checkpoint is due before the second.
        journal_bytes: 4096 + 500,
        ..journaled(&files)
    });
    let round = || append(shard(0), vec![Bytes::from(vec![b'x'; 200])]);
    log.append(round()).await.expect("append");
    log.note_agreement(shard(0), agreement(1, 7));
    log.append(round()).await.expect("append");
    assert_eq!(after(&files, Survival::Synced), agreement(1, 7));
}

#[tokio::test]
async fn a_flipped_bit_never_changes_an_agreement() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    log.note_agreement(shard(0), agreement(2, 7));
    drop(log);
    let state = file(&files, "state");
    for bit in (68 * 8..92 * 8).flat_map(|bit| [bit, 4096 * 8 + bit]) {
        let flipped = files.fork();
        flipped.flip_bit(&state, bit).expect("a bit");
        let (log, report) = open(options(&flipped));
        assert!(report.shards[0].has_damaged_state_slot, "bit {bit}");
        assert_eq!(noted(&log), agreement(2, 7), "bit {bit}");
    }
}
