//! `range`: bounds as given → bounds as the index holds values.

use std::ops::Bound;

use gleaner_model::mapping::{Codec, Resolution};
use gleaner_model::{Field, FieldKind, FieldPath, NumberKind};
use gleaner_query::QueryError;
use gleaner_query::address::parse_ip;
use gleaner_query::date::{DateFormatter, DateReader, Instant, TimeZone};
use gleaner_query::dsl::RangeQuery;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Scalar};
use serde_json::Value;

use super::values::{self, Number};
use super::{Resolver, boosted, keyed};

/// Returns the clause for values between bounds.
pub(crate) fn between(field: &FieldPath, lower: Bound<Scalar>, upper: Bound<Scalar>) -> Clause {
    Clause::Range {
        field: field.clone(),
        lower,
        upper,
    }
}

/// Returns clauses for values between the ends of any of `spans`, which belong to them: one clause for
/// all that overlap or touch, as days in a row do.
pub(crate) fn of_spans(field: &FieldPath, mut spans: Vec<(Scalar, Scalar)>) -> Vec<Clause> {
    spans.retain(|(first, last)| first <= last);
    spans.sort_unstable();
    let mut joined: Vec<(Scalar, Scalar)> = Vec::new();
    for (first, last) in spans {
        match joined.last_mut() {
            Some((_, end)) if reaches(end, &first) => {
                if *end < last {
                    *end = last;
                }
            }
            _ => joined.push((first, last)),
        }
    }
    let clause = |(first, last)| between(field, Bound::Included(first), Bound::Included(last));
    joined.into_iter().map(clause).collect()
}

/// Returns whether no value lies between `end` and `next`.
fn reaches(end: &Scalar, next: &Scalar) -> bool {
    match (end, next) {
        (Scalar::Date(end), Scalar::Date(next)) | (Scalar::I64(end), Scalar::I64(next)) => {
            *next <= end.saturating_add(1)
        }
        (Scalar::Ip(end), Scalar::Ip(next)) => *next <= end.saturating_add(1),
        _ => false,
    }
}

impl Resolver<'_> {
    pub(crate) fn range(&mut self, query: &RangeQuery) -> Result<Clause, QueryError> {
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        if query.lower.is_none() && query.upper.is_none() {
            return Ok(boosted(self.exists(&query.field), query.boost));
        }
        if let FieldKind::Encoded { codec, .. } = &field.kind {
            if *codec == Codec::GeoPoint {
                return self.holding(&path, codec, &Value::Null);
            }
            return Ok(boosted(self.spans(&path, codec, query)?, query.boost));
        }
        let lower = self.bound(query, &field, query.lower.as_ref(), true)?;
        let upper = self.bound(query, &field, query.upper.as_ref(), false)?;
        let (Some(lower), Some(upper)) = (lower, upper) else {
            return Ok(Clause::MatchNone);
        };
        let (lower, upper) = match keyed::key_of(&field.kind) {
            Some(key) => keyed::within(key, lower, upper),
            None => (lower, upper),
        };
        let clause = match field.kind {
            FieldKind::Boolean { .. } => of_booleans(&path, &lower, &upper),
            _ => between(&path, lower, upper),
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns one bound; `None` when no value of the field's type can satisfy it.
    fn bound(
        &self,
        query: &RangeQuery,
        field: &Field,
        bound: Option<&(Value, bool)>,
        is_lower: bool,
    ) -> Result<Option<Bound<Scalar>>, QueryError> {
        let Some((value, included)) = bound else {
            return Ok(Some(Bound::Unbounded));
        };
        let included = *included;
        let made = |scalar| {
            if included {
                Bound::Included(scalar)
            } else {
                Bound::Excluded(scalar)
            }
        };
        match &field.kind {
            FieldKind::Text { .. } => {
                let text = values::text_of(value);
                let text = match query.normalize {
                    true => self.normalized_pattern(field, &text),
                    false => text,
                };
                Ok(Some(made(Scalar::Text(text))))
            }
            FieldKind::Keyword { .. } => {
                let text = self.normalized(field, &values::text_of(value));
                Ok(Some(made(Scalar::Text(text))))
            }
            FieldKind::Number { number, .. } => Ok(number_bound(
                *number,
                values::number(value)?,
                Edge { is_lower, included },
            )),
            FieldKind::Date {
                format: own,
                resolution,
                ..
            } => {
                let format = query.format.as_deref();
                let format = format.unwrap_or(&own.0);
                // `gt` and `lte` mean the end of what the text leaves open, `gte` and `lt` its start.
                let round_up = is_lower != included;
                let zone = query.time_zone.as_deref();
                let instant = self.instant(value, format, zone, round_up)?;
                let edge = Edge { is_lower, included };
                Ok(date_bound(instant, *resolution, edge))
            }
            FieldKind::Ip { .. } => {
                let text = values::text_of(value);
                let address = parse_ip(&text).ok_or_else(|| {
                    QueryError::new(
                        ErrorType::QueryShard,
                        format!("failed to create query: '{text}' is not an IP string literal."),
                    )
                })?;
                Ok(address_bound(address, Edge { is_lower, included }))
            }
            FieldKind::Boolean { .. } => match self.exact(&FieldPath::new(""), field, value)? {
                Clause::Exact { value, .. } => Ok(Some(made(value))),
                _ => Ok(None),
            },
            FieldKind::Object { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Encoded { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. } => Ok(None),
        }
    }

    /// Returns the instant a date or date math stands for.
    pub(crate) fn instant(
        &self,
        value: &Value,
        format: &str,
        time_zone: Option<&str>,
        round_up: bool,
    ) -> Result<Instant, QueryError> {
        let formatter = DateFormatter::parse_pattern(format)?;
        let zone = time_zone.map_or(Ok(TimeZone::UTC), TimeZone::parse)?;
        let reader = DateReader {
            formatter: &formatter,
            zone: &zone,
            now_ms: self.now_ms,
        };
        reader.read_instant(value, round_up)
    }
}

/// Which end of a range, and whether the bound itself belongs to it.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    is_lower: bool,
    included: bool,
}

impl Edge {
    /// Returns the lower or the upper end of a range whose ends belong to it.
    pub(super) fn included(is_lower: bool) -> Self {
        Self {
            is_lower,
            included: true,
        }
    }
}

/// Returns the clause for those of `false` and `true` that lie between bounds.
fn of_booleans(field: &FieldPath, lower: &Bound<Scalar>, upper: &Bound<Scalar>) -> Clause {
    let is_within = |value: bool| {
        let is_above = match lower {
            Bound::Included(Scalar::Bool(lower)) => value >= *lower,
            Bound::Excluded(Scalar::Bool(lower)) => value & !*lower,
            _ => true,
        };
        let is_below = match upper {
            Bound::Included(Scalar::Bool(upper)) => value <= *upper,
            Bound::Excluded(Scalar::Bool(upper)) => !value & *upper,
            _ => true,
        };
        is_above && is_below
    };
    match (is_within(false), is_within(true)) {
        (false, false) => Clause::MatchNone,
        (true, true) => Clause::Exists {
            fields: vec![field.clone()],
        },
        // A range scores 1, where the value by itself scores as a term.
        (_, value) => Clause::Constant(Box::new(Clause::Exact {
            field: field.clone(),
            value: Scalar::Bool(value),
        })),
    }
}

/// Returns the bound among the values of a field; `None` when none lies beyond it.
pub(super) fn date_bound(
    instant: Instant,
    resolution: Resolution,
    edge: Edge,
) -> Option<Bound<Scalar>> {
    let scalar = match (resolution.is_nanos(), instant.to_nanos()) {
        (false, _) => Scalar::Date(instant.millis()),
        (true, Ok(nanos)) => Scalar::I64(nanos),
        // All values lie on one side of it.
        (true, Err(_)) => {
            let is_before_all = instant.millis() < 0;
            return (is_before_all == edge.is_lower).then_some(Bound::Unbounded);
        }
    };
    Some(match edge.included {
        true => Bound::Included(scalar),
        false => Bound::Excluded(scalar),
    })
}

/// Returns the bound with its address included; `None` when none lies beyond it.
fn address_bound(address: u128, edge: Edge) -> Option<Bound<Scalar>> {
    let closed = match (edge.included, edge.is_lower) {
        (true, _) => Some(address),
        (false, true) => address.checked_add(1),
        (false, false) => address.checked_sub(1),
    };
    closed.map(|address| Bound::Included(Scalar::Ip(address)))
}

pub(super) fn number_bound(kind: NumberKind, number: Number, edge: Edge) -> Option<Bound<Scalar>> {
    let made = |scalar| {
        if edge.included {
            Bound::Included(scalar)
        } else {
            Bound::Excluded(scalar)
        }
    };
    match kind {
        NumberKind::Double => Some(made(Scalar::F64(number.as_f64()))),
        NumberKind::ScaledFloat { factor } => {
            Some(made(Scalar::F64(scaled(kind, factor, number.as_f64()))))
        }
        // Values are rounded when they are written, so bounds are too: 0.1 is within `lte: 0.1`.
        NumberKind::Float
        | NumberKind::HalfFloat
        | NumberKind::RankFeature { .. }
        | NumberKind::RankFeatures { .. } => {
            let rounded = gleaner_model::mapping::round_to(kind, number.as_f64());
            Some(made(Scalar::F64(rounded)))
        }
        NumberKind::UnsignedLong => integer_bound(number, edge, 0, i128::from(u64::MAX))
            .map(|bound| bound.map(|n| Scalar::U64(n as u64))),
        NumberKind::Long
        | NumberKind::Integer
        | NumberKind::Short
        | NumberKind::Byte
        | NumberKind::TokenCount { .. } => {
            integer_bound(number, edge, i128::from(i64::MIN), i128::from(i64::MAX))
                .map(|bound| bound.map(|n| Scalar::I64(n as i64)))
        }
    }
}

/// From here on a double times a factor is too coarse to tell that it was no whole number.
const COARSE: f64 = (1_u64 << 51) as f64;

/// Returns a bound among the values of a `scaled_float`: the value that is written for the same number, except for a bound
/// between two of them, which stays between them. Unlike the bounds of other fractions it is not rounded
/// (Elasticsearch, `ScaledFloatFieldMapper`).
fn scaled(kind: NumberKind, factor: f64, bound: f64) -> f64 {
    let units = bound * factor;
    match units.fract() == 0.0 || units.abs() >= COARSE {
        true => gleaner_model::mapping::round_to(kind, bound),
        // No value is −0.
        false => bound + 0.0,
    }
}

/// Fits a bound to whole numbers of `min..=max`; `None` when nothing satisfies it.
fn integer_bound(number: Number, edge: Edge, min: i128, max: i128) -> Option<Bound<i128>> {
    let closed_at = |whole: i128| match (edge.included, edge.is_lower) {
        (true, _) => whole,
        (false, true) => whole.saturating_add(1),
        (false, false) => whole.saturating_sub(1),
    };
    let closed = match number {
        Number::Whole(whole) => closed_at(whole),
        Number::Double(whole) => closed_at(whole as i128),
        Number::Above { floor, .. } => match edge.is_lower {
            true => floor.saturating_add(1),
            false => floor,
        },
    };
    match edge.is_lower {
        true if closed > max => None,
        true if closed < min => Some(Bound::Unbounded),
        false if closed < min => None,
        false if closed > max => Some(Bound::Unbounded),
        _ => Some(Bound::Included(closed)),
    }
}
