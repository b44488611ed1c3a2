//! Lines of bounded length, numbered from 1.

use std::{
    io::{BufRead, Read},
    sync::Arc,
};

use crate::{DatasetError, Input, Place};

/// Reads one line at a time into a buffer of its own.
pub(crate) struct Lines {
    input: Arc<str>,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    line: u64,
    /// Bytes of white space before the text of the latest line.
    indent: usize,
    limit_bytes: usize,
}

impl Lines {
    pub(crate) fn new(input: Input, limit_bytes: usize) -> Self {
        let Input { name, reader, .. } = input;
        Self {
            input: name,
            reader,
            buffer: Vec::new(),
            line: 0,
            indent: 0,
            limit_bytes,
        }
    }

    /// Returns where the text of the latest line stands.
    pub(crate) fn place(&self) -> Place {
        Place {
            input: self.input.clone(),
            line: self.line,
            column: self.indent as u64 + 1,
        }
    }

    /// Returns the next line that is not blank, without its line break.
    pub(crate) fn next_filled(&mut self) -> Option<Result<&str, DatasetError>> {
        loop {
            match self.advance() {
                Ok(false) => return None,
                Ok(true) if self.buffer.trim_ascii().is_empty() => {}
                Ok(true) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        self.indent = self.buffer.len() - self.buffer.trim_ascii_start().len();
        let text = self.buffer.trim_ascii();
        Some(
            std::str::from_utf8(text).map_err(|_| DatasetError::NotUtf8 {
                place: self.place(),
                text: String::from_utf8_lossy(text).into_owned(),
            }),
        )
    }

    /// Reads one line into the buffer; false at the end.
    fn advance(&mut self) -> Result<bool, DatasetError> {
        self.buffer.clear();
        self.line += 1;
        self.indent = 0;
        // One byte more than allowed for the line break, one more to see that it is too long.
        let most = self.limit_bytes as u64 + 2;
        let read = self
            .reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.buffer);
        let num_bytes = read.map_err(|source| DatasetError::Read {
            place: self.place(),
            source,
        })?;
        let has_ended_line = self.buffer.ends_with(b"\n");
        if self.buffer.len() - usize::from(has_ended_line) > self.limit_bytes {
            if !has_ended_line {
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|source| DatasetError::Read {
                    place: self.place(),
                    source,
                })?;
            }
            return Err(DatasetError::TooLong {
                place: self.place(),
                limit_bytes: self.limit_bytes,
            });
        }
        Ok(num_bytes > 0)
    }
}
