//! Places are given, taken back and given up; the first bytes have a deadline.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;

use super::*;

/// Longest that a connection of these tests may take to begin.
const WITHIN: Duration = Duration::from_secs(10);

async fn listening(total: usize, per_address: usize) -> (Listener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let bounds = Bounds { total, per_address };
    (Listener::new(listener, bounds, "test"), address)
}

async fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.expect("taken")
}

#[tokio::test]
async fn beyond_the_bound_a_connection_waits_until_another_has_ended() {
    let (listener, address) = listening(1, 1).await;
    let bounds = Bounds {
        total: 1,
        per_address: 2,
    };
    let listener = Listener::new(listener.listener, bounds, "test");
    let _first = connect(address).await;
    let _second = connect(address).await;
    let (_stream, place) = listener.accept().await;
    let request = place.activity().open_request();
    let mut waiting = std::pin::pin!(listener.accept());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop((request, place));
    waiting.await;
}

#[tokio::test]
async fn a_quiet_connection_makes_room_and_one_with_a_request_does_not() {
    let (listener, address) = listening(2, 2).await;
    let _clients = [
        connect(address).await,
        connect(address).await,
        connect(address).await,
    ];
    let (_stream, busy) = listener.accept().await;
    let _request = busy.activity().open_request();
    let (stream, silent) = listener.accept().await;
    let opening = tokio::spawn(open(stream, silent, WITHIN));
    // The third is given the place of the second once that has been quiet for a while: its address has its
    // share until then, so the client is refused and comes again.
    let (_stream, _third) = loop {
        let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        match accepted {
            Ok(accepted) => break accepted,
            Err(_) => drop(connect(address).await),
        }
    };
    let closed = opening.await.expect("no panic").expect_err("closed");
    assert_eq!(closed.kind(), io::ErrorKind::ConnectionAborted);
    let busy_for = futures::poll!(std::pin::pin!(busy.activity().closed()));
    assert!(busy_for.is_pending());
}

#[tokio::test]
async fn an_address_with_its_share_is_refused_in_words() {
    let (listener, address) = listening(8, 1).await;
    let _first = connect(address).await;
    let (_stream, place) = listener.accept().await;
    let _request = place.activity().open_request();
    let mut second = connect(address).await;
    let answer = async {
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut second, &mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = tokio::select! {
        _ = listener.accept() => panic!("it has its share"),
        answer = answer => answer.expect("an answer"),
    };
    let text = String::from_utf8(answer).expect("text");
    assert!(text.starts_with("HTTP/1.1 429 "), "{text}");
    assert!(text.contains("max_connections_per_address"), "{text}");
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    assert!(
        text.contains(&format!("content-length: {}\r\n", body.len())),
        "{} bytes: {text}",
        body.len()
    );
}

async fn place() -> Place {
    let (listener, address) = listening(1, 1).await;
    let _client = connect(address).await;
    listener.accept().await.1
}

#[tokio::test]
async fn first_bytes_that_do_not_come_end_the_connection() {
    for begun in [&b""[..], b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let place = place().await;
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(begun).await.expect("taken");
        tokio::time::pause();
        let opened = open(server, place, WITHIN).await;
        tokio::time::resume();
        let error = opened.expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{begun:?}");
    }
}

#[tokio::test]
async fn first_bytes_tell_the_protocol_and_are_read_again() {
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (sent, protocol) in [
        (&b"GET / HT"[..], Protocol::Http1),
        (b"PRI * HTTP/1.1\r\n", Protocol::Http1),
        (b"P", Protocol::Http1),
        (http2, Protocol::Http2),
    ] {
        let place = place().await;
        let (mut client, server) = tokio::io::duplex(64);
        let opening = tokio::spawn(open(server, place, WITHIN));
        for byte in sent {
            client.write_all(&[*byte]).await.expect("taken");
        }
        // The connection ends: what is not enough to tell is no HTTP/2.
        client.write_all(b"OST").await.expect("taken");
        let opened = opening.await.expect("no panic").expect("told");
        assert_eq!(opened.protocol, protocol, "{sent:?}");
        let activity = Arc::clone(opened.place.activity());
        let mut read = Vec::new();
        drop(client);
        let mut connection = Connection::new(opened.stream, opened.first, opened.place);
        tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut read)
            .await
            .expect("the end");
        assert_eq!(read, [sent, b"OST"].concat());
        assert!(activity.head_for().is_some());
    }
}

/// Returns what a new connection does.
fn activity() -> Arc<Activity> {
    Arc::new(Activity::begin())
}

#[tokio::test(start_paused = true)]
async fn little_that_is_taken_is_no_progress() {
    let activity = activity();
    activity.note_written(1 << 20);
    assert_eq!(activity.unread_for(), None, "nothing has waited");
    activity.note_unread();
    tokio::time::advance(Duration::from_secs(20)).await;
    activity.note_written(100);
    activity.note_unread();
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(activity.unread_for(), Some(Duration::from_secs(40)));
    activity.note_written(16 << 10);
    let since = activity.unread_for();
    assert_eq!(since, Some(Duration::ZERO), "enough was taken");
    activity.note_flushed();
    assert_eq!(activity.unread_for(), None, "all was taken");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_makes_too_little_progress_falls_behind_until_the_next_answer() {
    let activity = activity();
    let first = activity.open_request();
    activity.note_unread();
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(2)).await;
        activity.note_written(64 << 10);
    }
    assert_eq!(activity.behind(), Duration::from_secs(10));
    drop(first);
    let second = activity.open_request();
    let still = activity.behind();
    assert_eq!(still, Duration::from_secs(10), "the first answer waits");
    activity.note_flushed();
    drop(second);
    let _third = activity.open_request();
    assert_eq!(activity.behind(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answer_waits_is_not_quiet() {
    let activity = activity();
    let request = activity.open_request();
    activity.note_unread();
    drop(request);
    activity.note_read();
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(activity.quiet_for(), None);
    assert_eq!(activity.head_for(), None, "what came is no head");
    activity.note_written(16 << 10);
    assert_eq!(activity.quiet_for(), None, "progress is not the end");
    activity.note_flushed();
    assert_eq!(activity.quiet_for(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_quiet_whatever_waits() {
    let activity = activity();
    activity.note_unread();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(activity.quiet_for(), Some(Duration::from_secs(1)));
    activity.note_flushed();
    assert_eq!(activity.quiet_for(), Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_connection_is_kept_or_closed_and_not_both() {
    let kept = activity();
    kept.keep();
    assert!(!kept.close() && kept.is_kept());
    assert!(futures::poll!(std::pin::pin!(kept.closed())).is_pending());
    let closed = activity();
    assert!(closed.close());
    closed.keep();
    assert!(!closed.is_kept());
    closed.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_again_and_again_costs_few_searches() {
    let bounds = Bounds {
        total: 8,
        per_address: 1,
    };
    let places = Places::new(bounds, "test");
    let (one, other) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 2], 1).into());
    let _first = places.take(one).expect("a place");
    let _other = places.take(other).expect("a place");
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(places.take(one).err(), Some(places::Full::Address));
    tokio::time::advance(Duration::from_millis(60)).await;
    // The first connections are quiet now, and the search of one address was a moment ago.
    assert_eq!(places.take(one).err(), Some(places::Full::Address));
    assert!(places.take(other).is_ok(), "it was not searched for");
    tokio::time::advance(Duration::from_millis(40)).await;
    assert!(places.take(one).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_search_that_leaves_quiet_connections_is_followed_by_another() {
    let bounds = Bounds {
        total: 4,
        per_address: 4,
    };
    let places = Places::new(bounds, "test");
    let address = ([127, 0, 0, 1], 1).into();
    let held: Vec<_> = (0..4).map(|_| places.take(address)).collect();
    assert!(held.iter().all(Result::is_ok));
    let kept = held[0].as_ref().expect("a place");
    kept.activity().keep();
    tokio::time::advance(Duration::from_secs(1)).await;
    let more: Vec<_> = (0..4).map(|_| places.take(address)).collect();
    let num_taken = more.iter().filter(|place| place.is_ok()).count();
    assert_eq!(num_taken, 3, "all but the one that is kept");
}
