//! Writes of a shard that is not open yet.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_for_their_shard_are_bounded() {
    let fixture = Fixture::with(|options| options.write_queue_bytes = 128);
    fixture.shard().await;
    let (open, _) = fixture.leaf.copies.begin_opening(key(1)).expect("open");
    let write = |id| Box::pin(fixture.leaf.write(call(vec![put(id, "{}")])));
    let mut waiting = [write("a"), write("b")];
    for write in &mut waiting {
        assert!(futures::poll!(write).is_pending());
    }
    let full = LeafFault::Rejected {
        queue: "write".into(),
        capacity: 128,
    };
    assert_eq!(soon(write("c")).await, Err(full));
    assert!(fixture.leaf.end_opening(key(1), open));
    for write in waiting {
        assert!(soon(write).await.is_ok());
    }
    assert!(soon(write("c")).await.is_ok());
}
