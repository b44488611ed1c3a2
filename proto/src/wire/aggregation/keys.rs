//! Buckets of addresses, and of queries with one another.

use bytes::Bytes;
use gleaner_query::aggregation::{
    AddressRange, AdjacencyAggregation, IpPrefixAggregation, IpRangeAggregation,
};

use super::super::field::{all, byte, messages, one};
use super::super::{DecodeError, Wire, v1};
use super::without_queries;

impl Wire for AdjacencyAggregation {
    type Message = v1::AdjacencyAggregation;

    fn to_message(&self) -> v1::AdjacencyAggregation {
        let Self {
            filters,
            separator,
            only_pairs,
        } = self;
        v1::AdjacencyAggregation {
            keys: filters.iter().map(|(key, _)| key.clone()).collect(),
            separator: separator.clone(),
            only_pairs: *only_pairs,
        }
    }

    fn from_message(message: v1::AdjacencyAggregation) -> Result<Self, DecodeError> {
        let v1::AdjacencyAggregation {
            keys,
            separator,
            only_pairs,
        } = message;
        Ok(Self {
            filters: without_queries(keys),
            separator,
            only_pairs,
        })
    }
}

impl Wire for IpRangeAggregation {
    type Message = v1::IpRangeAggregation;

    fn to_message(&self) -> v1::IpRangeAggregation {
        let Self {
            source,
            ranges,
            keyed,
        } = self;
        v1::IpRangeAggregation {
            source: Some(source.to_message()),
            ranges: messages(ranges),
            keyed: *keyed,
        }
    }

    fn from_message(message: v1::IpRangeAggregation) -> Result<Self, DecodeError> {
        let v1::IpRangeAggregation {
            source,
            ranges,
            keyed,
        } = message;
        Ok(Self {
            source: one(source, "IpRange.source")?,
            ranges: all(ranges)?,
            keyed,
        })
    }
}

impl Wire for AddressRange {
    type Message = v1::AddressRange;

    fn to_message(&self) -> v1::AddressRange {
        let Self { key, from, to } = self;
        let bytes = |address: &u128| Bytes::copy_from_slice(&address.to_be_bytes());
        v1::AddressRange {
            key: key.clone(),
            from: from.as_ref().map(bytes),
            to: to.as_ref().map(bytes),
        }
    }

    fn from_message(message: v1::AddressRange) -> Result<Self, DecodeError> {
        let v1::AddressRange { key, from, to } = message;
        Ok(Self {
            key,
            from: from.map(|bytes| address(&bytes)).transpose()?,
            to: to.map(|bytes| address(&bytes)).transpose()?,
        })
    }
}

fn address(bytes: &[u8]) -> Result<u128, DecodeError> {
    let bytes = bytes.try_into().map(u128::from_be_bytes);
    bytes.map_err(|_| DecodeError::field("AddressRange", "not 16 bytes"))
}

impl Wire for IpPrefixAggregation {
    type Message = v1::IpPrefixAggregation;

    fn to_message(&self) -> v1::IpPrefixAggregation {
        let Self {
            field,
            prefix_length,
            is_ipv6,
            append_prefix_length,
            min_doc_count,
            keyed,
        } = self;
        v1::IpPrefixAggregation {
            field: field.clone(),
            prefix_length: (*prefix_length).into(),
            is_ipv6: *is_ipv6,
            append_prefix_length: *append_prefix_length,
            min_doc_count: *min_doc_count,
            keyed: *keyed,
        }
    }

    fn from_message(message: v1::IpPrefixAggregation) -> Result<Self, DecodeError> {
        let v1::IpPrefixAggregation {
            field,
            prefix_length,
            is_ipv6,
            append_prefix_length,
            min_doc_count,
            keyed,
        } = message;
        Ok(Self {
            field,
            prefix_length: byte(prefix_length, "IpPrefix.prefix_length")?,
            is_ipv6,
            append_prefix_length,
            min_doc_count,
            keyed,
        })
    }
}
