//! The dead-letter file: what was refused, where it stood, and why. One JSON object a line:
//!
//! ```text
//! {"input": "a.ndjson", "position": 7, "reason": "mapper_parsing_exception: …",
//!  "action": {"index": {"_id": "x"}}, "document": {…}}
//! ```
//!
//! `position` counts documents of the input from 0. `action` and `document` are absent where the
//! document could not be read.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::value::RawValue;

use super::batch::Refusal;

/// A dead-letter file that is being appended to.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    file: BufWriter<File>,
    num_bytes: u64,
    /// Is it a file on a disk, rather than a pipe or `/dev/null`?
    is_file: bool,
}

#[derive(Serialize)]
struct Letter<'a> {
    input: &'a str,
    position: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a RawValue>,
}

impl DeadLetters {
    /// Opens the file at `path`.
    ///
    /// A load that goes on gives the length its checkpoint knows: letters behind it belong to
    /// batches that are sent again. Without one, what is there is somebody else's: letters are added
    /// to it.
    pub(crate) fn open(path: &Path, known_bytes: Option<u64>) -> Result<Self> {
        Self::cut(path, known_bytes)
            .with_context(|| format!("cannot open dead-letter file `{}`", path.display()))
    }

    fn cut(path: &Path, known_bytes: Option<u64>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        let there = metadata.len();
        // Somebody may have emptied it in between; never fill the gap with zeros.
        let num_bytes = known_bytes.map_or(there, |known| known.min(there));
        if num_bytes < there {
            file.set_len(num_bytes)?;
        }
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
            num_bytes,
            is_file: metadata.is_file(),
        })
    }

    /// Returns where the file is, as it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one letter; it is on disk after [`sync`](Self::sync).
    pub(crate) fn append(&mut self, input: &str, refusal: &Refusal) -> io::Result<()> {
        let raw = |text: &'_ str| RawValue::from_string(text.to_owned()).ok();
        let record = refusal.record.as_ref();
        let action = record.and_then(|record| raw(&record.action));
        let document = record.and_then(|record| raw(record.source.as_ref()?));
        let letter = Letter {
            input,
            position: refusal.place.position,
            reason: &refusal.reason,
            action: action.as_deref(),
            document: document.as_deref(),
        };
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        self.num_bytes += line.len() as u64;
        self.file.write_all(&line)
    }

    /// Brings everything to disk and returns the file's length.
    pub(crate) fn sync(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        if self.is_file {
            self.file.get_ref().sync_data()?;
        }
        Ok(self.num_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::index::record::{Place, Record};

    fn refusal(position: u64, source: Option<&str>) -> Refusal {
        let place = Place { input: 0, position };
        let record = source.map(|source| Record {
            place,
            action: "{\"index\":{}}".to_owned(),
            source: Some(source.to_owned()),
            has_derived_id: false,
        });
        Refusal {
            place,
            reason: "too \"odd\"".to_owned(),
            record,
        }
    }

    #[test]
    fn letters_have_place_reason_and_the_document_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, None).expect("opens");
        letters
            .append("a.csv", &refusal(4, Some("{\"n\": 1.10}")))
            .expect("written");
        letters.append("a.csv", &refusal(5, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(num_bytes, text.len() as u64);
        assert_eq!(
            text,
            "{\"input\":\"a.csv\",\"position\":4,\"reason\":\"too \\\"odd\\\"\",\
             \"action\":{\"index\":{}},\"document\":{\"n\": 1.10}}\n\
             {\"input\":\"a.csv\",\"position\":5,\"reason\":\"too \\\"odd\\\"\"}\n"
        );
    }

    #[test]
    fn letters_behind_the_checkpoint_are_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, Some(0)).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        let known = letters.sync().expect("synced");
        letters.append("a", &refusal(1, None)).expect("written");
        letters.sync().expect("synced");

        let mut again = DeadLetters::open(&path, Some(known)).expect("opens");
        again.append("a", &refusal(2, None)).expect("written");
        again.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("\"position\":2") && !text.contains("\"position\":1"),
            "{text}"
        );

        fs::write(&path, "").expect("written");
        DeadLetters::open(&path, Some(99)).expect("a shorter file is not filled up");
        assert_eq!(fs::metadata(&path).expect("there").len(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn letters_may_go_where_nothing_is_kept() {
        let mut letters = DeadLetters::open(Path::new("/dev/null"), None).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        letters.sync().expect("there is no disk to wait for");
    }

    #[test]
    fn letters_are_added_to_what_is_not_of_this_load() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        fs::write(&path, "kept\n").expect("written");
        let mut letters = DeadLetters::open(&path, None).expect("opens");
        letters.append("a", &refusal(1, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(num_bytes, text.len() as u64);
        assert!(text.starts_with("kept\n{\"input\""), "{text}");
    }
}
