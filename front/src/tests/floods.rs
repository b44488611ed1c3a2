//! Clients of HTTP/2 that flood a front: their connections are ended or cost little, others are answered meanwhile, and
//! no flood reaches a backend.
//!
//! The frames are written by hand (RFC 9113, RFC 7541). See `slow` for clients that send or read too little.

use super::*;

use futures::future::join_all;
use gleaner_tls::Alpn;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::encrypted::Secrets;
use super::http2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RESET, SETTINGS, frame, next, preface, until,
};
use super::slow::{LIMIT, others_are_served, served};

const PRIORITY: u8 = 2;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// A type of frame that nobody knows, which must be passed over (RFC 9113, 4.1).
const UNKNOWN: u8 = 0x42;

// Codes of errors (RFC 9113, 7).
const PROTOCOL_ERROR: u32 = 1;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Frames, or pairs of frames, of a flood.
const NUM_FRAMES: u32 = 4_000;

/// Connections that send the same flood at once.
const NUM_FLOODS: usize = 4;

/// Requests of one connection that a front has open at once, and with that the most that can reach a backend.
const MAX_STREAMS: usize = 100;

/// Bytes of a large field: with its name and overhead it just fits the table of 4,096 bytes that HPACK begins with.
const LARGE_FIELD: usize = 4_000;

/// Adds a text as HPACK has it: its length over a prefix of 7 bits (RFC 7541, 5.1), then its bytes.
fn add_text(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("a short text"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(128 + length % 128).expect("seven bits and a mark"));
            length /= 128;
        }
        block.push(u8::try_from(length).expect("seven bits"));
    }
    block.extend(text.as_bytes());
}

/// Returns the fields of a request: `method` is its index in the static table (2 for `GET`, 3 for `POST`).
fn block(method: u8, path: &str) -> Vec<u8> {
    // The method and `http` by index, then path and authority as literals without an index.
    let mut block = vec![0x80 | method, 0x86];
    for (name, value) in [(4, path), (1, "h")] {
        block.push(name);
        add_text(&mut block, value);
    }
    block
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let flags = END_HEADERS | END_STREAM;
    frame(HEADERS, flags, stream, &block(2, path))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &CANCEL.to_be_bytes())
}

fn streams() -> impl Iterator<Item = u32> {
    (0..NUM_FRAMES).map(|number| 1 + 2 * number)
}

/// Repeats frames.
fn many(frames: &[u8]) -> Vec<u8> {
    frames.repeat(usize::try_from(NUM_FRAMES).expect("a small number"))
}

/// Returns a request whose large field is entered into the table once, and then named `num_named` times in a byte each.
fn bomb(num_named: usize) -> Vec<u8> {
    let mut fields = block(2, "/flood");
    // A literal with incremental indexing and a new name; it is entry 62 then.
    fields.push(0x40);
    add_text(&mut fields, "x");
    add_text(&mut fields, &"x".repeat(LARGE_FIELD));
    fields.extend(std::iter::repeat_n(0x80 | 62, num_named));
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)
}

/// A flood whose connection must end.
struct Flood {
    name: &'static str,
    /// What follows the preface.
    frames: Vec<u8>,
    /// Codes of errors that its connection may be ended with.
    codes: &'static [u32],
}

/// Returns floods of requests.
fn floods_of_requests() -> [Flood; 3] {
    let flood = |stream| get(stream, "/flood");
    let rapid = streams().flat_map(|stream| [flood(stream), reset(stream)].concat());
    // More than a window can hold, so that the server has to reset the stream.
    let most = (u32::MAX >> 1).to_be_bytes();
    let overflow = |stream| frame(WINDOW_UPDATE, 0, stream, &most);
    let made = streams().flat_map(|stream| [flood(stream), overflow(stream)].concat());
    [
        Flood {
            name: "Rapid Reset (CVE-2023-44487)",
            frames: rapid.collect(),
            codes: &[ENHANCE_YOUR_CALM],
        },
        Flood {
            name: "MadeYouReset (CVE-2025-8671)",
            frames: made.collect(),
            codes: &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
        },
        Flood {
            name: "requests beyond the streams that may be open",
            frames: streams().flat_map(flood).collect(),
            codes: &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
        },
    ]
}

/// Returns floods within one request.
fn floods_of_one_request() -> [Flood; 4] {
    let open = frame(HEADERS, END_STREAM, 1, &block(2, "/flood"));
    let mut field = vec![0];
    add_text(&mut field, "x");
    add_text(&mut field, "y");
    let body = frame(HEADERS, END_HEADERS, 1, &block(3, "/flood"));
    [
        Flood {
            name: "CONTINUATION without fields (CVE-2024-27316)",
            frames: [open.clone(), many(&frame(CONTINUATION, 0, 1, &[]))].concat(),
            codes: &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
        },
        Flood {
            name: "CONTINUATION with fields",
            frames: [open, many(&frame(CONTINUATION, 0, 1, &field))].concat(),
            codes: &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
        },
        Flood {
            name: "HPACK bomb",
            frames: bomb(12_000),
            codes: &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
        },
        Flood {
            name: "empty DATA (CVE-2019-9518)",
            frames: [body, many(&frame(DATA, 0, 1, &[]))].concat(),
            codes: &[ENHANCE_YOUR_CALM],
        },
    ]
}

/// Sends frames behind the preface, and reads until the connection has ended; returns the code of the error that the front
/// named, where that could still be read.
async fn flood(stream: impl AsyncRead + AsyncWrite, frames: &[u8]) -> Option<u32> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sent = [&preface(), frames].concat();
    let write = async {
        // The front may close the connection meanwhile: what is read says so.
        writing.write_all(&sent).await.ok();
        writing.flush().await.ok();
        pending::<Option<u32>>().await
    };
    let read = async {
        let mut code = None;
        while let Some(frame) = next(&mut reading).await {
            if let (GOAWAY, Some(bytes)) = (frame.kind, frame.payload.get(4..8)) {
                code = Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")));
            }
        }
        code
    };
    tokio::select! {
        code = read => code,
        code = write => code,
    }
}

/// Returns how many requests of floods arrived at a backend.
fn num_flooded(backend: &Recorder) -> usize {
    let arrived = backend.take().arrived;
    let of_floods = arrived.iter().filter(|one| one.line.ends_with(" /flood"));
    of_floods.count()
}

#[tokio::test]
async fn a_flood_ends_its_connection_and_does_not_reach_a_backend() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let floods = floods_of_requests().into_iter();
    let mut all_codes = Vec::new();
    for Flood {
        name,
        frames,
        codes,
    } in floods.chain(floods_of_one_request())
    {
        let flooding = (0..NUM_FLOODS).map(|_| async {
            let stream = TcpStream::connect(front.address).await.expect("taken");
            flood(stream, &frames).await
        });
        let both = async { tokio::join!(join_all(flooding), others_are_served(&front)) };
        let (ended, ()) = soon(name, both).await;
        for code in ended.into_iter().flatten() {
            assert!(codes.contains(&code), "{name}: it ended with {code}");
            all_codes.push(code);
        }
        others_are_served(&front).await;
        let num_arrived = num_flooded(&backend);
        let most = NUM_FLOODS * MAX_STREAMS;
        assert!(num_arrived <= most, "{name}: {num_arrived} arrived");
    }
    assert!(!all_codes.is_empty(), "no flood was ended with a code");
    assert!(front.front.is_ready(), "the backend did nothing wrong");
}

#[tokio::test]
async fn a_flood_over_tls_ends_its_connection() {
    let secrets = Secrets::new();
    let backend = Recorder::start().await;
    let server = ServerOptions {
        tls: Some(secrets.acceptor()),
        ..ServerOptions::default()
    };
    let front = served(&backend, unprobed(), server).await;
    let connector = secrets.connector(Alpn::Http2);
    for Flood {
        name,
        frames,
        codes,
    } in floods_of_requests()
    {
        let stream = TcpStream::connect(front.address).await.expect("taken");
        let stream = connector.connect("localhost", stream).await;
        let code = soon(name, flood(stream.expect("a handshake"), &frames)).await;
        let is_expected = code.is_none_or(|code| codes.contains(&code));
        assert!(is_expected, "{name}: it ended with {code:?}");
        let num_arrived = num_flooded(&backend);
        assert!(num_arrived <= MAX_STREAMS, "{name}: {num_arrived} arrived");
    }
}

#[tokio::test]
async fn fields_beyond_the_limit_do_not_reach_a_backend() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    // A little beyond the 16 KiB that a head may have, and far beyond.
    for num_named in [4, 40, 400] {
        let mut stream = TcpStream::connect(front.address).await.expect("taken");
        let frames = [preface(), bomb(num_named)].concat();
        stream.write_all(&frames).await.expect("taken");
        let is_last =
            |frame: &http2::Frame| frame.ends_answer() || matches!(frame.kind, RESET | GOAWAY);
        soon("an end", until(&mut stream, is_last)).await;
        others_are_served(&front).await;
        assert_eq!(num_flooded(&backend), 0, "{num_named}");
    }
}

#[tokio::test]
async fn frames_that_ask_for_nothing_cost_others_nothing() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let one = 1_u32.to_be_bytes();
    // A stream that depends on no other, with a weight.
    let priority = frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 16]);
    for (name, frames) in [
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &one)),
        ("PRIORITY", priority),
        ("unknown", frame(UNKNOWN, 0, 0, &[0; 8])),
    ] {
        let stream = TcpStream::connect(front.address).await.expect("taken");
        let (mut reading, mut writing) = tokio::io::split(stream);
        let frames = [preface(), many(&frames), get(1, "/flood")].concat();
        // The front may end the connection, or go on and answer.
        let write = async { drop(writing.write_all(&frames).await) };
        let is_last = |frame: &http2::Frame| frame.ends_answer() || frame.kind == GOAWAY;
        let read = until(&mut reading, is_last);
        let all = async { tokio::join!(write, read, others_are_served(&front)) };
        soon(name, all).await;
        let num_arrived = num_flooded(&backend);
        assert!(num_arrived <= 1, "{name}: {num_arrived} arrived");
    }
}

#[tokio::test]
async fn a_client_that_pings_and_reads_nothing_is_cut_off() {
    let backend = Recorder::start().await;
    let server = ServerOptions {
        write_timeout: SHORT,
        ..ServerOptions::default()
    };
    let front = served(&backend, unprobed(), server).await;
    let mut stream = TcpStream::connect(front.address).await.expect("taken");
    stream.write_all(&preface()).await.expect("taken");
    let pings = many(&frame(PING, 0, 0, &[0; 8]));
    let write = async { while stream.write_all(&pings).await.is_ok() {} };
    let both = async { tokio::join!(write, others_are_served(&front)) };
    soon("the end of its connection", both).await;
}

#[tokio::test]
async fn a_client_that_only_pings_is_idle() {
    let backend = Recorder::start().await;
    let server = ServerOptions {
        idle_timeout: LIMIT,
        ..ServerOptions::default()
    };
    let front = served(&backend, unprobed(), server).await;
    let stream = TcpStream::connect(front.address).await.expect("taken");
    let (mut reading, mut writing) = tokio::io::split(stream);
    writing.write_all(&preface()).await.expect("taken");
    let ping = frame(PING, 0, 0, &[0; 8]);
    let write = async {
        while writing.write_all(&ping).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let read = until(&mut reading, |frame| frame.kind == GOAWAY);
    let either = async {
        tokio::select! {
            () = write => {}
            _ = read => {}
        }
    };
    soon("the end of its connection", either).await;
    others_are_served(&front).await;
}

#[tokio::test]
async fn a_request_that_is_reset_is_taken_back_from_its_backend() {
    let silent = |arrived: &recorder::Arrived| match arrived.line.ends_with(" /flood") {
        true => Reply::Silence(Vec::new()),
        false => Reply::Echo,
    };
    let backend = Recorder::replying(silent).await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let has_looked = |seen: &recorder::Seen| seen.num_ended == 1;
    backend.until("the first look", has_looked).await;
    let mut stream = TcpStream::connect(front.address).await.expect("taken");
    stream.write_all(&preface()).await.expect("taken");
    for (number, id) in (1..).zip(streams().take(50)) {
        stream.write_all(&get(id, "/flood")).await.expect("taken");
        let has_arrived = |seen: &recorder::Seen| seen.arrived.len() == number;
        backend.until("the request", has_arrived).await;
        stream.write_all(&reset(id)).await.expect("taken");
        let has_ended = |seen: &recorder::Seen| seen.num_ended == number + 1;
        backend.until("its end", has_ended).await;
    }
    others_are_served(&front).await;
}
