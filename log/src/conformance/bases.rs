//! Logs that begin in the middle, and where terms begin in a log.

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::{append, assert_fenced, batch, shard, span};
use crate::base::{LogBase, LogStart};
use crate::shard_log::{Append, ProducerSequence, ShardLog};
use crate::terms::{TermStart, TermTable};

pub(super) async fn suite(log: &dyn ShardLog) {
    nothing_is_before_an_unknown_shard(log, shard(30)).await;
    terms_are_known_by_where_they_begin(log, shard(31)).await;
    trimming_keeps_the_term_before(log, shard(32)).await;
    a_base_is_known_between_begin_and_end(log, shard(33)).await;
    a_log_that_begins_with_a_base_goes_on_from_it(log, [shard(34), shard(35)]).await;
    a_log_begins_with_its_fence(log, shard(36)).await;
}

/// Appends a batch of two records by a producer of its own.
async fn append_two(log: &dyn ShardLog, shard: ShardKey, term: u64) {
    let tail = log.tail(shard).await.expect("tail");
    let id = u128::from(tail.map_or(0, |tail| tail.next().0));
    let two = Append {
        term: PrimaryTerm(term),
        producer: Some(ProducerSequence { id, sequence: 9 }),
        ..batch(shard, &["x", "y"])
    };
    append(log, two).await;
}

fn starts(starts: &[(u64, u64)]) -> Vec<TermStart> {
    let start = |(term, first): &(u64, u64)| TermStart {
        term: PrimaryTerm(*term),
        first: SeqNo(*first),
    };
    starts.iter().map(start).collect()
}

async fn nothing_is_before_an_unknown_shard(log: &dyn ShardLog, shard: ShardKey) {
    let terms = log.terms(shard).await.expect("terms");
    let nothing = TermTable {
        before: Some(PrimaryTerm(0)),
        starts: Vec::new(),
    };
    assert_eq!(terms, nothing);
    let base = log.base_at(shard, SeqNo(0)).await.expect("base");
    assert_eq!(base, Some(LogBase::NOTHING));
    let base = log.base_at(shard, SeqNo(1)).await.expect("base");
    assert_eq!(base, None);
}

async fn terms_are_known_by_where_they_begin(log: &dyn ShardLog, shard: ShardKey) {
    for term in [1, 1, 4, 4, 9] {
        append_two(log, shard, term).await;
    }
    // A fence is no record.
    log.fence(shard, PrimaryTerm(12)).await.expect("fence");
    let terms = log.terms(shard).await.expect("terms");
    assert_eq!(terms.starts, starts(&[(1, 0), (4, 4), (9, 8)]));
    assert_eq!(terms.before, Some(PrimaryTerm(0)));
    assert_eq!(terms.last(), Some(PrimaryTerm(9)));
}

async fn trimming_keeps_the_term_before(log: &dyn ShardLog, shard: ShardKey) {
    for term in [1, 1, 4, 4, 9] {
        append_two(log, shard, term).await;
    }
    let whole = log.terms(shard).await.expect("terms");
    for below in [3, 5, 9, 100] {
        let first = log.trim(shard, SeqNo(below)).await.expect("trim");
        let terms = log.terms(shard).await.expect("terms");
        for at in first.0..=10 {
            assert_eq!(terms.before(SeqNo(at)), whole.before(SeqNo(at)), "at {at}");
        }
        assert!(terms.starts.iter().all(|start| start.first >= first));
    }
}

async fn a_base_is_known_between_begin_and_end(log: &dyn ShardLog, shard: ShardKey) {
    for term in [1, 1, 4, 4, 9] {
        append_two(log, shard, term).await;
    }
    let mut bases = Vec::new();
    for at in 0..=10 {
        let base = log.base_at(shard, SeqNo(at)).await.expect("base");
        let base = base.expect("it is within the log");
        let last = at.checked_sub(1).map(SeqNo);
        if let Some(last) = last {
            let chain = log.chain(shard, last).await.expect("chain");
            assert_eq!(Some(base.chain), chain, "at {at}");
        }
        let known = base.producers.iter().map(|producer| producer.last.0);
        assert!(known.eq((1..at).step_by(2)), "at {at}: {base:?}");
        bases.push(base);
    }
    assert_eq!(bases[0], LogBase::NOTHING);
    assert_eq!(bases[5].term, Some(PrimaryTerm(4)));
    let beyond = log.base_at(shard, SeqNo(11)).await.expect("base");
    assert_eq!(beyond, None);
    let first = log.trim(shard, SeqNo(6)).await.expect("trim");
    for at in first.0..=10 {
        let base = log.base_at(shard, SeqNo(at)).await.expect("base");
        assert_eq!(base.as_ref(), Some(&bases[at as usize]), "at {at}");
    }
    if let Some(below) = first.0.checked_sub(1) {
        let trimmed = log.base_at(shard, SeqNo(below)).await.expect("base");
        assert_eq!(trimmed, None);
    }
}

async fn a_log_that_begins_with_a_base_goes_on_from_it(
    log: &dyn ShardLog,
    [whole, begun]: [ShardKey; 2],
) {
    for term in [1, 4, 4] {
        append_two(log, whole, term).await;
    }
    let base = log.base_at(whole, SeqNo(4)).await.expect("base");
    let begin = LogStart {
        at: SeqNo(4),
        fence: PrimaryTerm(0),
        base: base.expect("it is held"),
    };
    log.begin_at(begun, begin.clone()).await.expect("begins");
    let again = log.base_at(begun, SeqNo(4)).await.expect("base");
    assert_eq!(again, Some(begin.base));
    let terms = log.terms(begun).await.expect("terms");
    assert_eq!(
        (terms.before, terms.starts.len()),
        (Some(PrimaryTerm(4)), 0)
    );
    // The term before is the fence, and an append that the other log has is known.
    assert_fenced(log.append(batch(begun, &["late"])).await, 4);
    let known = ProducerSequence { id: 2, sequence: 9 };
    let resent = Append {
        term: PrimaryTerm(4),
        producer: Some(known),
        ..batch(begun, &["x", "y"])
    };
    assert_eq!(append(log, resent).await, span(2, 3, true));
    append_two(log, begun, 4).await;
    for at in [4, 5] {
        let chains = [whole, begun].map(|shard| log.chain(shard, SeqNo(at)));
        let [one, other] = chains;
        assert_eq!(one.await.expect("chain"), other.await.expect("chain"));
    }
    let terms = log.terms(begun).await.expect("terms");
    assert_eq!(terms.starts, [], "the term of the base goes on");
}

async fn a_log_begins_with_its_fence(log: &dyn ShardLog, shard: ShardKey) {
    let begin = LogStart {
        at: SeqNo(5),
        fence: PrimaryTerm(6),
        base: LogBase {
            term: Some(PrimaryTerm(2)),
            ..LogBase::UNKNOWN
        },
    };
    log.begin_at(shard, begin).await.expect("begins");
    assert_fenced(log.fence(shard, PrimaryTerm(5)).await, 6);
    append_two(log, shard, 6).await;
    let terms = log.terms(shard).await.expect("terms");
    assert_eq!(terms.starts, starts(&[(6, 5)]));
    assert_eq!(terms.before, Some(PrimaryTerm(2)));
}
