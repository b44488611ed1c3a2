//! Copies that are behind: waited for, but not by the other shards of their call.

use super::*;

fn set_behind(leaf: &FakeLeaf, shards: &[u32]) {
    let shards = shards.iter().map(|n| shard(1, *n));
    leaf.behind.lock().extend(shards);
}

fn searched_shards(leaf: &FakeLeaf) -> Vec<u32> {
    let shards = leaf.searched.lock();
    shards.iter().map(|key| key.shard.0).collect()
}

fn kinds(waterfall: &Waterfall) -> Vec<(AttemptKind, usize)> {
    let attempts = waterfall.attempts.iter();
    attempts
        .map(|call| (call.kind, call.shards.len()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_behind_is_waited_for_by_itself() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    set_behind(&fixture.leaf, &[0, 1]);
    let (gathered, waterfall) = searched(&fixture.root, MINUTE).await;
    assert!(gathered.answers[0].iter().all(Result::is_ok));
    assert_eq!(searched_shards(&fixture.leaf), [0, 1, 0, 1]);
    let (first, wait) = (AttemptKind::First, AttemptKind::Wait);
    assert_eq!(kinds(&waterfall), [(first, 2), (wait, 1), (wait, 1)]);
}

#[tokio::test(start_paused = true)]
async fn another_copy_is_asked_meanwhile() {
    let cluster = pair(0.0);
    set_behind(&cluster.leaves[0], &[1]);
    cluster.leaves[0].hanging_alone.lock().insert(shard(1, 1));
    *cluster.leaves[1].delay.lock() = millis(10);
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-1"]);
    assert_eq!(num_calls(&cluster), [2, 1]);
    assert_eq!(num_dropped(&cluster), [1, 0], "nobody waits any more");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_has_caught_up_answers_before_one_that_says_nothing() {
    let cluster = pair(0.05);
    *cluster.leaves[0].delay.lock() = millis(100);
    set_behind(&cluster.leaves[0], &[1]);
    *cluster.leaves[1].delay.lock() = MINUTE;
    let begun = Instant::now();
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-0"]);
    assert_eq!(begun.elapsed(), millis(200));
}

#[tokio::test(start_paused = true)]
async fn who_is_behind_by_itself_too_is_not_asked_again() {
    let cluster = pair(0.0);
    let fault = LeafFault::Behind {
        shard: shard(1, 1),
        wanted: SeqNo(2),
        visible: SeqNo(1),
    };
    cluster.each(|leaf| {
        leaf.faults.lock().insert(shard(1, 1), fault.clone());
    });
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert!(gathered.answers[0][0].is_ok());
    let failure = gathered.answers[0][1].as_ref().expect_err("all are behind");
    assert_eq!(failure.fault, fault);
    assert_eq!(searched_shards(&cluster.leaves[0]), [0, 1, 1]);
    assert_eq!(searched_shards(&cluster.leaves[1]), [1]);
}

#[tokio::test(start_paused = true)]
async fn waiting_says_nothing_of_the_leaf() {
    let cluster = pair(0.0);
    set_behind(&cluster.leaves[0], &[0, 1]);
    let hanging = [0, 1].map(|n| shard(1, n));
    cluster.leaves[0].hanging_alone.lock().extend(hanging);
    *cluster.leaves[1].delay.lock() = millis(10);
    for _ in 0..5 {
        let (gathered, _) = searched(&cluster.root, MINUTE).await;
        assert_eq!(nodes(&gathered), ["leaf-1", "leaf-1"]);
    }
    cluster.leaves[0].behind.lock().clear();
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-0"], "it was never out");
}
