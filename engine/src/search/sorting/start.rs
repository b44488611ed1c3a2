//! Where to go on: `search_after` and scrolls.

use std::cmp::Ordering;

use gleaner_model::mapping::Resolution;
use gleaner_model::{FieldKind, ShardNumber};
use gleaner_partial::sorting::Kind;
use gleaner_query::QueryError;
use gleaner_query::address::parse_ip;
use gleaner_query::answer::SortValue;
use gleaner_query::date::{DateFormatter, TimeZone};
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value;
use serde_json::Value;

use super::bound::Bound;
use super::key::{KeyReader, Raw};
use crate::EngineError;
use crate::view::View;

/// A point of the order, as one segment compares it; hits come after it.
pub(super) struct Start {
    keys: Vec<Bound>,
    /// `None`: hits with equal keys are left out.
    hash: Option<u64>,
    /// Whether hits with equal keys and hash come after it: they are in a later shard.
    is_in_later_shard: bool,
}

impl Start {
    /// Returns the point `query` goes on after.
    ///
    /// A document whose keys and hash are equal to it is taken as the one gone on after.
    ///
    /// # Errors
    /// `EvaluationError::Query` for values that do not fit their keys.
    pub(super) fn of(
        query: &ShardQuery,
        shard: ShardNumber,
        view: &View,
        readers: &[KeyReader],
    ) -> Result<Option<Self>, EngineError> {
        let (values, hash, last) = match (&query.after, &query.search_after) {
            (Some(after), _) => {
                let hash = after.tie.as_ref().map(|tie| tie.hash);
                (after.keys.clone(), hash, after.shard)
            }
            (None, Some(values)) => read_all(query, view, readers, values)?,
            (None, None) => return Ok(None),
        };
        let keys = readers
            .iter()
            .zip(values)
            .map(|(reader, value)| Bound::of(reader, value));
        Ok(Some(Self {
            keys: keys.collect::<Result<_, _>>()?,
            hash,
            is_in_later_shard: last.is_some_and(|last| shard > last),
        }))
    }

    /// Compares the first key of a document with that of this point, in the direction of the sort.
    pub(super) fn compare_first(&self, reader: &KeyReader, key: &Raw) -> Ordering {
        self.keys[0].compare(reader, key)
    }

    /// Returns whether a document with these keys comes after this point.
    pub(super) fn is_before(&self, readers: &[KeyReader], keys: &[Raw], hash: u64) -> bool {
        for (reader, (key, start)) in readers.iter().zip(keys.iter().zip(&self.keys)) {
            match start.compare(reader, key) {
                Ordering::Greater => return true,
                Ordering::Less => return false,
                Ordering::Equal => {}
            }
        }
        let is_later = self.is_in_later_shard;
        self.hash
            .is_some_and(|start| hash > start || (hash == start && is_later))
    }
}

/// Values to go on after, and the hash and shard that may follow them.
type Read = (Vec<SortValue>, Option<u64>, Option<ShardNumber>);

/// Reads the values a client gave back, with the tie-break that may follow them.
fn read_all(
    query: &ShardQuery,
    view: &View,
    readers: &[KeyReader],
    values: &[Value],
) -> Result<Read, EngineError> {
    let num_keys = query.sort.len();
    let len = values.len();
    if !(num_keys..=num_keys + 2).contains(&len) {
        return Err(EngineError::query(format!(
            "search_after has {len} value(s) but sort has {num_keys}."
        )));
    }
    let (hash, shard) = read_tie(&values[num_keys..])?;
    let keys = query.sort.iter().zip(readers).zip(values);
    let keys = keys.map(|((key, reader), value)| read_start(key, view, reader.kind, value));
    Ok((keys.collect::<Result<_, _>>()?, hash, shard))
}

/// Reads the tie-break that may follow the values: a hash, and perhaps the shard.
///
/// # Errors
/// `EvaluationError::Query` for what is none.
pub(in crate::search) fn read_tie(
    values: &[Value],
) -> Result<(Option<u64>, Option<ShardNumber>), EngineError> {
    let number = |value: &Value| {
        let refuse = || EngineError::query(format!("search_after: [{value}] is no tie-break"));
        value.as_u64().ok_or_else(refuse)
    };
    let hash = values.first().map(number).transpose()?;
    let shard = values.get(1).map(number).transpose()?;
    let shard = shard.map(|shard| ShardNumber(u32::try_from(shard).unwrap_or(u32::MAX)));
    Ok((hash, shard))
}

/// Reads where to go on. A number is taken as it is, whichever the type of the field: it may be of
/// another index, where the field has another type. Infinite ones are text, and stand for missing values; clients
/// whose numbers are doubles give back whole ones as text.
fn read_start(
    key: &SortKey,
    view: &View,
    kind: Kind,
    value: &Value,
) -> Result<SortValue, EngineError> {
    let is_number = matches!(kind, Kind::Whole | Kind::Unsigned | Kind::Fraction);
    let exact = value
        .as_i64()
        .map(SortValue::I64)
        .or_else(|| value.as_u64().map(SortValue::U64))
        .or_else(|| {
            value
                .as_f64()
                .or_else(|| infinite(value))
                .map(SortValue::F64)
        })
        .or_else(|| whole_text(value).filter(|_| resolution_of(key, view).is_none()));
    if let Some(exact) = exact.filter(|_| is_number) {
        return Ok(exact);
    }
    read_typed(key, view, kind, value)?.ok_or_else(|| {
        let field = field_of(key);
        EngineError::query(format!(
            "Failed to parse search_after value [{value}] for field [{field}]."
        ))
    })
}

/// Returns the whole number of 64 bits that a text is.
fn whole_text(value: &Value) -> Option<SortValue> {
    let text = value.as_str()?;
    let signed = text.parse().map(SortValue::I64).ok();
    signed.or_else(|| text.parse().map(SortValue::U64).ok())
}

fn resolution_of(key: &SortKey, view: &View) -> Option<Resolution> {
    sort_value::resolution(key, view.mapping())
}

fn infinite(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Reads what stands for a missing value by the type of its key's field.
///
/// # Errors
/// `EvaluationError::Query` where it does not fit.
pub(super) fn read_missing(
    key: &SortKey,
    view: &View,
    kind: Kind,
    value: &Value,
) -> Result<SortValue, EngineError> {
    read_typed(key, view, kind, value)?.ok_or_else(|| {
        let field = field_of(key);
        let text = text_of(value);
        EngineError::query(format!(
            "failed to parse [missing] of the sort by [{field}]: For input string: \"{text}\""
        ))
    })
}

/// Reads a value by the type of its key's field; `None` for a number that is none.
fn read_typed(
    key: &SortKey,
    view: &View,
    kind: Kind,
    value: &Value,
) -> Result<Option<SortValue>, EngineError> {
    if value.is_null() {
        return Ok(Some(SortValue::Missing));
    }
    Ok(match kind {
        Kind::Fraction => number(value, Value::as_f64).map(SortValue::F64),
        Kind::Unsigned => number(value, Value::as_u64).map(SortValue::U64),
        Kind::Text => Some(SortValue::Text(text_of(value))),
        Kind::Ip => {
            let text = text_of(value);
            let refuse = || EngineError::query(format!("'{text}' is not an IP string literal."));
            Some(SortValue::Ip(parse_ip(&text).ok_or_else(refuse)?))
        }
        Kind::Whole => whole(key, view, value)?.map(SortValue::I64),
    })
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the field of a key, as messages name it.
fn field_of(key: &SortKey) -> &str {
    match &key.target {
        SortTarget::Field(path) => path.as_str(),
        SortTarget::Distance(distance) => &distance.field,
        SortTarget::Score => "_score",
        SortTarget::Doc => "_doc",
        SortTarget::ShardDoc => "_shard_doc",
    }
}

fn number<T: std::str::FromStr>(value: &Value, get: fn(&Value) -> Option<T>) -> Option<T> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => get(other),
    }
}

fn whole(key: &SortKey, view: &View, value: &Value) -> Result<Option<i64>, EngineError> {
    if let Value::Bool(value) = value {
        return Ok(Some(i64::from(*value)));
    }
    if let Some(number) = value.as_i64() {
        return Ok(Some(number));
    }
    let Value::String(text) = value else {
        // There is no fraction among whole numbers; the one before it orders the same here.
        return Ok(value.as_f64().map(|fraction| fraction.floor() as i64));
    };
    let Some(resolution) = resolution_of(key, view) else {
        return Ok(match text.as_str() {
            "true" => Some(1),
            "false" => Some(0),
            digits => digits.parse().ok(),
        });
    };
    let own_pattern = match &key.target {
        SortTarget::Field(path) => match view.mapping().field(path).map(|field| &field.kind) {
            Some(FieldKind::Date { format, .. }) => format.0.as_str(),
            _ => resolution.default_format(),
        },
        _ => resolution.default_format(),
    };
    let pattern = key.format.as_deref().unwrap_or(own_pattern);
    let refuse = |error: QueryError| EngineError::query(error.to_string());
    let format = DateFormatter::parse_pattern(pattern).map_err(refuse)?;
    if let Some(end) = sort_value::read_end(text, &format, resolution) {
        return Ok(Some(end));
    }
    let instant = match (format.read_in(text, &TimeZone::UTC, false), text.parse()) {
        (Ok(instant), _) => instant,
        // What stands for a missing date, where no format writes it.
        (Err(_), Ok(end @ (i64::MIN | i64::MAX))) => return Ok(Some(end)),
        (Err(error), _) => return Err(refuse(error)),
    };
    Ok(Some(match resolution.is_nanos() {
        true => instant.saturating_nanos(),
        false => instant.millis(),
    }))
}
