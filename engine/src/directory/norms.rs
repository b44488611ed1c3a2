//! Norms of columns that are younger than a segment.
//!
//! A segment's `.fieldnorm` file is a composite: per column one byte per document, then an index of
//! the parts, then tantivy's footer. tantivy refuses to merge or score a segment that lacks the
//! part of a column. Such a part can only hold zeros, "document does not have the field", so it is
//! not written: reading adds it. See `docs/decisions/0005-new-fields.md`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use tantivy::HasLen;
use tantivy::directory::{FileHandle, OwnedBytes};
use tantivy::schema::Field as Column;

/// Bytes of tantivy's footer beside its JSON: its length and a magic number.
const FOOTER_TAIL: usize = 8;

/// Returns `stored` with zero norms for those of `columns` it lacks.
///
/// # Errors
/// When `stored` cannot be read or is not a composite file.
pub(super) fn complete(
    stored: Arc<dyn FileHandle>,
    columns: &[Column],
    max_doc: u32,
) -> io::Result<Arc<dyn FileHandle>> {
    let composite = Composite::read(&*stored)?;
    let is_missing = |column: &&Column| {
        composite
            .parts
            .iter()
            .all(|part| part.column != column.field_id())
    };
    let missing: Vec<u32> = columns
        .iter()
        .filter(is_missing)
        .map(|column| column.field_id())
        .collect();
    if missing.is_empty() {
        return Ok(stored);
    }
    let zeros = OwnedBytes::new(vec![0; max_doc as usize]);
    let mut parts = composite.parts;
    for (i, column) in missing.iter().enumerate() {
        let start = composite.body_len + i * zeros.len();
        parts.push(Part {
            column: *column,
            start,
        });
    }
    let mut tail = encode_index(&parts);
    tail.extend_from_slice(&composite.footer);
    let num_zeroed = missing.len();
    let completed = CompositeFile {
        stored,
        body_len: composite.body_len,
        zeros,
        num_zeroed,
        tail: OwnedBytes::new(tail),
    };
    Ok(Arc::new(completed))
}

/// Where a column's norms start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    column: u32,
    start: usize,
}

/// A composite file, taken apart.
struct Composite {
    parts: Vec<Part>,
    body_len: usize,
    footer: Vec<u8>,
}

impl Composite {
    fn read(file: &dyn FileHandle) -> io::Result<Self> {
        let len = file.len();
        let end_of = |at: usize, size: usize| at.checked_sub(size).ok_or_else(damaged);
        let footer_len = read_u32(file, end_of(len, FOOTER_TAIL)?)? as usize + FOOTER_TAIL;
        let composite_len = end_of(len, footer_len)?;
        let footer = file.read_bytes(composite_len..len)?.as_slice().to_vec();
        let index_end = end_of(composite_len, 4)?;
        let index_len = read_u32(file, index_end)? as usize;
        let body_len = end_of(index_end, index_len)?;
        let index = file.read_bytes(body_len..index_end)?;
        Ok(Self {
            parts: decode_index(index.as_slice())?,
            body_len,
            footer,
        })
    }
}

fn read_u32(file: &dyn FileHandle, at: usize) -> io::Result<u32> {
    let bytes = file.read_bytes(at..at + 4)?;
    let bytes: [u8; 4] = bytes.as_slice().try_into().map_err(|_| damaged())?;
    Ok(u32::from_le_bytes(bytes))
}

/// Index of a composite: number of parts, then per part the distance from the one before, the
/// column, and a number that is 0 here; then the index's length.
fn decode_index(mut bytes: &[u8]) -> io::Result<Vec<Part>> {
    let num_parts = take_varint(&mut bytes)?;
    let mut start = 0;
    let mut parts = Vec::new();
    for _ in 0..num_parts {
        start += take_varint(&mut bytes)? as usize;
        let (column, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        bytes = rest;
        take_varint(&mut bytes)?;
        parts.push(Part {
            column: u32::from_le_bytes(*column),
            start,
        });
    }
    Ok(parts)
}

fn encode_index(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, parts.len() as u64);
    let mut before = 0;
    for part in parts {
        put_varint(&mut bytes, (part.start - before) as u64);
        bytes.extend(part.column.to_le_bytes());
        put_varint(&mut bytes, 0);
        before = part.start;
    }
    let len = bytes.len() as u32;
    bytes.extend(len.to_le_bytes());
    bytes
}

/// Seven bits per byte, lowest first; the last byte has its highest bit set.
fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 & 0x7f);
        value >>= 7;
    }
    bytes.push(value as u8 | 0x80);
}

fn take_varint(bytes: &mut &[u8]) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 != 0 {
            return Ok(value);
        }
    }
    Err(damaged())
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a file of norms is damaged")
}

/// A composite file with parts of zeros between its body and its index.
struct CompositeFile {
    stored: Arc<dyn FileHandle>,
    body_len: usize,
    zeros: OwnedBytes,
    num_zeroed: usize,
    tail: OwnedBytes,
}

impl CompositeFile {
    fn tail_start(&self) -> usize {
        self.body_len + self.num_zeroed * self.zeros.len()
    }
}

impl HasLen for CompositeFile {
    fn len(&self) -> usize {
        self.tail_start() + self.tail.len()
    }
}

impl FileHandle for CompositeFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let Range { start, end } = range;
        let tail_start = self.tail_start();
        if end <= self.body_len {
            return self.stored.read_bytes(start..end);
        }
        if start >= tail_start {
            return Ok(self.tail.slice(start - tail_start..end - tail_start));
        }
        if start >= self.body_len && end <= tail_start && end - start <= self.zeros.len() {
            return Ok(self.zeros.slice(0..end - start));
        }
        let mut bytes = Vec::with_capacity(end - start);
        if start < self.body_len {
            bytes.extend_from_slice(self.stored.read_bytes(start..self.body_len)?.as_slice());
        }
        bytes.resize(end.min(tail_start) - start, 0);
        if end > tail_start {
            bytes.extend_from_slice(self.tail.slice(0..end - tail_start).as_slice());
        }
        Ok(OwnedBytes::new(bytes))
    }
}

impl fmt::Debug for CompositeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeFile")
            .field("num_zeroed", &self.num_zeroed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(parts: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut index = Vec::new();
        for (column, norms) in parts {
            index.push(Part {
                column: *column,
                start: bytes.len(),
            });
            bytes.extend_from_slice(norms);
        }
        bytes.extend(encode_index(&index));
        bytes.extend(b"{}");
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(1337u32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_file_that_lacks_nothing_is_left_alone() {
        let bytes = stored(&[(3, vec![7, 8, 9])]);
        let handle: Arc<dyn FileHandle> = Arc::new(OwnedBytes::new(bytes.clone()));
        let whole = complete(handle, &[Column::from_field_id(3)], 3).expect("it is whole");
        assert_eq!(whole.len(), bytes.len());
    }

    #[test]
    fn damaged_files_are_refused() {
        for len in 0..stored(&[(3, vec![7, 8, 9])]).len() - 10 {
            let bytes = stored(&[(3, vec![7, 8, 9])])[..len].to_vec();
            let handle: Arc<dyn FileHandle> = Arc::new(OwnedBytes::new(bytes));
            assert!(
                complete(handle, &[Column::from_field_id(4)], 3).is_err(),
                "{len}"
            );
        }
    }

    proptest! {
        #[test]
        fn completing_is_writing_zeros(
            norms in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 5), 0..4),
            num_missing in 1_u32..4,
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let mut parts: Vec<(u32, Vec<u8>)> =
                norms.into_iter().enumerate().map(|(i, norms)| (i as u32, norms)).collect();
            let handle: Arc<dyn FileHandle> = Arc::new(OwnedBytes::new(stored(&parts)));
            let first = parts.len() as u32;
            let columns: Vec<Column> =
                (0..first + num_missing).map(Column::from_field_id).collect();
            let completed = complete(handle, &columns, 5).expect("it is a composite file");
            parts.extend((first..first + num_missing).map(|column| (column, vec![0; 5])));
            let expected = stored(&parts);
            prop_assert_eq!(completed.len(), expected.len());
            let (a, b) = (cut.0.index(expected.len() + 1), cut.1.index(expected.len() + 1));
            let range = a.min(b)..a.max(b);
            let read = completed.read_bytes(range.clone()).expect("it is inside");
            prop_assert_eq!(read.as_slice(), &expected[range]);
        }
    }
}
