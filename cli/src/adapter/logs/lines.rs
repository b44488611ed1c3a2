//! Lines of a source, and where the reading of a file has come to.

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longest line; what is longer is cut there, and said so.
const MAX_LINE: usize = 256 << 10;

/// Bytes before the place where reading goes on that tell whether a file was cut and written anew meanwhile.
const REMEMBERED: usize = 1 << 10;

/// Where the reading of a file has come to.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Bytes, with those of a line that has no end yet.
    read: u64,
    /// The last of them.
    last: Vec<u8>,
}

impl Position {
    /// Returns where [`Self::last`] begins.
    pub(super) fn start(&self) -> u64 {
        self.read - self.last.len() as u64
    }

    /// Returns the last bytes that were read.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    fn go_on(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        self.last
            .extend_from_slice(&bytes[bytes.len().saturating_sub(REMEMBERED)..]);
        let surplus = self.last.len().saturating_sub(REMEMBERED);
        self.last.drain(..surplus);
    }
}

/// Lines of a source; the caller holds the bytes of the one that is being read.
pub(super) struct Lines<R> {
    source: BufReader<R>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(source: BufReader<R>) -> Self {
        Self { source }
    }

    /// Passes over these bytes, and returns whether they are the next ones. They come with those behind them by one call
    /// to the system, so that a file is not cut in between.
    pub(super) async fn begins_with(&mut self, wanted: &[u8]) -> Result<bool> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut begun = (&mut self.source).take(wanted.len() as u64);
        begun.read_to_end(&mut found).await?;
        Ok(found == wanted)
    }

    /// Returns the next line; the last one may lack its end.
    ///
    /// Nothing is lost when the future is dropped: what was read is in `partial`.
    pub(super) async fn next(&mut self, partial: &mut Vec<u8>) -> Result<Option<String>> {
        self.source.read_until(b'\n', partial).await?;
        Ok(line_of(partial))
    }

    /// Returns the next line that has its end; what there is of one that has none stays in `partial`.
    pub(super) async fn next_whole(
        &mut self,
        partial: &mut Vec<u8>,
        position: &mut Position,
    ) -> Result<Option<String>> {
        let known = partial.len();
        self.source.read_until(b'\n', partial).await?;
        position.go_on(&partial[known..]);
        if partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        Ok(line_of(partial))
    }
}

/// Takes the bytes of a line, if there are any, as text: what is no UTF-8 is shown as such, and what is too long is
/// cut.
pub(super) fn line_of(held: &mut Vec<u8>) -> Option<String> {
    let bytes = std::mem::take(held);
    if bytes.is_empty() {
        return None;
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = if line.len() > MAX_LINE {
        let cut = String::from_utf8_lossy(&line[..MAX_LINE]);
        format!("{cut}… ({} bytes in all)", line.len())
    } else {
        String::from_utf8_lossy(line).into_owned()
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_cut_and_written_anew_is_known_by_what_was_read_last() {
        let (mut partial, mut position) = (Vec::new(), Position::default());
        let first = b"one\ntwo\nthr".as_slice();
        let mut lines = Lines::new(BufReader::new(first));
        assert!(lines.begins_with(position.last()).await.expect("bytes"));
        let mut read = Vec::new();
        while let Some(line) = lines
            .next_whole(&mut partial, &mut position)
            .await
            .expect("bytes")
        {
            read.push(line);
        }
        assert_eq!((read.len(), position.start(), position.read), (2, 0, 11));
        let grown = b"one\ntwo\nthree\n".as_slice();
        let mut lines = Lines::new(BufReader::new(grown));
        assert!(lines.begins_with(position.last()).await.expect("bytes"));
        let line = lines.next_whole(&mut partial, &mut position).await;
        assert_eq!(line.expect("bytes").as_deref(), Some("three"));
        // As long as before and longer: its length tells nothing.
        for anew in [
            &b"ONE\ntwo\nthree\n"[..],
            b"four\nfive\nsix\nseven\neight\n",
            b"x",
        ] {
            let mut lines = Lines::new(BufReader::new(anew));
            assert!(!lines.begins_with(position.last()).await.expect("bytes"));
        }
        position.go_on(&vec![b'x'; 5 * REMEMBERED]);
        assert_eq!(position.last().len(), REMEMBERED);
    }
}
