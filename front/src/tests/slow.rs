//! Clients that send a head, a body or nothing too slowly, or do not read their answers: each ends after the limit that is
//! set, others are answered meanwhile, and nothing of theirs stays open at a backend.
//!
//! What a connection may do is the server's to limit (`gleaner-server`); here the front and its backends are behind it.

use super::*;

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RESET, frame, next, preface, until,
};

/// Requests that others send meanwhile.
const NUM_OTHERS: usize = 50;

/// Slow connections of a kind.
const NUM_SLOW: usize = 8;

/// A limit that no request of others comes near, even where the machine is busy.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// Between two bytes of a client that drips: less than any limit of these tests.
const DRIP: Duration = Duration::from_millis(10);

/// Bytes of an answer that no sockets between a backend and a client buffer.
const LARGE: usize = 32 << 20;

/// Starts a front ahead of a backend, with these options of its server.
pub(super) async fn served(
    backend: &Recorder,
    options: FrontOptions,
    server: ServerOptions,
) -> Running {
    let url = format!("http://{}", backend.address);
    let options = FrontOptions {
        backends: vec![url.parse().expect("an address")],
        ..options
    };
    Running::served(options, server).await
}

/// Sends requests one after another over a connection, each of which is answered as it should.
pub(super) async fn others_are_served(front: &Running) {
    let mut client = front.client().await;
    for _ in 0..NUM_OTHERS {
        let answer = client.get("/other").await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, "GET /other"));
    }
}

async fn connected(front: &Running, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(front.address).await.expect("taken");
    stream.set_nodelay(true).expect("an option of TCP");
    stream.write_all(first).await.expect("taken");
    stream
}

/// Reads until the connection has ended; returns what was sent.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(stream.read_to_end(&mut rest).await);
    String::from_utf8_lossy(&rest).into_owned()
}

/// Sends a piece again and again until the front answers or closes the connection; returns the first line of the answer.
async fn drip(mut stream: TcpStream, piece: &[u8]) -> String {
    let mut line = Vec::new();
    while line.is_empty() && stream.write_all(piece).await.is_ok() {
        match tokio::time::timeout(DRIP, stream.read_u8()).await {
            Err(_elapsed) => {}
            Ok(Ok(first)) => line.push(first),
            Ok(Err(_ended)) => break,
        }
    }
    while !line.is_empty() && !line.ends_with(b"\r\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_ended) => break,
        }
    }
    String::from_utf8_lossy(&line).into_owned()
}

/// Returns the methods and paths that arrived at a backend from others than [`others_are_served`].
fn of_slow_clients(backend: &Recorder) -> Vec<String> {
    let arrived = backend.take().arrived.into_iter().map(|one| one.line);
    arrived.filter(|line| line != "GET /other").collect()
}

#[tokio::test]
async fn heads_that_do_not_come_to_an_end_do_not_reach_a_backend() {
    let backend = Recorder::start().await;
    let server = ServerOptions {
        head_read_timeout: LIMIT,
        ..ServerOptions::default()
    };
    let front = &served(&backend, unprobed(), server).await;
    let begun = [
        &b""[..],
        b"G",
        b"PRI * HT",
        b"GET /slow HTTP/1.1\r\n",
        b"GET /slow HTTP/1.1\r\nhost: h\r\nx: ",
        b"POST /slow HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n",
    ];
    let silent = begun.iter().cycle().take(NUM_SLOW * begun.len());
    let silent = silent.map(|begun| async move {
        let mut stream = connected(front, begun).await;
        rest(&mut stream).await
    });
    let dripping = (0..NUM_SLOW).map(|_| async {
        let stream = connected(front, b"GET /slow HTTP/1.1\r\nhost: h\r\nx: ").await;
        drip(stream, b"x").await
    });
    let others = others_are_served(front);
    let all = async { tokio::join!(join_all(silent), join_all(dripping), others) };
    let (silent, dripping, ()) = soon("the end of slow heads", all).await;
    for sent in silent.iter().chain(&dripping) {
        assert!(sent.is_empty(), "{sent}");
    }
    let arrived = of_slow_clients(&backend);
    assert!(arrived.is_empty(), "{arrived:?}");
}

#[tokio::test]
async fn heads_over_http2_that_do_not_come_to_an_end_do_not_reach_a_backend() {
    let backend = Recorder::start().await;
    let server = ServerOptions {
        idle_timeout: LIMIT,
        ..ServerOptions::default()
    };
    let front = served(&backend, unprobed(), server).await;
    let half = frame(HEADERS, END_STREAM, 1, &[0x82, 0x86]);
    let half = [preface(), half].concat();
    let slow = (0..NUM_SLOW).map(|_| async {
        let mut stream = connected(&front, &half).await;
        until(&mut stream, |frame| frame.kind == GOAWAY).await;
    });
    let both = async { tokio::join!(join_all(slow), others_are_served(&front)) };
    soon("the end of silent connections", both).await;
    let arrived = of_slow_clients(&backend);
    assert!(arrived.is_empty(), "{arrived:?}");
}

/// Returns options under which a body may pause for so long, and may be waited for so long in all.
fn waiting(pause_within: Duration, body_grace: Duration) -> FrontOptions {
    FrontOptions {
        pause_within,
        body_grace,
        ..unprobed()
    }
}

#[tokio::test]
async fn a_body_that_drips_is_refused_though_it_does_not_pause() {
    let backend = Recorder::start().await;
    let front = &Running::ahead_of(&[backend.address], waiting(PATIENCE, SHORT)).await;
    let head = "POST /slow HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";
    // One that is read before it is sent, one that is too large for that, and one that does not give its length.
    let kinds = [
        ("content-length: 60000", &b"x"[..]),
        ("content-length: 6000000", b"x"),
        ("transfer-encoding: chunked", b"1\r\nx\r\n"),
    ];
    let slow = kinds.iter().cycle().take(NUM_SLOW * kinds.len());
    let slow = slow.map(|(framing, piece)| async move {
        let begun = format!("{head}{framing}\r\n\r\n");
        drip(connected(front, begun.as_bytes()).await, piece).await
    });
    let both = async { tokio::join!(join_all(slow), others_are_served(front)) };
    let (answers, ()) = soon("the end of bodies that drip", both).await;
    for answer in &answers {
        // It may be lost with a connection on which more was sent.
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 408 ");
        assert!(is_refused, "{answer}");
    }
    let mut lines = answers.iter();
    let is_one_refused = lines.any(|line| line.starts_with("HTTP/1.1 408 "));
    assert!(is_one_refused, "nobody was answered: {answers:?}");
    let arrived = of_slow_clients(&backend);
    assert!(arrived.is_empty(), "none is complete: {arrived:?}");
    assert!(front.front.is_ready(), "the backend did nothing wrong");
}

#[tokio::test]
async fn a_body_that_pauses_over_http2_is_refused() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], waiting(SHORT, PATIENCE)).await;
    // `POST /`, of the host `h`.
    let fields = [0x83, 0x86, 0x84, 1, 1, b'h'];
    let begun = [
        preface(),
        frame(HEADERS, END_HEADERS, 1, &fields),
        frame(DATA, 0, 1, b"x"),
    ]
    .concat();
    let slow = (0..NUM_SLOW).map(|_| async {
        let mut stream = connected(&front, &begun).await;
        let is_last =
            |frame: &http2::Frame| frame.ends_answer() || matches!(frame.kind, RESET | GOAWAY);
        until(&mut stream, is_last).await
    });
    let both = async { tokio::join!(join_all(slow), others_are_served(&front)) };
    let (ended, ()) = soon("the end of bodies that pause", both).await;
    assert!(ended.iter().all(Option::is_some), "{ended:?}");
    let arrived = of_slow_clients(&backend);
    assert!(arrived.is_empty(), "none is complete: {arrived:?}");
}

#[tokio::test]
async fn a_body_that_comes_fast_enough_is_waited_for_longer_than_the_grace() {
    let backend = Recorder::start().await;
    // The longest time there is is no limit.
    for grace in [SHORT, Duration::from_millis(u64::MAX)] {
        let front = Running::ahead_of(&[backend.address], waiting(PATIENCE, grace)).await;
        let piece = vec![b'x'; 1 << 10];
        let head =
            "POST /fast HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 40960\r\n\r\n";
        let mut stream = connected(&front, head.as_bytes()).await;
        for _ in 0..40 {
            stream.write_all(&piece).await.expect("it is in time");
            // Twice the grace in all, of which each KiB earns a second.
            tokio::time::timeout(DRIP, stream.readable()).await.ok();
        }
        let answer = soon("an answer", rest(&mut stream)).await;
        assert!(answer.ends_with("POST /fast"), "{answer}");
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_are_let_go_with_their_requests_to_backends() {
    let large = recorder::plain("200 OK", &"x".repeat(LARGE));
    let backend = Recorder::replying(move |arrived| match arrived.line.ends_with(" /large") {
        true => Reply::Bytes(large.clone()),
        false => Reply::Echo,
    })
    .await;
    let server = ServerOptions {
        write_timeout: SHORT,
        ..ServerOptions::default()
    };
    // Were places not given back, the second round would take the last of them.
    let options = FrontOptions {
        max_open_requests: 8,
        ..unprobed()
    };
    let front = served(&backend, options, server).await;
    let has_looked = |seen: &recorder::Seen| seen.num_ended == 1;
    backend.until("the first look", has_looked).await;
    // `GET /large` over HTTP/2, of which the client takes what fits into the window that a stream begins with.
    let fields = [&[0x82_u8, 0x86, 4, 6][..], b"/large", &[1, 1, b'h']].concat();
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields);
    let over_http2 = [preface(), request].concat();
    let over_http1 = b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n";
    for num_rounds in 1..=2 {
        let mut unread = Vec::new();
        for _ in 0..2 {
            unread.push(connected(&front, over_http1).await);
        }
        let opened = [
            connected(&front, &over_http2).await,
            connected(&front, &over_http2).await,
        ];
        let reading =
            opened.map(|mut stream| async move { while next(&mut stream).await.is_some() {} });
        // Their connections to the backend end; those of others are kept.
        let has_ended = |seen: &recorder::Seen| seen.num_ended == 1 + 4 * num_rounds;
        let ended = backend.until("the end of all four", has_ended);
        let all = async { tokio::join!(join_all(reading), ended, others_are_served(&front)) };
        soon("the end of unread answers", all).await;
    }
    others_are_served(&front).await;
}
