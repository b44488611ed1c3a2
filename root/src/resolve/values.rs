//! JSON values → values as the index holds them.

use std::ops::Bound;

use gleaner_model::{Field, FieldKind, FieldPath, NumberKind};
use gleaner_query::QueryError;
use gleaner_query::address::parse_ip;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Scalar};
use serde_json::Value;

use super::range::{self, Edge};
use super::{Resolver, keyed};

/// Returns the text a value stands for: strings as they are, others as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn not_a_value(value: &Value) -> QueryError {
    QueryError::new(
        ErrorType::QueryShard,
        format!(
            "failed to create query: For input string: \"{}\"",
            text_of(value)
        ),
    )
}

/// Reads a number; decimals keep what a double would round.
pub(crate) fn number(value: &Value) -> Result<Number, QueryError> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(not_a_value(value));
        }
    };
    if let Ok(whole) = text.parse::<i128>() {
        return Ok(Number::Whole(whole));
    }
    let nearest = text.parse::<f64>().ok();
    let nearest = nearest.filter(|nearest| nearest.is_finite());
    let nearest = nearest.ok_or_else(|| not_a_value(value))?;
    Ok(match floor_of(&text) {
        // A zero keeps its sign.
        None | Some((0, false)) => Number::Double(nearest),
        Some((whole, false)) => Number::Whole(whole),
        Some((floor, true)) => Number::Above { floor, nearest },
    })
}

/// Returns the whole number at or below a decimal, and whether it is below; `None` where 128 bits do not hold it.
fn floor_of(text: &str) -> Option<(i128, bool)> {
    let (decimal, exponent) = match text.split_once(['e', 'E']) {
        Some((decimal, exponent)) => (decimal, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let unsigned = decimal.trim_start_matches(['+', '-']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = [whole, fraction].concat();
    if digits.bytes().all(|digit| digit == b'0') {
        return Some((0, false));
    }
    let point = whole.len() as i64 + i64::from(exponent);
    let point = usize::try_from(point.max(0)).ok()?;
    let (before, rest) = digits.split_at_checked(point.min(digits.len()))?;
    let zeros = point - before.len();
    // More digits than 128 bits hold.
    if zeros > 38 {
        return None;
    }
    let magnitude: i128 = format!("0{before}{}", "0".repeat(zeros)).parse().ok()?;
    let has_rest = rest.bytes().any(|digit| digit != b'0');
    let floor = match decimal.starts_with('-') {
        true => -magnitude - i128::from(has_rest),
        false => magnitude,
    };
    Some((floor, has_rest))
}

/// A number before it is fitted to a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i128),
    /// A whole number that 128 bits do not hold as it is: a zero, which may have a sign, or one too large.
    Double(f64),
    /// Between two whole numbers.
    Above {
        /// The lower one.
        floor: i128,
        /// The nearest double, which may be a whole number.
        nearest: f64,
    },
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Double(nearest) | Self::Above { nearest, .. } => nearest,
        }
    }
}

impl Resolver<'_> {
    /// Returns the clause for one exact value; text is not analysed.
    pub(crate) fn exact(
        &self,
        path: &FieldPath,
        field: &Field,
        value: &Value,
    ) -> Result<Clause, QueryError> {
        let exact = |value| Clause::Exact {
            field: path.clone(),
            value,
        };
        match &field.kind {
            FieldKind::Text { .. } => Ok(Clause::Term {
                field: path.clone(),
                term: text_of(value),
            }),
            FieldKind::Keyword { family, .. } => {
                let term = self.normalized(field, &text_of(value));
                let clause = Clause::Term {
                    field: path.clone(),
                    term,
                };
                // A constant is settled as a whole.
                Ok(match family.is_scored() || field.kind.is_constant() {
                    true => clause,
                    // How many documents hold it does not matter.
                    false => Clause::Constant(Box::new(clause)),
                })
            }
            FieldKind::Number { number: kind, .. } => {
                Ok(exact_number(*kind, number(value)?).map_or(Clause::MatchNone, exact))
            }
            FieldKind::Boolean { .. } => Ok(exact(Scalar::Bool(boolean(value)?))),
            FieldKind::Date {
                format, resolution, ..
            } => {
                let lower = self.instant(value, &format.0, None, false)?;
                let upper = self.instant(value, &format.0, None, true)?;
                let (first, last) = (Edge::included(true), Edge::included(false));
                let lower = range::date_bound(lower, *resolution, first);
                let upper = range::date_bound(upper, *resolution, last);
                let (Some(lower), Some(upper)) = (lower, upper) else {
                    return Ok(Clause::MatchNone);
                };
                Ok(range::between(path, lower, upper))
            }
            FieldKind::Ip { .. } => ip_clause(path, value),
            FieldKind::Encoded { codec, .. } => self.holding(path, codec, value),
            FieldKind::Object { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. } => Ok(Clause::MatchNone),
        }
    }

    /// Returns `text` as a term of a keyword field: after its normalizer, behind the key that is asked for;
    /// unchanged for others.
    pub(crate) fn normalized(&self, field: &Field, text: &str) -> String {
        if let Some(key) = keyed::key_of(&field.kind) {
            return keyed::term(key, text);
        }
        let FieldKind::Keyword {
            normalizer: Some(name),
            ..
        } = &field.kind
        else {
            return text.to_owned();
        };
        let normalizer = self.analyzers.normalizer(name);
        match normalizer {
            // Where it makes too much, the whole query is refused once it is resolved.
            Some(normalizer) => normalizer.normalize(text, &self.meter).unwrap_or_default(),
            None => text.to_owned(),
        }
    }
}

pub(super) fn exact_number(kind: NumberKind, number: Number) -> Option<Scalar> {
    match kind {
        NumberKind::Double => Some(Scalar::F64(number.as_f64())),
        NumberKind::Float
        | NumberKind::HalfFloat
        | NumberKind::RankFeature { .. }
        | NumberKind::RankFeatures { .. }
        | NumberKind::ScaledFloat { .. } => Some(Scalar::F64(gleaner_model::mapping::round_to(
            kind,
            number.as_f64(),
        ))),
        NumberKind::UnsignedLong => whole(number)
            .and_then(|n| u64::try_from(n).ok())
            .map(Scalar::U64),
        NumberKind::Long
        | NumberKind::Integer
        | NumberKind::Short
        | NumberKind::Byte
        | NumberKind::TokenCount { .. } => whole(number)
            .and_then(|n| i64::try_from(n).ok())
            .map(Scalar::I64),
    }
}

fn whole(number: Number) -> Option<i128> {
    match number {
        Number::Whole(whole) => Some(whole),
        Number::Double(whole) => Some(whole as i128),
        Number::Above { .. } => None,
    }
}

fn boolean(value: &Value) -> Result<bool, QueryError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" || text.is_empty() => Ok(false),
        other => Err(QueryError::new(
            ErrorType::QueryShard,
            format!(
                "failed to create query: Can't parse boolean value [{}], expected [true] or [false]",
                text_of(other)
            ),
        )),
    }
}

/// One address, or a network such as `10.0.0.0/8`.
fn ip_clause(path: &FieldPath, value: &Value) -> Result<Clause, QueryError> {
    let text = text_of(value);
    let malformed = || {
        QueryError::new(
            ErrorType::QueryShard,
            format!("failed to create query: '{text}' is not an IP string literal."),
        )
    };
    let Some((address, prefix)) = text.split_once('/') else {
        let value = Scalar::Ip(parse_ip(&text).ok_or_else(malformed)?);
        return Ok(Clause::Exact {
            field: path.clone(),
            value,
        });
    };
    let bits: u32 = prefix.parse().map_err(|_| malformed())?;
    let mapped = if address.contains(':') { 0 } else { 96 };
    let bits = bits.checked_add(mapped).filter(|bits| *bits <= 128);
    let bits = bits.ok_or_else(malformed)?;
    let host = if bits == 0 {
        u128::MAX
    } else {
        (1_u128 << (128 - bits)).wrapping_sub(1)
    };
    let host = if bits == 128 { 0 } else { host };
    let first = parse_ip(address).ok_or_else(malformed)? & !host;
    Ok(range::between(
        path,
        Bound::Included(Scalar::Ip(first)),
        Bound::Included(Scalar::Ip(first | host)),
    ))
}
