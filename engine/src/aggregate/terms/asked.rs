//! What a `terms` request says about keys.

use gleaner_query::aggregation::TermsAggregation;
use serde_json::Value;

use crate::aggregate::key_filter::KeyFilter;
use crate::aggregate::term_keys::missing_key;
use crate::control::Control;
use crate::error::EngineError;
use crate::partial::key::{Key, ValueFormat, ValueKind};

/// The values of a request, read by the type of its field.
pub(in crate::aggregate) struct Asked {
    /// How keys are shown.
    pub(in crate::aggregate) format: ValueFormat,
    /// The key of documents without a value.
    pub(super) missing: Option<Key>,
    /// Which keys are wanted.
    pub(in crate::aggregate) filter: Option<KeyFilter>,
}

impl Asked {
    /// Reads the values of `request`; without a `control` it is only checked, and what it says of keys
    /// is not for use.
    ///
    /// # Errors
    /// When a value is not of the field's type, a pattern is refused, or `control` stops.
    pub(in crate::aggregate) fn read(
        request: &TermsAggregation,
        mut format: ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Self, EngineError> {
        let missing = request.source.missing.as_ref();
        if format.kind == ValueKind::Unmapped && missing.is_some_and(Value::is_string) {
            format.kind = ValueKind::Keyword;
        }
        let missing = missing.map(|value| missing_key(value, &format, now_ms));
        let missing = missing.transpose()?;
        let (include, exclude) = (request.include.as_ref(), request.exclude.as_ref());
        let filter = KeyFilter::new(include, exclude, &format, now_ms, control)?;
        Ok(Self {
            format,
            missing,
            filter,
        })
    }
}
