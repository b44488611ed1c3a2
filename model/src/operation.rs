//! What a shard's log holds: resolved, self-contained operations and their bytes.
//!
//! A record is resolved before it is appended (an update is merged, versions and conflicts are
//! decided), so applying it is deterministic and cannot fail for its content.
//!
//! ```text
//! record, format 1 (all integers little-endian)
//!   u8   0x47 ('G')          magic
//!   u8   1                   format version
//!   u8   kind                0 index, 1 delete, 2 refresh, 3 no-op
//!   u64  primary term
//!   u64  mapping version
//!   i64  timestamp, ms since the epoch
//!   -- index and delete only
//!   u64  version
//!   u16  id length, id bytes
//!   u16  routing length + 1 (0 = none), routing bytes
//!   -- index only
//!   u32  source length, source bytes as received
//! ```

use bytes::Bytes;

use crate::id::{DocumentId, MappingVersion, PrimaryTerm, Version};

const MAGIC: u8 = 0x47;
const FORMAT: u8 = 1;

/// One operation of a shard's log, without its seq_no (the log gives that).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The term of the primary that ordered it.
    pub term: PrimaryTerm,
    /// The mapping in force when it was ordered.
    pub mapping: MappingVersion,
    /// When it was ordered: milliseconds since the epoch on the primary's clock; for people only.
    pub timestamp_ms: i64,
    /// What it does.
    pub kind: OperationKind,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationKind {
    /// Makes `source` the live document of `id`.
    Index {
        /// The document's id.
        id: DocumentId,
        /// The routing value, when one was given.
        routing: Option<String>,
        /// The document's new version.
        version: Version,
        /// The document as received (after an update is merged): a JSON object.
        source: Bytes,
    },
    /// Removes the document of `id`, leaving a tombstone.
    Delete {
        /// The document's id.
        id: DocumentId,
        /// The routing value, when one was given.
        routing: Option<String>,
        /// The tombstone's version.
        version: Version,
    },
    /// All operations before this one become visible to searches.
    Refresh,
    /// Holds a place in the order and does nothing.
    NoOp,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end early or hold an impossible length.
    #[error("log record is cut short at byte {at}")]
    Short {
        /// Where the missing bytes were expected.
        at: usize,
    },
    /// The first byte is not the magic.
    #[error("log record does not start with its magic")]
    Magic,
    /// Written by a newer version of this program.
    #[error("log record has format {found}, this version reads up to 1")]
    Newer {
        /// The format found.
        found: u8,
    },
    /// A field holds a value it cannot have.
    #[error("log record has a bad {0}")]
    Field(&'static str),
}

impl Operation {
    /// Returns the record's bytes in the newest format.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(48 + self.body_len());
        out.extend([MAGIC, FORMAT, self.kind_byte()]);
        out.extend(self.term.0.to_le_bytes());
        out.extend(self.mapping.0.to_le_bytes());
        out.extend(self.timestamp_ms.to_le_bytes());
        match &self.kind {
            OperationKind::Index {
                id,
                routing,
                version,
                source,
            } => {
                encode_identity(&mut out, id, routing.as_deref(), *version);
                out.extend((source.len() as u32).to_le_bytes());
                out.extend_from_slice(source);
            }
            OperationKind::Delete {
                id,
                routing,
                version,
            } => {
                encode_identity(&mut out, id, routing.as_deref(), *version);
            }
            OperationKind::Refresh | OperationKind::NoOp => {}
        }
        out.into()
    }

    /// Reads a record back; `source` shares the memory of `bytes`.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are not a whole record of a known format.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.u8()? != MAGIC {
            return Err(RecordError::Magic);
        }
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(RecordError::Newer { found: format });
        }
        let kind = reader.u8()?;
        let term = PrimaryTerm(reader.u64()?);
        let mapping = MappingVersion(reader.u64()?);
        let timestamp_ms = reader.u64()?.cast_signed();
        let kind = reader.kind(kind)?;
        if reader.at != bytes.len() {
            return Err(RecordError::Field("length"));
        }
        Ok(Self {
            term,
            mapping,
            timestamp_ms,
            kind,
        })
    }

    fn kind_byte(&self) -> u8 {
        match self.kind {
            OperationKind::Index { .. } => 0,
            OperationKind::Delete { .. } => 1,
            OperationKind::Refresh => 2,
            OperationKind::NoOp => 3,
        }
    }

    fn body_len(&self) -> usize {
        match &self.kind {
            OperationKind::Index { id, source, .. } => id.as_str().len() + source.len() + 32,
            OperationKind::Delete { id, .. } => id.as_str().len() + 32,
            OperationKind::Refresh | OperationKind::NoOp => 0,
        }
    }
}

fn encode_identity(out: &mut Vec<u8>, id: &DocumentId, routing: Option<&str>, version: Version) {
    out.extend(version.0.to_le_bytes());
    out.extend((id.as_str().len() as u16).to_le_bytes());
    out.extend_from_slice(id.as_str().as_bytes());
    match routing {
        None => out.extend(0u16.to_le_bytes()),
        Some(routing) => {
            out.extend((routing.len() as u16 + 1).to_le_bytes());
            out.extend_from_slice(routing.as_bytes());
        }
    }
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<Bytes, RecordError> {
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(RecordError::Short { at: self.at })?;
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let taken = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&taken);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, RecordError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self, len: usize, what: &'static str) -> Result<String, RecordError> {
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| RecordError::Field(what))
    }

    fn kind(&mut self, kind: u8) -> Result<OperationKind, RecordError> {
        match kind {
            0 => {
                let (id, routing, version) = self.identity()?;
                let len = u32::from_le_bytes(self.array()?) as usize;
                Ok(OperationKind::Index {
                    id,
                    routing,
                    version,
                    source: self.take(len)?,
                })
            }
            1 => {
                let (id, routing, version) = self.identity()?;
                Ok(OperationKind::Delete {
                    id,
                    routing,
                    version,
                })
            }
            2 => Ok(OperationKind::Refresh),
            3 => Ok(OperationKind::NoOp),
            _ => Err(RecordError::Field("kind")),
        }
    }

    fn identity(&mut self) -> Result<(DocumentId, Option<String>, Version), RecordError> {
        let version = Version(self.u64()?);
        let id_len = self.u16()? as usize;
        let id = self.text(id_len, "id")?;
        let id = DocumentId::parse(&id).map_err(|_| RecordError::Field("id"))?;
        let routing = match self.u16()? {
            0 => None,
            len => Some(self.text(len as usize - 1, "routing")?),
        };
        Ok((id, routing, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_operation() -> Operation {
        Operation {
            term: PrimaryTerm(3),
            mapping: MappingVersion(2),
            timestamp_ms: -5,
            kind: OperationKind::Index {
                id: DocumentId::parse("a-1").expect("a good id"),
                routing: Some(String::new()),
                version: Version(9),
                source: Bytes::from_static(b"{\"a\":1}"),
            },
        }
    }

    #[test]
    fn every_kind_survives_its_bytes() {
        let kinds = [
            index_operation().kind,
            OperationKind::Delete {
                id: DocumentId::parse("x").expect("a good id"),
                routing: None,
                version: Version(1),
            },
            OperationKind::Refresh,
            OperationKind::NoOp,
        ];
        for kind in kinds {
            let operation = Operation {
                kind,
                ..index_operation()
            };
            assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
        }
    }

    #[test]
    fn format_one_is_frozen() {
        let golden = "470100030000000000000002000000000000\
                      00fbffffffffffffff09000000000000000300612d310100070000007b2261223a317d";
        let hex: String = index_operation()
            .encode()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, golden);
    }

    #[test]
    fn cut_or_newer_records_are_refused_by_name() {
        let whole = index_operation().encode();
        for len in 0..whole.len() {
            assert!(
                Operation::decode(&whole.slice(..len)).is_err(),
                "cut at {len}"
            );
        }
        let mut newer = whole.to_vec();
        newer[1] = 2;
        assert_eq!(
            Operation::decode(&newer.into()),
            Err(RecordError::Newer { found: 2 })
        );
    }
}
