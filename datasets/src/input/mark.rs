//! Text without the mark that some programs begin it with, packed or not.

use std::io::{self, BufRead, Read};

/// The byte-order mark of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads as what is below does, and leaves a mark at the beginning out.
pub(super) struct Unmarked<R> {
    reader: R,
    has_begun: bool,
}

impl<R: BufRead> Unmarked<R> {
    /// Reads nothing yet: a stream that is damaged opens, and says so when it is read.
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            has_begun: false,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.has_begun {
            if self.reader.fill_buf()?.starts_with(MARK) {
                self.reader.consume(MARK.len());
            }
            self.has_begun = true;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Unmarked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.begin()?;
        self.reader.read(buffer)
    }
}

impl<R: BufRead> BufRead for Unmarked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.begin()?;
        self.reader.fill_buf()
    }

    fn consume(&mut self, num_bytes: usize) {
        self.reader.consume(num_bytes);
    }
}
