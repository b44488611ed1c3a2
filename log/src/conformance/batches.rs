//! Whole batches: read as they were appended, whatever the page and the position.

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::{append, batch, shard};
use crate::batch::RecordBatch;
use crate::shard_log::{Append, ProducerSequence, ShardLog};

pub(super) async fn suite(log: &dyn ShardLog) {
    batches_are_read_as_they_were_appended(log, shard(20)).await;
    pages_hold_whole_batches_only(log, shard(21)).await;
    trimming_leaves_whole_batches(log, shard(22)).await;
    let page = log.read_batches(shard(23), SeqNo(4), 1).await;
    let page = page.expect("an unknown shard is empty");
    assert_eq!((page.batches.len(), page.next), (0, SeqNo(4)));
}

/// Returns every batch from `from` on, asked for by pages of `max_bytes`.
pub(super) async fn read_batches(
    log: &dyn ShardLog,
    shard: ShardKey,
    mut from: SeqNo,
    max_bytes: usize,
) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    loop {
        let page = log.read_batches(shard, from, max_bytes).await;
        let page = page.expect("log can be read");
        let bytes: usize = page.batches.iter().map(RecordBatch::payload_bytes).sum();
        assert!(
            bytes <= max_bytes || page.batches.len() == 1,
            "page too large"
        );
        if page.batches.is_empty() {
            return batches;
        }
        from = page.next;
        batches.extend(page.batches);
    }
}

async fn batches_are_read_as_they_were_appended(log: &dyn ShardLog, shard: ShardKey) {
    let first = Append {
        producer: Some(ProducerSequence { id: 7, sequence: 3 }),
        ..batch(shard, &["a", "", "c"])
    };
    append(log, first).await;
    let second = Append {
        term: PrimaryTerm(4),
        ..batch(shard, &["d"])
    };
    append(log, second).await;
    let expected = [
        RecordBatch {
            first: SeqNo(0),
            term: PrimaryTerm(1),
            producer: Some(ProducerSequence { id: 7, sequence: 3 }),
            payloads: ["a", "", "c"].map(Bytes::from).to_vec(),
        },
        RecordBatch {
            first: SeqNo(3),
            term: PrimaryTerm(4),
            producer: None,
            payloads: vec![Bytes::from("d")],
        },
    ];
    assert_eq!(
        read_batches(log, shard, SeqNo(0), usize::MAX).await,
        expected
    );
    // One that begins before the asked position is whole all the same.
    for from in 1..3 {
        let page = log.read_batches(shard, SeqNo(from), 1).await.expect("page");
        assert_eq!(page.batches, expected[..1], "from {from}");
        assert_eq!(page.next, SeqNo(3));
    }
    let page = log.read_batches(shard, SeqNo(4), 1).await.expect("page");
    assert_eq!((page.batches.len(), page.next), (0, SeqNo(4)));
}

async fn pages_hold_whole_batches_only(log: &dyn ShardLog, shard: ShardKey) {
    let text = "0123456789".repeat(100);
    let mut firsts = Vec::new();
    for len in 1..40 {
        let sizes = vec![&text[..len * 20]; len % 7 + 1];
        firsts.push(append(log, batch(shard, &sizes)).await.first);
    }
    for max_bytes in [0, 1, 500, 5000, usize::MAX] {
        let batches = read_batches(log, shard, SeqNo(0), max_bytes).await;
        let seen: Vec<SeqNo> = batches.iter().map(|batch| batch.first).collect();
        assert_eq!(seen, firsts, "pages of {max_bytes} bytes");
        for (len, batch) in (1..).zip(&batches) {
            assert_eq!(batch.payloads.len(), len % 7 + 1, "half a batch");
        }
    }
}

async fn trimming_leaves_whole_batches(log: &dyn ShardLog, shard: ShardKey) {
    for _ in 0..20 {
        append(log, batch(shard, &["x", "y", "z"])).await;
    }
    let first = log.trim(shard, SeqNo(31)).await.expect("trim");
    assert!(first.0.is_multiple_of(3), "half a batch was trimmed");
    let batches = read_batches(log, shard, first, 1).await;
    assert_eq!(batches.len() as u64, 20 - first.0 / 3);
    if let Some(below) = first.0.checked_sub(1) {
        let gap = log.read_batches(shard, SeqNo(below), 10).await;
        let gap = gap.expect("page");
        assert!(gap.batches.is_empty(), "a gap was skipped in silence");
        assert_eq!((gap.first_available, gap.next), (first, first));
    }
}
