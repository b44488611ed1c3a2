//! Identities and positions.

use gleaner_model::{
    DocumentId, FieldPath, Generation, IndexUuid, MappingVersion, SeqNo, ShardKey, ShardNumber,
};

use bytes::Bytes;

use super::{DecodeError, Wire, v1};

impl Wire for ShardKey {
    type Message = v1::ShardKey;

    fn to_message(&self) -> v1::ShardKey {
        let Self { index, shard } = self;
        v1::ShardKey {
            index: Bytes::copy_from_slice(&index.0),
            shard: shard.0,
        }
    }

    fn from_message(message: v1::ShardKey) -> Result<Self, DecodeError> {
        let v1::ShardKey { index, shard } = message;
        Ok(Self {
            index: IndexUuid(sixteen(&index, "ShardKey.index")?),
            shard: ShardNumber(shard),
        })
    }
}

impl Wire for Generation {
    type Message = v1::Generation;

    fn to_message(&self) -> v1::Generation {
        let Self { mapping, visible } = self;
        v1::Generation {
            mapping: mapping.0,
            visible: visible.0,
        }
    }

    fn from_message(message: v1::Generation) -> Result<Self, DecodeError> {
        let v1::Generation { mapping, visible } = message;
        Ok(Self {
            mapping: MappingVersion(mapping),
            visible: SeqNo(visible),
        })
    }
}

/// Reads a number or an identity of 16 bytes.
pub(super) fn sixteen(bytes: &[u8], name: &'static str) -> Result<[u8; 16], DecodeError> {
    bytes
        .try_into()
        .map_err(|_| DecodeError::field(name, format!("{} bytes, not 16", bytes.len())))
}

/// Returns the bytes of a 128-bit number, big-endian.
pub(super) fn wide(number: u128) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Returns the text of each id.
pub(super) fn id_texts(ids: &[DocumentId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Reads ids.
pub(super) fn ids(texts: &[String]) -> Result<Vec<DocumentId>, DecodeError> {
    let ids = texts.iter().map(|text| DocumentId::parse(text));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Returns the text of a field's path.
pub(super) fn field_text(field: &FieldPath) -> String {
    field.as_str().to_owned()
}
