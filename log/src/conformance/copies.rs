//! Batches of another copy's log: they stand where they stood there, or are refused.

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::batches::read_batches;
use super::{append, assert_fenced, batch, shard, span};
use crate::batch::RecordBatch;
use crate::error::LogError;
use crate::shard_log::{Append, ProducerSequence, ShardLog};

pub(super) async fn suite(log: &dyn ShardLog) {
    a_copied_log_is_the_same_log(log, [shard(40), shard(41)]).await;
    only_the_adopted_term_may_copy(log, shard(42)).await;
    terms_never_fall_along_a_copied_log(log, shard(43)).await;
    a_copied_batch_follows_without_a_gap(log, shard(44)).await;
    what_is_held_is_compared(log, shard(45)).await;
    copied_batches_are_queued_in_order(log, shard(46)).await;
    a_copied_log_is_appended_to_under_a_higher_term(log, shard(47)).await;
}

fn copied(first: u64, term: u64, payloads: &[&str]) -> RecordBatch {
    RecordBatch {
        first: SeqNo(first),
        term: PrimaryTerm(term),
        producer: Some(ProducerSequence {
            id: u128::from(first),
            sequence: 5,
        }),
        payloads: payloads
            .iter()
            .map(|p| Bytes::from(p.to_string()))
            .collect(),
    }
}

async fn fence(log: &dyn ShardLog, shard: ShardKey, term: u64) -> PrimaryTerm {
    let term = PrimaryTerm(term);
    log.fence(shard, term).await.expect("fence");
    term
}

async fn copy(log: &dyn ShardLog, shard: ShardKey, batch: RecordBatch, under: PrimaryTerm) {
    let expected = span(batch.first.0, batch.next().0 - 1, false);
    let appended = log.append_copy(shard, batch, under).await;
    assert_eq!(appended.expect("copy is accepted"), expected);
}

async fn read_all(log: &dyn ShardLog, shard: ShardKey) -> Vec<RecordBatch> {
    read_batches(log, shard, SeqNo(0), usize::MAX).await
}

async fn a_copied_log_is_the_same_log(log: &dyn ShardLog, [from, to]: [ShardKey; 2]) {
    for (number, term) in (0..).zip([1, 1, 3, 3, 3, 8]) {
        let payloads = vec!["x"; number as usize % 3 + 1];
        let numbered = Append {
            term: PrimaryTerm(term),
            producer: Some(ProducerSequence {
                id: number / 2,
                sequence: number as u64,
            }),
            ..batch(from, &payloads)
        };
        append(log, numbered).await;
    }
    let under = fence(log, to, 9).await;
    for batch in read_batches(log, from, SeqNo(0), 3).await {
        copy(log, to, batch, under).await;
    }
    let batches = read_all(log, from).await;
    assert_eq!(read_all(log, to).await, batches);
    let tail = log.tail(from).await.expect("tail").expect("records");
    for at in [SeqNo(0), tail, tail.next()] {
        let bases = [from, to].map(|shard| log.base_at(shard, at));
        let [one, other] = bases;
        assert_eq!(one.await.expect("base"), other.await.expect("base"));
    }
    let terms = [from, to].map(|shard| log.terms(shard));
    let [one, other] = terms;
    assert_eq!(one.await.expect("terms"), other.await.expect("terms"));
}

async fn only_the_adopted_term_may_copy(log: &dyn ShardLog, shard: ShardKey) {
    let first = copied(0, 2, &["a"]);
    let unknown = log.append_copy(shard, first.clone(), PrimaryTerm(2)).await;
    assert!(
        matches!(unknown, Err(LogError::NotAdopted { .. })),
        "{unknown:?}"
    );
    let under = fence(log, shard, 4).await;
    assert_fenced(
        log.append_copy(shard, first.clone(), PrimaryTerm(3)).await,
        4,
    );
    let early = log.append_copy(shard, first.clone(), PrimaryTerm(5)).await;
    let Err(LogError::NotAdopted { term, fence }) = early else {
        panic!("a term must be adopted first, got {early:?}");
    };
    assert_eq!((term, fence), (PrimaryTerm(5), under));
    copy(log, shard, first.clone(), under).await;
    // Not even what is held.
    assert_fenced(log.append_copy(shard, first, PrimaryTerm(3)).await, 4);
    assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(0)));
}

async fn terms_never_fall_along_a_copied_log(log: &dyn ShardLog, shard: ShardKey) {
    let under = fence(log, shard, 6).await;
    copy(log, shard, copied(0, 3, &["a"]), under).await;
    for term in [2, 7] {
        let refused = log.append_copy(shard, copied(1, term, &["b"]), under).await;
        assert!(
            matches!(refused, Err(LogError::TermOrder { .. })),
            "{refused:?}"
        );
    }
    copy(log, shard, copied(1, 3, &["b"]), under).await;
    copy(log, shard, copied(2, 6, &["c"]), under).await;
    let terms = log.terms(shard).await.expect("terms");
    assert_eq!(terms.starts.len(), 2);
}

async fn a_copied_batch_follows_without_a_gap(log: &dyn ShardLog, shard: ShardKey) {
    let under = fence(log, shard, 1).await;
    for first in [1, u64::MAX] {
        let refused = log
            .append_copy(shard, copied(first, 1, &["a", "b"]), under)
            .await;
        let Err(LogError::Gap { next, .. }) = refused else {
            panic!("a gap must be refused, got {refused:?}");
        };
        assert_eq!(next, SeqNo(0));
    }
    let refused = log.append_copy(shard, copied(0, 1, &[]), under).await;
    assert!(matches!(refused, Err(LogError::EmptyBatch)), "{refused:?}");
    assert_eq!(log.tail(shard).await.expect("tail"), None);
}

async fn what_is_held_is_compared(log: &dyn ShardLog, shard: ShardKey) {
    let under = fence(log, shard, 4).await;
    let held = [copied(0, 1, &["a", "b"]), copied(2, 3, &["c", "d"])];
    for batch in &held {
        copy(log, shard, batch.clone(), under).await;
    }
    for batch in &held {
        let again = log.append_copy(shard, batch.clone(), under).await;
        let expected = span(batch.first.0, batch.first.0 + 1, true);
        assert_eq!(again.expect("it is held"), expected);
    }
    let unnumbered = RecordBatch {
        producer: None,
        ..held[0].clone()
    };
    let others = [
        unnumbered,
        copied(0, 1, &["a", "x"]),
        copied(0, 2, &["a", "b"]),
        copied(0, 1, &["a"]),
        copied(1, 1, &["b"]),
        copied(0, 1, &["a", "b", "c"]),
        copied(3, 3, &["d", "e"]),
    ];
    for other in others {
        let refused = log.append_copy(shard, other.clone(), under).await;
        assert!(
            matches!(refused, Err(LogError::Differs { first }) if first == other.first),
            "{other:?}: {refused:?}"
        );
    }
    assert_eq!(read_all(log, shard).await, held);
    let first = log.trim(shard, SeqNo(2)).await.expect("trim");
    let trimmed = log.append_copy(shard, held[0].clone(), under).await;
    match trimmed {
        Ok(appended) => assert!(appended.duplicate && first == SeqNo(0)),
        Err(LogError::Trimmed { first: held }) => assert_eq!(held, first),
        other => panic!("what is trimmed cannot be compared, got {other:?}"),
    }
}

async fn copied_batches_are_queued_in_order(log: &dyn ShardLog, shard: ShardKey) {
    let under = fence(log, shard, 2).await;
    let batches = [0, 1, 1, 2, 3, 5].map(|first| copied(first, 2, &["x"]));
    let queued = batches.map(|batch| log.queue_copy(shard, batch, under).expect("it is queued"));
    let mut outcomes = Vec::new();
    for ticket in queued {
        outcomes.push(ticket.durable().await);
    }
    let duplicates: Vec<bool> = outcomes[..5]
        .iter()
        .map(|outcome| outcome.as_ref().expect("copy is accepted").duplicate)
        .collect();
    assert_eq!(duplicates, [false, false, true, false, false]);
    assert!(matches!(outcomes[5], Err(LogError::Gap { .. })));
}

async fn a_copied_log_is_appended_to_under_a_higher_term(log: &dyn ShardLog, shard: ShardKey) {
    let under = fence(log, shard, 2).await;
    copy(log, shard, copied(0, 1, &["a", "b"]), under).await;
    let producer = copied(0, 1, &[]).producer;
    let produced = log.produced(shard, producer.expect("it has one")).await;
    assert_eq!(produced.expect("known"), Some(span(0, 1, true)));
    // The copy has become the primary, and the client sends again what the last one had acknowledged.
    fence(log, shard, 3).await;
    let resent = Append {
        term: PrimaryTerm(3),
        producer,
        ..batch(shard, &["a", "b"])
    };
    assert_eq!(append(log, resent.clone()).await, span(0, 1, true));
    let later = Append {
        producer: None,
        ..resent
    };
    assert_eq!(append(log, later).await, span(2, 3, false));
    assert_fenced(log.append_copy(shard, copied(4, 2, &["c"]), under).await, 3);
}
