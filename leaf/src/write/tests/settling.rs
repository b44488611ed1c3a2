//! What waits until it is known what becomes of the writes before it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_place_of_a_lost_write_does_not_settle_it() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    fixture.log.refuse_next();
    let refused = fixture.write(vec![put("a", "{}")]).await;
    assert!(refused.is_err());
    soon(fixture.write(vec![put("b", "{}")]))
        .await
        .expect("written in its place");
    let ordered = SeqNo(1);
    assert!(!soon(shard.has_settled(ordered, 0)).await);
    assert!(soon(shard.has_settled(ordered, 1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_commits_what_was_ordered_before_it() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let fate = fixture.log.hold_next();
    give_up(&fixture, &shard).await;
    let going_on = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        fate.send(true).expect("held");
    };
    let (flushed, ()) = soon(async { tokio::join!(fixture.leaf.flush(key(1)), going_on) }).await;
    flushed.expect("commits");
    assert_eq!(shard.flushes.committed(), SeqNo(1));
}
