//! A body cut into lines as it arrives: what has been read is counted until whoever took the lines is done
//! with them.

use bytes::{Bytes, BytesMut};

use super::{BodyReader, BodyReservation};
use crate::error::ApiError;

/// Lines of a body.
pub(crate) struct Lines {
    reader: BodyReader,
    buffer: BytesMut,
    /// Bytes at the start of the buffer that hold no line end.
    num_searched: usize,
    is_at_end: bool,
    held: BodyReservation,
}

impl Lines {
    pub(crate) fn new(reader: BodyReader, held: BodyReservation) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            num_searched: 0,
            is_at_end: false,
            held,
        }
    }

    /// Gives back what the lines taken so far held: they are dealt with.
    pub(crate) fn forget_taken(&mut self) {
        self.held.shrink_to(self.buffer.len());
    }

    /// Returns what counts the lines taken, to be kept as long as they are.
    pub(crate) fn into_held(self) -> BodyReservation {
        self.held
    }

    /// Returns the next line without its end, and whether it had one; `None` after the last.
    ///
    /// # Errors
    /// As [`BodyReader::next`], and 429 when the bodies of all requests together are too large.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, ApiError> {
        loop {
            let found = self.buffer[self.num_searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(at) = found {
                let end = self.num_searched + at;
                self.num_searched = 0;
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Ok(Some(Line {
                    text: line.freeze(),
                    is_terminated: true,
                }));
            }
            self.num_searched = self.buffer.len();
            if self.is_at_end {
                let rest = self.buffer.split().freeze();
                self.num_searched = 0;
                return Ok((!rest.is_empty()).then_some(Line {
                    text: rest,
                    is_terminated: false,
                }));
            }
            match self.reader.next().await? {
                Some(piece) => {
                    self.held.grow(piece.len())?;
                    self.buffer.extend_from_slice(&piece);
                }
                None => self.is_at_end = true,
            }
        }
    }
}

/// One line.
pub(crate) struct Line {
    /// Without the line end.
    pub(crate) text: Bytes,
    /// Whether a line end followed.
    pub(crate) is_terminated: bool,
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::HeaderMap;

    use super::*;
    use crate::options::ApiOptions;
    use crate::request::BodyRoom;

    #[tokio::test]
    async fn lines_are_cut_wherever_the_pieces_end() {
        let pieces = ["{\"a\"", ":1}\r\n\n", "{}", "\nrest"];
        let stream = futures::stream::iter(pieces.map(Ok::<_, std::io::Error>));
        let body = Body::from_stream(stream);
        let options = ApiOptions::default();
        let reader = BodyReader::new(body, &HeaderMap::new(), &options, 100).expect("fits");
        let mut lines = Lines::new(reader, BodyRoom::new(100).open());
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.expect("fits") {
            seen.push((
                String::from_utf8(line.text.to_vec()).expect("UTF-8"),
                line.is_terminated,
            ));
        }
        let wanted = [
            ("{\"a\":1}", true),
            ("", true),
            ("{}", true),
            ("rest", false),
        ];
        assert_eq!(seen, wanted.map(|(text, end)| (text.to_owned(), end)));
    }

    #[tokio::test]
    async fn lines_are_counted_until_they_are_dealt_with() {
        let body = || Body::from("{}\n{}\n{}\nrest");
        let options = ApiOptions::default();
        let room = BodyRoom::new(20);
        let lines = |body| {
            let reader = BodyReader::new(body, &HeaderMap::new(), &options, 100);
            Lines::new(reader.expect("fits"), room.open())
        };
        let mut one = lines(body());
        let taken = one.next().await.expect("fits").expect("a line");
        let mut other = lines(body());
        let refused = other.next().await.err().expect("no room beside the first");
        assert_eq!(refused.status, http::StatusCode::TOO_MANY_REQUESTS);
        drop(taken);
        one.next().await.expect("fits");
        one.next().await.expect("fits");
        one.forget_taken();
        let mut other = lines(body());
        assert!(other.next().await.is_ok());
    }
}
