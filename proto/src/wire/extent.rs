//! Why a shard has nothing for a query.

use std::time::Duration;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Extent, Scalar, Span, Unmatched};

use super::field::{all, maybe, messages, micros, one};
use super::ids::field_text;
use super::{DecodeError, Wire, v1};

impl Wire for Unmatched {
    type Message = v1::Unmatched;

    fn to_message(&self) -> v1::Unmatched {
        let Self { extent, lease } = self;
        v1::Unmatched {
            extent: Some(extent.to_message()),
            lease_us: micros(*lease),
        }
    }

    fn from_message(message: v1::Unmatched) -> Result<Self, DecodeError> {
        let v1::Unmatched { extent, lease_us } = message;
        Ok(Self {
            extent: one(extent, "Unmatched.extent")?,
            lease: Duration::from_micros(lease_us),
        })
    }
}

impl Wire for Extent {
    type Message = v1::Extent;

    fn to_message(&self) -> v1::Extent {
        let absent = self.absent().map(|(field, values)| v1::AbsentValues {
            field: field_text(field),
            values: messages(values),
        });
        v1::Extent {
            is_empty: self.is_empty,
            absent: absent.collect(),
            spans: self.spans().map(span_message).collect(),
        }
    }

    fn from_message(message: v1::Extent) -> Result<Self, DecodeError> {
        let v1::Extent {
            is_empty,
            absent,
            spans,
        } = message;
        let mut extent = Self::of(is_empty);
        for v1::AbsentValues { field, values } in absent {
            let field = FieldPath::new(field);
            for value in all::<Scalar>(values)? {
                extent.note_absent(&field, value);
            }
        }
        for v1::ValueSpan {
            field,
            least,
            greatest,
        } in spans
        {
            let span = match (maybe(least)?, maybe(greatest)?) {
                (Some(least), Some(greatest)) => Span::Within(least, greatest),
                (None, None) => Span::Nowhere,
                // One end alone says nothing that could be relied on.
                _ => return Err(DecodeError::Missing("ValueSpan")),
            };
            extent.note_span(FieldPath::new(field), span);
        }
        Ok(extent)
    }
}

fn span_message((field, span): (&FieldPath, &Span)) -> v1::ValueSpan {
    let (least, greatest) = match span {
        Span::Nowhere => (None, None),
        Span::Within(least, greatest) => (Some(least.to_message()), Some(greatest.to_message())),
    };
    v1::ValueSpan {
        field: field_text(field),
        least,
        greatest,
    }
}
