//! Parts of one request: shown once, waited for together.

use serde_json::json;

use super::super::IngestItem;
use super::super::tests::item;
use super::*;
use crate::RootOptions;
use crate::testing::{Cluster, index, shard};

fn items(num_items: usize) -> Vec<IngestItem> {
    let ids = (0..num_items).map(|n| format!("id-{n}"));
    ids.map(|id| item("index-1", Some(&id))).collect()
}

fn options(refresh: RefreshPolicy) -> IngestOptions {
    IngestOptions {
        active_shards: None,
        refresh,
        timeout: Some(Duration::from_secs(10)),
        idempotency_key: None,
        new_name: None,
    }
}

#[tokio::test]
async fn shards_are_shown_once_after_all_parts() {
    let cluster = Cluster::new(1, [index(1, &json!({}))], RootOptions::default());
    let (root, leaf) = (&cluster.root, &cluster.leaves[0]);
    let options = options(RefreshPolicy::WaitFor);
    let parts = root.ingester().begin_parts(&options);
    let mut of_shards = [0; 2];
    for num_items in [50, 30] {
        let results = root
            .ingester()
            .ingest_part(items(num_items), &options, &parts)
            .await;
        for (n, of_shard) in of_shards.iter_mut().enumerate() {
            let here = |result: &&IngestResult| result.shard == Some(shard(1, n as u32));
            *of_shard = results.iter().filter(here).count().max(*of_shard);
        }
        assert!(leaf.awaited.lock().is_empty(), "before the end");
    }
    root.ingester().show_parts(&parts).await;
    let mut awaited = leaf.awaited.lock().clone();
    // A fake leaf counts the items of each call.
    let mut last = of_shards
        .map(|num_items| SeqNo(num_items as u64 - 1))
        .to_vec();
    awaited.sort_unstable();
    last.sort_unstable();
    assert_eq!(awaited, last);
}

#[tokio::test]
async fn what_came_otherwise_than_expected_is_told() {
    let cluster = Cluster::new(2, [index(1, &json!({}))], RootOptions::default());
    let views = [(shard(1, 0), 7), (shard(1, 1), 7)];
    cluster.each(|leaf| leaf.views.lock().extend(views));
    for is_behind in [false, true] {
        if is_behind {
            cluster.leaves[1].views.lock().insert(shard(1, 0), 5);
        }
        let root = &cluster.root;
        let options = options(RefreshPolicy::Immediate);
        let parts = root.ingester().begin_parts(&options);
        let mut results = root
            .ingester()
            .ingest_part(items(50), &options, &parts)
            .await;
        let mut expected = RefreshOutcomes::default();
        root.ingester()
            .expect_shown(&parts, &results, &mut expected);
        expected.tell(&mut results);
        assert!(
            results
                .iter()
                .all(|result| result.forced_refresh && result.shown.len() == 2)
        );
        let shown = root.ingester().show_parts(&parts).await;
        let unlike: Vec<_> = shown.unlike(&expected).collect();
        assert_eq!(unlike.len(), usize::from(is_behind));
        for (unlike, copies, is_forced) in unlike {
            assert_eq!((unlike, is_forced), (shard(1, 0), true));
            assert!(copies[0].outcome.is_ok() && copies[1].outcome.is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_waited_for_once_in_all_parts_together() {
    let cluster = Cluster::new(1, [index(1, &json!({}))], RootOptions::default());
    let options = options(RefreshPolicy::None);
    let parts = cluster.root.ingester().begin_parts(&options);
    let (slow, other) = (shard(1, 0), shard(1, 1));
    for left in [10, 6, 2] {
        let begun = parts.deadline(slow);
        assert_eq!(begun.remaining(), Duration::from_secs(left));
        assert_eq!(parts.check(slow), Ok(()));
        tokio::time::advance(Duration::from_secs(4)).await;
        parts.note(slow, &Err(LeafFault::NotHere { shard: slow }), begun);
    }
    // Whoever takes the writes is not waited for in vain.
    let begun = parts.deadline(other);
    tokio::time::advance(Duration::from_secs(60)).await;
    parts.note(other, &Ok(Vec::new()), begun);
    assert_eq!(parts.deadline(other).remaining(), Duration::from_secs(10));
    for result in cluster
        .root
        .ingester()
        .ingest_part(items(50), &options, &parts)
        .await
    {
        assert_eq!(result.outcome.is_err(), result.shard == Some(slow));
    }
    assert_eq!(
        cluster.leaves[0].written.lock().len(),
        1,
        "the slow one is not asked"
    );
}
