//! Reading of a segment file frame by frame, checking every byte, in bounded memory.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::SeqNo;

use crate::batch::RecordBatch;
use crate::files::{File, read_exact_at};
use crate::format::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, RECORD_HEADER_BYTES, RecordHeader, record_crc,
};
use crate::segment::Entry;
use crate::shard_log::Record;

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum ReadFault {
    /// The bytes are not what was written.
    Damaged { offset: u64, reason: &'static str },
    /// The system refused to read.
    Io(io::Error),
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The bytes of a file below `end`, read in pieces.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn File>,
    end: u64,
    /// Bytes to read at once, when less is asked for.
    piece_bytes: usize,
    start: u64,
    buf: Vec<u8>,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn File>, end: u64, piece_bytes: usize) -> Self {
        Self {
            file,
            end,
            piece_bytes,
            start: 0,
            buf: Vec::new(),
        }
    }

    /// Returns `len` bytes at `offset`; `None` when they reach beyond the end.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>, ReadFault> {
        let Some(left) = self.end.checked_sub(offset) else {
            return Ok(None);
        };
        if left < len as u64 {
            return Ok(None);
        }
        let is_held =
            offset >= self.start && offset + len as u64 <= self.start + self.buf.len() as u64;
        if !is_held {
            self.fill(offset, len.max(self.piece_bytes).min(left as usize))?;
        }
        let at = (offset - self.start) as usize;
        Ok(Some(&self.buf[at..at + len]))
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<(), ReadFault> {
        self.buf.clear();
        self.buf.resize(len, 0);
        self.start = offset;
        let read = read_exact_at(self.file.as_ref(), offset, &mut self.buf);
        if read.is_err() {
            self.buf.clear();
        }
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadFault::Damaged {
                offset,
                reason: "file is shorter than what was written to it",
            },
            _ => ReadFault::Io(error),
        })
    }
}

/// Walks over batches and records from a known position.
#[derive(Debug)]
pub(crate) struct Walker {
    window: Window,
    salt: u32,
    offset: u64,
    /// Records that follow before the next batch header.
    left: u32,
}

impl Walker {
    pub(crate) fn new(window: Window, salt: u32, from: Entry) -> Self {
        Self {
            window,
            salt,
            offset: from.offset,
            left: from.left,
        }
    }

    /// Byte offset of the next frame.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Records left in the current batch.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// Enters the next batch; `None` at the end. To be called between batches only.
    pub(crate) fn enter_batch(&mut self) -> Result<Option<BatchHeader>, ReadFault> {
        debug_assert_eq!(self.left, 0, "inside a batch");
        let offset = self.offset;
        if offset == self.window.end {
            return Ok(None);
        }
        let damaged = |reason| ReadFault::Damaged { offset, reason };
        let bytes = self
            .window
            .get(offset, BATCH_HEADER_BYTES)?
            .ok_or_else(|| damaged("file ends inside a batch header"))?;
        let header = BatchHeader::decode(bytes, self.salt).map_err(damaged)?;
        let body_end = offset
            .checked_add(BATCH_HEADER_BYTES as u64)
            .and_then(|start| start.checked_add(header.body_bytes));
        if body_end.is_none_or(|end| end > self.window.end) {
            return Err(damaged("file ends inside a batch"));
        }
        self.left = header.num_records;
        self.offset += BATCH_HEADER_BYTES as u64;
        Ok(Some(header))
    }

    /// Reads the next record, entering a batch where one begins; `None` at the end.
    pub(crate) fn next_record(&mut self) -> Result<Option<(RecordHeader, &[u8])>, ReadFault> {
        while self.left == 0 {
            if self.enter_batch()?.is_none() {
                return Ok(None);
            }
        }
        let offset = self.offset;
        let damaged = |reason| ReadFault::Damaged { offset, reason };
        let beyond = || damaged("record reaches beyond the end of the file");
        let head = self.window.get(offset, RECORD_HEADER_BYTES)?;
        let header = RecordHeader::decode(head.ok_or_else(beyond)?);
        let len = RECORD_HEADER_BYTES + header.payload_bytes as usize;
        let bytes = self.window.get(offset, len)?.ok_or_else(beyond)?;
        if record_crc(bytes, self.salt) != header.crc {
            return Err(damaged("record fails its checksum"));
        }
        self.offset += len as u64;
        self.left -= 1;
        Ok(Some((header, &bytes[RECORD_HEADER_BYTES..])))
    }

    /// Reads all records of the batch that was just entered.
    pub(crate) fn read_batch(&mut self, header: &BatchHeader) -> Result<RecordBatch, ReadFault> {
        let offset = self.offset;
        let mut payloads = Vec::new();
        let mut expected = header.first;
        while self.left > 0 {
            let Some((record, payload)) = self.next_record()? else {
                break;
            };
            if record.seq_no.0 != expected {
                return Err(ReadFault::Damaged {
                    offset,
                    reason: "records are out of order",
                });
            }
            payloads.push(Bytes::copy_from_slice(payload));
            expected += 1;
        }
        Ok(RecordBatch {
            first: SeqNo(header.first),
            term: header.term,
            producer: header.producer,
            payloads,
        })
    }

    /// Goes on behind the batch that was just entered.
    pub(crate) fn skip_batch(&mut self, header: &BatchHeader) {
        self.offset += header.body_bytes;
        self.left = 0;
    }

    /// Reads records until the one at `at`; `None` when the end comes first.
    pub(crate) fn find(&mut self, at: SeqNo) -> Result<Option<Record>, ReadFault> {
        loop {
            let offset = self.offset;
            let Some((header, payload)) = self.next_record()? else {
                return Ok(None);
            };
            if header.seq_no > at {
                return Err(ReadFault::Damaged {
                    offset,
                    reason: "records are out of order",
                });
            }
            if header.seq_no == at {
                return Ok(Some(record(header, payload)));
            }
        }
    }
}

/// Copies a record out of the window.
pub(crate) fn record(header: RecordHeader, payload: &[u8]) -> Record {
    Record {
        seq_no: header.seq_no,
        term: header.term,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// Looks for batch headers at or after `from` that no tear can have made, and returns the most
/// that any of them says was acknowledged. `None` when there is no such header.
pub(crate) fn find_acknowledged(
    window: &mut Window,
    from: u64,
    salt: u32,
) -> Result<Option<u64>, ReadFault> {
    const STRIDE: usize = 64 * 1024;
    let mut found = None;
    let mut at = from;
    while at < window.end {
        let len = (window.end - at).min((STRIDE + BATCH_HEADER_BYTES) as u64) as usize;
        let Some(bytes) = window.get(at, len)? else {
            break;
        };
        for candidate in bytes.windows(BATCH_HEADER_BYTES).take(STRIDE) {
            if candidate[..4] != BATCH_MAGIC {
                continue;
            }
            if let Ok(header) = BatchHeader::decode(candidate, salt) {
                found = found.max(Some(header.acknowledged));
            }
        }
        at += STRIDE as u64;
    }
    Ok(found)
}
