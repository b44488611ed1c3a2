//! Answers that the ambassador makes itself, or puts together from those of several servers.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;

/// Writes a frame.
pub(crate) fn encode(frame: &BytesFrame) -> Bytes {
    let mut bytes = BytesMut::new();
    // It fails only where a buffer cannot grow.
    match extend_encode(&mut bytes, frame, false) {
        Ok(_) => bytes.freeze(),
        Err(_) => error("the answer cannot be written"),
    }
}

/// Writes an error of the ambassador's own, which says so.
pub(crate) fn error(message: &str) -> Bytes {
    coded_error("ERR", &format!("gleaner: {message}"))
}

/// Writes an error with a code that clients know.
pub(crate) fn coded_error(code: &str, message: &str) -> Bytes {
    // An error is one line.
    let message = message.replace(['\r', '\n'], " ");
    format!("-{code} {message}\r\n").into()
}

/// Writes a status, such as `OK`.
pub(crate) fn status(text: &'static str) -> Bytes {
    encode(&BytesFrame::SimpleString(Bytes::from_static(
        text.as_bytes(),
    )))
}

/// Writes a bulk string.
pub(crate) fn bulk(text: Bytes) -> Bytes {
    encode(&BytesFrame::BulkString(text))
}

/// Writes what clients that begin with `HELLO 2` read.
pub(crate) fn hello() -> Bytes {
    let text = |text: &'static str| BytesFrame::BulkString(Bytes::from_static(text.as_bytes()));
    encode(&BytesFrame::Array(vec![
        text("server"),
        text("redis"),
        text("version"),
        text("7.0.0"),
        text("proto"),
        BytesFrame::Integer(2),
        text("id"),
        BytesFrame::Integer(0),
        text("mode"),
        text("standalone"),
        text("role"),
        text("master"),
        text("modules"),
        BytesFrame::Array(Vec::new()),
    ]))
}
