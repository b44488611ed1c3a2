//! A JSON array of objects, or objects one after another, read element by element.
//!
//! The elements are found by counting brackets outside of strings, so only one of them is in memory
//! at a time, and a bad element is one error. Whether an element is valid JSON is checked behind.

use std::{io::BufRead, iter, sync::Arc};

use super::Options;
use crate::{DatasetError, Document, Input, Place, object};

pub(super) fn documents(
    input: Input,
    options: Options,
) -> impl Iterator<Item = Result<Document, DatasetError>> + Send {
    let mut elements = Elements::new(input, options.max_document_bytes);
    let id_field = options.id_field;
    iter::from_fn(move || {
        let element = match elements.next()? {
            Ok(element) => element,
            Err(error) => return Some(Err(error)),
        };
        let place = || Place {
            input: elements.input.clone(),
            line: element.line,
            column: element.column,
        };
        let Ok(text) = std::str::from_utf8(&element.bytes) else {
            let text = String::from_utf8_lossy(&element.bytes).into_owned();
            let place = place();
            return Some(Err(DatasetError::NotUtf8 { place, text }));
        };
        Some(object::document(text, id_field.as_deref(), place))
    })
}

/// An element, and the line and column at which it starts.
struct Element {
    bytes: Vec<u8>,
    line: u64,
    column: u64,
}

/// Splits the input into its elements.
struct Elements {
    input: Arc<str>,
    reader: Box<dyn BufRead + Send>,
    limit_bytes: usize,
    /// The line of the next byte, from 1.
    line: u64,
    /// Where in its line the next byte stands, from 1.
    column: u64,
    is_in_array: bool,
}

/// Where in an element the splitter is.
#[derive(Default)]
struct Nesting {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Nesting {
    /// Takes the next byte; true when it closes the element.
    fn closes_at(&mut self, byte: u8) -> bool {
        if self.is_in_string {
            let ends = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.is_in_string = !ends;
            return false;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

impl Elements {
    fn new(input: Input, limit_bytes: usize) -> Self {
        let Input { name, reader, .. } = input;
        Self {
            input: name,
            reader,
            limit_bytes,
            line: 1,
            column: 1,
            is_in_array: false,
        }
    }

    fn next(&mut self) -> Option<Result<Element, DatasetError>> {
        loop {
            match self.peek() {
                Err(error) => return Some(Err(error)),
                Ok(None) if self.is_in_array => {
                    return Some(Err(self.broken("the array is not closed")));
                }
                Ok(None) => return None,
                Ok(Some(b'[')) if !self.is_in_array => self.is_in_array = true,
                Ok(Some(b']')) if self.is_in_array => self.is_in_array = false,
                Ok(Some(b',')) if self.is_in_array => {}
                Ok(Some(b'{')) => return Some(self.element()),
                Ok(Some(other)) => {
                    let seen = format!(
                        "saw `{}`, wanted an object",
                        char::from(other).escape_default()
                    );
                    return Some(Err(self.broken(&seen)));
                }
            }
            self.reader.consume(1);
            self.column += 1;
        }
    }

    /// Returns the next byte that is not white space, without taking it.
    fn peek(&mut self) -> Result<Option<u8>, DatasetError> {
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(source) => {
                    return Err(DatasetError::Read {
                        place: self.place(self.line),
                        source,
                    });
                }
            };
            if buffer.is_empty() {
                return Ok(None);
            }
            let blank = buffer
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let next = buffer.get(blank).copied();
            (self.line, self.column) = behind((self.line, self.column), &buffer[..blank]);
            self.reader.consume(blank);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Takes one object off the input. One that is too long is skipped to its end.
    fn element(&mut self) -> Result<Element, DatasetError> {
        let (mut bytes, line, column) = (Vec::new(), self.line, self.column);
        let (mut nesting, mut num_bytes) = (Nesting::default(), 0_usize);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(source) => {
                    return Err(DatasetError::Read {
                        place: self.place(line),
                        source,
                    });
                }
            };
            if buffer.is_empty() {
                return Err(self.broken(&format!("the object of line {line} is not closed")));
            }
            let close = buffer.iter().position(|byte| nesting.closes_at(*byte));
            let taken = close.map_or(buffer.len(), |at| at + 1);
            num_bytes += taken;
            if num_bytes <= self.limit_bytes {
                bytes.extend_from_slice(&buffer[..taken]);
            }
            (self.line, self.column) = behind((self.line, self.column), &buffer[..taken]);
            self.reader.consume(taken);
            if close.is_some() {
                break;
            }
        }
        if num_bytes > self.limit_bytes {
            let limit_bytes = self.limit_bytes;
            return Err(DatasetError::TooLong {
                place: self.place(line),
                limit_bytes,
            });
        }
        Ok(Element {
            bytes,
            line,
            column,
        })
    }

    fn place(&self, line: u64) -> Place {
        Place {
            input: self.input.clone(),
            line,
            column: 1,
        }
    }

    fn broken(&self, seen: &str) -> DatasetError {
        DatasetError::Layout {
            place: self.place(self.line),
            seen: seen.to_owned(),
        }
    }
}

/// Returns line and column of the byte that follows `bytes`, the first of which stands at `at`.
fn behind((line, column): (u64, u64), bytes: &[u8]) -> (u64, u64) {
    let num_breaks: u64 = bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum();
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => (line + num_breaks, (bytes.len() - last) as u64),
        None => (line, column + bytes.len() as u64),
    }
}
