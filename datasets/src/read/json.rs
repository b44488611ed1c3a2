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
        };
        let Ok(text) = std::str::from_utf8(&element.bytes) else {
            return Some(Err(DatasetError::NotUtf8 { place: place() }));
        };
        Some(object::document(text, id_field.as_deref(), place))
    })
}

/// An element and the line on which it starts.
struct Element {
    bytes: Vec<u8>,
    line: u64,
}

/// Splits the input into its elements.
struct Elements {
    input: Arc<str>,
    reader: Box<dyn BufRead + Send>,
    limit_bytes: usize,
    /// The line of the next byte, from 1.
    line: u64,
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
            self.line += count_lines(&buffer[..blank]);
            self.reader.consume(blank);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Takes one object off the input. One that is too long is skipped to its end.
    fn element(&mut self) -> Result<Element, DatasetError> {
        let (mut bytes, line) = (Vec::new(), self.line);
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
            self.line += count_lines(&buffer[..taken]);
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
        Ok(Element { bytes, line })
    }

    fn place(&self, line: u64) -> Place {
        Place {
            input: self.input.clone(),
            line,
        }
    }

    fn broken(&self, seen: &str) -> DatasetError {
        DatasetError::Layout {
            place: self.place(self.line),
            seen: seen.to_owned(),
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}
