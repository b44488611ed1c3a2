//! The dead-letter file: what was refused, where it stood, and why. One JSON object a line:
//!
//! ```text
//! {"input": "a.ndjson", "position": 7, "reason": "mapper_parsing_exception: …",
//!  "action": {"index": {"_id": "x"}}, "document": {…}}
//! ```
//!
//! `position` counts documents of the input from 0. What could not be read as a document stands in `raw`, as
//! text, instead of in `document`; then `reason` begins with its place in the input. Letters of a load with a checkpoint bear its name, as `load`.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{Refusal, RefusedSource};
use gleaner_machine::durable;

/// A dead-letter file that is being appended to.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    /// The name of the load, where it may go on.
    load: Option<String>,
    file: BufWriter<File>,
    /// Does what is there end within a line?
    is_cut_off: bool,
    /// Is it a file on a disk, rather than a pipe or `/dev/null`?
    is_file: bool,
}

/// What is read of a letter again.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    load: Option<Cow<'a, str>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<&'a str>,
}

impl DeadLetters {
    /// Opens the file at `path`; `load` names a load that may go on.
    ///
    /// One that goes on knows how long the file was at its checkpoint: letters of its own behind that belong
    /// to batches that are sent again. All else that is there is somebody else's: letters are added to it.
    pub(crate) fn open(path: &Path, load: Option<&str>, known_bytes: Option<u64>) -> Result<Self> {
        known_bytes
            .zip(load)
            .map_or(Ok(()), |(num_bytes, load)| cut(path, num_bytes, load))
            .and_then(|()| Self::append_to(path, load))
            .with_context(|| format!("cannot open dead-letter file `{}`", path.display()))
    }

    fn append_to(path: &Path, load: Option<&str>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let is_file = file.metadata()?.is_file();
        Ok(Self {
            path: path.to_path_buf(),
            load: load.map(str::to_owned),
            file: BufWriter::new(file),
            is_cut_off: is_file && ends_within_a_line(path)?,
            is_file,
        })
    }

    /// Returns where the file is, as it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one letter; it is on disk after [`sync`](Self::sync).
    pub(crate) fn append(&mut self, input: &str, refusal: &Refusal) -> io::Result<()> {
        let parsed = |text: &'_ str| RawValue::from_string(text.to_owned()).ok();
        let (action, source) = match &refusal.what {
            RefusedSource::Record(record) => (parsed(&record.action), record.source.as_deref()),
            RefusedSource::Text(text) => (None, text.as_deref()),
        };
        let document = match &refusal.what {
            RefusedSource::Record(_) => source.and_then(parsed),
            RefusedSource::Text(_) => None,
        };
        // The source line of a bulk file is sent as it is, and the server may find that it is no JSON.
        let raw = source.filter(|_| document.is_none());
        let letter = Letter {
            input,
            position: refusal.place.position,
            reason: &refusal.reason,
            action: action.as_deref(),
            document: document.as_deref(),
            raw,
            load: self.load.as_deref(),
        };
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        if std::mem::take(&mut self.is_cut_off) {
            line.insert(0, b'\n');
        }
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

/// Does the file at `path` end within a line? A letter would continue it, and could not be read.
fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Takes out of the file at `path`, behind `num_bytes`, what `load` will write again. A crash leaves it as it
/// was or as it is to be.
fn cut(path: &Path, num_bytes: u64, load: &str) -> io::Result<()> {
    let there = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    // Somebody may have emptied it in between; never fill the gap with zeros.
    if !there.is_file() || there.len() <= num_bytes {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut behind = Vec::new();
    file.seek(SeekFrom::Start(num_bytes))?;
    file.read_to_end(&mut behind)?;
    let lines = behind.split_inclusive(|byte| *byte == b'\n');
    let of_others: Vec<&[u8]> = lines.filter(|line| !is_of(line, load)).collect();
    if of_others.is_empty() {
        return file.set_len(num_bytes);
    }
    let mut content = Vec::new();
    file.rewind()?;
    file.take(num_bytes).read_to_end(&mut content)?;
    content.extend(of_others.concat());
    durable::replace(path, &content)
}

/// Is a line a letter of `load`, or one that was cut off while it was written?
fn is_of(line: &[u8], load: &str) -> bool {
    match serde_json::from_slice::<About<'_>>(line) {
        Ok(about) => about.load.as_deref() == Some(load),
        Err(_) => !line.ends_with(b"\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::load::record::{Place, Record};

    fn refusal(position: u64, source: Option<&str>) -> Refusal {
        let place = Place { input: 0, position };
        let record = |source: &str| Record {
            place,
            action: "{\"index\":{}}".to_owned(),
            source: Some(source.to_owned()),
            has_derived_id: false,
        };
        Refusal {
            place,
            reason: "too \"odd\"".to_owned(),
            what: source.map_or(RefusedSource::Text(None), |source| {
                RefusedSource::Record(record(source))
            }),
        }
    }

    #[test]
    fn letters_have_place_reason_and_the_document_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, None, None).expect("opens");
        letters
            .append("a.csv", &refusal(4, Some("{\"n\": 1.10}")))
            .expect("written");
        letters.append("a.csv", &refusal(5, None)).expect("written");
        let cut = refusal(6, Some("{\"n\": "));
        letters.append("a.csv", &cut).expect("written");
        let text = RefusedSource::Text(Some("no, \"x\"".to_owned()));
        let unread = Refusal {
            what: text,
            ..refusal(7, None)
        };
        letters.append("a.csv", &unread).expect("written");
        let num_bytes = letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(num_bytes, text.len() as u64);
        assert_eq!(
            text,
            "{\"input\":\"a.csv\",\"position\":4,\"reason\":\"too \\\"odd\\\"\",\
             \"action\":{\"index\":{}},\"document\":{\"n\": 1.10}}\n\
             {\"input\":\"a.csv\",\"position\":5,\"reason\":\"too \\\"odd\\\"\"}\n\
             {\"input\":\"a.csv\",\"position\":6,\"reason\":\"too \\\"odd\\\"\",\
             \"action\":{\"index\":{}},\"raw\":\"{\\\"n\\\": \"}\n\
             {\"input\":\"a.csv\",\"position\":7,\"reason\":\"too \\\"odd\\\"\",\
             \"raw\":\"no, \\\"x\\\"\"}\n"
        );
    }

    fn resumed(path: &Path, num_bytes: u64) -> DeadLetters {
        DeadLetters::open(path, Some("l"), Some(num_bytes)).expect("opens")
    }

    #[test]
    fn letters_behind_the_checkpoint_are_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = resumed(&path, 0);
        letters.append("a", &refusal(0, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        letters.append("a", &refusal(1, None)).expect("written");
        letters.sync().expect("synced");

        let mut again = resumed(&path, num_bytes);
        again.append("a", &refusal(2, None)).expect("written");
        again.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("\"position\":2") && !text.contains("\"position\":1"),
            "{text}"
        );

        fs::write(&path, "").expect("written");
        drop(resumed(&path, 99));
        let num_bytes = fs::metadata(&path).expect("there").len();
        assert_eq!(num_bytes, 0, "a shorter file is not filled up");
    }

    #[test]
    fn what_others_have_added_behind_the_checkpoint_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        let mut letters = DeadLetters::open(&path, Some("l"), None).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        for (load, position) in [(Some("l"), 1), (Some("m"), 2), (None, 3), (Some("l"), 4)] {
            let mut letters = DeadLetters::open(&path, load, None).expect("opens");
            let written = letters.append("a", &refusal(position, None));
            written.and_then(|()| letters.sync()).expect("written");
        }
        let text = fs::read_to_string(&path).expect("readable");
        fs::write(&path, format!("{text}a note\n{{\"input\":\"a")).expect("torn");

        let mut again = resumed(&path, num_bytes);
        again.append("a", &refusal(1, None)).expect("written");
        again.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        let kept: Vec<&str> = text.lines().collect();
        let begins = [
            "{\"input\":\"a\",\"position\":0",
            "{\"input\":\"a\",\"position\":2",
            "{\"input\":\"a\",\"position\":3",
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
        let mut letters = DeadLetters::open(Path::new("/dev/null"), None, None).expect("opens");
        letters.append("a", &refusal(0, None)).expect("written");
        letters.sync().expect("there is no disk to wait for");
    }

    #[test]
    fn letters_are_added_to_what_is_not_of_this_load() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        fs::write(&path, "kept\n").expect("written");
        let mut letters = DeadLetters::open(&path, None, None).expect("opens");
        letters.append("a", &refusal(1, None)).expect("written");
        let num_bytes = letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(num_bytes, text.len() as u64);
        assert!(text.starts_with("kept\n{\"input\""), "{text}");
    }

    #[test]
    fn a_letter_begins_a_line_whatever_stands_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dead.ndjson");
        fs::write(&path, "{\"input\":\"torn").expect("written");
        let mut letters = DeadLetters::open(&path, None, None).expect("opens");
        letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "{\"input\":\"torn", "nothing was refused yet");
        for position in [1, 2] {
            letters
                .append("a", &refusal(position, None))
                .expect("written");
        }
        letters.sync().expect("synced");
        let text = fs::read_to_string(&path).expect("readable");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], "{\"input\":\"torn");
        for line in &lines[1..] {
            serde_json::from_str::<serde_json::Value>(line).expect("a letter");
        }
    }
}
