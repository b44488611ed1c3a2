//! Copies that show different moments, and are asked for several shards by one call.

use super::*;

#[tokio::test(start_paused = true)]
async fn shards_whose_copies_show_other_moments_are_asked_apart() {
    let cluster = pair(0.05);
    let (slow, fast) = (&cluster.leaves[0], &cluster.leaves[1]);
    *slow.delay.lock() = millis(500);
    let fault = LeafFault::Recovering {
        shard: shard(1, 1),
        progress: "half".to_owned(),
    };
    fast.faults.lock().insert(shard(1, 1), fault);
    fast.views.lock().insert(shard(1, 0), 2);
    let request = parse_search(b"{}", &limits()).expect("a good search");
    let (target, options) = (Target::default(), SearchOptions::default());
    let response = cluster.root.search(&target, &request, &options).await;
    let response = response.expect("an answer");
    assert!(!response.timed_out, "{:?}", response.coverage);
    assert_eq!(response.coverage.shards_seen, 2);
    // Once as usual, and each by itself.
    let searches = slow.num_searches.load(Ordering::Relaxed);
    assert!(searches <= 3, "{searches}");
}
