//! What every implementation of [`ShardLog`] must do, as a suite to run against it.
//!
//! It says nothing about crashes: an implementation that promises to survive them has its own
//! tests on [`crate::files::SimulatedFiles`].

use bytes::Bytes;
use gleaner_model::{IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber};

use crate::base::{LogBase, LogStart};
use crate::error::LogError;
use crate::shard_log::{Append, Appended, ProducerSequence, ShardLog};

mod agreement;
mod bases;
mod batches;
mod copies;
mod truncation;

/// Runs the whole suite on `log`, which must be empty and take batches of at least 64 KiB.
///
/// # Panics
/// When the implementation breaks a promise; the message says which.
pub async fn suite(log: &dyn ShardLog) {
    positions_grow_by_one(log, shard(0)).await;
    batches_take_effect_as_they_were_queued(log, shard(15)).await;
    a_dropped_ticket_leaves_its_batch(log, shard(16)).await;
    an_unknown_shard_is_empty(log, shard(1)).await;
    another_tail_is_refused(log, shard(2)).await;
    an_old_term_is_refused(log, shard(3)).await;
    a_repeated_append_is_answered_not_applied(log, shard(4)).await;
    pages_are_bounded_and_complete(log, shard(5)).await;
    trimming_keeps_positions(log, shard(6)).await;
    a_removed_shard_is_forgotten(log, shard(7)).await;
    chains_agree_whatever_the_batches(log, [shard(8), shard(9)]).await;
    an_empty_batch_is_refused(log, shard(10)).await;
    a_log_begins_where_it_is_told_to(log, [shard(11), shard(12)]).await;
    batches::suite(log).await;
    bases::suite(log).await;
    copies::suite(log).await;
    agreement::suite(log).await;
    truncation::suite(log).await;
}

fn shard(number: u32) -> ShardKey {
    ShardKey {
        index: IndexUuid([0xc0; 16]),
        shard: ShardNumber(number),
    }
}

fn batch(shard: ShardKey, payloads: &[&str]) -> Append {
    Append {
        shard,
        term: PrimaryTerm(1),
        expected_last: None,
        producer: None,
        batch: payloads
            .iter()
            .map(|payload| Bytes::copy_from_slice(payload.as_bytes()))
            .collect(),
    }
}

fn span(first: u64, last: u64, duplicate: bool) -> Appended {
    Appended {
        first: SeqNo(first),
        last: SeqNo(last),
        duplicate,
    }
}

async fn append(log: &dyn ShardLog, append: Append) -> Appended {
    log.append(append).await.expect("append is accepted")
}

async fn payloads(log: &dyn ShardLog, shard: ShardKey, from: u64) -> Vec<(u64, Bytes)> {
    let page = log.read(shard, SeqNo(from), usize::MAX).await;
    let records = page.expect("log can be read").records;
    let pair = |record: crate::Record| (record.seq_no.0, record.payload);
    records.into_iter().map(pair).collect()
}

async fn positions_grow_by_one(log: &dyn ShardLog, shard: ShardKey) {
    assert_eq!(
        append(log, batch(shard, &["a", "", "c"])).await,
        span(0, 2, false)
    );
    assert_eq!(append(log, batch(shard, &["d"])).await, span(3, 3, false));
    assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(3)));
    let expected = ["a", "", "c", "d"].map(|text| Bytes::from_static(text.as_bytes()));
    let expected: Vec<(u64, Bytes)> = (0..).zip(expected).collect();
    assert_eq!(payloads(log, shard, 0).await, expected);
    for (seq_no, payload) in expected {
        let record = log.read_one(shard, SeqNo(seq_no)).await.expect("read");
        let record = record.expect("record is held");
        assert_eq!((record.payload, record.term), (payload, PrimaryTerm(1)));
    }
    assert_eq!(log.read_one(shard, SeqNo(4)).await.expect("read"), None);
}

async fn batches_take_effect_as_they_were_queued(log: &dyn ShardLog, shard: ShardKey) {
    let names = ["a", "b", "c", "d"];
    let queued = names.map(|name| log.queue(batch(shard, &[name])).expect("it is queued"));
    // Whoever waits first.
    for (position, ticket) in queued.into_iter().enumerate().rev() {
        let appended = ticket.durable().await.expect("append is accepted");
        assert_eq!(appended, span(position as u64, position as u64, false));
    }
    let expected: Vec<(u64, Bytes)> = (0..).zip(names.map(Bytes::from)).collect();
    assert_eq!(payloads(log, shard, 0).await, expected);
}

async fn a_dropped_ticket_leaves_its_batch(log: &dyn ShardLog, shard: ShardKey) {
    drop(log.queue(batch(shard, &["a"])).expect("it is queued"));
    assert_eq!(append(log, batch(shard, &["b"])).await, span(1, 1, false));
}

async fn an_unknown_shard_is_empty(log: &dyn ShardLog, shard: ShardKey) {
    assert_eq!(log.tail(shard).await.expect("tail"), None);
    let page = log.read(shard, SeqNo(0), 100).await.expect("page");
    assert!(page.records.is_empty());
    assert_eq!((page.first_available, page.next), (SeqNo(0), SeqNo(0)));
    assert_eq!(log.read_one(shard, SeqNo(0)).await.expect("read"), None);
    assert_eq!(log.chain(shard, SeqNo(0)).await.expect("chain"), None);
    assert_eq!(log.trim(shard, SeqNo(9)).await.expect("trim"), SeqNo(0));
    log.remove(shard).await.expect("remove");
}

async fn another_tail_is_refused(log: &dyn ShardLog, shard: ShardKey) {
    let expecting = |last: u64| Append {
        expected_last: Some(SeqNo(last)),
        ..batch(shard, &["x"])
    };
    let refused = log.append(expecting(0)).await;
    assert!(matches!(refused, Err(LogError::SeqMismatch { last: None })));
    append(log, batch(shard, &["a", "b"])).await;
    let refused = log.append(expecting(0)).await;
    assert!(matches!(
        refused,
        Err(LogError::SeqMismatch {
            last: Some(SeqNo(1))
        })
    ));
    assert_eq!(append(log, expecting(1)).await, span(2, 2, false));
}

async fn an_old_term_is_refused(log: &dyn ShardLog, shard: ShardKey) {
    let of_term = |term: u64| Append {
        term: PrimaryTerm(term),
        ..batch(shard, &["x"])
    };
    assert_eq!(log.fence(shard, PrimaryTerm(3)).await.expect("fence"), None);
    assert_fenced(log.append(of_term(2)).await, 3);
    append(log, of_term(3)).await;
    // A newer term needs no fence of its own, it is one.
    append(log, of_term(5)).await;
    assert_fenced(log.append(of_term(4)).await, 5);
    assert_fenced(log.fence(shard, PrimaryTerm(4)).await, 5);
    let tail = log.fence(shard, PrimaryTerm(5)).await.expect("same again");
    assert_eq!(tail, Some(SeqNo(1)));
}

fn assert_fenced<T: std::fmt::Debug>(result: Result<T, LogError>, term: u64) {
    match result {
        Err(LogError::Fenced { current }) => assert_eq!(current, PrimaryTerm(term)),
        other => panic!("an older term must be fenced, got {other:?}"),
    }
}

async fn a_repeated_append_is_answered_not_applied(log: &dyn ShardLog, shard: ShardKey) {
    let numbered = |id: u128, sequence: u64| Append {
        producer: Some(ProducerSequence { id, sequence }),
        ..batch(shard, &["x", "y"])
    };
    assert_eq!(append(log, numbered(1, 5)).await, span(0, 1, false));
    assert_eq!(append(log, numbered(2, 5)).await, span(2, 3, false));
    assert_eq!(append(log, numbered(1, 5)).await, span(0, 1, true));
    let produced = |id, sequence| log.produced(shard, ProducerSequence { id, sequence });
    assert_eq!(produced(1, 5).await.expect("known"), Some(span(0, 1, true)));
    assert_eq!(produced(1, 6).await.expect("unknown"), None);
    assert_eq!(produced(3, 5).await.expect("unknown"), None);
    // Repetition is recognised before the tail is compared: the first try has moved it.
    let again = Append {
        expected_last: Some(SeqNo(1)),
        ..numbered(2, 5)
    };
    assert_eq!(append(log, again).await, span(2, 3, true));
    assert_eq!(append(log, numbered(1, 9)).await, span(4, 5, false));
    let stale = log.append(numbered(1, 5)).await;
    assert!(matches!(
        stale,
        Err(LogError::StaleProducer {
            sequence: 5,
            last: 9
        })
    ));
    assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(5)));
}

async fn pages_are_bounded_and_complete(log: &dyn ShardLog, shard: ShardKey) {
    let text = "0123456789".repeat(300);
    for len in 0..40 {
        let sizes = [text.as_str(), &text[..len * 50]];
        append(log, batch(shard, &sizes)).await;
    }
    let mut from = SeqNo(0);
    let mut seen = 0;
    loop {
        let page = log.read(shard, from, 4000).await.expect("page");
        if page.records.is_empty() {
            break;
        }
        let bytes: usize = page.records.iter().map(|r| r.payload.len()).sum();
        assert!(bytes <= 4000 || page.records.len() == 1, "page too large");
        for record in &page.records {
            assert_eq!(record.seq_no, SeqNo(seen), "positions have a gap");
            seen += 1;
        }
        from = page.next;
    }
    assert_eq!(seen, 80, "records are missing");
    let tiny = log.read(shard, SeqNo(0), 1).await.expect("page");
    assert_eq!(tiny.records.len(), 1, "a page holds at least one record");
    let beyond = log.read(shard, SeqNo(500), 1).await.expect("page");
    assert_eq!((beyond.records.len(), beyond.next), (0, SeqNo(500)));
}

async fn trimming_keeps_positions(log: &dyn ShardLog, shard: ShardKey) {
    let text = "x".repeat(1000);
    for _ in 0..50 {
        append(log, batch(shard, &[text.as_str(), "y"])).await;
    }
    let first = log.trim(shard, SeqNo(60)).await.expect("trim");
    assert!(first <= SeqNo(60), "more was given up than allowed");
    let page = log.read(shard, first, usize::MAX).await.expect("page");
    assert_eq!(page.first_available, first);
    assert_eq!(page.records.len() as u64, 100 - first.0);
    if let Some(below) = first.0.checked_sub(1) {
        let gap = log.read(shard, SeqNo(below), 10).await.expect("page");
        assert!(gap.records.is_empty(), "a gap was skipped in silence");
        assert_eq!((gap.first_available, gap.next), (first, first));
        let trimmed = log.read_one(shard, SeqNo(below)).await.expect("read");
        assert_eq!(trimmed, None);
    }
    assert_eq!(log.trim(shard, SeqNo(0)).await.expect("trim"), first);
    let all = log.trim(shard, SeqNo(1000)).await.expect("trim");
    assert!(
        all <= SeqNo(100),
        "positions that do not exist were trimmed"
    );
    assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(99)));
    assert_eq!(
        append(log, batch(shard, &["z"])).await,
        span(100, 100, false)
    );
}

async fn a_removed_shard_is_forgotten(log: &dyn ShardLog, shard: ShardKey) {
    append(log, batch(shard, &["a"])).await;
    log.fence(shard, PrimaryTerm(9)).await.expect("fence");
    log.remove(shard).await.expect("remove");
    assert_eq!(log.tail(shard).await.expect("tail"), None);
    assert_eq!(append(log, batch(shard, &["b"])).await, span(0, 0, false));
    assert_eq!(
        payloads(log, shard, 0).await,
        [(0, Bytes::from_static(b"b"))]
    );
}

async fn chains_agree_whatever_the_batches(log: &dyn ShardLog, shards: [ShardKey; 2]) {
    append(log, batch(shards[0], &["a", "b", "c"])).await;
    for payload in ["a", "b", "d"] {
        append(log, batch(shards[1], &[payload])).await;
    }
    let mut chains = [[None; 3]; 2];
    for (shard, chains) in shards.iter().zip(&mut chains) {
        for (at, chain) in (0..).zip(chains) {
            *chain = log.chain(*shard, SeqNo(at)).await.expect("chain");
            assert!(chain.is_some(), "record {at} is held");
        }
    }
    assert_eq!(chains[0][..2], chains[1][..2]);
    assert_ne!(chains[0][2], chains[1][2], "another record, another chain");
    assert_eq!(log.chain(shards[0], SeqNo(3)).await.expect("chain"), None);
}

async fn an_empty_batch_is_refused(log: &dyn ShardLog, shard: ShardKey) {
    let refused = log.append(batch(shard, &[])).await;
    assert!(matches!(refused, Err(LogError::EmptyBatch)));
}

fn seven() -> LogStart {
    LogStart {
        at: SeqNo(7),
        fence: PrimaryTerm(0),
        base: LogBase::UNKNOWN,
    }
}

async fn a_log_begins_where_it_is_told_to(log: &dyn ShardLog, [new, used]: [ShardKey; 2]) {
    append(log, batch(used, &["old", "older"])).await;
    log.fence(used, PrimaryTerm(9)).await.expect("fence");
    for shard in [new, used] {
        log.begin_at(shard, seven()).await.expect("begins");
        assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(6)));
        let before = log.read(shard, SeqNo(0), 100).await.expect("page");
        assert!(before.records.is_empty(), "what was before is forgotten");
        assert_eq!((before.first_available, before.next), (SeqNo(7), SeqNo(7)));
        assert_eq!(log.read_one(shard, SeqNo(1)).await.expect("read"), None);
        let other = Append {
            expected_last: Some(SeqNo(1)),
            ..batch(shard, &["a"])
        };
        let refused = log.append(other).await;
        assert!(matches!(refused, Err(LogError::SeqMismatch { .. })));
        let follows = Append {
            expected_last: Some(SeqNo(6)),
            ..batch(shard, &["a", "b"])
        };
        assert_eq!(append(log, follows).await, span(7, 8, false));
        let expected =
            [(7, "a"), (8, "b")].map(|(at, text)| (at, Bytes::from_static(text.as_bytes())));
        assert_eq!(payloads(log, shard, 7).await, expected);
    }
    let chains = [new, used].map(|shard| log.chain(shard, SeqNo(8)));
    let [one, other] = chains;
    assert_eq!(one.await.expect("chain"), other.await.expect("chain"));
    assert!(log.trim(new, SeqNo(8)).await.expect("trim") >= SeqNo(7));
}
