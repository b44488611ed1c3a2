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
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::Refusal;
use crate::durable;

/// A dead-letter file that is being appended to.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    file: BufWriter<File>,
    /// Is it a file on a disk, rather than a pipe or `/dev/null`?
    is_file: bool,
}

/// What a load that goes on knows of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// How long it was at the checkpoint.
    pub(crate) num_bytes: u64,
    /// What letters call the load's inputs.
    pub(crate) inputs: &'a [&'a str],
}

/// What is read of a letter again.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    input: Cow<'a, str>,
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
    /// A load that goes on says what it knows: letters of its inputs behind that belong to batches that
    /// are sent again. All else that is there is somebody else's: letters are added to it.
    pub(crate) fn open(path: &Path, known: Option<Known<'_>>) -> Result<Self> {
        known
            .map_or(Ok(()), |known| cut(path, known))
            .and_then(|()| Self::append_to(path))
            .with_context(|| format!("cannot open dead-letter file `{}`", path.display()))
    }

    fn append_to(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            is_file: file.metadata()?.is_file(),
            file: BufWriter::new(file),
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
        self.file.write_all(&line)
    }

    /// Brings everything to disk and returns the file's length; 0 where there is no disk.
    pub(crate) fn sync(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        if !self.is_file {
            return Ok(0);
        }
        self.file.get_ref().sync_data()?;
        Ok(self.file.get_ref().metadata()?.len())
    }
}

/// Takes out of the file at `path` what will be written again. A crash leaves it as it was or as it is to be.
fn cut(path: &Path, known: Known<'_>) -> io::Result<()> {
    let there = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    // Somebody may have emptied it in between; never fill the gap with zeros.
    if !there.is_file() || there.len() <= known.num_bytes {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut behind = Vec::new();
    file.seek(SeekFrom::Start(known.num_bytes))?;
    file.read_to_end(&mut behind)?;
    let lines = behind.split_inclusive(|byte| *byte == b'\n');
    let of_others: Vec<&[u8]> = lines.filter(|line| !is_ours(line, known.inputs)).collect();
    if of_others.is_empty() {
        return file.set_len(known.num_bytes);
    }
    let mut content = Vec::new();
    file.rewind()?;
    file.take(known.num_bytes).read_to_end(&mut content)?;
    content.extend(of_others.concat());
    durable::replace(path, &content)
}

/// Is a line a letter about one of `inputs`, or one that was cut off while it was written?
fn is_ours(line: &[u8], inputs: &[&str]) -> bool {
    match serde_json::from_slice::<About<'_>>(line) {
        Ok(about) => inputs.contains(&&*about.input),
        Err(_) => !line.ends_with(b"\n"),
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

    fn known(num_bytes: u64) -> Option<Known<'static>> {
        Some(Known {
            num_bytes,
            inputs: &["a"],
        })
    }

    #[test]
    fn letters_behind_the_checkpoint_are_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, known(0)).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        letters.append("a", &refusal(1, None)).expect("written");
        letters.sync().expect("synced");

        let mut again = DeadLetters::open(&path, known(num_bytes)).expect("opens");
        again.append("a", &refusal(2, None)).expect("written");
        again.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("\"position\":2") && !text.contains("\"position\":1"),
            "{text}"
        );

        fs::write(&path, "").expect("written");
        DeadLetters::open(&path, known(99)).expect("a shorter file is not filled up");
        assert_eq!(fs::metadata(&path).expect("there").len(), 0);
    }

    #[test]
    fn what_others_have_added_behind_the_checkpoint_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, None).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        for (input, position) in [("a", 1), ("b", 2), ("a", 3)] {
            letters
                .append(input, &refusal(position, None))
                .expect("written");
        }
        letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        fs::write(&path, format!("{text}a note\n{{\"input\":\"a")).expect("torn");

        let mut again = DeadLetters::open(&path, known(num_bytes)).expect("opens");
        again.append("a", &refusal(1, None)).expect("written");
        again.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        let kept: Vec<&str> = text.lines().collect();
        let begins = [
            "{\"input\":\"a\",\"position\":0",
            "{\"input\":\"b\"",
            "a note",
            "{\"input\":\"a\",\"position\":1",
        ];
        assert_eq!(kept.len(), begins.len(), "{text}");
        for (line, begin) in kept.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
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
