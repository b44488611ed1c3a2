//! `meta.json` as it is on disk: tantivy's, behind a checksum and the list of the commit's files.
//!
//! ```text
//! {"gleaner_crc32c":"0a1b2c3d",
//! "gleaner_files":{"format":1,"shard":"<uuid>/<number>","files":{"<name>":{"num_bytes":7,"crc32c":9}}},
//! "index_settings":…, "segments":…, "payload":…}
//! ```
//!
//! The checksum, CRC-32C, covers everything behind the first line. It stays one JSON object, so versions that know
//! neither read it; what they wrote has neither, and its files are checked by tantivy's own checksums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::META;
use super::damage::{Damage, FileFault};
use crate::EngineError;

/// Before the checksum.
const CRC_HEAD: &str = "{\"gleaner_crc32c\":\"";
/// Behind it.
const CRC_TAIL: &str = "\",\n";
/// Before the list.
const FILES_HEAD: &str = "\"gleaner_files\":";
/// Behind it.
const FILES_TAIL: &str = ",\n";
/// What a sealed meta has somewhere, whatever became of its first line.
const MARKS: [&[u8]; 2] = [b"gleaner_crc32c", b"gleaner_files"];

/// Newest format of the list.
const FORMAT: u32 = 1;

/// Length and checksum of a file as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSum {
    /// Length in bytes.
    pub(super) num_bytes: u64,
    /// CRC-32C of all its bytes.
    pub(super) crc32c: u32,
}

/// The files of a commit by name.
pub(super) type FileSums = BTreeMap<String, FileSum>;

#[derive(Serialize, Deserialize)]
struct List<S, F> {
    format: u32,
    shard: S,
    files: F,
}

/// Only the head: read first, so that a newer format is refused by name whatever else changed.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// A meta that was read.
pub(super) struct Unsealed {
    /// tantivy's meta.
    pub(super) meta: Vec<u8>,
    /// The commit's files; `None` where an earlier version wrote it.
    pub(super) files: Option<FileSums>,
}

/// Returns what is written to disk for tantivy's `meta`, whose files are `files`.
pub(super) fn seal(meta: &[u8], shard: &str, files: &FileSums) -> Result<Vec<u8>, EngineError> {
    let rest = meta
        .strip_prefix(b"{")
        .ok_or_else(|| EngineError::internal("a meta is no JSON object"))?;
    let list = List {
        format: FORMAT,
        shard,
        files,
    };
    let list = serde_json::to_string(&list);
    let list = list.map_err(|error| EngineError::internal(error.to_string()))?;
    let covered = [
        FILES_HEAD.as_bytes(),
        list.as_bytes(),
        FILES_TAIL.as_bytes(),
        rest,
    ]
    .concat();
    let crc32c = format!("{:08x}", crc32c::crc32c(&covered));
    let head = [CRC_HEAD, &crc32c, CRC_TAIL].concat();
    Ok([head.as_bytes(), &covered].concat())
}

/// Takes a `meta.json` of `shard` apart and checks it.
///
/// # Errors
/// [`EngineError::Newer`] for a list of a newer format, [`EngineError::Damaged`].
pub(super) fn unseal(bytes: &[u8], shard: &str) -> Result<Unsealed, EngineError> {
    let is_sealed = MARKS.iter().any(|mark| memmem(bytes, mark));
    if !is_sealed {
        return Ok(Unsealed {
            meta: bytes.to_vec(),
            files: None,
        });
    }
    let covered = checked(bytes).map_err(damaged)?;
    let torn = || damaged(FileFault::Content("holds no list of files".to_owned()));
    let (list, meta) = covered
        .strip_prefix(FILES_HEAD.as_bytes())
        .and_then(split_line)
        .ok_or_else(torn)?;
    let head: Head = serde_json::from_slice(list).map_err(|_| torn())?;
    if head.format > FORMAT {
        return Err(EngineError::Newer {
            what: "list of files",
            found: head.format,
            known: FORMAT,
        });
    }
    let list: List<String, FileSums> = serde_json::from_slice(list).map_err(|_| torn())?;
    if list.shard != shard {
        return Err(damaged(FileFault::Stranger(list.shard)));
    }
    Ok(Unsealed {
        meta: [b"{", meta].concat(),
        files: Some(list.files),
    })
}

/// Returns what the checksum covers, if it is right.
fn checked(bytes: &[u8]) -> Result<&[u8], FileFault> {
    let unsealed = || FileFault::Content("does not begin with its checksum".to_owned());
    let rest = bytes.strip_prefix(CRC_HEAD.as_bytes());
    let (digits, rest) = rest
        .and_then(|rest| rest.split_at_checked(8))
        .ok_or_else(unsealed)?;
    let covered = rest
        .strip_prefix(CRC_TAIL.as_bytes())
        .ok_or_else(unsealed)?;
    let found = crc32c::crc32c(covered);
    // As text: another spelling of the same number is damage too.
    if format!("{found:08x}").as_bytes() == digits {
        return Ok(covered);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| unsealed())?;
    let expected = u32::from_str_radix(digits, 16).map_err(|_| unsealed())?;
    Err(FileFault::Checksum { found, expected })
}

/// Returns the list and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let list = bytes[..end].strip_suffix(b",")?;
    Some((list, &bytes[end + 1..]))
}

fn memmem(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn damaged(fault: FileFault) -> EngineError {
    EngineError::Damaged(Damage::one(META, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    const META_BYTES: &[u8] = br#"{
  "segments": [],
  "payload": "x"
}"#;

    fn files() -> FileSums {
        let sum = FileSum {
            num_bytes: 7,
            crc32c: 9,
        };
        FileSums::from([("a.store".to_owned(), sum)])
    }

    fn sealed() -> Vec<u8> {
        seal(META_BYTES, "s/0", &files()).expect("it is an object")
    }

    #[test]
    fn format_one_of_the_list_is_frozen() {
        let golden = "{\"gleaner_crc32c\":\"df41b023\",\n\
            \"gleaner_files\":{\"format\":1,\"shard\":\"s/0\",\"files\":{\"a.store\":{\"num_bytes\":7,\"crc32c\":9}}},\n\
            \n  \"segments\": [],\n  \"payload\": \"x\"\n}";
        assert_eq!(String::from_utf8(sealed()).expect("JSON"), golden);
    }

    #[test]
    fn a_meta_comes_back_as_it_was_and_other_readers_read_it_too() {
        let unsealed = unseal(&sealed(), "s/0").expect("it is whole");
        assert_eq!(unsealed.meta, META_BYTES);
        assert_eq!(unsealed.files, Some(files()));
        let seen: serde_json::Value = serde_json::from_slice(&sealed()).expect("one object");
        assert_eq!(seen["payload"], "x");
        let earlier = unseal(META_BYTES, "s/0").expect("an earlier version's");
        assert_eq!((earlier.meta.as_slice(), earlier.files), (META_BYTES, None));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let whole = sealed();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                let read = unseal(&flipped, "s/0");
                assert!(read.is_err(), "bit {bit} of byte {at} is not noticed");
            }
            let cut = unseal(&whole[..at], "s/0");
            // So little that it looks like an earlier version's is no JSON.
            let is_found = cut.is_err() || super::super::CommitMeta::parse(&whole[..at]).is_err();
            assert!(is_found, "a cut at {at} is not noticed");
        }
    }

    #[test]
    fn a_meta_of_another_shard_or_a_newer_version_is_refused_by_name() {
        let error = unseal(&sealed(), "s/1")
            .err()
            .expect("another's")
            .to_string();
        assert!(
            error.contains("`meta.json` belongs to shard s/0"),
            "{error}"
        );
        let list = "\"gleaner_files\":{\"format\":2,\"of\":[]},\n}";
        let newer = format!(
            "{{\"gleaner_crc32c\":\"{:08x}\",\n{list}",
            crc32c::crc32c(list.as_bytes())
        );
        let error = unseal(newer.as_bytes(), "s/0").err().expect("newer");
        assert!(
            matches!(
                error,
                EngineError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}
