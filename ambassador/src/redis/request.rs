//! Requests of Redis clients, read from bytes: arrays of bulk strings, and lines as people type them.
//!
//! They are read here and not by the library that reads answers: a request is flat, and a reader that follows
//! arrays inside arrays can be led to the end of its stack by a stranger.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::budget::{Lease, PIECE, take_front};

/// Most arguments of a request, as Redis has it.
const MAX_ARGUMENTS: usize = 1 << 20;

/// Most bytes of a request; Redis takes more, but holds them once and not for each client of an ambassador.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 20;

/// Most arguments of a request before the password was shown, as Redis has it.
const MAX_ARGUMENTS_BEFORE: usize = 10;

/// Most bytes of a request before the password was shown.
const MAX_BYTES_BEFORE: usize = PIECE;

/// Bytes that an argument takes beside its own, with what is noted of it where it is a key.
const ARGUMENT_COST: usize = 160;

/// Most bytes of a line, as Redis has it.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A request: its arguments, the name of the command first, and the bytes that it came as.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// At least one.
    pub(crate) arguments: Vec<Bytes>,
    /// As it can be forwarded.
    pub(crate) raw: Bytes,
}

impl Request {
    /// Writes a request of these arguments.
    pub(crate) fn of<A: AsRef<[u8]>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments: Vec<A> = arguments.into_iter().collect();
        let num_bytes = arguments
            .iter()
            .map(|argument| argument.as_ref().len() + 16);
        let mut raw = Vec::with_capacity(num_bytes.sum::<usize>() + 16);
        let mut spans = Vec::with_capacity(arguments.len());
        raw.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in &arguments {
            let argument = argument.as_ref();
            raw.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            spans.push(raw.len()..raw.len() + argument.len());
            raw.extend_from_slice(argument);
            raw.extend_from_slice(b"\r\n");
        }
        Self::over(raw.into(), spans)
    }

    /// The request whose arguments are those parts of its bytes.
    fn over(raw: Bytes, spans: impl IntoIterator<Item = Range<usize>>) -> Self {
        let arguments = spans.into_iter().map(|span| raw.slice(span)).collect();
        Self { arguments, raw }
    }

    /// Returns how much memory it takes.
    pub(crate) fn cost(&self) -> usize {
        self.raw.len() + self.arguments.len() * ARGUMENT_COST
    }

    /// Returns the same request, which holds `lease` for as long as any part of it is there.
    pub(crate) fn holding(self, lease: Lease) -> Self {
        let whole = lease.hold(self.raw);
        let arguments = self
            .arguments
            .iter()
            .map(|argument| whole.slice_ref(argument));
        Self {
            arguments: arguments.collect(),
            raw: whole,
        }
    }

    /// Returns the name of the command in lower case.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.arguments[0]).to_ascii_lowercase()
    }

    /// Is argument `at` this word, in whatever case?
    pub(crate) fn has_word(&self, at: usize, word: &str) -> bool {
        let argument = self.arguments.get(at);
        argument.is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// What is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("invalid multibulk length")]
    Count,
    #[error("invalid bulk length")]
    Length,
    #[error("expected '$'")]
    NoBulk,
    #[error("a bulk string does not end where its length says")]
    NoEnd,
    #[error("too big inline request")]
    LongLine,
    #[error("a request has at most 64 MiB")]
    TooLarge,
    #[error("unauthenticated request of more than 10 arguments or 16 KiB")]
    Unauthenticated,
}

/// Reads requests from the bytes of one connection, and remembers how far it came in one that is not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Arguments of the array that is being read.
    wanted: Option<usize>,
    spans: Vec<Range<usize>>,
    /// Where the next header starts.
    at: usize,
    /// Bytes that the request has at least, as far as it has come.
    num_bytes: usize,
    /// Whether only small requests are taken: no password has been shown.
    is_locked: bool,
}

impl Decoder {
    /// Makes one that takes only small requests, until [`Self::unlock`].
    pub(crate) fn locked() -> Self {
        Self {
            is_locked: true,
            ..Self::default()
        }
    }

    /// Takes requests of all sizes from now on.
    pub(crate) fn unlock(&mut self) {
        self.is_locked = false;
    }

    /// Returns how many bytes the request that has begun will have at least.
    pub(crate) fn num_bytes(&self) -> usize {
        self.num_bytes
    }

    /// Returns the memory that is used for the request that has begun, beside its bytes.
    pub(crate) fn num_bytes_beside(&self) -> usize {
        self.spans.len() * ARGUMENT_COST
    }

    /// Takes the next request off the front of `buffer`; `None` while it is not whole.
    ///
    /// # Errors
    /// Bytes that no request starts with: nothing behind them can be read either.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, BadRequest> {
        while self.wanted.is_none() {
            self.num_bytes = 0;
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let Some((count, end)) = header(buffer, 0, BadRequest::Count)? else {
                        return Ok(None);
                    };
                    match usize::try_from(count) {
                        Ok(count @ 1..=MAX_ARGUMENTS) => {
                            if self.is_locked && count > MAX_ARGUMENTS_BEFORE {
                                return Err(BadRequest::Unauthenticated);
                            }
                            self.begin(count, end);
                        }
                        // Redis passes over empty arrays.
                        _ if count <= 0 => buffer.advance(end),
                        _ => return Err(BadRequest::Count),
                    }
                }
                Some(_) => match self.read_line(buffer)? {
                    None => return Ok(None),
                    Some(words) if words.is_empty() => {}
                    Some(words) => return Ok(Some(Request::of(words))),
                },
            }
        }
        self.read_array(buffer)
    }

    fn read_line(&self, buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, BadRequest> {
        let (max, bad) = match self.is_locked {
            true => (MAX_BYTES_BEFORE, BadRequest::Unauthenticated),
            false => (MAX_LINE_BYTES, BadRequest::LongLine),
        };
        line(buffer, max, bad)
    }

    fn begin(&mut self, count: usize, end: usize) {
        self.wanted = Some(count);
        self.at = end;
        self.spans.clear();
    }

    fn read_array(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, BadRequest> {
        let wanted = self.wanted.unwrap_or_default();
        while self.spans.len() < wanted {
            match buffer.get(self.at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(_) => return Err(BadRequest::NoBulk),
            }
            let Some((length, start)) = header(buffer, self.at, BadRequest::Length)? else {
                return Ok(None);
            };
            let length = usize::try_from(length).map_err(|_| BadRequest::Length)?;
            let end = start.saturating_add(length);
            if self.is_locked && end > MAX_BYTES_BEFORE {
                return Err(BadRequest::Unauthenticated);
            }
            if end > MAX_REQUEST_BYTES {
                return Err(BadRequest::TooLarge);
            }
            self.num_bytes = end + 2;
            if buffer.len() < end + 2 {
                return Ok(None);
            }
            if &buffer[end..end + 2] != b"\r\n" {
                return Err(BadRequest::NoEnd);
            }
            self.spans.push(start..end);
            self.at = end + 2;
        }
        self.wanted = None;
        let raw = take_front(buffer, self.at);
        Ok(Some(Request::over(raw, std::mem::take(&mut self.spans))))
    }
}

/// Reads the number behind the sign at `at`, and returns it with where its line ends.
fn header(buffer: &[u8], at: usize, bad: BadRequest) -> Result<Option<(i64, usize)>, BadRequest> {
    let rest = &buffer[at + 1..];
    // No number has more digits.
    let seen = &rest[..rest.len().min(24)];
    let Some(end) = seen.iter().position(|&byte| byte == b'\r') else {
        return if seen.len() == 24 { Err(bad) } else { Ok(None) };
    };
    match rest.get(end + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(bad),
    }
    let digits = std::str::from_utf8(&rest[..end]).map_err(|_| bad)?;
    let number = digits.parse().map_err(|_| bad)?;
    Ok(Some((number, at + 1 + end + 2)))
}

/// Takes a line off the front of `buffer` and returns its words.
fn line(
    buffer: &mut BytesMut,
    max: usize,
    bad: BadRequest,
) -> Result<Option<Vec<Bytes>>, BadRequest> {
    let seen = &buffer[..buffer.len().min(max)];
    let Some(end) = seen.iter().position(|&byte| byte == b'\n') else {
        return if seen.len() == max {
            Err(bad)
        } else {
            Ok(None)
        };
    };
    let line = buffer.split_to(end + 1).freeze();
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| line.slice_ref(word))
        .collect();
    Ok(Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Vec<Bytes>>, BadRequest> {
        let mut decoder = Decoder::default();
        let mut buffer = BytesMut::from(bytes);
        let mut found = Vec::new();
        while let Some(request) = decoder.decode(&mut buffer)? {
            found.push(request.arguments);
        }
        Ok(found)
    }

    #[test]
    fn arrays_and_lines_are_read_one_after_another() {
        let found = all(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*0\r\nPING\r\n\r\n*1\r\n$4\r\nQUIT\r\n");
        let wanted: Vec<Vec<Bytes>> = vec![
            vec!["GET".into(), "a".into()],
            vec!["PING".into()],
            vec!["QUIT".into()],
        ];
        assert_eq!(found, Ok(wanted));
    }

    #[test]
    fn a_request_is_the_same_wherever_it_is_cut() {
        let whole = Request::of(["SET", "key", "a\r\nb"]);
        for cut in 0..whole.raw.len() {
            let mut decoder = Decoder::default();
            let mut buffer = BytesMut::from(&whole.raw[..cut]);
            assert!(decoder.decode(&mut buffer).expect("a beginning").is_none());
            buffer.extend_from_slice(&whole.raw[cut..]);
            let request = decoder.decode(&mut buffer).expect("whole").expect("one");
            assert_eq!(request.arguments, whole.arguments);
            assert_eq!(request.raw, whole.raw);
        }
    }

    #[test]
    fn before_the_password_a_request_is_small() {
        let begun = |bytes: &[u8]| {
            let mut decoder = Decoder::locked();
            decoder
                .decode(&mut BytesMut::from(bytes))
                .map(|request| request.is_some())
        };
        assert_eq!(begun(b"*2\r\n$4\r\nAUTH\r\n$1\r\na\r\n"), Ok(true));
        assert_eq!(begun(b"*2\r\n$4\r\nAUTH\r\n$9000\r\n"), Ok(false));
        for large in [
            &b"*11\r\n"[..],
            b"*1\r\n$16385\r\n",
            b"*2\r\n$4\r\nAUTH\r\n$67000000\r\n",
            &[b'a'; MAX_BYTES_BEFORE],
        ] {
            let shown = large[..large.len().min(40)].escape_ascii().to_string();
            assert_eq!(begun(large), Err(BadRequest::Unauthenticated), "{shown}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (bytes, wanted) in [
            (&b"*x\r\n"[..], BadRequest::Count),
            (b"*9999999999\r\n", BadRequest::Count),
            (b"*1\r\n*1\r\n", BadRequest::NoBulk),
            (b"*1\r\n$-1\r\n", BadRequest::Length),
            (b"*1\r\n$1\r\nabc", BadRequest::NoEnd),
            (b"*1\r\n$999999999\r\n", BadRequest::TooLarge),
            (b"*1111111111111111111111111", BadRequest::Count),
        ] {
            assert_eq!(all(bytes), Err(wanted), "{}", bytes.escape_ascii());
        }
        assert_eq!(all(&vec![b'a'; MAX_LINE_BYTES]), Err(BadRequest::LongLine));
    }
}
