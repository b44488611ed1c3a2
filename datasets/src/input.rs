//! Files and pipes as plain bytes, whatever they are compressed with.

mod mark;
mod members;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use self::{mark::Unmarked, members::Members};
use crate::{DatasetError, Progress, Size};

/// The first two bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// The first four bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The last three bytes of the number that a frame to be skipped begins with (RFC 8878, section 3.1.2);
/// the first is 0x50 to 0x5f. Parallel packers begin a file with one.
const ZSTD_SKIPPED_MAGIC: &[u8] = &[0x2a, 0x4d, 0x18];

/// Compressed bytes read at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// An opened input: decompressed bytes, a name for messages, its size and progress.
pub struct Input {
    pub(crate) name: Arc<str>,
    pub(crate) reader: Box<dyn BufRead + Send>,
    pub(crate) size: Size,
    pub(crate) progress: Progress,
}

impl Input {
    /// Opens a file. Compression is told by its first bytes: names lie, and pipes have none.
    ///
    /// # Errors
    /// [`DatasetError::Open`] when it cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Open {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let size = if metadata.is_file() {
            Size::Bytes(metadata.len())
        } else {
            Size::Unknown
        };
        Self::from_reader(&path.to_string_lossy(), size, file).map_err(failed)
    }

    /// Takes any stream, for example standard input under the name `stdin`.
    ///
    /// # Errors
    /// What the stream says when its first bytes are read.
    pub fn from_reader(
        name: &str,
        size: Size,
        reader: impl Read + Send + 'static,
    ) -> io::Result<Self> {
        let progress = Progress::default();
        let counted = CountedReader {
            reader,
            progress: progress.clone(),
        };
        let reader = decompressed(BufReader::with_capacity(BUFFER_BYTES, counted))?;
        Ok(Self {
            name: name.into(),
            reader,
            size,
            progress,
        })
    }

    /// Returns how many compressed bytes there are.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Returns a handle that tells how many compressed bytes were read.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// Counts the bytes that pass, compressed as they are.
struct CountedReader<R> {
    reader: R,
    progress: Progress,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let num_bytes = self.reader.read(buffer)?;
        self.progress.add(num_bytes as u64);
        Ok(num_bytes)
    }
}

fn decompressed(
    mut reader: BufReader<impl Read + Send + 'static>,
) -> io::Result<Box<dyn BufRead + Send>> {
    let head = first_bytes(&mut reader)?;
    let start = io::Cursor::new(head.clone()).chain(reader);
    Ok(if head.starts_with(GZIP_MAGIC) {
        let members = BufReader::with_capacity(BUFFER_BYTES, Members::new(start));
        Box::new(Unmarked::new(members))
    } else if is_zstd(&head) {
        let decoder = zstd::stream::read::Decoder::with_buffer(start)?;
        Box::new(Unmarked::new(BufReader::with_capacity(
            BUFFER_BYTES,
            decoder,
        )))
    } else {
        Box::new(Unmarked::new(start))
    })
}

/// Does a stream that begins so consist of zstd frames?
fn is_zstd(head: &[u8]) -> bool {
    match head {
        ZSTD_MAGIC => true,
        [first, rest @ ..] => (0x50..=0x5f).contains(first) && rest == ZSTD_SKIPPED_MAGIC,
        [] => false,
    }
}

/// Takes up to four bytes off the stream; one `fill_buf` may bring fewer from a pipe.
fn first_bytes(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
    reader
        .by_ref()
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn read_back(bytes: Vec<u8>) -> String {
        let input = Input::from_reader("x", Size::Unknown, io::Cursor::new(bytes));
        io::read_to_string(input.expect("it opens").reader).expect("it reads")
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("to memory");
        encoder.finish().expect("to memory")
    }

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        assert_eq!(read_back(b"plain".to_vec()), "plain");
        assert_eq!(read_back(gzip("packed")), "packed");
        assert_eq!(
            read_back(zstd::encode_all(&b"dense"[..], 1).expect("to memory")),
            "dense"
        );
        assert_eq!(read_back(Vec::new()), "");
    }

    #[test]
    fn gzip_members_that_follow_one_another_are_all_read() {
        assert_eq!(read_back([gzip("one "), gzip("two")].concat()), "one two");
    }

    #[test]
    fn zeros_behind_gzip_are_padding_and_anything_else_is_an_error() {
        let padded = [gzip("one "), vec![0; 300_000], gzip("two"), vec![0; 7]].concat();
        assert_eq!(read_back(padded), "one two");
        let followed = [gzip("one"), b"\0rubbish behind the members".to_vec()].concat();
        let input = Input::from_reader("x", Size::Unknown, io::Cursor::new(followed));
        assert!(io::read_to_string(input.expect("opens").reader).is_err());
    }

    #[test]
    fn zstd_may_begin_with_a_frame_to_be_skipped() {
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("to memory");
        let packed = [
            skipped.to_vec(),
            frame("one "),
            skipped.to_vec(),
            frame("two"),
        ];
        assert_eq!(read_back(packed.concat()), "one two");
        assert_eq!(read_back(b"P*M is text".to_vec()), "P*M is text");
    }

    #[test]
    fn a_byte_order_mark_is_no_text_packed_or_not() {
        let text = "\u{feff}{}";
        let dense = zstd::encode_all(text.as_bytes(), 1).expect("to memory");
        for bytes in [text.as_bytes().to_vec(), gzip(text), dense] {
            assert_eq!(read_back(bytes), "{}");
        }
    }

    #[test]
    fn a_damaged_stream_is_an_error_and_not_an_end() {
        let mut bytes = gzip(&"some text ".repeat(1000));
        bytes.truncate(bytes.len() / 2);
        let input = Input::from_reader("x", Size::Unknown, io::Cursor::new(bytes)).expect("opens");
        assert!(io::read_to_string(input.reader).is_err());
    }
}
