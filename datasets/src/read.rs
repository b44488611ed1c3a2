//! Files of documents: NDJSON, JSON arrays, CSV and TSV, bulk actions; each plain, gzip or zstd.
//!
//! All readers stream: memory is bounded by [`Options::max_document_bytes`].

pub mod bulk;
mod json;
mod lines;
mod ndjson;
mod quotes;
mod table;

use std::{path::Path, str::FromStr};

use crate::{Corpus, DatasetError, Input, Place};

/// The layouts that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects, or objects one after another, with any white space.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// Action lines and source lines, as `_bulk` takes them.
    Bulk,
}

impl Format {
    const NAMES: &[(&str, Self)] = &[
        ("ndjson", Self::Ndjson),
        ("json", Self::Json),
        ("csv", Self::Csv),
        ("tsv", Self::Tsv),
        ("bulk", Self::Bulk),
    ];

    /// Returns the names of all layouts, as flags take them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(name, _)| *name)
    }

    /// Guesses from a file's name, behind `.gz` or `.zst`; `None` when it says nothing.
    ///
    /// `.jsonl` and `.ndjson` are NDJSON. Bulk files have no ending of their own.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let bare = name
            .trim_end_matches(".gz")
            .trim_end_matches(".zst")
            .trim_end_matches(".zstd");
        match bare.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" => Some(Self::Ndjson),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "bulk" => Some(Self::Bulk),
            _ => None,
        }
    }
}

impl FromStr for Format {
    type Err = DatasetError;

    fn from_str(name: &str) -> Result<Self, DatasetError> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| DatasetError::Unknown {
                what: "format",
                name: name.to_owned(),
                known: Self::names().collect::<Vec<_>>().join(", "),
            })
    }
}

/// How documents are made of what is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The field that holds each document's identifier; none by default. A document without it is
    /// refused. `_id` is taken out of the source, any other field stays in.
    pub id_field: Option<String>,
    /// The longest document in bytes; 100 MiB by default, which is what `_bulk` takes at once.
    pub max_document_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            id_field: None,
            max_document_bytes: 100 * 1024 * 1024,
        }
    }
}

/// Reads the documents of `input`.
///
/// A bulk file may hold only `index` and `create` here; [`bulk::operations`] reads all of it.
pub fn documents(input: Input, format: Format, options: Options) -> Corpus {
    let name = input.name.to_string();
    let (size, progress) = (input.size, input.progress.clone());
    match format {
        Format::Ndjson => Corpus::new(name, size, progress, ndjson::documents(input, options)),
        Format::Json => Corpus::new(name, size, progress, json::documents(input, options)),
        Format::Csv => Corpus::new(name, size, progress, table::documents(input, b',', options)),
        Format::Tsv => Corpus::new(
            name,
            size,
            progress,
            table::documents(input, b'\t', options),
        ),
        Format::Bulk => Corpus::new(name, size, progress, bulk::documents(input, options)),
    }
}

/// Hands each line of a small input that is not blank to `take`; the first fault ends it.
pub(crate) fn lines_of(
    input: Input,
    mut take: impl FnMut(&str, Place) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut lines = lines::Lines::new(input, Options::default().max_document_bytes);
    loop {
        let text = match lines.next_filled() {
            None => return Ok(()),
            Some(line) => line?.to_owned(),
        };
        take(&text, lines.place())?;
    }
}

#[cfg(test)]
mod tests;
