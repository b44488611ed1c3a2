//! One JSON value to one value of a field.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use gleaner_analysis::{Meter, TooMuch};
use gleaner_model::mapping::{Codec, Resolution, round_to};
use gleaner_model::{FieldKind, NumberKind};
use gleaner_query::address::parse_ip;
use gleaner_query::date::{TimeZone, number_text};
use gleaner_query::encoded::{self, Reading};
use serde_json::Value;

use super::mismatch::Mismatch;
use super::plan::Leaf;
use super::{FieldValue, completion};

/// Longest term, in bytes, that a field can hold; Lucene's.
pub(crate) const MAX_TERM_BYTES: usize = 32_766;

/// A JSON value that is neither object, array nor null.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    I64(i64),
    /// Above `i64::MAX`.
    U64(u64),
    F64(f64),
    /// A number that is no such integer, with its text; only where text is wanted.
    Written(f64, &'a str),
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// Returns the value as the dialect shows it.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::I64(value) => value.to_string().into(),
            Self::U64(value) => value.to_string().into(),
            Self::F64(value) => format!("{value:?}").into(),
            Self::Written(_, text) => Cow::Borrowed(text),
            Self::Text(value) => Cow::Borrowed(value),
        }
    }

    /// Returns the value as a constant: a fraction as JSON reads it, however it was written.
    pub(super) fn constant_text(&self) -> Cow<'_, str> {
        match self {
            Self::Written(number, _) => format!("{number:?}").into(),
            _ => self.text(),
        }
    }
}

impl Leaf {
    /// Returns the field's value for `scalar`; `None` where it is left out by a rule (too long for
    /// `ignore_above`, an empty string for a number). What analysis makes is taken of the document's `meter`.
    pub(super) fn read<'a>(
        &self,
        scalar: &Scalar<'a>,
        reading: Reading,
        meter: &Meter<'_>,
    ) -> Result<Option<FieldValue<'a>>, Mismatch> {
        let reading = self.reading_as(reading);
        match &self.kind {
            FieldKind::Text { .. } => Ok(Some(FieldValue::Text(owned_text(scalar)))),
            FieldKind::Keyword { .. } => self.read_keyword(scalar, meter),
            FieldKind::Number {
                number: NumberKind::TokenCount { counts_gaps },
                ..
            } => {
                let count = self.count_tokens(&scalar.text(), *counts_gaps, meter)?;
                Ok(Some(count))
            }
            FieldKind::Number { number, coerce, .. } => {
                read_number(scalar, *number, *coerce, reading)
            }
            FieldKind::Boolean { .. } => read_boolean(scalar).map(Some),
            FieldKind::Date { resolution, .. } => self.read_date(scalar, *resolution).map(Some),
            FieldKind::Ip { .. } => read_ip(scalar).map(Some),
            FieldKind::Encoded { codec, .. } => {
                let value = match reading {
                    Reading::New => json_of(scalar),
                    // Earlier versions took the text of whatever they met.
                    Reading::Taken => Value::from(&*scalar.text()),
                };
                let terms = encoded::terms(codec, &value, reading)?;
                Ok(terms
                    .into_iter()
                    .next()
                    .map(|term| FieldValue::Text(term.into())))
            }
            FieldKind::Completion => completion::read_input(scalar),
            FieldKind::Binary { .. } => read_binary(scalar).map(Some),
            FieldKind::Object { .. } => Ok(None),
            FieldKind::Alias { path } => Err(Mismatch::Malformed(format!(
                "Cannot write to a field alias of [{path}]."
            ))),
        }
    }

    /// Returns how many positions of a text have a token; where gaps count, how many positions the text has, those
    /// after its last token included.
    fn count_tokens(
        &self,
        text: &str,
        counts_gaps: bool,
        meter: &Meter<'_>,
    ) -> Result<FieldValue<'static>, TooMuch> {
        let mut last = None;
        let mut num_taken = 0;
        let mut count = |position: u32| {
            num_taken += i64::from(last.replace(position) != Some(position));
        };
        let num_positions = match &self.analyzer {
            Some(analyzer) => {
                analyzer.analyze_into(text, meter, &mut |token| count(token.position))?
            }
            None => 0,
        };
        Ok(FieldValue::I64(match counts_gaps {
            true => num_positions.into(),
            false => num_taken,
        }))
    }

    /// Returns whether a malformed value is skipped instead of refusing the document.
    pub(super) fn ignores_malformed(&self) -> bool {
        match &self.kind {
            FieldKind::Number {
                ignore_malformed, ..
            }
            | FieldKind::Date {
                ignore_malformed, ..
            }
            | FieldKind::Ip {
                ignore_malformed, ..
            }
            | FieldKind::Encoded {
                ignore_malformed, ..
            } => *ignore_malformed,
            FieldKind::Text { .. }
            | FieldKind::Keyword { .. }
            | FieldKind::Boolean { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. }
            | FieldKind::Object { .. } => false,
        }
    }

    /// Returns the values of an object or a list where the type has such; `None` where it has not.
    pub(super) fn read_json(
        &self,
        value: &Value,
        reading: Reading,
    ) -> Option<Result<Vec<FieldValue<'static>>, Mismatch>> {
        let FieldKind::Encoded { codec, .. } = &self.kind else {
            return None;
        };
        let terms = encoded::terms(codec, value, self.reading_as(reading));
        let terms = terms.map_err(Mismatch::from);
        let as_values = |terms: Vec<String>| {
            let terms = terms.into_iter();
            let values = terms.map(|term| FieldValue::Text(term.into()));
            values.chain(self.nulls_in(value)).collect()
        };
        Some(terms.map(as_values))
    }

    /// Returns what stands for those of a list's values that are `null`.
    fn nulls_in(&self, value: &Value) -> impl Iterator<Item = FieldValue<'static>> {
        let items = value.as_array().into_iter().flatten();
        let nulls = items.filter(|item| item.is_null());
        nulls.filter_map(|_| self.null.clone())
    }

    /// Returns whether a list of numbers is one value.
    pub(super) fn reads_lists(&self) -> bool {
        let kind = &self.kind;
        matches!(
            kind,
            FieldKind::Encoded {
                codec: Codec::GeoPoint,
                ..
            }
        )
    }

    fn read_keyword<'a>(
        &self,
        scalar: &Scalar<'a>,
        meter: &Meter<'_>,
    ) -> Result<Option<FieldValue<'a>>, Mismatch> {
        let FieldKind::Keyword { ignore_above, .. } = self.kind else {
            return Ok(None);
        };
        let text = owned_text(scalar);
        let is_other = |constant: &&str| scalar.constant_text() != *constant;
        if let Some(constant) = self.kind.constant().filter(is_other) {
            return Err(Mismatch::OtherConstant {
                constant: constant.to_owned(),
                given: text.into_owned(),
            });
        }
        let is_longer =
            |limit: u32| text.len() > limit as usize && text.chars().count() > limit as usize;
        if ignore_above.is_some_and(is_longer) {
            return Ok(None);
        }
        let text = match &self.normalizer {
            Some(normalizer) => Cow::Owned(normalizer.normalize(&text, meter)?),
            None => text,
        };
        // What becomes no term may be as long as it likes. A constant becomes part of the cluster state: it may not.
        let is_kept = self.kind.is_indexed() || self.kind.has_doc_values();
        if is_kept && text.len() > MAX_TERM_BYTES {
            return Err(Mismatch::Immense);
        }
        Ok(Some(FieldValue::Text(text)))
    }

    fn read_date(
        &self,
        scalar: &Scalar<'_>,
        resolution: Resolution,
    ) -> Result<FieldValue<'static>, Mismatch> {
        let whole = match scalar {
            Scalar::F64(number) | Scalar::Written(number, _) => number_text(*number),
            _ => None,
        };
        let text = whole.map_or_else(|| scalar.text(), Cow::Owned);
        let format = self.dates.as_ref();
        let instant = format.and_then(|format| format.read_in(&text, &TimeZone::UTC, false).ok());
        let refused = || {
            let pattern = format.map_or("", |format| format.pattern());
            Mismatch::Malformed(format!(
                "failed to parse date field [{text}] with format [{pattern}]"
            ))
        };
        let instant = instant.ok_or_else(refused)?;
        match resolution {
            Resolution::Millis | Resolution::MillisOfNanos => {
                Ok(FieldValue::Date(instant.millis()))
            }
            Resolution::Nanos => {
                let nanos = instant.to_nanos().map_err(Mismatch::Malformed)?;
                Ok(FieldValue::DateNanos(nanos))
            }
        }
    }
}

/// Returns the value as JSON has it.
fn json_of(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Bool(value) => Value::from(*value),
        Scalar::I64(value) => Value::from(*value),
        Scalar::U64(value) => Value::from(*value),
        Scalar::F64(value) | Scalar::Written(value, _) => Value::from(*value),
        Scalar::Text(text) => Value::from(&**text),
    }
}

fn owned_text<'a>(scalar: &Scalar<'a>) -> Cow<'a, str> {
    match scalar {
        Scalar::Text(text) => text.clone(),
        other => Cow::Owned(other.text().into_owned()),
    }
}

/// Bytes in base64; they are looked at no further.
fn read_binary<'a>(scalar: &Scalar<'a>) -> Result<FieldValue<'a>, Mismatch> {
    let text = scalar.text();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&byte);
    match matches!(scalar, Scalar::Text(_)) && text.bytes().all(is_digit) {
        true => Ok(FieldValue::Text(owned_text(scalar))),
        false => Err(Mismatch::Malformed(format!(
            "[{text}] is no base64 of bytes"
        ))),
    }
}

fn read_boolean(scalar: &Scalar<'_>) -> Result<FieldValue<'static>, Mismatch> {
    let value = match scalar {
        Scalar::Bool(value) => Some(*value),
        Scalar::Text(text) => match &**text {
            "true" => Some(true),
            "false" | "" => Some(false),
            _ => None,
        },
        _ => None,
    };
    let refused = || {
        let text = scalar.text();
        Mismatch::Malformed(format!(
            "Failed to parse value [{text}] as only [true] or [false] are allowed."
        ))
    };
    value.map(FieldValue::Bool).ok_or_else(refused)
}

fn read_ip(scalar: &Scalar<'_>) -> Result<FieldValue<'static>, Mismatch> {
    let text = scalar.text();
    let address = parse_ip(&text).map(|bits| FieldValue::Ip(Ipv6Addr::from(bits)));
    let refused = || Mismatch::Malformed(format!("'{text}' is not an IP string literal."));
    address.ok_or_else(refused)
}

pub(super) fn read_number(
    scalar: &Scalar<'_>,
    number: NumberKind,
    coerce: bool,
    reading: Reading,
) -> Result<Option<FieldValue<'static>>, Mismatch> {
    if let Scalar::Text(text) = scalar {
        if !coerce {
            let name = number.type_name();
            return Err(Mismatch::Malformed(format!(
                "{name} value passed as String"
            )));
        }
        if text.is_empty() {
            return Ok(None);
        }
    }
    if let Scalar::Bool(value) = scalar {
        return Err(Mismatch::Malformed(format!(
            "For input string: \"{value}\""
        )));
    }
    if number.is_integral() {
        read_integral(scalar, number, coerce, reading)
    } else {
        read_fraction(scalar, number)
    }
    .map(Some)
}

/// A JSON number or its text as an exact integer, or as the nearest fraction.
enum ParsedNumber {
    Integer {
        whole: i128,
        /// Whether digits other than 0 follow its point.
        has_rest: bool,
    },
    Fraction(f64),
}

impl ParsedNumber {
    fn whole(whole: impl Into<i128>) -> Self {
        Self::Integer {
            whole: whole.into(),
            has_rest: false,
        }
    }
}

fn read_integral(
    scalar: &Scalar<'_>,
    number: NumberKind,
    coerce: bool,
    reading: Reading,
) -> Result<FieldValue<'static>, Mismatch> {
    let parsed = match scalar {
        Scalar::I64(value) => ParsedNumber::whole(*value),
        Scalar::U64(value) => ParsedNumber::whole(*value),
        Scalar::F64(value) | Scalar::Written(value, _) => ParsedNumber::Fraction(*value),
        other => parse_text(&other.text())?,
    };
    let out_of_range = || {
        let name = number.type_name();
        Mismatch::Malformed(format!(
            "Value [{}] is out of range for a {name}",
            scalar.text()
        ))
    };
    let (integer, has_rest) = match parsed {
        ParsedNumber::Integer { whole, has_rest } => (whole, has_rest),
        ParsedNumber::Fraction(value) if !value.is_finite() || value.abs() > 1e30 => {
            return Err(out_of_range());
        }
        // The least integer would have been read as one: this was below it and is rounded.
        ParsedNumber::Fraction(value) if reading == Reading::New && value <= i64::MIN as f64 => {
            return Err(out_of_range());
        }
        ParsedNumber::Fraction(value) => (value.trunc() as i128, value.fract() != 0.0),
    };
    // Numbers of this type are no longer coerced: their fraction would be lost.
    let is_cut = coerce && (number != NumberKind::UnsignedLong || reading == Reading::Taken);
    if has_rest && !is_cut {
        return Err(Mismatch::Malformed(format!(
            "Value [{}] has a decimal part",
            scalar.text()
        )));
    }
    let (low, high) = match number {
        NumberKind::Byte => (i128::from(i8::MIN), i128::from(i8::MAX)),
        NumberKind::Short => (i128::from(i16::MIN), i128::from(i16::MAX)),
        NumberKind::Integer => (i128::from(i32::MIN), i128::from(i32::MAX)),
        NumberKind::UnsignedLong => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    if !(low..=high).contains(&integer) {
        return Err(out_of_range());
    }
    Ok(match number {
        NumberKind::UnsignedLong => FieldValue::U64(integer as u64),
        _ => FieldValue::I64(integer as i64),
    })
}

fn read_fraction(scalar: &Scalar<'_>, number: NumberKind) -> Result<FieldValue<'static>, Mismatch> {
    let value = match scalar {
        Scalar::I64(value) => *value as f64,
        Scalar::U64(value) => *value as f64,
        Scalar::F64(value) | Scalar::Written(value, _) => *value,
        other => parse_fraction(&other.text())?,
    };
    let quantised = quantise(number, value);
    if number.positive_score_impact().is_some() && quantised < f64::from(f32::MIN_POSITIVE) {
        return Err(Mismatch::Malformed(format!(
            "featureValue must be a positive normal float, got: {value}"
        )));
    }
    if !quantised.is_finite() {
        let (name, text) = (number.type_name(), scalar.text());
        let reason = format!("[{name}] supports only finite values, but got [{text}]");
        return Err(Mismatch::Malformed(reason));
    }
    Ok(FieldValue::F64(quantised))
}

fn parse_text(text: &str) -> Result<ParsedNumber, Mismatch> {
    let trimmed = text.trim();
    let (whole, rest) = trimmed.split_once('.').unwrap_or((trimmed, ""));
    if rest.bytes().all(|digit| digit.is_ascii_digit())
        && let Ok(whole) = whole.parse()
    {
        let has_rest = rest.bytes().any(|digit| digit != b'0');
        return Ok(ParsedNumber::Integer { whole, has_rest });
    }
    parse_fraction(text).map(ParsedNumber::Fraction)
}

fn parse_fraction(text: &str) -> Result<f64, Mismatch> {
    let malformed = |_| Mismatch::Malformed(format!("For input string: \"{text}\""));
    text.trim().parse().map_err(malformed)
}

/// Rounds `value` to what a fractional type can hold; integral types return it unchanged.
///
/// Values of queries pass through it too, so that what was indexed is found.
pub(crate) fn quantise(number: NumberKind, value: f64) -> f64 {
    match number {
        NumberKind::Float | NumberKind::RankFeature { .. } | NumberKind::RankFeatures { .. } => {
            f64::from(value as f32)
        }
        NumberKind::HalfFloat => round_to_half(value),
        NumberKind::ScaledFloat { .. } => round_to(number, value),
        _ => value,
    }
}

/// Rounds to the nearest IEEE 754 binary16, ties to even.
fn round_to_half(value: f64) -> f64 {
    const LARGEST: f64 = 65_504.0;
    const SMALLEST_NORMAL: f64 = 6.103_515_625e-5;
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // The distance between neighbours: 10 bits of fraction, and no smaller than 2^-24.
    let exponent = value.abs().max(SMALLEST_NORMAL).log2().floor();
    let step = (exponent - 10.0).exp2();
    let rounded = (value / step).round_ties_even() * step;
    if rounded.abs() > LARGEST {
        f64::INFINITY.copysign(value)
    } else {
        rounded
    }
}
