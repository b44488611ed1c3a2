//! Posting lists, and the way back from document numbers to places.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{DocumentId, FieldPath, SeqNo};
use gleaner_query::answer::ViewId;
use gleaner_query::postings::{PostingList, Weights};
use gleaner_query::resolved::{FieldStatistics, TieBreak};
use roaring::RoaringTreemap;

use super::field::{all, maybe, maybe_message, messages, millis, one, size};
use super::ids::field_text;
use super::{DecodeError, Wire, v1};
use crate::postings::{
    ListOf, LocateAnswer, LocateCall, LocateIn, LocateSet, LocatedDocument, PostingsAnswer,
    PostingsCall,
};

/// Writes a set of documents.
fn bitmap(documents: &RoaringTreemap) -> Bytes {
    let mut bytes = Vec::with_capacity(documents.serialized_size());
    let written = documents.serialize_into(&mut bytes);
    written.expect("a vector takes whatever is written");
    Bytes::from(bytes)
}

/// Reads a set of documents; nothing may follow it.
fn documents(bytes: &Bytes, name: &'static str) -> Result<RoaringTreemap, DecodeError> {
    let mut rest: &[u8] = bytes;
    let read = RoaringTreemap::deserialize_from(&mut rest);
    let documents = read.map_err(|error| DecodeError::field(name, error.to_string()))?;
    match rest.len() {
        0 => Ok(documents),
        more => Err(DecodeError::field(name, format!("{more} bytes follow it"))),
    }
}

impl Wire for ListOf {
    type Message = v1::ListOf;

    fn to_message(&self) -> v1::ListOf {
        let Self { shard, after } = self;
        v1::ListOf {
            shard: Some(shard.to_message()),
            after: after.map(|seq_no| seq_no.0),
        }
    }

    fn from_message(message: v1::ListOf) -> Result<Self, DecodeError> {
        let v1::ListOf { shard, after } = message;
        Ok(Self {
            shard: one(shard, "ListOf.shard")?,
            after: after.map(SeqNo),
        })
    }
}

impl Wire for PostingsCall {
    type Message = v1::PostingsCall;

    fn to_message(&self) -> v1::PostingsCall {
        let Self {
            shards,
            field,
            term,
            is_weighted,
            limit,
            remaining,
        } = self;
        v1::PostingsCall {
            shards: messages(shards),
            field: field_text(field),
            term: term.clone(),
            is_weighted: *is_weighted,
            limit: *limit as u64,
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::PostingsCall) -> Result<Self, DecodeError> {
        let v1::PostingsCall {
            shards,
            field,
            term,
            is_weighted,
            limit,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            field: FieldPath::new(field),
            term,
            is_weighted,
            limit: size(limit, "PostingsCall.limit")?,
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for PostingList {
    type Message = v1::PostingList;

    fn to_message(&self) -> v1::PostingList {
        let Self { documents, weights } = self;
        v1::PostingList {
            documents: bitmap(documents),
            weights: maybe_message(weights.as_ref()),
        }
    }

    fn from_message(message: v1::PostingList) -> Result<Self, DecodeError> {
        let v1::PostingList {
            documents: bytes,
            weights,
        } = message;
        let list = Self {
            documents: documents(&bytes, "PostingList.documents")?,
            weights: maybe(weights)?,
        };
        let num_documents = list.documents.len();
        match &list.weights {
            Some(weights) if weights.len() as u64 != num_documents => {
                let reason = format!("{} for {num_documents} documents", weights.len());
                Err(DecodeError::field("PostingList.weights", reason))
            }
            _ => Ok(list),
        }
    }
}

impl Wire for Weights {
    type Message = v1::PostingWeights;

    fn to_message(&self) -> v1::PostingWeights {
        let (frequencies, large, norm_ids) = self.parts();
        v1::PostingWeights {
            frequencies: Bytes::copy_from_slice(frequencies),
            large_positions: large.iter().map(|(position, _)| *position).collect(),
            large_frequencies: large.iter().map(|(_, frequency)| *frequency).collect(),
            norm_ids: Bytes::copy_from_slice(norm_ids),
        }
    }

    fn from_message(message: v1::PostingWeights) -> Result<Self, DecodeError> {
        let v1::PostingWeights {
            frequencies,
            large_positions,
            large_frequencies,
            norm_ids,
        } = message;
        let (positions, numbers) = (large_positions.len(), large_frequencies.len());
        let large = large_positions.into_iter().zip(large_frequencies).collect();
        let made = Self::from_parts(frequencies.to_vec(), large, norm_ids.to_vec());
        made.filter(|_| positions == numbers).ok_or_else(|| {
            let reason = "its parts do not fit each other";
            DecodeError::field("PostingWeights", reason)
        })
    }
}

impl Wire for PostingsAnswer {
    type Message = v1::Postings;

    fn to_message(&self) -> v1::Postings {
        let Self {
            view,
            generation,
            num_documents,
            field,
            list,
            is_last,
            times,
            may_be_stale,
        } = self;
        let FieldStatistics {
            documents,
            total_length,
        } = *field;
        v1::Postings {
            view: view.0,
            generation: Some(generation.to_message()),
            num_documents: *num_documents,
            field_documents: documents,
            field_length: total_length,
            list: Some(list.to_message()),
            is_last: *is_last,
            times: maybe_message(times.as_ref()),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::Postings) -> Result<Self, DecodeError> {
        let v1::Postings {
            view,
            generation,
            num_documents,
            field_documents,
            field_length,
            list,
            is_last,
            times,
            may_be_stale,
        } = message;
        Ok(Self {
            view: ViewId(view),
            generation: one(generation, "Postings.generation")?,
            num_documents,
            field: FieldStatistics {
                documents: field_documents,
                total_length: field_length,
            },
            list: one(list, "Postings.list")?,
            is_last,
            times: maybe(times)?,
            may_be_stale,
        })
    }
}

impl Wire for LocateSet {
    type Message = v1::LocateSet;

    fn to_message(&self) -> v1::LocateSet {
        let Self { documents, top } = self;
        v1::LocateSet {
            documents: bitmap(documents),
            top: *top as u64,
        }
    }

    fn from_message(message: v1::LocateSet) -> Result<Self, DecodeError> {
        let v1::LocateSet {
            documents: bytes,
            top,
        } = message;
        Ok(Self {
            documents: documents(&bytes, "LocateSet.documents")?,
            top: size(top, "LocateSet.top")?,
        })
    }
}

impl Wire for LocateIn {
    type Message = v1::LocateIn;

    fn to_message(&self) -> v1::LocateIn {
        let Self { shard, sets } = self;
        v1::LocateIn {
            shard: Some(shard.to_message()),
            sets: messages(sets),
        }
    }

    fn from_message(message: v1::LocateIn) -> Result<Self, DecodeError> {
        let v1::LocateIn { shard, sets } = message;
        Ok(Self {
            shard: one(shard, "LocateIn.shard")?,
            sets: all(sets)?,
        })
    }
}

impl Wire for LocateCall {
    type Message = v1::LocateCall;

    fn to_message(&self) -> v1::LocateCall {
        let Self { shards, remaining } = self;
        v1::LocateCall {
            shards: messages(shards),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::LocateCall) -> Result<Self, DecodeError> {
        let v1::LocateCall {
            shards,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for LocatedDocument {
    type Message = v1::LocatedDocument;

    fn to_message(&self) -> v1::LocatedDocument {
        let Self { seq_no, place, tie } = self;
        let TieBreak { hash, id } = tie;
        v1::LocatedDocument {
            seq_no: seq_no.0,
            place: *place,
            tie_hash: *hash,
            tie_id: id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn from_message(message: v1::LocatedDocument) -> Result<Self, DecodeError> {
        let v1::LocatedDocument {
            seq_no,
            place,
            tie_hash,
            tie_id,
        } = message;
        let id = tie_id.map(|id| DocumentId::parse(&id)).transpose()?;
        Ok(Self {
            seq_no: SeqNo(seq_no),
            place,
            tie: TieBreak { hash: tie_hash, id },
        })
    }
}

impl Wire for LocateAnswer {
    type Message = v1::ShardPlaces;

    fn to_message(&self) -> v1::ShardPlaces {
        let Self {
            view,
            generation,
            num_documents,
            sets,
            times,
            may_be_stale,
        } = self;
        let set = |documents: &Vec<LocatedDocument>| v1::LocatedSet {
            documents: messages(documents),
        };
        v1::ShardPlaces {
            view: view.0,
            generation: Some(generation.to_message()),
            num_documents: *num_documents,
            sets: sets.iter().map(set).collect(),
            times: maybe_message(times.as_ref()),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::ShardPlaces) -> Result<Self, DecodeError> {
        let v1::ShardPlaces {
            view,
            generation,
            num_documents,
            sets,
            times,
            may_be_stale,
        } = message;
        let sets = sets.into_iter().map(|set| all(set.documents));
        Ok(Self {
            view: ViewId(view),
            generation: one(generation, "ShardPlaces.generation")?,
            num_documents,
            sets: sets.collect::<Result<_, _>>()?,
            times: maybe(times)?,
            may_be_stale,
        })
    }
}
