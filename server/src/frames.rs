//! What comes over an HTTP/2 connection, counted: frames that ask for nothing are taken as long as they are few beside
//! what is asked and sent.
//!
//! The codec answers each `SETTINGS` and `PING` for as long as they come (CVE-2019-9512, CVE-2019-9515), and a connection
//! with an open request is never idle. A client is allowed a thousand such frames and a hundred a second, more for each
//! request, and one for each 64 bytes of bodies: who opens windows or measures round trips while it is sent something
//! needs some. Does not: read what frames say. Read first: [`Frames::read`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gleaner_listener::count_closed;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a client begins with.
const PREFACE_BYTES: usize = 24;

/// The head of a frame: length, type, flags, stream (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Frames that ask for nothing and may come at once, beside those that were earned.
const BURST: u64 = 1_000;

/// As many may come each second for ever.
const PER_SECOND: u64 = 100;

/// What a request earns.
const PER_REQUEST: u64 = 8;

/// Bytes of bodies that earn one.
const BYTES_EACH: usize = 64;

/// The frames of a connection, as far as they have been read.
#[derive(Debug)]
struct Frames {
    /// Bytes of the preface or of a payload that are to come.
    left: usize,
    head: [u8; HEAD_BYTES],
    num_head: usize,
    /// Frames that ask for nothing and may still come.
    allowed: u64,
    refilled: Instant,
    /// Bytes that have earned nothing yet.
    spare: usize,
}

impl Frames {
    fn new() -> Self {
        Self {
            left: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            num_head: 0,
            allowed: BURST,
            refilled: Instant::now(),
            spare: 0,
        }
    }

    /// Reads what has come; returns whether that is no flood.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (HEAD_BYTES - self.num_head).min(bytes.len());
            let (more, rest) = bytes.split_at(wanted);
            self.head[self.num_head..self.num_head + wanted].copy_from_slice(more);
            self.num_head += wanted;
            bytes = rest;
            if self.num_head < HEAD_BYTES {
                return true;
            }
            self.num_head = 0;
            if !self.take() {
                return false;
            }
        }
    }

    /// Takes the frame whose head was read; returns whether it may come.
    fn take(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            DATA if self.left > 0 => self.earn(self.left),
            DATA if flags & END_STREAM != 0 => {}
            // The codec bounds how many may follow.
            CONTINUATION => {}
            HEADERS => self.allow(PER_REQUEST),
            _ => return self.spend(),
        }
        true
    }

    fn spend(&mut self) -> bool {
        if self.allowed == 0 {
            let now = Instant::now();
            let since = now.duration_since(self.refilled);
            self.refilled = now;
            let millis = since.min(Duration::from_secs(60)).as_millis() as u64;
            self.allow(millis * PER_SECOND / 1_000);
        }
        let may = self.allowed > 0;
        self.allowed = self.allowed.saturating_sub(1);
        may
    }

    fn allow(&mut self, more: u64) {
        self.allowed = self.allowed.saturating_add(more);
    }

    /// Notes so many bytes of bodies.
    fn earn(&mut self, num_bytes: usize) {
        let spare = self.spare + num_bytes;
        self.spare = spare % BYTES_EACH;
        self.allow((spare / BYTES_EACH) as u64);
    }
}

/// An HTTP/2 connection that ends when it is flooded.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    frames: Frames,
    /// Name of its listener in metrics.
    port: &'static str,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, port: &'static str) -> Self {
        let frames = Frames::new();
        Self {
            stream,
            frames,
            port,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.frames.read(&buffer.filled()[before..]) {
            return read;
        }
        count_closed(this.port, "flood");
        let reason = "too many frames that ask for nothing";
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            reason,
        )))
    }
}

impl<S: AsyncWrite + Unpin> Counted<S> {
    fn noted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(num_bytes)) = &written {
            // Acknowledgements earn less than they cost.
            self.frames.earn(*num_bytes);
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, num_bytes: usize) -> Vec<u8> {
        let mut frame = u32::try_from(num_bytes).expect("short").to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEAD_BYTES + num_bytes, 7);
        frame
    }

    /// Returns how many of these frames are taken, at most so many, where they come in pieces of `piece` bytes.
    fn taken(frame: &[u8], most: usize, piece: usize) -> usize {
        let mut frames = Frames::new();
        assert!(frames.read(&[0; PREFACE_BYTES]));
        (0..most)
            .take_while(|_| frame.chunks(piece).all(|piece| frames.read(piece)))
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_ask_for_nothing_are_counted_however_they_come() {
        const SETTINGS: u8 = 4;
        const PING: u8 = 6;
        const WINDOW_UPDATE: u8 = 8;
        for piece in [1, 7, 9, 10, 1_000] {
            for nothing in [
                frame(2, 0, 5),
                frame(3, 0, 4),
                frame(SETTINGS, 0, 0),
                frame(SETTINGS, 0, 6),
                frame(SETTINGS, 1, 0),
                frame(PING, 0, 8),
                frame(PING, 1, 8),
                frame(WINDOW_UPDATE, 0, 4),
                frame(DATA, 0, 0),
                frame(200, 0, 30),
            ] {
                let num_taken = taken(&nothing, 5_000, piece);
                assert_eq!(num_taken, BURST as usize, "{nothing:?} by {piece}");
            }
            for asking in [
                frame(HEADERS, 5, 20),
                frame(DATA, 0, 100),
                frame(DATA, END_STREAM, 0),
            ] {
                assert_eq!(taken(&asking, 5_000, piece), 5_000, "{asking:?} by {piece}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_requests_and_bodies_allow_more() {
        let mut frames = Frames::new();
        assert!(frames.read(&[0; PREFACE_BYTES]));
        let ping = frame(6, 0, 8);
        let num_taken = |frames: &mut Frames| {
            let num_taken = (0..10_000).take_while(|_| frames.read(&ping)).count();
            assert!(
                frames.read(&[7; 8]),
                "the payload of the one that was refused"
            );
            num_taken
        };
        assert_eq!(num_taken(&mut frames), BURST as usize);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(num_taken(&mut frames), 3 * PER_SECOND as usize);
        assert!(frames.read(&frame(HEADERS, 5, 20)));
        assert_eq!(num_taken(&mut frames), PER_REQUEST as usize);
        frames.earn(64_000);
        assert_eq!(num_taken(&mut frames), 1_000);
    }
}
