//! Frames of HTTP/2 (RFC 9113) by hand: a client that reads frames and opens windows, or does not.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// Acknowledges a setting or a ping.
const ACK: u8 = 1;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
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

/// Returns a request on a new stream.
pub(super) fn get(path: &str, stream: u32) -> Vec<u8> {
    // `GET`, `http`, then path and authority as literals without an index (RFC 7541, 6.2.2).
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(4, path), (1, "127.0.0.1")] {
        block.extend([name, u8::try_from(value.len()).expect("a short value")]);
        block.extend(value.as_bytes());
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A frame that was read: its type, flags and stream, and its payload.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// What the frames go over.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

/// Returns the next frame; `None` when the connection has ended.
async fn next(stream: &mut impl Bytes) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    })
}

/// Answers a setting or a ping; other frames need no answer.
async fn acknowledge(stream: &mut impl Bytes, frame_read: &Frame) {
    let answer = match (frame_read.kind, frame_read.flags & ACK) {
        (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
        (PING, 0) => frame(PING, ACK, 0, &frame_read.payload),
        _ => return,
    };
    // The connection may have ended meanwhile: the next read says so.
    drop(stream.write_all(&answer).await);
}

/// Reads frames and answers pings until the server closes the connection, and opens no window.
pub(super) async fn answer_pings(stream: &mut impl Bytes) {
    while let Some(frame) = next(stream).await {
        acknowledge(stream, &frame).await;
    }
}

/// Reads the answer on a stream, opening windows as it comes; returns its length.
pub(super) async fn read_body(stream: &mut impl Bytes) -> usize {
    read_body_slowly(stream, Duration::ZERO).await
}

/// Reads the answer on a stream as far as it comes, opening windows after a pause for each frame; returns how
/// many bytes came.
pub(super) async fn read_body_slowly(stream: &mut impl Bytes, pause: Duration) -> usize {
    let mut num_bytes = 0;
    while let Some(read) = next(stream).await {
        acknowledge(stream, &read).await;
        if read.kind != DATA {
            continue;
        }
        num_bytes += read.payload.len();
        if read.flags & END_STREAM != 0 {
            break;
        }
        tokio::time::sleep(pause).await;
        let opened = u32::try_from(read.payload.len()).expect("a frame");
        for number in [0, read.stream] {
            let update = frame(WINDOW_UPDATE, 0, number, &opened.to_be_bytes());
            // The connection may have ended meanwhile: the next read says so.
            drop(stream.write_all(&update).await);
        }
    }
    num_bytes
}
