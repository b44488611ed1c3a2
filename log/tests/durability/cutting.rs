//! Cutting the end of a log off while readers read, while the disk fails, and where an earlier program wrote it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{Append, LocalLog, LogError, LogOptions, Record, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::world::{ROOT, append, dir, fill, journaled, numbered, open, options, read_all, shard};

fn small(files: &SimulatedFiles) -> LogOptions {
    LogOptions {
        segment_bytes: 700,
        ..journaled(files)
    }
}

/// Appends batches of two, whose records say under which term and from which position on it wrote.
async fn write(log: &LocalLog, term: u64, num_batches: u64) {
    let tail = log.tail(shard(0)).await.expect("tail");
    let start = tail.map_or(0, |tail| tail.next().0);
    for _ in 0..num_batches {
        let payload = Bytes::from(format!("{term}:{start}"));
        let two = Append {
            term: PrimaryTerm(term),
            ..append(shard(0), vec![payload.clone(), payload])
        };
        log.append(two).await.expect("append");
    }
}

/// Checks that the records of a page have stood together in the log.
fn check_page(records: &[Record]) {
    for record in records {
        let text = String::from_utf8_lossy(&record.payload);
        let (term, start) = text.split_once(':').expect("a term and a position");
        assert_eq!(term, record.term.to_string());
        let start = SeqNo(start.parse().expect("a position"));
        let mut held = records.iter().filter(|other| other.seq_no >= start);
        assert!(
            held.all(|other| other.term >= record.term),
            "records of two histories in one page: {records:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_never_see_a_log_that_is_being_cut() {
    let files = SimulatedFiles::new();
    let (log, _) = open(small(&files));
    let log = Arc::new(log);
    write(&log, 1, 20).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = [0, 9, 17, 30].map(|from| {
        let (log, is_over) = (Arc::clone(&log), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut num_terms = BTreeSet::new();
            while !is_over.load(Ordering::Relaxed) {
                let page = log.read(shard(0), SeqNo(from), usize::MAX).await;
                let records = page.expect("a cut is no damage").records;
                check_page(&records);
                num_terms.extend(records.last().map(|record| record.term));
                let batches = log.read_batches(shard(0), SeqNo(from), 50).await;
                batches.expect("a cut is no damage");
                let chain = log.chain(shard(0), SeqNo(from)).await;
                chain.expect("a cut is no damage");
            }
            num_terms.len()
        })
    });
    for term in 2..150 {
        let from = SeqNo(term * 7 % 36);
        log.truncate(shard(0), from).await.expect("is cut");
        write(&log, term, 1 + (40 - from.0) / 2).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.expect("it reads") > 1, "it has seen no cut");
    }
}

/// Every operation of a cut fails in turn, in three ways; what is found then is whole or cut, and stays so.
#[tokio::test]
async fn a_cut_that_fails_is_made_or_not() {
    let mut num_faults = 0;
    for fault in [Fault::Io, Fault::IoPartly(7), Fault::NoSpace] {
        for edge in 0.. {
            let files = SimulatedFiles::new();
            let (log, _) = open(small(&files));
            write(&log, 1, 20).await;
            let whole = read_all(&log, shard(0)).await.expect("whole");
            let before = files.num_operations();
            files.fail_operation(before + edge, fault);
            let cut = log.truncate(shard(0), SeqNo(14)).await;
            if files.num_operations() <= before + edge {
                assert_eq!(cut.expect("nothing failed"), SeqNo(14));
                break;
            }
            num_faults += 1;
            let hint = format!("{fault:?} at {edge}: {cut:?}");
            let mut allowed = vec![&whole[..14]];
            match cut {
                Ok(next) => assert_eq!(next, SeqNo(14), "{hint}"),
                // Nothing has happened: it can be tried again.
                Err(LogError::Io { .. } | LogError::DiskFull { .. }) => {
                    let again = log.truncate(shard(0), SeqNo(14)).await;
                    assert_eq!(again.expect(&hint), SeqNo(14));
                }
                Err(LogError::Indeterminate { .. }) => {
                    allowed.push(&whole);
                    let refused = log.append(append(shard(0), vec![Bytes::new()])).await;
                    assert!(matches!(refused, Err(LogError::Poisoned { .. })), "{hint}");
                }
                // A sync before the cut has failed.
                Err(LogError::Poisoned { .. }) => allowed = vec![&whole],
                Err(_) => panic!("{hint}"),
            }
            let killed = files.fork();
            drop(log);
            check_reopened(&killed, &allowed, &hint).await;
            check_reopened(&files, &allowed, &hint).await;
        }
    }
    assert!(num_faults > 30, "only {num_faults} faults");
}

/// Opens a log on a disk whose machine did not go down; what is found must outlive a power cut.
async fn check_reopened(files: &SimulatedFiles, allowed: &[&[Record]], hint: &str) {
    let (log, report) = open(small(files));
    assert!(report.shards[0].failed.is_none(), "{hint}: {report:?}");
    let found = read_all(&log, shard(0)).await.expect(hint);
    assert!(allowed.contains(&&found[..]), "{hint}: {found:?}");
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(small(files));
    let again = read_all(&log, shard(0)).await.expect(hint);
    assert_eq!(again, found, "{hint}");
}

#[tokio::test]
async fn an_unfinished_cut_is_no_damage_and_no_tear() {
    let mut states = BTreeSet::new();
    for files in unfinished().await {
        let (log, report) = open(small(&files));
        assert!(report.shards[0].failed.is_none(), "{report:?}");
        assert!(report.shards[0].cut.is_none(), "{report:?}");
        states.insert(log.tail(shard(0)).await.expect("tail"));
    }
    let [whole, cut] = [39, 13].map(|tail| Some(SeqNo(tail)));
    assert_eq!(states, BTreeSet::from([cut, whole]));
}

/// Disks on which the power went while the log was being cut, one for each operation of that.
async fn unfinished() -> Vec<SimulatedFiles> {
    let mut disks = Vec::new();
    for edge in 0.. {
        let files = SimulatedFiles::new();
        let (log, _) = open(small(&files));
        write(&log, 1, 20).await;
        files.fail_operation(files.num_operations() + edge, Fault::PowerCut);
        drop(log.truncate(shard(0), SeqNo(14)).await);
        if !files.is_down() {
            break;
        }
        files.reboot(Survival::Synced);
        drop(log);
        disks.push(files);
    }
    disks
}

#[tokio::test]
async fn what_an_opening_fails_to_finish_the_next_one_does() {
    let mut num_faults = 0;
    for (disk, files) in unfinished().await.into_iter().enumerate() {
        for fault in [Fault::Io, Fault::IoPartly(3), Fault::NoSpace] {
            for edge in 0.. {
                let files = files.fork();
                let end = files.num_operations() + edge;
                files.fail_operation(end, fault);
                drop(LocalLog::open(Path::new(ROOT), small(&files)));
                if files.num_operations() <= end {
                    break;
                }
                num_faults += 1;
                let hint = format!("disk {disk}, {fault:?} at {edge}");
                let (log, _) = open(small(&files));
                let found = read_all(&log, shard(0)).await.expect(&hint);
                assert!([14, 40].contains(&found.len()), "{hint}: {found:?}");
                drop(log);
                check_reopened(&files, &[&found], &hint).await;
            }
        }
    }
    assert!(num_faults > 100, "only {num_faults} faults");
}

#[tokio::test]
async fn a_cut_keeps_the_fence_that_only_a_cut_record_had() {
    let files = SimulatedFiles::new();
    let (log, _) = open(small(&files));
    write(&log, 1, 3).await;
    write(&log, 9, 1).await;
    log.truncate(shard(0), SeqNo(6)).await.expect("is cut");
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(small(&files));
    let late = log.append(append(shard(0), vec![Bytes::new()])).await;
    assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
}

#[tokio::test]
async fn no_slot_of_the_state_alone_says_that_a_log_is_cut() {
    for (disk, files) in unfinished().await.into_iter().enumerate() {
        for slot in [0, 4096] {
            let files = files.fork();
            files
                .flip_bit(&dir(shard(0)).join("state"), (slot + 56) * 8)
                .expect("a bit of the floor");
            let (log, report) = open(small(&files));
            let hint = format!("disk {disk}, slot at {slot}: {report:?}");
            assert!(report.shards[0].failed.is_none(), "{hint}");
            let found = read_all(&log, shard(0)).await.expect(&hint).len();
            assert!([14, 40].contains(&found), "{hint}: {found}");
        }
    }
}

#[tokio::test]
async fn nothing_is_cut_while_another_shard_needs_the_journal() {
    let files = SimulatedFiles::new();
    let (log, _) = open(journaled(&files));
    write(&log, 1, 5).await;
    fill(&log, shard(1), 5).await;
    // The first sync of the checkpoint is that of shard 0.
    files.fail_operation(files.num_operations() + 1, Fault::Io);
    for _ in 0..2 {
        let refused = log.truncate(shard(0), SeqNo(4)).await;
        assert!(matches!(refused, Err(LogError::Io { .. })), "{refused:?}");
    }
    write(&log, 1, 1).await;
    files.reboot(Survival::Synced);
    drop(log);
    let (log, _) = open(journaled(&files));
    for (number, len) in [(0, 12), (1, 5)] {
        let found = read_all(&log, shard(number)).await.expect("whole");
        assert_eq!(found.len(), len);
    }
}

/// Rewrites the heads of all segments as programs wrote them that knew no base.
fn as_version_1(files: &SimulatedFiles) {
    let mut segments = files.paths();
    segments.retain(|path| path.starts_with(dir(shard(0))) && path.extension().is_some());
    for path in segments {
        let bytes = files.bytes(&path).expect("segment");
        let num_producers = u32::from_le_bytes(bytes[64..68].try_into().expect("four"));
        let mut old = bytes[..52].to_vec();
        old[8] = 1;
        let crc = crc32c::crc32c(&old[..48]);
        old[48..].copy_from_slice(&crc.to_le_bytes());
        old.extend_from_slice(&bytes[72 + 40 * num_producers as usize..]);
        files.replace(&path, old).expect("segment");
    }
}

#[tokio::test]
async fn a_cut_in_segments_without_producers_reads_those_before() {
    let files = SimulatedFiles::new();
    let (log, _) = open(small(&files));
    for (number, id) in (0..).zip([1, 2, 3, 1, 2, 3, 1, 2, 3, 3]) {
        let two = Append {
            producer: numbered(id, number),
            ..append(shard(0), vec![Bytes::from(vec![b'x'; 200]); 2])
        };
        log.append(two).await.expect("append");
    }
    drop(log);
    as_version_1(&files);
    let (log, _) = open(small(&files));
    // In one of the last segments; producers 1 and 2 are known by earlier ones.
    log.truncate(shard(0), SeqNo(12)).await.expect("is cut");
    for (id, sequence, first) in [
        (1, 3, Some(6)),
        (2, 4, Some(8)),
        (3, 5, Some(10)),
        (1, 6, None),
    ] {
        let sent = numbered(id, sequence).expect("it is one");
        let produced = log.produced(shard(0), sent).await.expect("known");
        let found = produced.map(|appended| appended.first.0);
        assert_eq!(found, first, "{id}, {sequence}");
    }
}

#[tokio::test]
async fn a_cut_does_not_touch_other_shards() {
    let files = SimulatedFiles::new();
    let (log, _) = open(small(&files));
    fill(&log, shard(1), 30).await;
    write(&log, 1, 10).await;
    let expected = read_all(&log, shard(1)).await.expect("whole");
    log.truncate(shard(0), SeqNo(3)).await.expect("is cut");
    let killed = files.fork();
    killed.reboot(Survival::Synced);
    drop(log);
    for files in [&files, &killed] {
        let (log, _) = open(options(files));
        assert_eq!(read_all(&log, shard(1)).await.expect("whole"), expected);
        let tail = log.tail(shard(0)).await.expect("tail");
        assert_eq!(tail, Some(SeqNo(1)));
    }
}
