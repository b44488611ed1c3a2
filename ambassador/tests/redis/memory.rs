//! What all clients and servers of an ambassador may hold together.

use crate::support::{Ambassador, Redis};

/// Half of a request of 67 MB.
const HALF: usize = 33_000_000;

#[tokio::test]
async fn many_large_requests_that_never_end_leave_room_for_others() {
    let servers = [Redis::start().await];
    let ambassador = Ambassador::start_with(&servers, |options| {
        options.memory_bytes = 96 << 20;
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..12 {
        let mut client = ambassador.client().await;
        let begun = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$67000000\r\n";
        let request = [&begun[..], &vec![b'x'; HALF]].concat();
        // One that stands still may have been given up.
        drop(client.try_send_raw(&request).await);
        open.push(client);
    }
    let mut client = ambassador.client().await;
    assert_eq!(client.ask(&["SET", "a", "1"]).await, "OK");
    let large = "v".repeat(20_000_000);
    assert_eq!(client.ask(&["SET", "b", &large]).await, "OK");
    assert_eq!(client.ask(&["GET", "b"]).await, large);
}

#[tokio::test]
async fn before_the_password_little_is_read() {
    let servers = [Redis::start().await];
    let ambassador = Ambassador::start_with(&servers, |options| {
        options.password = Some("s3cret".to_owned());
    })
    .await;
    let mut client = ambassador.client().await;
    client.send_raw(b"*2\r\n$4\r\nAUTH\r\n$67000000\r\n").await;
    assert!(client.answer().await.contains("unauthenticated request"));
    let mut client = ambassador.client().await;
    assert_eq!(client.ask(&["AUTH", "s3cret"]).await, "OK");
    let large = "v".repeat(1_000_000);
    assert_eq!(client.ask(&["SET", "a", &large]).await, "OK");
    assert_eq!(client.ask(&["GET", "a"]).await, large);
}

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_and_its_server_stays_in() {
    let servers = [Redis::start().await];
    let ambassador = Ambassador::start(&servers, 1).await;
    let mut direct = servers[0].client().await;
    direct.ask(&["SETRANGE", "large", "100000000", "x"]).await;
    let mut client = ambassador.client().await;
    client.ask(&["SET", "small", "1"]).await;
    client.send(&["GET", "large"]).await;
    client.send(&["GET", "small"]).await;
    assert_eq!(
        client.answer().await,
        "-ERR gleaner: the answer has more than 64 MiB"
    );
    assert_eq!(client.answer().await, "1");
    assert_eq!(client.ask(&["STRLEN", "large"]).await, "100000001");
}

#[tokio::test]
async fn a_client_that_takes_nothing_makes_room_for_those_that_do() {
    let servers = [Redis::start().await];
    let ambassador = Ambassador::start_with(&servers, |options| {
        options.memory_bytes = 48 << 20;
    })
    .await;
    let mut client = ambassador.client().await;
    let large = "v".repeat(10_000_000);
    assert_eq!(client.ask(&["SET", "a", &large]).await, "OK");
    let mut silent = ambassador.client().await;
    for _ in 0..20 {
        silent.send(&["GET", "a"]).await;
    }
    silent.flush().await;
    let mut answer = client.ask(&["GET", "a"]).await;
    while answer.contains("too much is under way") {
        answer = client.ask(&["GET", "a"]).await;
    }
    assert_eq!(answer, large);
}
