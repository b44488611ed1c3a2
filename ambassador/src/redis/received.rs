//! Answers of a server, taken off its connection: how far each goes, and that none is larger than there is room for.
//!
//! Does: find the end of an answer without reading it, drop one that is too large and say so in its place. Does not:
//! ask. A connection has one [`Reader`]. Read first: [`Reader::next`], [`Scan`].

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::budget::{Budget, Lease, PIECE, make_room, take_front};
use super::reply;

/// Longest line of an answer.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Most lists in one another that an answer may have. `COMMAND` of Redis 7 has some ten; the reader calls itself for
/// each.
const MAX_DEPTH: usize = 128;

/// Most values of an answer that is read, and not only passed on: each takes some 64 bytes.
const MAX_VALUES: u64 = 1 << 20;

/// Bytes that a value takes which was read, beside its own.
pub(crate) const VALUE_COST: usize = 64;

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The bytes of it.
    pub(crate) raw: Bytes,
    /// Values and lists in it.
    num_values: u64,
}

impl Answer {
    /// An answer of nobody but the ambassador.
    fn own(raw: Bytes) -> Self {
        Self { raw, num_values: 1 }
    }

    /// Is it an error of the server?
    pub(crate) fn is_error(&self) -> bool {
        self.raw.first() == Some(&b'-')
    }

    /// Returns the text of an error.
    pub(crate) fn text(&self) -> String {
        let text = self.raw.strip_prefix(b"-").unwrap_or(&self.raw);
        String::from_utf8_lossy(text).trim().to_owned()
    }

    /// Returns the memory that reading it takes.
    pub(crate) fn cost(&self) -> usize {
        usize::try_from(self.num_values.min(MAX_VALUES)).unwrap_or(usize::MAX) * VALUE_COST
    }

    /// Reads it; what cannot be read is an error.
    pub(crate) fn frame(&self) -> BytesFrame {
        if self.num_values > MAX_VALUES {
            return BytesFrame::Error("the answer has too many values".into());
        }
        match decode_bytes(&self.raw) {
            Ok(Some((frame, _))) => frame,
            _ => BytesFrame::Error("the answer cannot be read".into()),
        }
    }
}

/// Reads an answer that is there as a whole; `None` where it is none, or has too many lists in lists.
pub(super) fn read_whole(bytes: &[u8]) -> Option<BytesFrame> {
    let mut scan = Scan::default();
    scan.go_on(bytes).ok()?;
    let end = usize::try_from(scan.at).ok()?;
    let answer = Answer {
        raw: Bytes::copy_from_slice(bytes.get(..end)?),
        num_values: scan.num_values,
    };
    scan.is_whole.then(|| answer.frame())
}

/// Which answers a connection takes: one that brings others ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// All kinds, with up to [`MAX_DEPTH`] lists in one another. In the place of a larger one stands an error.
    Any {
        /// Largest answer.
        max_bytes: usize,
    },
    /// Only texts, numbers and errors, of so many bytes with their frame: a list in a list could lead the reader to the
    /// end of its stack.
    Flat {
        /// Largest answer.
        max_bytes: usize,
    },
}

impl Answers {
    /// Checks the answer that `buffer` begins with, as far as it has come; `false` where it is to be dropped.
    fn check(self, buffer: &[u8], scan: &mut Scan) -> io::Result<bool> {
        let (Self::Any { max_bytes } | Self::Flat { max_bytes }) = self;
        if let (Self::Flat { .. }, Some(b'*')) = (self, buffer.first()) {
            return Err(io::Error::other(
                "an answer of a kind that nobody asked for",
            ));
        }
        scan.go_on(buffer)?;
        let is_small = scan.num_bytes() <= max_bytes as u64;
        match self {
            Self::Flat { .. } if !is_small => Err(io::Error::other("the answer is too large")),
            _ => Ok(is_small),
        }
    }
}

/// How far an answer goes, as far as it has come: what was seen is not seen again with the next piece.
#[derive(Debug, Default)]
struct Scan {
    /// Elements that each open list lacks.
    open: Vec<i64>,
    /// Where the first line begins that was not seen whole; behind the end of the buffer in a text whose rest is to come.
    at: u64,
    /// Up to here that line has no end.
    searched: usize,
    /// Values and lists.
    num_values: u64,
    /// Whether the answer was seen to its end.
    is_whole: bool,
    /// Bytes of it that were seen and dropped.
    num_dropped: u64,
}

impl Scan {
    /// Looks at the answer that `buffer` begins with, behind the bytes that were dropped.
    fn go_on(&mut self, buffer: &[u8]) -> io::Result<()> {
        while !self.is_whole {
            let Some(begun) = self.within(buffer) else {
                return Ok(());
            };
            // The return may have been the last byte.
            let from = begun.max(self.searched.saturating_sub(1));
            let rest = buffer.get(from..).unwrap_or_default();
            let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else {
                if buffer.len() - begun >= MAX_LINE_BYTES {
                    return Err(io::Error::other("the answer has no end"));
                }
                self.searched = buffer.len();
                return Ok(());
            };
            let end = from + end;
            self.searched = 0;
            self.num_values += 1;
            self.see(&buffer[begun..end], (end - begun + 2) as u64)?;
        }
        Ok(())
    }

    /// Returns where the line begins, where that is in the buffer.
    fn within(&self, buffer: &[u8]) -> Option<usize> {
        let at = usize::try_from(self.at).ok()?;
        (at < buffer.len()).then_some(at)
    }

    /// Notes a line of so many bytes with its end.
    fn see(&mut self, line: &[u8], num_bytes: u64) -> io::Result<()> {
        let digits = std::str::from_utf8(line.get(1..).unwrap_or_default());
        let number = digits.ok().and_then(|digits| digits.parse::<i64>().ok());
        self.at += num_bytes;
        match (line.first(), number) {
            (Some(b'*'), Some(length @ 1..)) => {
                self.open.push(length);
                if self.open.len() > MAX_DEPTH {
                    return Err(io::Error::other("the answer has too many lists in lists"));
                }
            }
            (Some(b'$'), Some(length @ 0..)) => {
                self.at = self
                    .at
                    .saturating_add(length.unsigned_abs())
                    .saturating_add(2);
                self.close();
            }
            (Some(b'*' | b'$'), Some(-1 | 0)) | (Some(b'+' | b'-' | b':'), _) => self.close(),
            _ => return Err(io::Error::other("an answer that is none")),
        }
        Ok(())
    }

    /// Counts an element, and the lists that end with it.
    fn close(&mut self) {
        while let Some(lacks) = self.open.last_mut() {
            *lacks -= 1;
            if *lacks > 0 {
                return;
            }
            self.open.pop();
        }
        self.is_whole = true;
    }

    /// Returns the bytes of the answer, as far as it has said them.
    fn num_bytes(&self) -> u64 {
        self.num_dropped.saturating_add(self.at)
    }

    /// Drops what was seen of the answer.
    fn drop_seen(&mut self, buffer: &mut BytesMut) {
        let seen = usize::try_from(self.at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        buffer.advance(seen);
        self.at -= seen as u64;
        self.num_dropped += seen as u64;
        self.searched = 0;
    }
}

/// Takes answers off the bytes of one connection.
#[derive(Debug)]
pub(crate) struct Reader {
    answers: Answers,
    buffer: BytesMut,
    scan: Scan,
    lease: Lease,
    /// Why the answer that is coming is dropped.
    dropped: Option<String>,
}

impl Reader {
    pub(crate) fn new(answers: Answers, budget: &Arc<Budget>) -> Self {
        Self {
            answers,
            buffer: BytesMut::with_capacity(PIECE),
            scan: Scan::default(),
            lease: budget.lease(),
            dropped: None,
        }
    }

    /// Returns the next answer that has come whole.
    ///
    /// # Errors
    /// Bytes that are no answer, or one that is not taken: nothing behind them can be read either.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Answer>> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let is_small = self.answers.check(&self.buffer, &mut self.scan)?;
        if !is_small && self.dropped.is_none() {
            let (Answers::Any { max_bytes } | Answers::Flat { max_bytes }) = self.answers;
            self.drop_coming(format!("the answer has more than {} MiB", max_bytes >> 20));
        } else if self.dropped.is_some() {
            self.scan.drop_seen(&mut self.buffer);
        }
        let num_bytes = usize::try_from(self.scan.at).unwrap_or(usize::MAX);
        if !self.scan.is_whole || num_bytes > self.buffer.len() {
            return Ok(None);
        }
        let num_values = self.scan.num_values;
        self.scan = Scan::default();
        if let Some(why) = self.dropped.take() {
            return Ok(Some(Answer::own(reply::error(&why))));
        }
        let counted = self.lease.grow_to(num_bytes).await;
        let raw = take_front(&mut self.buffer, num_bytes);
        let answer = match counted {
            Ok(()) => Answer {
                raw: self.lease.split(num_bytes).hold(raw),
                num_values,
            },
            Err(short) => Answer::own(reply::error(&short.to_string())),
        };
        self.lease.shrink_to(0);
        Ok(Some(answer))
    }

    /// Returns a buffer that has room for a further piece. Where there is no memory for the answer that is coming, it is
    /// dropped.
    pub(crate) async fn room(&mut self) -> &mut BytesMut {
        let wanted = usize::try_from(self.scan.at).unwrap_or(usize::MAX);
        let room = make_room(&mut self.buffer, &mut self.lease, wanted, 0).await;
        if let Err(short) = room {
            self.drop_coming(short.to_string());
        }
        &mut self.buffer
    }

    /// Drops what there is of the answer that is coming, and will drop its rest.
    fn drop_coming(&mut self, why: String) {
        self.dropped = Some(why);
        self.scan.drop_seen(&mut self.buffer);
        let mut rest = BytesMut::with_capacity(self.buffer.len() + PIECE);
        rest.extend_from_slice(&self.buffer);
        self.buffer = rest;
        self.lease.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at the beginning of an answer.
    fn check(answers: Answers, buffer: &[u8]) -> io::Result<bool> {
        answers.check(buffer, &mut Scan::default())
    }

    const ANY: Answers = Answers::Any {
        max_bytes: 64 << 20,
    };

    #[test]
    fn lists_in_lists_are_read_up_to_a_depth() {
        let nested = |depth: usize| "*1\r\n".repeat(depth).into_bytes();
        assert!(check(ANY, &nested(MAX_DEPTH)).is_ok());
        assert!(check(ANY, &nested(MAX_DEPTH + 1)).is_err());
        // Lists behind one another, a list of no elements, a text with the bytes of one.
        let flat = "*2\r\n*0\r\n$4\r\n*1\r\n\r\n".repeat(MAX_DEPTH + 1);
        assert!(check(ANY, flat.as_bytes()).is_ok());
        let behind = ["*200\r\n", &"*1\r\n:1\r\n".repeat(200)].concat();
        assert!(check(ANY, behind.as_bytes()).is_ok());
    }

    #[test]
    fn an_answer_in_pieces_is_seen_as_the_whole_is() {
        let nested = |depth: usize| {
            let lists = "*2\r\n$6\r\n*1\r\n*1\r\n".repeat(depth);
            [lists.as_str(), "+a\rb\r\n"].concat().into_bytes()
        };
        for (answer, is_taken) in [(nested(MAX_DEPTH), true), (nested(MAX_DEPTH + 1), false)] {
            for piece in [1, 2, 3, 7, 1_000] {
                let mut scan = Scan::default();
                let mut ends = (0..=answer.len()).step_by(piece).chain([answer.len()]);
                let checked = ends.try_for_each(|end| {
                    let before = scan.at;
                    let checked = scan.go_on(&answer[..end]);
                    assert!(scan.at >= before, "nothing is seen again");
                    checked
                });
                assert_eq!(checked.is_ok(), is_taken, "pieces of {piece}");
                assert_eq!(scan.is_whole, is_taken);
                assert!(!is_taken || scan.at == answer.len() as u64);
            }
        }
    }

    #[test]
    fn a_line_ends_with_a_return_and_a_new_line() {
        let flat = Answers::Flat { max_bytes: 17 };
        let endless = |start: &[u8]| [start, &[b'x'; MAX_LINE_BYTES]].concat();
        for (buffer, is_taken) in [
            (b"+OK\r\n".to_vec(), true),
            (b"+a\rb\r\n".to_vec(), true),
            (b"$10\r\n".to_vec(), true),
            (b"$10\r".to_vec(), true),
            (b"$11\r\n".to_vec(), false),
            (b"*1\r\n".to_vec(), false),
            (b"!1\r\n".to_vec(), false),
            (b"$x\r\n".to_vec(), false),
            (endless(b"+"), false),
            (endless(b"+a\r"), false),
            (endless(b"$1\r"), false),
        ] {
            let checked = check(flat, &buffer);
            assert_eq!(checked.is_ok(), is_taken, "{buffer:.20?}");
        }
    }

    /// Feeds what a server sends to a reader, and returns its answers and the most bytes that it held.
    async fn read(max_bytes: usize, pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Answer>, usize) {
        let budget = Budget::new(1 << 20);
        let mut reader = Reader::new(Answers::Any { max_bytes }, &budget);
        let (mut answers, mut held) = (Vec::new(), 0);
        for piece in pieces {
            for part in piece.chunks(PIECE) {
                reader.room().await.extend_from_slice(part);
                held = held.max(reader.buffer.capacity());
                while let Some(answer) = reader.next().await.expect("answers") {
                    answers.push(answer);
                }
            }
        }
        (answers, held)
    }

    #[tokio::test(start_paused = true)]
    async fn in_the_place_of_an_answer_that_is_too_large_stands_an_error() {
        let behind = || b"+OK\r\n$1\r\na\r\n".to_vec();
        let large = 300_usize << 20;
        let value = std::iter::once(format!("${large}\r\n").into_bytes())
            .chain((0..large >> 20).map(|_| vec![b'x'; 1 << 20]))
            .chain([b"\r\n".to_vec()]);
        let count = 4_000_000;
        let lists = std::iter::once(format!("*{count}\r\n").into_bytes())
            .chain((0..count / 1_000).map(|_| "*0\r\n".repeat(1_000).into_bytes()));
        let pieces: [Box<dyn Iterator<Item = Vec<u8>>>; 2] = [Box::new(value), Box::new(lists)];
        for pieces in pieces {
            let (answers, held) = read(1 << 19, pieces.chain([behind()])).await;
            let raws: Vec<&[u8]> = answers.iter().map(|answer| &answer.raw[..]).collect();
            assert_eq!(raws.len(), 3, "{raws:?}");
            assert!(raws[0].starts_with(b"-ERR gleaner: "), "{raws:?}");
            assert_eq!(raws[1..], [&b"+OK\r\n"[..], b"$1\r\na\r\n"]);
            assert!(held <= 1 << 20, "{held}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_there_is_no_memory_for_is_dropped() {
        let large = 8_usize << 20;
        let value = std::iter::once(format!("${large}\r\n").into_bytes())
            .chain((0..large >> 20).map(|_| vec![b'x'; 1 << 20]))
            .chain([b"\r\n+OK\r\n".to_vec()]);
        let (answers, held) = read(64 << 20, value).await;
        assert!(answers[0].is_error() && held <= 1 << 20, "{held}");
        assert_eq!(answers[1].raw, "+OK\r\n");
        // What fits is there as it came.
        let value = [
            b"$300000\r\n".to_vec(),
            vec![b'x'; 300_000],
            b"\r\n".to_vec(),
        ];
        let (answers, _) = read(64 << 20, value.into_iter()).await;
        assert_eq!(answers[0].raw.len(), 300_011);
        assert_eq!(
            answers[0].frame(),
            BytesFrame::BulkString(vec![b'x'; 300_000].into())
        );
    }
}
