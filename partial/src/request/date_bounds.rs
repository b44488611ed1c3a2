//! `extended_bounds` and `hard_bounds` of a `date_histogram`.

use gleaner_query::aggregation::{DateHistogramAggregation, beyond_hard_bounds};
use serde_json::Value;

use super::bounds;
use super::rounding::Rounding;
use crate::error::EvaluationError;
use crate::key::{ValueFormat, ValueKind};

/// Bounds of a `date_histogram` in milliseconds.
pub struct DateBounds {
    /// Starts of the first bucket wanted, and of the first one that is not wanted any more.
    pub hard: Option<(i64, i64)>,
    /// `extended_bounds` as asked; ends of time stand for one that was not given.
    pub extended: Option<(i64, i64)>,
}

impl DateBounds {
    /// Reads the bounds of a request.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for what is no date, for a lower bound above the upper one, and for
    /// `extended_bounds` beyond `hard_bounds`.
    pub fn read(
        request: &DateHistogramAggregation,
        format: &ValueFormat,
        now_ms: i64,
    ) -> Result<Self, EvaluationError> {
        let rounding = Rounding::new(request)?;
        let round = |bound| given(bound).map_or(bound, |bound| rounding.round(bound));
        let hard = pair(request.hard_bounds.as_ref(), format, now_ms)?;
        let hard = hard.map(|(min, max)| (round(min), round(max)));
        let extended = pair(request.extended_bounds.as_ref(), format, now_ms)?;
        if let (Some(hard), Some(extended)) = (hard, extended)
            && (round(extended.0) < hard.0 || round(extended.1) > hard.1)
        {
            let hard = (given(hard.0), given(hard.1));
            let extended = (given(extended.0), given(extended.1));
            return Err(EvaluationError::Query(beyond_hard_bounds(hard, extended)));
        }
        Ok(Self { hard, extended })
    }
}

/// Returns a bound, unless it is an end of time, which stands for one that was not given.
fn given(bound: i64) -> Option<i64> {
    (bound != i64::MIN && bound != i64::MAX).then_some(bound)
}

/// Reads a pair of dates; none where the field is unknown here and they need its format.
fn pair(
    bounds: Option<&(Value, Value)>,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Option<(i64, i64)>, EvaluationError> {
    let Some((min, max)) = bounds else {
        return Ok(None);
    };
    // Ends of time are in milliseconds, whatever the format.
    let read = |value: &Value| match value.as_i64() {
        Some(end) if given(end).is_none() => Ok(end),
        _ => bounds::date(value, format, now_ms),
    };
    match (read(min), read(max)) {
        (Ok(min), Ok(max)) if min <= max || given(min).and(given(max)).is_none() => {
            Ok(Some((min, max)))
        }
        _ if format.kind == ValueKind::Unmapped => Ok(None),
        (Ok(min), Ok(max)) => Err(EvaluationError::Query(format!(
            "bounds: min [{min}] cannot be greater than max [{max}]"
        ))),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
