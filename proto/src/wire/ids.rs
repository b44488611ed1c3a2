//! Identities and positions.

use gleaner_model::{
    DocumentId, FieldPath, Generation, HistoryId, IndexUuid, MappingVersion, SeqNo, ShardKey,
    ShardNumber,
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
        let Self {
            mapping,
            visible,
            history,
        } = self;
        v1::Generation {
            mapping: mapping.0,
            visible: visible.0,
            history: history_bytes(*history),
        }
    }

    fn from_message(message: v1::Generation) -> Result<Self, DecodeError> {
        let v1::Generation {
            mapping,
            visible,
            history: named,
        } = message;
        Ok(Self {
            mapping: MappingVersion(mapping),
            visible: SeqNo(visible),
            history: history(&named, "Generation.history")?,
        })
    }
}

/// Reads a number or an identity of 16 bytes.
pub(crate) fn sixteen(bytes: &[u8], name: &'static str) -> Result<[u8; 16], DecodeError> {
    bytes
        .try_into()
        .map_err(|_| DecodeError::field(name, format!("{} bytes, not 16", bytes.len())))
}

/// Reads a history; that of an earlier version, which says nothing, is the first one.
pub(super) fn history(bytes: &[u8], name: &'static str) -> Result<HistoryId, DecodeError> {
    match bytes.is_empty() {
        true => Ok(HistoryId::FIRST),
        false => sixteen(bytes, name).map(HistoryId),
    }
}

/// Returns the bytes of a history.
pub(super) fn history_bytes(history: HistoryId) -> Bytes {
    match history.is_first() {
        true => Bytes::new(),
        false => Bytes::copy_from_slice(&history.0),
    }
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
