//! HTTP/2 clients of backends that speak HTTP/1.1: frames by hand (RFC 9113), so that fields can be what no library
//! would send.

use super::*;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// The pseudo-fields of a request.
const CASE: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "h"),
    (":path", "/case"),
];

/// Returns a frame as it goes over the wire.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns what a client begins with.
pub(super) fn preface() -> Vec<u8> {
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend(frame(SETTINGS, 0, 0, &[]));
    preface
}

/// A request with these fields as literals without an index (RFC 7541, 6.2.2), and a body.
fn request(fields: Fields<'_>, body: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    let mut frames = preface();
    frames.extend(frame(HEADERS, END_HEADERS, 1, &block));
    frames.extend(frame(DATA, END_STREAM, 1, body.as_bytes()));
    frames
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// Is it the last one of an answer?
    pub(super) fn ends_answer(&self) -> bool {
        matches!(self.kind, HEADERS | DATA) && self.flags & END_STREAM != 0
    }
}

/// Returns the next frame; `None` when the connection has ended.
pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    let (kind, flags) = (head[3], head[4]);
    Some(Frame {
        kind,
        flags,
        payload,
    })
}

/// Returns the first frame that is as wanted; `None` when the connection ends before.
pub(super) async fn until(
    stream: &mut (impl AsyncRead + Unpin),
    is_wanted: impl Fn(&Frame) -> bool,
) -> Option<Frame> {
    loop {
        let frame = next(stream).await?;
        if is_wanted(&frame) {
            return Some(frame);
        }
    }
}

/// Sends a request, and waits until its stream or the connection has ended.
async fn exchange(to: SocketAddr, frames: &[u8]) {
    let mut stream = TcpStream::connect(to).await.expect("taken");
    stream.write_all(frames).await.expect("taken");
    let is_last = |frame: &Frame| frame.ends_answer() || matches!(frame.kind, RESET | GOAWAY);
    until(&mut stream, is_last).await;
}

#[tokio::test]
async fn what_http2_must_not_say_is_not_said_to_a_backend() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let with = |more: Fields<'_>| request(&[&CASE, more].concat(), "hello");
    let but = |at: usize, name: &str, value: &str| {
        let mut fields = CASE;
        fields[at] = (name, value);
        request(&fields, "hello")
    };
    let cases = [
        with(&[("transfer-encoding", "chunked")]),
        with(&[("connection", "close")]),
        with(&[("keep-alive", "5")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[("content-length", "4")]),
        with(&[("content-length", "5"), ("content-length", "6")]),
        with(&[("content-length", "+5")]),
        with(&[("x", "y\r\ntransfer-encoding: chunked")]),
        with(&[("x", "y\ngleaner-principal: root")]),
        with(&[("x", "y\0z")]),
        with(&[("x: y\r\ntransfer-encoding", "chunked")]),
        with(&[("x:y", "z")]),
        with(&[("x y", "z")]),
        with(&[("X-Large", "z")]),
        with(&[("host", "other")]),
        with(&[(":authority", "other")]),
        with(&[("x", "y"), (":path", "/smuggled")]),
        but(0, ":method", "GET /smuggled HTTP/1.1\r\nx: "),
        but(0, ":method", "CONNECT"),
        but(2, ":authority", "h/other"),
        but(2, ":authority", "h\r\nx: y"),
        but(2, ":authority", ""),
        but(3, ":path", "/case HTTP/1.1\r\nx: y"),
        but(3, ":path", "/ca se"),
        but(3, ":path", "case"),
        but(3, ":path", ""),
    ];
    for (at, frames) in cases.iter().enumerate() {
        soon("an end", exchange(front.address, frames)).await;
        let other = front.client().await.get("/other").await.expect("an answer");
        assert_eq!(other.body, "GET /other");
        let seen = backend.take();
        assert!(seen.breaches.is_empty(), "{at}: {:?}", seen.breaches);
        for arrived in &seen.arrived {
            // What is left out rather than refused may arrive.
            let is_plain = arrived.line == "POST /case" && arrived.body == b"hello";
            assert!(
                is_plain || arrived.line == "GET /other",
                "{at}: {arrived:?}"
            );
            for never in [
                "connection",
                "te",
                "upgrade",
                "keep-alive",
                "transfer-encoding",
            ] {
                assert_eq!(arrived.field(never), None, "{at}: {arrived:?}");
            }
            assert!(
                !arrived.head.contains("gleaner-principal"),
                "{at}: {arrived:?}"
            );
        }
        assert!(seen.arrived.len() <= 2, "{at}: {:?}", seen.arrived);
    }
}

#[tokio::test]
async fn a_request_of_http2_arrives_as_one_of_http1() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let more = [
        ("cookie", "a=1"),
        ("te", "trailers"),
        ("cookie", "b=2"),
        ("content-length", "5"),
    ];
    let frames = request(&[&CASE[..], &more].concat(), "hello");
    soon("an end", exchange(front.address, &frames)).await;
    let seen = backend.take();
    let [arrived] = &seen.arrived[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(arrived.line, "POST /case");
    assert_eq!(arrived.body, b"hello");
    assert_eq!(arrived.field("cookie"), Some("a=1; b=2"));
    assert_eq!(arrived.field("host"), Some("h"));
    assert_eq!(arrived.field("via"), Some("2 gleaner"));
    assert_eq!(arrived.field("te"), None);
    assert_eq!(arrived.field("content-length"), Some("5"));
}
