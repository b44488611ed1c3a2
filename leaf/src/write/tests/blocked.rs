//! Writes of an index that is blocked.

use super::*;

async fn block(fixture: &Fixture) {
    fixture
        .change(|state| {
            let index = state.indices.get_mut(&key(1).index).expect("made");
            Arc::make_mut(index).settings.blocks.write = true;
        })
        .await;
}

fn is_blocked(answer: &Result<WriteAnswer, LeafFault>) -> bool {
    let answer = answer.as_ref().expect("answered");
    let mut items = answer.items.iter();
    items.all(|item| matches!(item, Err(WriteFault::Blocked { .. })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_block_is_settled_once_the_writes_before_it_have_ended() {
    // On the only worker no other task runs until this one waits.
    let test = tokio::spawn(settles_a_block());
    test.await.expect("the test did not fail");
}

async fn settles_a_block() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let fate = fixture.log.hold_next();
    let write = |items| {
        let leaf = Arc::clone(&fixture.leaf);
        tokio::spawn(async move { leaf.write(call(items)).await })
    };
    let first = write(vec![put("a", "{}")]);
    soon(shard.pipeline.wait_for(|state| state.num_in_flight == 1)).await;
    // It came before the block and waits for its turn until there is one.
    let primary = fixture.primary().await;
    let order = primary.order.lock().await;
    let leaf = Arc::clone(&fixture.leaf);
    let update = call(vec![update("b", "{}", true)]);
    let mut queued = Box::pin(async move { leaf.write(update).await });
    assert!(futures::poll!(&mut queued).is_pending());
    // Its task takes it, and runs until it waits.
    while !primary.pending.is_empty() {
        tokio::task::yield_now().await;
    }
    block(&fixture).await;
    let mut settling = Box::pin(fixture.leaf.write(call(Vec::new())));
    assert!(futures::poll!(&mut settling).is_pending());
    drop(order);
    // It hears of the block in its turn, and lets others pass meanwhile.
    let queued = tokio::spawn(queued);
    while primary.order.try_lock().is_ok() {
        let is_settled = futures::poll!(&mut settling).is_ready();
        assert!(!is_settled, "one is under way");
        tokio::task::yield_now().await;
    }
    assert!(
        futures::poll!(&mut settling).is_pending(),
        "one is under way"
    );
    fate.send(true).expect("held");
    let settled = soon(settling).await.expect("settled");
    assert!(is_blocked(&soon(queued).await.expect("ends")));
    assert!(settled.items.is_empty());
    let next = primary.order.lock().await.next;
    assert_eq!((shard.applier.next(), next), (SeqNo(1), SeqNo(1)));
    assert!(soon(first).await.expect("ends").is_ok());
    let batch = vec![put("a", "{}"), put("c", "{}")];
    assert!(is_blocked(&fixture.write(batch).await));
    assert_eq!(live(&fixture).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_not_settled_while_the_fate_of_a_lost_write_is_unknown() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    fixture.log.refuse_next();
    assert!(fixture.write(vec![put("a", "{}")]).await.is_err());
    assert!(shard.pipeline.state().is_uncertain);
    block(&fixture).await;
    let settled = soon(fixture.leaf.write(call(Vec::new()))).await;
    assert!(settled.is_ok());
    assert!(!shard.pipeline.state().is_uncertain, "it is known now");
}
