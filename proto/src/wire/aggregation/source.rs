//! What several aggregations share: values and the order of buckets.

use gleaner_query::aggregation::{BucketOrder, ValueSource, ValueType};

use super::super::field::{known, maybe, maybe_message, member};
use super::super::{DecodeError, Wire, v1};

impl Wire for ValueSource {
    type Message = v1::ValueSource;

    fn to_message(&self) -> v1::ValueSource {
        let Self {
            field,
            value_type,
            missing,
            format,
        } = self;
        v1::ValueSource {
            field: field.clone(),
            missing: maybe_message(missing.as_ref()),
            format: format.clone(),
            value_type: type_message(*value_type).into(),
        }
    }

    fn from_message(message: v1::ValueSource) -> Result<Self, DecodeError> {
        let v1::ValueSource {
            field,
            missing,
            format,
            value_type,
        } = message;
        Ok(Self {
            field,
            value_type: value_type_of(value_type)?,
            missing: maybe(missing)?,
            format,
        })
    }
}

fn type_message(value_type: Option<ValueType>) -> v1::ValueType {
    match value_type {
        None => v1::ValueType::Unspecified,
        Some(ValueType::Text) => v1::ValueType::Text,
        Some(ValueType::Long) => v1::ValueType::Long,
        Some(ValueType::Double) => v1::ValueType::Double,
        Some(ValueType::Boolean) => v1::ValueType::Boolean,
        Some(ValueType::Date) => v1::ValueType::Date,
        Some(ValueType::Ip) => v1::ValueType::Ip,
    }
}

fn value_type_of(value_type: i32) -> Result<Option<ValueType>, DecodeError> {
    Ok(match member(value_type, "ValueType")? {
        v1::ValueType::Unspecified => None,
        v1::ValueType::Text => Some(ValueType::Text),
        v1::ValueType::Long => Some(ValueType::Long),
        v1::ValueType::Double => Some(ValueType::Double),
        v1::ValueType::Boolean => Some(ValueType::Boolean),
        v1::ValueType::Date => Some(ValueType::Date),
        v1::ValueType::Ip => Some(ValueType::Ip),
    })
}

/// What buckets are ordered by, and whether the largest comes first.
impl Wire for (BucketOrder, bool) {
    type Message = v1::BucketOrder;

    fn to_message(&self) -> v1::BucketOrder {
        use v1::bucket_order::Kind;
        let (order, descending) = self;
        let kind = match order {
            BucketOrder::Count => Kind::Count(v1::Unit {}),
            BucketOrder::Key => Kind::Key(v1::Unit {}),
            BucketOrder::Metric(path) => Kind::Metric(path.clone()),
        };
        v1::BucketOrder {
            kind: Some(kind),
            descending: *descending,
        }
    }

    fn from_message(message: v1::BucketOrder) -> Result<Self, DecodeError> {
        use v1::bucket_order::Kind;
        let v1::BucketOrder { kind, descending } = message;
        let order = match known(kind, "BucketOrder")? {
            Kind::Count(v1::Unit {}) => BucketOrder::Count,
            Kind::Key(v1::Unit {}) => BucketOrder::Key,
            Kind::Metric(path) => BucketOrder::Metric(path),
        };
        Ok((order, descending))
    }
}
