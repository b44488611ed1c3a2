//! The head of a segment: whose it is, where it begins, and what is known of the records before.

use std::io;

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use twox_hash::XxHash3_64;

use super::{HeaderFault, check_head, put_shard, shard_at, u32_at, u64_at, u128_at};
use crate::base::{LogBase, ProducerSpan};
use crate::files::{File, read_exact_at};

/// Newest version of segments that this program writes and reads.
const VERSION: u32 = 2;
/// Length of what version 1 has: the same in all versions.
const COMMON_BYTES: usize = 52;
/// Length without producers, from version 2 on.
const FIXED_BYTES: usize = 72;
const PRODUCER_BYTES: usize = 40;
const MAGIC: [u8; 8] = *b"GLNRLOG\0";
const FLAG_TERM: u32 = 1;

/// Head of a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) shard: ShardKey,
    pub(crate) first: u64,
    /// What is known of the records before is all in `base`; not so where an earlier program began the segment.
    pub(crate) has_base: bool,
    pub(crate) base: LogBase,
}

/// Why a head could not be read.
#[derive(Debug)]
pub(crate) enum HeaderReadFault {
    Header(HeaderFault),
    Io(io::Error),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let producers = &self.base.producers;
        let mut bytes = vec![0; FIXED_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        put_shard(&mut bytes[12..32], self.shard);
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base.chain.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        if let Some(term) = self.base.term {
            bytes[52..56].copy_from_slice(&FLAG_TERM.to_le_bytes());
            bytes[56..64].copy_from_slice(&term.0.to_le_bytes());
        }
        bytes[64..68].copy_from_slice(&(producers.len() as u32).to_le_bytes());
        for producer in producers {
            bytes.extend_from_slice(&producer.id.to_le_bytes());
            bytes.extend_from_slice(&producer.sequence.to_le_bytes());
            bytes.extend_from_slice(&producer.first.0.to_le_bytes());
            bytes.extend_from_slice(&producer.last.0.to_le_bytes());
        }
        let crc = base_crc(&bytes);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the head of a segment; returns it, and the offset of the first batch.
    pub(crate) fn read(file: &dyn File) -> Result<(Self, u64), HeaderReadFault> {
        let mut bytes = vec![0; COMMON_BYTES];
        read(file, 0, &mut bytes)?;
        let version = check_head(&bytes, MAGIC, VERSION)?;
        if crc32c::crc32c(&bytes[..48]) != u32_at(&bytes, 48) {
            return Err(HeaderFault::Damaged("segment header fails its checksum").into());
        }
        let mut header = Self {
            shard: shard_at(&bytes, 12),
            first: u64_at(&bytes, 32),
            has_base: version > 1 || u64_at(&bytes, 32) == 0,
            base: LogBase {
                chain: u64_at(&bytes, 40),
                ..LogBase::UNKNOWN
            },
        };
        if version == 1 {
            if header.first == 0 {
                header.base.term = LogBase::NOTHING.term;
            }
            return Ok((header, COMMON_BYTES as u64));
        }
        read_rest(file, &mut bytes)?;
        let has_term = u32_at(&bytes, 52) & FLAG_TERM != 0;
        header.base.term = has_term.then(|| PrimaryTerm(u64_at(&bytes, 56)));
        let producers = bytes[FIXED_BYTES..].chunks_exact(PRODUCER_BYTES);
        header.base.producers = producers.map(decode_producer).collect();
        Ok((header, bytes.len() as u64))
    }

    /// Returns what the checksums of this segment's frames start from.
    pub(crate) fn salt(&self) -> u32 {
        let mut bytes = [0; 28];
        put_shard(&mut bytes[..20], self.shard);
        bytes[20..].copy_from_slice(&self.first.to_le_bytes());
        XxHash3_64::oneshot(&bytes) as u32
    }
}

/// Reads what version 2 added, behind the bytes that all versions have, and checks it.
fn read_rest(file: &dyn File, bytes: &mut Vec<u8>) -> Result<(), HeaderReadFault> {
    bytes.resize(FIXED_BYTES, 0);
    read(file, COMMON_BYTES, &mut bytes[COMMON_BYTES..])?;
    let producers = u64::from(u32_at(bytes, 64)) * PRODUCER_BYTES as u64;
    let len = file.len().map_err(HeaderReadFault::Io)?;
    // Before room is made for them: the number may be damaged.
    if len.saturating_sub(FIXED_BYTES as u64) < producers {
        return Err(HeaderFault::Damaged("file ends inside its header").into());
    }
    bytes.resize(FIXED_BYTES + producers as usize, 0);
    read(file, FIXED_BYTES, &mut bytes[FIXED_BYTES..])?;
    if base_crc(bytes) != u32_at(bytes, 68) {
        return Err(HeaderFault::Damaged("segment header fails its checksum").into());
    }
    Ok(())
}

fn read(file: &dyn File, at: usize, bytes: &mut [u8]) -> Result<(), HeaderReadFault> {
    let read = read_exact_at(file, at as u64, bytes);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderFault::Damaged("file ends inside its header").into(),
        _ => HeaderReadFault::Io(error),
    })
}

/// Returns the checksum over all of a header but itself.
fn base_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..68]), &bytes[FIXED_BYTES..])
}

fn decode_producer(bytes: &[u8]) -> ProducerSpan {
    ProducerSpan {
        id: u128_at(bytes, 0),
        sequence: u64_at(bytes, 16),
        first: SeqNo(u64_at(bytes, 24)),
        last: SeqNo(u64_at(bytes, 32)),
    }
}

impl From<HeaderFault> for HeaderReadFault {
    fn from(fault: HeaderFault) -> Self {
        Self::Header(fault)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gleaner_model::{IndexUuid, ShardNumber};

    use super::*;
    use crate::files::{Files, SimulatedFiles, write_all_at};

    fn header() -> SegmentHeader {
        let span = |id: u128| ProducerSpan {
            id,
            sequence: 5,
            first: SeqNo(1),
            last: SeqNo(id as u64),
        };
        SegmentHeader {
            shard: ShardKey {
                index: IndexUuid([1; 16]),
                shard: ShardNumber(2),
            },
            first: 3,
            has_base: true,
            base: LogBase {
                term: Some(PrimaryTerm(7)),
                chain: 4,
                producers: vec![span(1), span(2)],
            },
        }
    }

    fn read_back(bytes: &[u8]) -> Result<(SegmentHeader, u64), HeaderReadFault> {
        let files = SimulatedFiles::new();
        let file = files.create(Path::new("/segment")).unwrap();
        write_all_at(file.as_ref(), 0, bytes).unwrap();
        SegmentHeader::read(file.as_ref())
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let bytes = header().encode();
        let (read, start) = read_back(&bytes).unwrap();
        assert_eq!((read, start), (header(), bytes.len() as u64));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read_back(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(read_back(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_segment_of_a_newer_program_is_named() {
        let mut bytes = header().encode();
        bytes[8] = 9;
        let refused = read_back(&bytes);
        let Err(HeaderReadFault::Header(HeaderFault::TooNew { found, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(found, 9);
    }
}
