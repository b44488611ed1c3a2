//! A file that arrives in pages, appended to what is already there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gleaner_model::ShardKey;
use gleaner_proto::replicate::{FileCall, SnapshotFile};

/// Bytes asked for at once.
pub(super) const PAGE_BYTES: usize = 4 << 20;

/// Times that one file is fetched when it fails its checksum.
pub(super) const MAX_TRIES: usize = 3;

/// A file on its way. Its methods block.
pub(super) struct IncomingFile {
    path: PathBuf,
    expected: SnapshotFile,
    file: File,
    /// Bytes here.
    num_bytes: u64,
    /// CRC-32C of them.
    crc32c: u32,
}

impl IncomingFile {
    /// Opens the file with what an earlier try has left of it; reads that to sum it.
    pub(super) fn open(path: &Path, expected: SnapshotFile) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        if file.metadata()?.len() > expected.num_bytes {
            file.set_len(0)?;
        }
        let (num_bytes, crc32c) = sum(&mut file)?;
        Ok(Self {
            path: path.to_owned(),
            expected,
            file,
            num_bytes,
            crc32c,
        })
    }

    /// Returns how many bytes are here.
    pub(super) fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// Returns whether no byte is missing.
    pub(super) fn is_long_enough(&self) -> bool {
        self.num_bytes >= self.expected.num_bytes
    }

    /// Returns the call for what is missing next.
    pub(super) fn next_page(&self, shard: ShardKey, snapshot: u64) -> FileCall {
        let missing = self.expected.num_bytes - self.num_bytes;
        FileCall {
            shard,
            snapshot,
            name: self.expected.name.clone(),
            offset: self.num_bytes,
            max_bytes: usize::try_from(missing).map_or(PAGE_BYTES, |n| n.min(PAGE_BYTES)),
        }
    }

    /// Appends a page.
    pub(super) fn append(mut self, page: &[u8]) -> io::Result<Self> {
        let missing = self.expected.num_bytes - self.num_bytes;
        if page.is_empty() || page.len() as u64 > missing {
            let reason = format!(
                "{} bytes came where {missing} of `{}` are missing",
                page.len(),
                self.expected.name
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.file.write_all(page)?;
        self.num_bytes += page.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, page);
        Ok(self)
    }

    /// Makes the file durable and returns `true` when its checksum is the expected one; removes it
    /// otherwise.
    pub(super) fn finish(self) -> io::Result<bool> {
        if self.crc32c == self.expected.crc32c {
            self.file.sync_all()?;
            return Ok(true);
        }
        fs::remove_file(&self.path)?;
        Ok(false)
    }
}

/// Reads a file from the start; returns its length and CRC-32C.
fn sum(file: &mut File) -> io::Result<(u64, u32)> {
    let mut piece = vec![0; 1 << 18];
    let (mut num_bytes, mut crc32c) = (0, 0);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((num_bytes, crc32c)),
            Ok(n) => {
                num_bytes += n as u64;
                crc32c = crc32c::crc32c_append(crc32c, &piece[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(bytes: &[u8]) -> SnapshotFile {
        SnapshotFile {
            name: "a.store".to_owned(),
            num_bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(bytes),
        }
    }

    #[test]
    fn a_file_goes_on_where_it_stopped_and_wrong_bytes_are_thrown_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.store");
        let open = || IncomingFile::open(&path, expected(b"abcdef")).expect("opens");
        drop(open().append(b"abc").expect("fits"));
        assert_eq!(open().num_bytes(), 3);
        let whole = open().append(b"def").expect("fits");
        assert!(whole.is_long_enough());
        assert!(whole.finish().expect("synced"));
        assert!(open().finish().expect("it is there already"));
        fs::write(&path, b"abcdeF").expect("writes");
        assert!(!open().finish().expect("removed"));
        assert!(open().append(b"").is_err(), "the file ended early");
        assert!(open().append(b"abcdefg").is_err(), "the file is longer");
        fs::write(&path, b"abcdefgh").expect("writes");
        assert_eq!(open().num_bytes(), 0, "another file of that name");
    }
}
