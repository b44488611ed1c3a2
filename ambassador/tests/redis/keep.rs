//! Values of ours in a Redis server: kept, behind an ambassador too, and lost without harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gleaner_ambassador::{RedisKeep, RedisUrl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::support::{Ambassador, Redis};

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(60);

fn keep(address: &str) -> RedisKeep {
    let url: RedisUrl = format!("redis://{address}").parse().expect("an address");
    RedisKeep::start(url, None)
}

/// Puts a value as soon as there is a connection.
async fn put(keep: &RedisKeep, value: &[u8]) {
    let done = async {
        while keep.put("name", value, HOUR).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, done).await.expect("it is put");
}

#[tokio::test]
async fn values_lie_in_a_server_or_behind_an_ambassador_for_as_long_as_they_may() {
    let servers = [Redis::start().await, Redis::start().await];
    let ambassador = Ambassador::start(&servers, 1).await;
    for address in [servers[0].address(), ambassador.address().to_owned()] {
        let keep = keep(&address);
        let value: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        put(&keep, &value).await;
        let got = keep.get("name").await.expect("an answer");
        assert_eq!(got.as_deref(), Some(&value[..]));
        assert_eq!(keep.get("none").await.expect("an answer"), None);
        keep.put("short", b"x", Duration::from_millis(1))
            .await
            .expect("it is put");
        let gone = async {
            while keep.get("short").await.expect("an answer").is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, gone).await.expect("its time is over");
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_used_again() {
    let server = Redis::start().await;
    let (port, keep) = (server.port, keep(&server.address()));
    put(&keep, b"one").await;
    drop(server);
    let lost = async {
        while keep.get("name").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, lost).await.expect("it is gone");
    let _server = Redis::start_at(port).await;
    put(&keep, b"two").await;
    let got = keep.get("name").await.expect("an answer");
    assert_eq!(got.as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn a_server_that_stands_still_holds_up_nobody_who_does_not_wait() {
    let server = Redis::start().await;
    let keep = keep(&server.address());
    put(&keep, b"one").await;
    server.stop();
    for _ in 0..40 {
        // Given up, as the cache does.
        let got = timeout(Duration::from_millis(2), keep.get("name")).await;
        assert!(!matches!(got, Ok(Ok(_))));
    }
    server.go_on();
    put(&keep, b"two").await;
}

/// Answers each request with `answer`; counts them.
async fn lying(answer: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let num_answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&num_answered);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            while stream.read(&mut request).await.is_ok_and(|num| num > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
                if stream.write_all(&answer).await.is_err() {
                    break;
                }
            }
        }
    });
    (address, num_answered)
}

#[tokio::test]
async fn an_answer_of_another_kind_or_size_ends_the_connection() {
    let nested = b"*1\r\n".repeat(200_000);
    let endless = vec![b'+'; 1 << 20];
    let large = b"$999999999\r\nx".to_vec();
    let all = [
        nested,
        endless,
        large,
        b"$x\r\n".to_vec(),
        b"?\r\n".to_vec(),
    ];
    let tried = all.map(|answer| async {
        let (address, num_answered) = lying(answer).await;
        let keep = keep(&address);
        // The second request came over a connection that was made anew.
        while num_answered.load(Ordering::SeqCst) < 2 {
            assert!(keep.get("name").await.is_err(), "it is no value");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let tried = futures::future::join_all(tried);
    timeout(SOON, tried).await.expect("each is an error");
}
