//! Bytes of a segment file: headers and frames, encoded and checked. No files here.
//!
//! ```text
//! <dir>/<index uuid, 32 hex digits>/<shard>/
//!     state                       fence, first seq_no and durable floor (see `state_file`)
//!     00000000000000000000.log    segment, named by its first seq_no, 20 digits
//!     00000000000000065536.log    the next one; only the last is written to
//!     *.new                       being created, no use after a crash
//!
//! segment, integers little-endian:
//!     0   8  magic "GLNRLOG\0"
//!     8   4  format version, 2
//!    12   4  shard number
//!    16  16  index uuid
//!    32   8  first seq_no
//!    40   8  chain hash over all records before the first
//!    48   4  crc32c of bytes 0..48
//!            in version 1 batches begin here, at 52
//!    52   4  flags: 1 = the term before is known
//!    56   8  primary term of the record before the first, or 0
//!    64   4  number of producers
//!    68   4  crc32c of bytes 0..68 and of all producers
//!    72   …  producers, by ascending position, then batches, one after the other
//!
//! producer, whose last append before the first record is remembered:
//!     0  16  producer id
//!    16   8  producer sequence
//!    24   8  seq_no of the first record of that append
//!    32   8  seq_no of the last one
//!
//! batch, the unit that is there whole or not at all:
//!     0   4  magic "GLB1"
//!     4   4  number of records, ≥ 1
//!     8   8  seq_no of the first record
//!    16   8  primary term
//!    24   8  bytes of all records
//!    32   8  records acknowledged when this was written: all below this seq_no were durable
//!    40   8  chain hash over all records before the first
//!    48   4  flags: 1 = has a producer
//!    52  16  producer id, or 0
//!    68   8  producer sequence, or 0
//!    76   4  crc32c of bytes 0..76, salted
//!    80   …  records
//!
//! record:
//!     0   4  payload bytes
//!     4   4  crc32c of bytes 0..4 and 8.., salted
//!     8   8  seq_no
//!    16   8  primary term
//!    24   …  payload
//! ```
//!
//! The salt is the segment's own (hash of index, shard and first seq_no), so a frame that strayed
//! in from another file, or a document that contains one, is never taken for a frame of this one.

use bytes::Bytes;
use gleaner_model::{IndexUuid, PrimaryTerm, SeqNo, ShardKey, ShardNumber};

use crate::shard_log::ProducerSequence;
pub(crate) use header::{HeaderReadFault, SegmentHeader};

mod header;

/// Length of a batch's header.
pub(crate) const BATCH_HEADER_BYTES: usize = 80;
/// Length of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;
/// First bytes of every batch.
pub(crate) const BATCH_MAGIC: [u8; 4] = *b"GLB1";

const FLAG_PRODUCER: u32 = 1;

/// Why a file's header was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Written by a newer program.
    TooNew {
        /// The version it carries.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// Not what was written.
    Damaged(&'static str),
}

/// Head of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) num_records: u32,
    pub(crate) first: u64,
    pub(crate) term: PrimaryTerm,
    pub(crate) body_bytes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) chain: u64,
    pub(crate) producer: Option<ProducerSequence>,
}

impl BatchHeader {
    /// Returns the position after its last record.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.num_records)
    }

    pub(crate) fn encode(&self, salt: u32) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[..4].copy_from_slice(&BATCH_MAGIC);
        bytes[4..8].copy_from_slice(&self.num_records.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.term.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.acknowledged.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.chain.to_le_bytes());
        if let Some(producer) = self.producer {
            bytes[48..52].copy_from_slice(&FLAG_PRODUCER.to_le_bytes());
            bytes[52..68].copy_from_slice(&producer.id.to_le_bytes());
            bytes[68..76].copy_from_slice(&producer.sequence.to_le_bytes());
        }
        let crc = crc32c::crc32c_append(salt, &bytes[..76]);
        bytes[76..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Result<Self, &'static str> {
        if bytes[..4] != BATCH_MAGIC {
            return Err("no batch begins here");
        }
        if crc32c::crc32c_append(salt, &bytes[..76]) != u32_at(bytes, 76) {
            return Err("batch header fails its checksum");
        }
        let has_producer = u32_at(bytes, 48) & FLAG_PRODUCER != 0;
        Ok(Self {
            num_records: u32_at(bytes, 4),
            first: u64_at(bytes, 8),
            term: PrimaryTerm(u64_at(bytes, 16)),
            body_bytes: u64_at(bytes, 24),
            acknowledged: u64_at(bytes, 32),
            chain: u64_at(bytes, 40),
            producer: has_producer.then(|| ProducerSequence {
                id: u128_at(bytes, 52),
                sequence: u64_at(bytes, 68),
            }),
        })
    }
}

/// Head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) crc: u32,
    pub(crate) seq_no: SeqNo,
    pub(crate) term: PrimaryTerm,
}

impl RecordHeader {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            payload_bytes: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            seq_no: SeqNo(u64_at(bytes, 8)),
            term: PrimaryTerm(u64_at(bytes, 16)),
        }
    }
}

/// Returns the checksum that a whole record (head and payload) must carry.
pub(crate) fn record_crc(record: &[u8], salt: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &record[..4]), &record[8..])
}

/// Appends the batch's bytes to `out`; calls `at_record(index, offset in out)` before each record.
pub(crate) fn encode_batch(
    out: &mut Vec<u8>,
    header: &BatchHeader,
    payloads: &[Bytes],
    salt: u32,
    mut at_record: impl FnMut(u32, usize),
) {
    out.extend_from_slice(&header.encode(salt));
    for (index, payload) in (0..header.num_records).zip(payloads) {
        let start = out.len();
        at_record(index, start);
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(header.first + u64::from(index)).to_le_bytes());
        out.extend_from_slice(&header.term.0.to_le_bytes());
        out.extend_from_slice(payload);
        let crc = record_crc(&out[start..], salt);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Checks magic and version, which stand at the same place in all files of the log; returns the version.
pub(crate) fn check_head(bytes: &[u8], magic: [u8; 8], supported: u32) -> Result<u32, HeaderFault> {
    if bytes[..8] != magic {
        return Err(HeaderFault::Damaged(
            "file does not begin with the magic of a log file",
        ));
    }
    match u32_at(bytes, 8) {
        0 => Err(HeaderFault::Damaged("format version is 0")),
        found if found > supported => Err(HeaderFault::TooNew { found, supported }),
        version => Ok(version),
    }
}

/// Writes shard number and index uuid, 20 bytes.
pub(crate) fn put_shard(bytes: &mut [u8], shard: ShardKey) {
    bytes[..4].copy_from_slice(&shard.shard.0.to_le_bytes());
    bytes[4..20].copy_from_slice(&shard.index.0);
}

/// Reads what [`put_shard`] wrote.
pub(crate) fn shard_at(bytes: &[u8], at: usize) -> ShardKey {
    ShardKey {
        shard: ShardNumber(u32_at(bytes, at)),
        index: IndexUuid(array_at(bytes, at + 4)),
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_another_segment_is_refused() {
        let header = BatchHeader {
            num_records: 1,
            first: 7,
            term: PrimaryTerm(1),
            body_bytes: 24,
            acknowledged: 7,
            chain: 5,
            producer: Some(ProducerSequence { id: 3, sequence: 4 }),
        };
        let bytes = header.encode(11);
        assert_eq!(BatchHeader::decode(&bytes, 11), Ok(header));
        assert!(BatchHeader::decode(&bytes, 12).is_err());
    }
}
