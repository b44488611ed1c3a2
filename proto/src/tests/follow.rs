//! Streams of copies: what followers say arrives in order, and so do the answers of primaries, however large.

use futures::{StreamExt, stream};

use super::{samples, soon, stub_leaf};
use crate::ReplicationClient;

#[tokio::test]
async fn what_is_said_on_a_stream_arrives_in_order_and_whole() {
    let (stub, _served, leaf) = stub_leaf().await;
    let said = samples::follower_messages();
    let mut turns: Vec<_> = said.iter().map(|message| vec![message.clone()]).collect();
    // Signs of life.
    turns.resize(samples::primary_messages(0).len(), Vec::new());
    let messages = soon(leaf.follow(stream::iter(turns).boxed())).await;
    let messages: Vec<_> = soon(messages.expect("it is opened").collect()).await;
    let messages: Result<Vec<_>, _> = messages.into_iter().collect();
    let messages = messages.expect("no fault").concat();
    assert!(
        messages == samples::primary_messages(9 << 20),
        "as they were sent"
    );
    assert_eq!(*stub.said.lock(), said);
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let (_stub, served, leaf) = stub_leaf().await;
    let opened = soon(leaf.follow(stream::pending().boxed())).await;
    let mut messages = opened.expect("it is opened");
    let ending = tokio::spawn(served.end());
    let last = soon(messages.next()).await;
    assert!(
        last.is_none_or(|said| said.is_err()),
        "nothing comes any more"
    );
    ending.await.expect("it ended");
}
