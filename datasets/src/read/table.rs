//! CSV and TSV with a header: a row is a document, a column a field.
//!
//! Values stay strings, as they are written: a column may look like numbers for a million rows and
//! then not. A mapping that says `integer` or `date` turns them into what they are. Empty cells are
//! left out. CSV is quoted as RFC 4180 says. TSV has no quoting, as its registration with IANA
//! (`text/tab-separated-values`) says: a quote is a character, a line is a row.

use std::{
    io::{self, BufRead, Read},
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use csv::{ReaderBuilder, StringRecord};

use super::{Options, quotes::Quotes};
use crate::{DatasetError, Document, Input, Place, object};

pub(super) fn documents(
    input: Input,
    delimiter: u8,
    options: Options,
) -> impl Iterator<Item = Result<Document, DatasetError>> + Send {
    let mut rows = Rows::new(input, delimiter, options);
    iter::from_fn(move || rows.next())
}

struct Rows {
    input: Arc<str>,
    reader: csv::Reader<Metered>,
    delimiter: u8,
    budget: Arc<AtomicUsize>,
    options: Options,
    /// The names of the columns, once the header was read.
    columns: Option<StringRecord>,
}

impl Rows {
    fn new(input: Input, delimiter: u8, options: Options) -> Self {
        let Input { name, reader, .. } = input;
        let budget = Arc::new(AtomicUsize::new(0));
        let has_quotes = delimiter == b',';
        let metered = Metered {
            reader,
            budget: budget.clone(),
            quotes: has_quotes.then(|| Quotes::new(delimiter)),
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(has_quotes)
            .has_headers(false)
            .from_reader(metered);
        Self {
            input: name,
            reader,
            delimiter,
            budget,
            options,
            columns: None,
        }
    }

    fn next(&mut self) -> Option<Result<Document, DatasetError>> {
        if self.columns.is_none() {
            match self.read_row()? {
                Ok(header) => match self.checked_header(header) {
                    Ok(columns) => self.columns = Some(columns),
                    Err(error) => return Some(Err(error)),
                },
                Err(error) => return Some(Err(of_header(error))),
            }
        }
        let line = self.reader.position().line();
        let row = match self.read_row()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        let line = row.position().map_or(line, csv::Position::line);
        let source = source_of(self.columns.as_ref()?, &row);
        Some(object::document(
            &source,
            self.options.id_field.as_deref(),
            || self.place(line),
        ))
    }

    fn read_row(&mut self) -> Option<Result<StringRecord, DatasetError>> {
        // What the parser has buffered may belong to the next rows: a small slack on the limit.
        self.budget.store(
            self.options.max_document_bytes.saturating_add(SLACK_BYTES),
            Ordering::Relaxed,
        );
        let line = self.reader.position().line();
        let mut row = StringRecord::new();
        match self.reader.read_record(&mut row) {
            Ok(true) => Some(Ok(row)),
            Ok(false) => None,
            Err(error) => Some(Err(self.fault(error, &row, line))),
        }
    }

    fn fault(&self, error: csv::Error, row: &StringRecord, line: u64) -> DatasetError {
        let line = error.position().map_or(line, csv::Position::line);
        let place = self.place(line);
        if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
            let text = String::new();
            return DatasetError::NotUtf8 { place, text };
        }
        if !error.is_io_error() {
            return DatasetError::Table {
                place,
                fault: error,
                text: self.text_of(row),
            };
        }
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DatasetError::Read { place, source },
            other => DatasetError::Layout {
                place,
                seen: format!("{other:?}"),
            },
        }
    }

    fn checked_header(&self, header: StringRecord) -> Result<StringRecord, DatasetError> {
        for (index, name) in header.iter().enumerate() {
            let is_twice = header.iter().take(index).any(|earlier| earlier == name);
            if name.is_empty() || is_twice {
                let seen = format!(
                    "the header names column {} `{name}`: wanted a name of its own",
                    index + 1
                );
                return Err(DatasetError::Layout {
                    place: self.place(1),
                    seen,
                });
            }
        }
        Ok(header)
    }

    fn place(&self, line: u64) -> Place {
        Place {
            input: self.input.clone(),
            line,
            column: 1,
        }
    }

    /// Writes a row as it would stand in the table; empty where that cannot be done.
    fn text_of(&self, row: &StringRecord) -> String {
        if self.delimiter != b',' {
            return row.iter().collect::<Vec<_>>().join("\t");
        }
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let written = writer.write_record(row).ok();
        let bytes = written.and_then(|()| writer.into_inner().ok());
        let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
        text.trim_end_matches('\n').to_owned()
    }
}

/// Makes a fault in the header the end of the table: no row can be read without it.
fn of_header(error: DatasetError) -> DatasetError {
    match error {
        DatasetError::NotUtf8 { place, .. } => DatasetError::Layout {
            place,
            seen: "the header is not UTF-8".to_owned(),
        },
        other => other,
    }
}

/// What the parser may hold beyond the row at hand.
const SLACK_BYTES: usize = 256 * 1024;

/// Ends with an error when more bytes are taken than one row may have: a quote that is never closed
/// would otherwise swallow the rest of the file into memory. One that is open where the file ends is
/// an error too.
struct Metered {
    reader: Box<dyn BufRead + Send>,
    budget: Arc<AtomicUsize>,
    /// `None` where a quote is a character.
    quotes: Option<Quotes>,
}

impl Metered {
    /// Looks at the next bytes; none are the end.
    fn follow_quotes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(quotes) = &mut self.quotes else {
            return Ok(());
        };
        quotes.follow(bytes);
        match quotes.open_since().filter(|_| bytes.is_empty()) {
            Some(line) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the quote that is opened on line {line} is never closed"),
            )),
            None => Ok(()),
        }
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(
                "a row is longer than a document may be (an open quote?)",
            ));
        }
        let most = buffer.len().min(left);
        let num_bytes = self.reader.read(&mut buffer[..most])?;
        self.budget.store(left - num_bytes, Ordering::Relaxed);
        self.follow_quotes(&buffer[..num_bytes])?;
        Ok(num_bytes)
    }
}

fn source_of(columns: &StringRecord, row: &StringRecord) -> String {
    let filled = columns
        .iter()
        .zip(row)
        .filter(|(_, value)| !value.is_empty());
    let members: Vec<String> = filled
        .map(|(name, value)| format!("{}:{}", object::quoted(name), object::quoted(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}
