//! Files that say what they are, in which format, and whether they are whole.
//!
//! A file is written beside the old one, synced, renamed over it, and the folder is synced, so a crash leaves one of the two.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::CoordinatorError;

/// What a file holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) magic: &'static str,
    /// The newest format that is read and written.
    pub(super) format: u32,
    /// What it is called in errors.
    pub(super) name: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    magic: String,
    format: u32,
    crc32c: String,
    state: String,
}

impl Kind {
    /// Returns what a file of this kind holds, as JSON.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for another kind, a newer format and damage.
    pub(super) fn open(self, path: &Path, bytes: &[u8]) -> Result<String, CoordinatorError> {
        let unreadable = |reason: String| unreadable(path, reason);
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        if envelope.magic != self.magic {
            return Err(unreadable(format!("it is not {}", self.name)));
        }
        if envelope.format > self.format {
            let found = envelope.format;
            return Err(unreadable(format!(
                "it has format {found}, this version reads up to {}",
                self.format
            )));
        }
        if envelope.crc32c != checksum(&envelope.state) {
            return Err(unreadable(
                "its checksum does not match: the file is damaged".to_owned(),
            ));
        }
        Ok(envelope.state)
    }

    /// Returns what `open` reads, and the end of a line.
    ///
    /// # Errors
    /// Where `content` has no form as JSON.
    pub(super) fn line(self, content: String) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Envelope {
            magic: self.magic.to_owned(),
            format: self.format,
            crc32c: checksum(&content),
            state: content,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Replaces a file; `Some` when the new one is there and could not be made durable.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> io::Result<Option<io::Error>> {
    // Opened before anything is done: no descriptor may be left afterwards.
    let folder = path.parent().map(fs::File::open).transpose()?;
    let temporary = path.with_extension("json.new");
    // What an attempt before left there may be open to others: the state has digests of keys, and a secret.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(folder.and_then(|folder| folder.sync_all().err()))
}

/// Returns that what a file holds cannot be read.
pub(super) fn unreadable(path: &Path, reason: String) -> CoordinatorError {
    CoordinatorError::Unreadable {
        path: path.display().to_string(),
        reason,
    }
}

/// Returns that a file could not be written.
pub(super) fn store_error(path: &Path, source: io::Error) -> CoordinatorError {
    CoordinatorError::Store {
        path: path.display().to_string(),
        source,
    }
}

fn checksum(content: &str) -> String {
    format!("{:08x}", crc32c::crc32c(content.as_bytes()))
}
