//! Values of fields and of sort keys.

use std::ops::Bound;

use gleaner_query::address::{ip_text, parse_ip};
use gleaner_query::answer::SortValue;
use gleaner_query::resolved::Scalar;

use super::field::{known, one};
use super::ids::{sixteen, wide};
use super::{DecodeError, Wire, v1};

impl Wire for Scalar {
    type Message = v1::Scalar;

    fn to_message(&self) -> v1::Scalar {
        use v1::scalar::Kind;
        let kind = match self {
            Self::I64(number) => Kind::I64(*number),
            Self::U64(number) => Kind::U64(*number),
            Self::F64(number) => Kind::F64(*number),
            Self::Bool(boolean) => Kind::Boolean(*boolean),
            Self::Date(millis) => Kind::DateMs(*millis),
            Self::Ip(address) => Kind::Ip(wide(*address)),
            Self::Text(text) => Kind::Text(text.clone()),
        };
        v1::Scalar { kind: Some(kind) }
    }

    fn from_message(message: v1::Scalar) -> Result<Self, DecodeError> {
        use v1::scalar::Kind;
        Ok(match known(message.kind, "Scalar")? {
            Kind::I64(number) => Self::I64(number),
            Kind::U64(number) => Self::U64(number),
            Kind::F64(number) => Self::F64(number),
            Kind::Boolean(boolean) => Self::Bool(boolean),
            Kind::DateMs(millis) => Self::Date(millis),
            Kind::Ip(bytes) => Self::Ip(u128::from_be_bytes(sixteen(&bytes, "Scalar.ip")?)),
            Kind::Text(text) => Self::Text(text),
        })
    }
}

impl Wire for SortValue {
    type Message = v1::SortValue;

    fn to_message(&self) -> v1::SortValue {
        use v1::sort_value::Kind;
        let kind = match self {
            Self::I64(number) => Kind::I64(*number),
            Self::U64(number) => Kind::U64(*number),
            Self::F64(number) => Kind::F64(*number),
            Self::Text(text) => Kind::Text(text.clone()),
            Self::Missing => Kind::Missing(v1::Unit {}),
            Self::Ip(address) => Kind::Text(ip_text(*address)),
        };
        v1::SortValue {
            kind: Some(kind),
            is_address: matches!(self, Self::Ip(_)),
        }
    }

    fn from_message(message: v1::SortValue) -> Result<Self, DecodeError> {
        use v1::sort_value::Kind;
        Ok(match known(message.kind, "SortValue")? {
            Kind::I64(number) => Self::I64(number),
            Kind::U64(number) => Self::U64(number),
            // Keys are compared; a value without an order is none that a leaf can send.
            Kind::F64(number) if number.is_nan() => {
                return Err(DecodeError::field("SortValue.f64", "not a number"));
            }
            Kind::F64(number) => Self::F64(number),
            Kind::Text(text) if message.is_address => match parse_ip(&text) {
                Some(address) => Self::Ip(address),
                None => return Err(DecodeError::field("SortValue.text", "not an address")),
            },
            Kind::Text(text) => Self::Text(text),
            Kind::Missing(_) => Self::Missing,
        })
    }
}

/// Returns the message of a bound; an open one has none.
pub(super) fn bound_message(bound: &Bound<Scalar>) -> Option<v1::clause_node::Bound> {
    let (value, is_excluded) = match bound {
        Bound::Included(value) => (value, false),
        Bound::Excluded(value) => (value, true),
        Bound::Unbounded => return None,
    };
    Some(v1::clause_node::Bound {
        value: Some(value.to_message()),
        is_excluded,
    })
}

/// Reads a bound.
pub(super) fn bound(message: Option<v1::clause_node::Bound>) -> Result<Bound<Scalar>, DecodeError> {
    let Some(v1::clause_node::Bound { value, is_excluded }) = message else {
        return Ok(Bound::Unbounded);
    };
    let value = one(value, "Bound.value")?;
    Ok(if is_excluded {
        Bound::Excluded(value)
    } else {
        Bound::Included(value)
    })
}
