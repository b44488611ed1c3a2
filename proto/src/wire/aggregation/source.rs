//! What several aggregations share: values and the order of buckets.

use gleaner_query::aggregation::{BucketOrder, ValueSource};

use super::super::field::{known, maybe, maybe_message};
use super::super::{DecodeError, Wire, v1};

impl Wire for ValueSource {
    type Message = v1::ValueSource;

    fn to_message(&self) -> v1::ValueSource {
        let Self {
            field,
            missing,
            format,
        } = self;
        v1::ValueSource {
            field: field.clone(),
            missing: maybe_message(missing.as_ref()),
            format: format.clone(),
        }
    }

    fn from_message(message: v1::ValueSource) -> Result<Self, DecodeError> {
        let v1::ValueSource {
            field,
            missing,
            format,
        } = message;
        Ok(Self {
            field,
            missing: maybe(missing)?,
            format,
        })
    }
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
