//! Cutting the end of a log off: as if what stood there had never been appended.

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::batches::read_batches;
use super::{append, assert_fenced, batch, shard, span};
use crate::agreement::Agreement;
use crate::base::LogBase;
use crate::error::LogError;
use crate::shard_log::{Append, ProducerSequence, ShardLog};

pub(super) async fn suite(log: &dyn ShardLog) {
    assert_eq!(truncate(log, shard(60), 7).await, 0, "nothing is there");
    a_cut_log_is_as_it_was_before(log, shard(61)).await;
    a_batch_goes_whole(log, shard(62)).await;
    the_fence_stays(log, shard(63)).await;
    producers_are_as_they_were_before(log, shard(64)).await;
    what_is_agreed_on_is_not_cut(log, shard(65)).await;
    what_is_trimmed_is_not_cut(log, shard(66)).await;
    what_was_queued_before_is_cut(log, shard(67)).await;
    another_history_takes_its_place(log, [shard(68), shard(69)]).await;
}

async fn truncate(log: &dyn ShardLog, shard: ShardKey, from: u64) -> u64 {
    let next = log.truncate(shard, SeqNo(from)).await;
    next.expect("the log is cut").0
}

fn of_term(shard: ShardKey, term: u64, payloads: &[&str]) -> Append {
    Append {
        term: PrimaryTerm(term),
        ..batch(shard, payloads)
    }
}

/// Returns all that is known of a log's records, as text.
async fn contents(log: &dyn ShardLog, shard: ShardKey) -> String {
    let batches = read_batches(log, shard, SeqNo(0), 100).await;
    let records = log.read(shard, SeqNo(0), usize::MAX).await;
    let tail = log.tail(shard).await.expect("tail");
    let next = tail.map_or(SeqNo(0), SeqNo::next);
    let base = log.base_at(shard, next).await.expect("base");
    let terms = log.terms(shard).await.expect("terms");
    format!("{batches:?} {records:?} {tail:?} {base:?} {terms:?}")
}

async fn a_cut_log_is_as_it_was_before(log: &dyn ShardLog, shard: ShardKey) {
    let mut before = Vec::new();
    for (number, term) in (0..).zip([1, 1, 2, 2, 5, 5, 5, 9]) {
        before.push(contents(log, shard).await);
        let numbered = Append {
            producer: Some(ProducerSequence {
                id: u128::from(number % 3_u64),
                sequence: number,
            }),
            ..of_term(shard, term, &["x", "y"])
        };
        append(log, numbered).await;
    }
    let whole = contents(log, shard).await;
    for beyond in [16, 17, u64::MAX] {
        assert_eq!(truncate(log, shard, beyond).await, 16);
    }
    assert_eq!(contents(log, shard).await, whole);
    for number in [7, 4, 3, 0] {
        assert_eq!(truncate(log, shard, 2 * number).await, 2 * number);
        let left = contents(log, shard).await;
        assert_eq!(left, before[number as usize], "cut at {}", 2 * number);
        let gone = log.read_one(shard, SeqNo(2 * number)).await;
        assert_eq!(gone.expect("read"), None);
        let gone = log.chain(shard, SeqNo(2 * number)).await;
        assert_eq!(gone.expect("chain"), None);
    }
    let base = log.base_at(shard, SeqNo(0)).await.expect("base");
    assert_eq!(base, Some(LogBase::NOTHING));
}

async fn a_batch_goes_whole(log: &dyn ShardLog, shard: ShardKey) {
    append(log, batch(shard, &["a", "b"])).await;
    append(log, batch(shard, &["c", "d", "e"])).await;
    append(log, batch(shard, &["f"])).await;
    assert_eq!(truncate(log, shard, 4).await, 2);
    assert_eq!(append(log, batch(shard, &["g"])).await, span(2, 2, false));
    assert_eq!(truncate(log, shard, 1).await, 0);
    assert_eq!(log.tail(shard).await.expect("tail"), None);
}

async fn the_fence_stays(log: &dyn ShardLog, shard: ShardKey) {
    append(log, of_term(shard, 1, &["a"])).await;
    append(log, of_term(shard, 4, &["b"])).await;
    assert_eq!(truncate(log, shard, 1).await, 1);
    assert_fenced(log.append(of_term(shard, 3, &["c"])).await, 4);
    append(log, of_term(shard, 4, &["c"])).await;
}

async fn producers_are_as_they_were_before(log: &dyn ShardLog, shard: ShardKey) {
    let numbered = |id, sequence| Append {
        producer: Some(ProducerSequence { id, sequence }),
        ..batch(shard, &["x"])
    };
    for (id, sequence) in [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2)] {
        append(log, numbered(id, sequence)).await;
    }
    assert_eq!(truncate(log, shard, 2).await, 2);
    let produced = |id, sequence| log.produced(shard, ProducerSequence { id, sequence });
    let known = Some(span(0, 0, true));
    assert_eq!(produced(1, 1).await.expect("known"), known);
    assert_eq!(produced(1, 2).await.expect("cut"), None);
    assert_eq!(produced(3, 1).await.expect("cut"), None);
    // What was cut may be sent again, what was not is known.
    assert_eq!(append(log, numbered(2, 1)).await, span(1, 1, true));
    assert_eq!(append(log, numbered(1, 2)).await, span(2, 2, false));
}

async fn what_is_agreed_on_is_not_cut(log: &dyn ShardLog, shard: ShardKey) {
    for _ in 0..3 {
        append(log, batch(shard, &["x", "y"])).await;
    }
    let agreement = Agreement {
        point: SeqNo(3),
        entry_version: 1,
    };
    log.note_agreement(shard, agreement);
    // In the last one a batch that is agreed on in part would go.
    for (from, at) in [(0, 0), (2, 2), (3, 2)] {
        let refused = log.truncate(shard, SeqNo(from)).await;
        let Err(LogError::BelowAgreed { at: cut, agreed }) = refused else {
            panic!("what is agreed on must stay, got {refused:?}");
        };
        assert_eq!((cut, agreed), (SeqNo(at), SeqNo(3)));
    }
    assert_eq!(truncate(log, shard, 4).await, 4);
    assert_eq!(log.tail(shard).await.expect("tail"), Some(SeqNo(3)));
}

async fn what_is_trimmed_is_not_cut(log: &dyn ShardLog, shard: ShardKey) {
    let text = "x".repeat(3000);
    for _ in 0..20 {
        append(log, batch(shard, &[&text, "y"])).await;
    }
    let first = log.trim(shard, SeqNo(30)).await.expect("trim");
    if let Some(below) = first.0.checked_sub(1) {
        let refused = log.truncate(shard, SeqNo(below)).await;
        assert!(
            matches!(refused, Err(LogError::Trimmed { first: held }) if held == first),
            "{refused:?}"
        );
    }
    let before = log.base_at(shard, first).await.expect("base");
    assert_eq!(truncate(log, shard, first.0).await, first.0);
    let page = log.read(shard, SeqNo(0), 1).await.expect("page");
    assert_eq!((page.records.len(), page.first_available), (0, first));
    assert_eq!(log.base_at(shard, first).await.expect("base"), before);
    let appended = append(log, batch(shard, &["z"])).await;
    assert_eq!(appended.first, first);
}

async fn what_was_queued_before_is_cut(log: &dyn ShardLog, shard: ShardKey) {
    let queued = ["a", "b", "c"].map(|text| log.queue(batch(shard, &[text])).expect("is queued"));
    assert_eq!(truncate(log, shard, 1).await, 1);
    for ticket in queued {
        ticket.durable().await.expect("it was appended");
    }
    assert_eq!(append(log, batch(shard, &["d"])).await, span(1, 1, false));
}

/// A deposed primary's log gets the records of the new one.
async fn another_history_takes_its_place(log: &dyn ShardLog, [new, old]: [ShardKey; 2]) {
    for shard in [new, old] {
        append(log, of_term(shard, 1, &["a", "b"])).await;
        append(log, of_term(shard, 2, &["c"])).await;
    }
    append(log, of_term(old, 2, &["lost", "lost too"])).await;
    append(log, of_term(old, 3, &["lost as well"])).await;
    append(log, of_term(new, 4, &["d"])).await;
    append(log, of_term(new, 4, &["e", "f"])).await;
    let under = PrimaryTerm(4);
    log.fence(old, under).await.expect("fence");
    assert_eq!(truncate(log, old, 3).await, 3);
    for batch in read_batches(log, new, SeqNo(3), 1).await {
        let copied = log.append_copy(old, batch, under).await;
        copied.expect("copy is accepted");
    }
    assert_eq!(contents(log, old).await, contents(log, new).await);
}
