//! Tears and flipped bits: what was acknowledged is read back right, or the shard says it is damaged.

use gleaner_log::files::{Fault, Operation, SimulatedFiles, Survival};
use gleaner_log::{LogError, LogOptions, Record, ShardLog};
use gleaner_model::PrimaryTerm;

use crate::world::{
    Dice, SEGMENT_HEADER_BYTES, append, file, fill, journaled, open, options, payload, read_all,
    scale, seed, shard,
};

/// How a look at a damaged log ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Every acknowledged record was read back.
    Whole,
    /// The shard refused, naming the damage.
    Refused,
}

/// Opens the log, reads shard 0 and compares with what was acknowledged.
async fn look(files: &SimulatedFiles, acknowledged: &[Record], hint: &str) -> Outcome {
    let (log, report) = open(journaled(files));
    let read = read_all(&log, shard(0)).await;
    let outcome = match &read {
        Ok(records) => {
            assert_eq!(records, acknowledged, "{hint}: silently lost or wrong");
            Outcome::Whole
        }
        Err(LogError::Corrupt { .. } | LogError::UnsupportedVersion { .. }) => Outcome::Refused,
        Err(other) => panic!("{hint}: {other}"),
    };
    if outcome == Outcome::Refused {
        assert!(report.shards.iter().any(|shard| shard.failed.is_some()));
        let refused = log.append(append(shard(0), vec![payload(0)])).await;
        assert!(refused.is_err(), "{hint}: a damaged shard took an append");
        let other = append(shard(1), vec![payload(0)]);
        log.append(other).await.expect("other shards go on");
    }
    outcome
}

async fn filled(files: &SimulatedFiles, number: u64, segment_bytes: u64) -> Vec<Record> {
    let (log, _) = open(LogOptions {
        segment_bytes,
        ..options(files)
    });
    fill(&log, shard(0), number).await;
    read_all(&log, shard(0)).await.expect("log is whole")
}

#[tokio::test]
async fn every_tear_of_a_closed_log_is_loud() {
    let files = SimulatedFiles::new();
    let acknowledged = filled(&files, 12, u64::MAX).await;
    let path = file(&files, ".log");
    let bytes = files.bytes(&path).expect("segment");
    for len in 0..bytes.len() {
        let torn = files.fork();
        torn.replace(&path, bytes[..len].to_owned())
            .expect("segment");
        let outcome = look(&torn, &acknowledged, &format!("torn at {len}")).await;
        assert_eq!(outcome, Outcome::Refused, "torn at {len}");
    }
}

#[tokio::test]
async fn every_tear_of_a_killed_log_is_loud() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 12).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let killed = files.fork();
    killed.reboot(Survival::All);
    let path = file(&killed, ".log");
    let bytes = killed.bytes(&path).expect("segment");
    for len in 0..bytes.len() {
        let torn = killed.fork();
        torn.replace(&path, bytes[..len].to_owned())
            .expect("segment");
        let outcome = look(&torn, &acknowledged, &format!("torn at {len}")).await;
        assert_eq!(outcome, Outcome::Refused, "torn at {len}");
    }
}

/// A log that was killed while its journal held all, and what it had acknowledged.
async fn killed_with_journal(number: u64, survival: Survival) -> (SimulatedFiles, Vec<Record>) {
    let files = SimulatedFiles::new();
    let (log, _) = open(LogOptions {
        segment_bytes: 30_000,
        ..journaled(&files)
    });
    fill(&log, shard(0), number).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let killed = files.fork();
    killed.reboot(survival);
    (killed, acknowledged)
}

#[tokio::test]
async fn every_tear_of_a_segment_is_mended_by_its_journal_or_loud() {
    for survival in [Survival::All, Survival::Synced] {
        let (killed, acknowledged) = killed_with_journal(12, survival).await;
        let path = file(&killed, ".log");
        let bytes = killed.bytes(&path).expect("segment");
        for len in 0..=bytes.len() {
            let torn = killed.fork();
            torn.replace(&path, bytes[..len].to_owned())
                .expect("segment");
            let hint = format!("torn at {len}, {survival:?}");
            let outcome = look(&torn, &acknowledged, &hint).await;
            // The header of a segment is not in the journal.
            let expected = if len < SEGMENT_HEADER_BYTES {
                Outcome::Refused
            } else {
                Outcome::Whole
            };
            assert_eq!(outcome, expected, "{hint}");
        }
    }
}

#[tokio::test]
async fn a_tear_before_what_a_journal_has_is_loud() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    // Too large for the journal, then small.
    let large = append(shard(0), vec![vec![b'x'; 300_000].into()]);
    log.append(large).await.expect("append");
    fill(&log, shard(0), 3).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    let path = file(&killed, ".log");
    let bytes = killed.bytes(&path).expect("segment");
    for len in (SEGMENT_HEADER_BYTES..300_000).step_by(9_973) {
        let torn = killed.fork();
        torn.replace(&path, bytes[..len].to_owned())
            .expect("segment");
        let outcome = look(&torn, &acknowledged, &format!("torn at {len}")).await;
        assert_eq!(outcome, Outcome::Refused, "torn at {len}");
    }
}

#[tokio::test]
async fn every_tear_of_a_journal_of_a_killed_log_loses_nothing() {
    let (killed, acknowledged) = killed_with_journal(12, Survival::All).await;
    let path = file(&killed, "journal-0");
    let bytes = killed.bytes(&path).expect("journal");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("frames");
    for len in (0..16).chain(4090..end + 10) {
        let torn = killed.fork();
        torn.replace(&path, bytes[..len].to_owned())
            .expect("journal");
        let outcome = look(&torn, &acknowledged, &format!("torn at {len}")).await;
        assert_eq!(outcome, Outcome::Whole, "torn at {len}");
    }
}

#[tokio::test]
async fn a_tear_of_what_was_not_acknowledged_is_cut_and_reported() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 12).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let path = file(&files, ".log");
    let whole = files.bytes(&path).expect("segment").len();
    files.fail_next(Operation::Sync, Fault::PowerCut);
    let batch = vec![payload(12), payload(13), payload(14)];
    log.append(append(shard(0), batch))
        .await
        .expect_err("the power is cut before the sync");
    drop(log);
    files.reboot(Survival::All);
    let bytes = files.bytes(&path).expect("segment");
    assert!(bytes.len() > whole + 3 * 24);
    for len in whole..bytes.len() {
        let torn = files.fork();
        torn.replace(&path, bytes[..len].to_owned())
            .expect("segment");
        let (log, report) = open(options(&torn));
        let read = read_all(&log, shard(0)).await.expect("log opens");
        assert_eq!(read, acknowledged, "torn at {len}");
        let cut = report.shards[0].cut.as_ref().map(|cut| cut.num_bytes);
        let expected = Some((len - whole) as u64).filter(|bytes| *bytes > 0);
        assert_eq!(cut, expected, "torn at {len}");
        assert_eq!(torn.bytes(&path).expect("segment").len(), whole);
    }
}

/// Flips bits of every file by the dice; returns how many were refused.
async fn flip(files: &SimulatedFiles, acknowledged: &[Record], num_flips: u64, seed: u64) -> u64 {
    let paths = files.paths();
    let sizes: Vec<u64> = paths
        .iter()
        .map(|path| files.bytes(path).expect("file").len() as u64)
        .collect();
    let mut dice = Dice(seed);
    let mut refused = 0;
    for _ in 0..num_flips {
        // One in ten hits the small state file, which the dice would rarely find by size.
        let of_state = dice.below(10) == 0;
        let which = paths
            .iter()
            .position(|path| path.ends_with("state") == of_state)
            .expect("both kinds of file");
        let which = if of_state {
            which
        } else {
            let logs = paths.iter().filter(|path| !path.ends_with("state")).count();
            dice.below(logs as u64) as usize
        };
        let bit = dice.below(sizes[which] * 8) as usize;
        let damaged = files.fork();
        damaged.flip_bit(&paths[which], bit).expect("a bit");
        let hint = format!("{} bit {bit}, seed {seed}", paths[which].display());
        let outcome = look(&damaged, acknowledged, &hint).await;
        if !of_state {
            assert_eq!(
                outcome,
                Outcome::Refused,
                "{hint}: a segment has no spare bit"
            );
        }
        refused += u64::from(outcome == Outcome::Refused);
    }
    refused
}

#[tokio::test]
async fn a_flipped_bit_of_a_closed_log_is_never_silent() {
    let files = SimulatedFiles::new();
    let acknowledged = filled(&files, 1000, 30_000).await;
    let num_flips = 1500 * scale();
    let refused = flip(&files, &acknowledged, num_flips, seed(1)).await;
    println!("closed log: {num_flips} flips, {refused} refused, 0 silent");
}

#[tokio::test]
async fn a_flipped_bit_of_a_killed_log_is_never_silent() {
    let files = SimulatedFiles::new();
    let (log, _) = open(LogOptions {
        segment_bytes: 30_000,
        ..options(&files)
    });
    fill(&log, shard(0), 1000).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let killed = files.fork();
    killed.reboot(Survival::All);
    let num_flips = 1000 * scale();
    let refused = flip(&killed, &acknowledged, num_flips, seed(2)).await;
    println!("killed log: {num_flips} flips, {refused} refused, 0 silent");
}

#[tokio::test]
async fn a_flipped_bit_beside_a_journal_is_never_silent() {
    let (killed, acknowledged) = killed_with_journal(1000, Survival::All).await;
    let num_flips = 500 * scale();
    let mut dice = Dice(seed(3));
    let (mut whole, paths) = (0, killed.paths());
    for _ in 0..num_flips {
        let path = &paths[dice.below(paths.len() as u64) as usize];
        let bits = killed.bytes(path).expect("file").len() as u64 * 8;
        let bit = dice.below(bits) as usize;
        let damaged = killed.fork();
        damaged.flip_bit(path, bit).expect("a bit");
        let hint = format!("{} bit {bit}", path.display());
        let outcome = look(&damaged, &acknowledged, &hint).await;
        whole += u64::from(outcome == Outcome::Whole);
    }
    println!("log with a journal: {num_flips} flips, {whole} without loss, the others refused");
}

#[tokio::test]
async fn a_damaged_frame_before_the_last_is_told_and_its_journal_kept() {
    let (killed, acknowledged) = killed_with_journal(12, Survival::Synced).await;
    let path = file(&killed, "journal-0");
    let bytes = killed.bytes(&path).expect("journal");
    let starts: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter_map(|(at, magic)| (magic == b"GLJ1").then_some(at))
        .collect();
    assert_eq!(starts.len(), 12);
    for byte in (starts[0]..starts[11]).step_by(3) {
        let damaged = killed.fork();
        damaged.flip_bit(&path, byte * 8 + byte % 8).expect("a bit");
        let bytes = damaged.bytes(&path).expect("journal");
        let hint = format!("byte {byte}");
        let outcome = look(&damaged.fork(), &acknowledged, &hint).await;
        assert_eq!(outcome, Outcome::Refused, "{hint}");
        let (_, report) = open(journaled(&damaged));
        // Without its first frame the epoch of a journal is not known: what is missing its shard tells.
        if byte >= starts[1] {
            let copy = path.with_file_name("damaged-journal-0");
            assert_eq!(
                report.damaged_journals,
                std::slice::from_ref(&copy),
                "{hint}"
            );
            assert_eq!(damaged.bytes(&copy).expect("copy"), bytes, "{hint}");
        }
    }
}

#[tokio::test]
async fn a_damaged_header_of_a_journal_loses_nothing() {
    let (killed, acknowledged) = killed_with_journal(12, Survival::Synced).await;
    let path = file(&killed, "journal-0");
    for byte in (0..28).chain(2048..2076) {
        let damaged = killed.fork();
        damaged.flip_bit(&path, byte * 8 + byte % 8).expect("a bit");
        let outcome = look(&damaged, &acknowledged, &format!("byte {byte}")).await;
        assert_eq!(outcome, Outcome::Whole, "byte {byte}");
    }
}

#[tokio::test]
async fn a_record_that_looks_like_a_frame_is_none() {
    let (forger, _) = killed_with_journal(3, Survival::Synced).await;
    let mut forged = forger.bytes(&file(&forger, "journal-0")).expect("journal");
    forged.drain(..4096);
    // Its writer cannot know the nonce; the checksum is as it should be.
    let len = 36 + u64::from_le_bytes(forged[24..32].try_into().expect("length")) as usize;
    forged.truncate(len);
    // In the first frame, by which an epoch is known, and in a later one.
    for (epoch, position) in [0_u64, 1, 2, u64::MAX]
        .into_iter()
        .flat_map(|e| [(e, 0), (e, 2)])
    {
        forged[8..16].copy_from_slice(&epoch.to_le_bytes());
        forged[16..24].copy_from_slice(&9_u64.to_le_bytes());
        forged[150] ^= 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&forged[..32]), &forged[36..]);
        forged[32..36].copy_from_slice(&crc.to_le_bytes());
        let files = SimulatedFiles::new();
        let (log, _) = open(journaled(&files));
        let hostile = append(shard(1), vec![forged.clone().into()]);
        fill(&log, shard(0), position).await;
        log.append(hostile).await.expect("append");
        fill(&log, shard(0), 3 - position).await;
        let acknowledged = read_all(&log, shard(0)).await.expect("whole");
        // The frame that has it is damaged, so what stands in it is looked at.
        let path = file(&files, "journal-0");
        let bytes = files.bytes(&path).expect("journal");
        let starts = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, magic)| *magic == b"GLJ1");
        let at = starts.map(|(at, _)| at).nth(position as usize);
        let killed = files.fork();
        let bit = (at.expect("frame") + 20) * 8;
        killed.flip_bit(&path, bit).expect("a bit");
        let hint = format!("epoch {epoch} in frame {position}");
        let outcome = look(&killed, &acknowledged, &hint).await;
        assert_eq!(outcome, Outcome::Whole, "{hint}");
    }
}

#[tokio::test]
async fn journals_of_more_threads_than_there_are_now_are_read_back() {
    let files = SimulatedFiles::new();
    let several = LogOptions {
        num_lanes: 3,
        ..journaled(&files)
    };
    let (log, _) = open(several.clone());
    for number in 0..5 {
        fill(&log, shard(number), 4).await;
    }
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    let (log, _) = open(journaled(&killed));
    for number in 0..5 {
        let records = read_all(&log, shard(number)).await.expect("whole");
        assert_eq!(records.len(), 4);
    }
    log.remove(shard(2))
        .await
        .expect("no journal of an earlier run is left");
}

#[tokio::test]
async fn damage_is_told_by_later_records_when_no_floor_reached_the_disk() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 40).await;
    let acknowledged = read_all(&log, shard(0)).await.expect("log is whole");
    let cut = files.fork();
    cut.reboot(Survival::Synced);
    assert_eq!(
        look(&cut.fork(), &acknowledged, "unharmed").await,
        Outcome::Whole
    );
    let path = file(&cut, ".log");
    // The last two batches have no successor that was written after their acknowledgement.
    let last_two = 2 * (80 + 24 + 60);
    let len = cut.bytes(&path).expect("segment").len() - last_two;
    for byte in (0..len).step_by(7) {
        let damaged = cut.fork();
        damaged.flip_bit(&path, byte * 8 + byte % 8).expect("a bit");
        let outcome = look(&damaged, &acknowledged, &format!("byte {byte}")).await;
        assert_eq!(outcome, Outcome::Refused, "byte {byte}");
    }
}

#[tokio::test]
async fn a_bit_that_flips_under_an_open_log_is_not_served() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 100).await;
    let path = file(&files, ".log");
    let header_bits = SEGMENT_HEADER_BYTES * 8;
    let bits = files.bytes(&path).expect("segment").len() * 8 - header_bits;
    files
        .flip_bit(&path, header_bits + bits / 2)
        .expect("a bit");
    let read = read_all(&log, shard(0)).await;
    assert!(matches!(read, Err(LogError::Corrupt { .. })), "{read:?}");
    let refused = log.append(append(shard(0), vec![payload(0)])).await;
    assert!(matches!(refused, Err(LogError::Corrupt { .. })));
    let tail = log.tail(shard(0)).await;
    assert!(matches!(tail, Err(LogError::Corrupt { .. })));
    log.remove(shard(0)).await.expect("a damaged shard can go");
    log.append(append(shard(0), vec![payload(0)]))
        .await
        .expect("and begin anew");
}

#[tokio::test]
async fn a_flipped_bit_in_the_state_file_does_not_lower_the_fence() {
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 3).await;
    log.fence(shard(0), PrimaryTerm(7)).await.expect("fence");
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    let path = file(&killed, "state");
    for byte in (0..68).chain(4096..4164) {
        let damaged = killed.fork();
        damaged.flip_bit(&path, byte * 8 + byte % 8).expect("a bit");
        let (log, report) = open(options(&damaged));
        assert!(report.shards[0].has_damaged_state_slot, "byte {byte}");
        let late = log.append(append(shard(0), vec![payload(0)])).await;
        assert!(matches!(late, Err(LogError::Fenced { .. })), "byte {byte}");
    }
}

#[tokio::test]
async fn a_missing_file_is_loud() {
    let files = SimulatedFiles::new();
    let acknowledged = filled(&files, 60, 1000).await;
    let paths = files.paths();
    assert!(paths.len() > 4, "several segments");
    for path in paths {
        let damaged = files.fork();
        gleaner_log::files::Files::remove_file(&damaged, &path).expect("file");
        let hint = format!("{} removed", path.display());
        assert_eq!(look(&damaged, &acknowledged, &hint).await, Outcome::Refused);
    }
}

#[tokio::test]
async fn a_torn_document_that_holds_another_log_is_only_a_document() {
    let other = SimulatedFiles::new();
    let (log, _) = open(options(&other));
    fill(&log, shard(1), 5).await;
    drop(log);
    let inner = other.bytes(&file(&other, ".log")).expect("segment");
    let files = SimulatedFiles::new();
    let (log, _) = open(options(&files));
    fill(&log, shard(0), 1).await;
    files.fail_next(Operation::Sync, Fault::PowerCut);
    log.append(append(shard(0), vec![inner.into()]))
        .await
        .expect_err("the power is cut before the sync");
    drop(log);
    files.reboot(Survival::All);
    let path = file(&files, ".log");
    let mut torn = files.bytes(&path).expect("segment");
    torn.pop();
    files.replace(&path, torn).expect("segment");
    let (_log, report) = open(options(&files));
    // The inner frames say that more was acknowledged, but they are not of this log.
    assert!(report.shards[0].cut.is_some(), "{report:?}");
}
