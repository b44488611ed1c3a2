//! One sort key on one segment: a document's value in a form that compares fast.

mod best;

use std::cmp::Ordering;
use std::net::Ipv6Addr;
use std::sync::Arc;

use gleaner_model::ShardKey;
use gleaner_model::mapping::Resolution;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_partial::sorting::{self, Kind};
use gleaner_query::address::parse_ip;
use gleaner_query::answer::SortValue;
use gleaner_query::search::{Missing, SortKey, SortMode, SortTarget};
use gleaner_query::sort_value::{self, is_narrow, narrowed};
use tantivy::columnar::{Cardinality, Column, ColumnValues, StrColumn};
use tantivy::{DocId, f64_to_u64, i64_to_u64, u64_to_f64, u64_to_i64};

use super::bound::{self, place_of};
use super::distance::Distances;
use super::{mode, start};
use crate::EngineError;
use crate::doc_order::OrderKey;
use crate::doc_values::DocValues;
use crate::schema::names;
use crate::view::{SegmentView, View};

/// Bits of a document's place in index order that hold its seq_no; the shard's number is above.
///
/// With 10 bits of shards the number stays exact in clients that read JSON as doubles.
const SEQ_NO_BITS: u32 = 40;

/// A value as it is compared within a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    /// No value, where these stand first.
    First,
    /// Orders like the value.
    Number(u64),
    /// An address, which orders like the number it is.
    Address(u128),
    /// The value itself.
    Text(String),
    /// No value, where these stand last.
    Last,
}

/// Reads one key of the order.
pub(crate) struct KeyReader {
    pub(super) kind: Kind,
    /// Whether its fractions are floats of 32 bits, sums and means too.
    is_narrow: bool,
    descending: bool,
    mode: SortMode,
    missing: Raw,
    /// The value that stands for a missing one, as it is returned: for numbers there is always one.
    missing_value: Option<SortValue>,
    /// Whether that is the end of all numbers, which clients may give back as `null` too.
    is_missing_at_end: bool,
    source: Source,
}

enum Source {
    /// No document of the segment has a value.
    Nothing,
    Score,
    /// A number of the document, below bits that are the same for all of the shard.
    System(u64, Arc<dyn ColumnValues<u64>>),
    Whole(Column<i64>),
    Unsigned(Column<u64>),
    Fraction(Column<f64>),
    Boolean(Column<bool>),
    Ip(Column<Ipv6Addr>),
    Terms(StrColumn),
    /// How far points are from others.
    Distance(Distances),
}

impl KeyReader {
    /// Opens `key` on `segment`.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that cannot be sorted by; `EvaluationError::CircuitBreaking` when their values
    /// take too much memory; read errors.
    pub(crate) fn open(
        key: &SortKey,
        view: &View,
        shard: ShardKey,
        segment: &SegmentView,
        memory: &Arc<MemoryAccount>,
    ) -> Result<Self, EngineError> {
        let (source, kind) = source_of(key, view, shard, segment, memory)?;
        let default_mode = if key.descending {
            SortMode::Max
        } else {
            SortMode::Min
        };
        let mut reader = Self {
            kind,
            is_narrow: is_narrow(key, view.mapping()) == Some(true),
            descending: key.descending,
            mode: key.mode.unwrap_or(default_mode),
            missing: Raw::Last,
            missing_value: None,
            is_missing_at_end: false,
            source,
        };
        let is_first = key.missing == Missing::First;
        reader.missing = if is_first { Raw::First } else { Raw::Last };
        let value = match &key.missing {
            Missing::Last | Missing::First => {
                let end = end_of(kind, is_first == key.descending);
                reader.is_missing_at_end = end.is_some();
                end
            }
            Missing::Value(value) => Some(match start::read_missing(key, view, kind, value)? {
                SortValue::F64(value) => SortValue::F64(reader.fitted(value)),
                other => other,
            }),
        };
        if let Some(value) = value {
            reader.missing = reader.raw_of(&value)?;
            reader.missing_value = Some(value);
        }
        Ok(reader)
    }

    /// Tells documents without a value from those with the largest one, which otherwise stands for none.
    pub(crate) fn keeping_gaps(self) -> Self {
        Self {
            missing: Raw::Last,
            missing_value: None,
            is_missing_at_end: false,
            ..self
        }
    }

    /// Returns what names the order of a segment by `key`, which this reads; `None` where no order is kept of it.
    pub(super) fn order_key(
        &self,
        key: &SortKey,
        view: &View,
    ) -> Result<Option<OrderKey>, EngineError> {
        let index = match &self.source {
            // All are equal.
            Source::Nothing => return Ok(Some(OrderKey::IdHash)),
            Source::Score | Source::Distance(_) | Source::Ip(_) => return Ok(None),
            Source::System(..) => {
                let is_hash = key.target == SortTarget::ShardDoc;
                return Ok(Some(if is_hash {
                    OrderKey::IdHash
                } else {
                    OrderKey::SeqNo
                }));
            }
            Source::Whole(column) => &column.index,
            Source::Unsigned(column) => &column.index,
            Source::Fraction(column) => &column.index,
            Source::Boolean(column) => &column.index,
            Source::Terms(column) => &column.ords().index,
        };
        let SortTarget::Field(path) = &key.target else {
            return Ok(None);
        };
        if path == names::ID {
            return Ok(Some(OrderKey::IdHash));
        }
        let is_constant = view.constant(path)?.is_some();
        let Some(handle) = view.values(path).filter(|_| !is_constant) else {
            return Ok(None);
        };
        let has_one_each = index.get_cardinality().is_full();
        let resolution = sort_value::resolution(key, view.mapping());
        Ok(Some(OrderKey::Column {
            name: handle.name.clone(),
            kind: self.kind,
            is_narrow: self.is_narrow,
            is_nanos: resolution.is_some_and(Resolution::is_nanos),
            mode: (!has_one_each).then_some(self.mode),
            missing: if has_one_each {
                None
            } else {
                self.number_of(&self.missing)
            },
        }))
    }

    /// Returns the number by which a value read here stands in the order of a segment: ascending, whichever way the key is
    /// directed. `None` for values of which no order is kept.
    pub(super) fn number_of(&self, raw: &Raw) -> Option<u64> {
        let is_at_start = match raw {
            Raw::Number(number) => return Some(*number),
            Raw::Address(_) | Raw::Text(_) => return None,
            Raw::First => !self.descending,
            Raw::Last => self.descending,
        };
        Some(if is_at_start { u64::MIN } else { u64::MAX })
    }

    /// Returns whether each document has at most one value, which is a number that is compared as it is.
    pub(super) fn has_exact_numbers(&self) -> bool {
        let cardinality = match &self.source {
            Source::Whole(column) if self.kind == Kind::Whole => column.get_cardinality(),
            Source::Unsigned(column) if self.kind == Kind::Unsigned => column.get_cardinality(),
            Source::Fraction(column) if self.kind == Kind::Fraction => column.get_cardinality(),
            _ => return false,
        };
        cardinality != Cardinality::Multivalued && !self.is_narrow
    }

    /// Returns whether large values come first.
    pub(super) fn is_descending(&self) -> bool {
        self.descending
    }

    /// Returns a value to go on after as it stands among those of documents.
    pub(super) fn filled(&self, value: SortValue) -> SortValue {
        match (&self.missing_value, value) {
            (Some(end), SortValue::Missing) if self.is_missing_at_end => end.clone(),
            (_, value) => value,
        }
    }

    /// Compares two values in the key's direction.
    pub(crate) fn compare(&self, a: &Raw, b: &Raw) -> Ordering {
        // Of an index where the field is of another type: numbers, addresses, text.
        let kind = |raw: &Raw| match raw {
            Raw::Number(_) => 0,
            Raw::Address(_) => 1,
            Raw::First | Raw::Text(_) | Raw::Last => 2,
        };
        match (a, b) {
            (Raw::Number(a), Raw::Number(b)) => self.directed(a.cmp(b)),
            (Raw::Address(a), Raw::Address(b)) => self.directed(a.cmp(b)),
            (Raw::Text(a), Raw::Text(b)) => self.directed(a.cmp(b)),
            (Raw::First, Raw::First) | (Raw::Last, Raw::Last) => Ordering::Equal,
            (Raw::First, _) | (_, Raw::Last) => Ordering::Less,
            (Raw::Last, _) | (_, Raw::First) => Ordering::Greater,
            _ => self.directed(kind(a).cmp(&kind(b))),
        }
    }

    /// Turns an ascending order round where the key descends.
    pub(super) fn directed(&self, ascending: Ordering) -> Ordering {
        if self.descending {
            ascending.reverse()
        } else {
            ascending
        }
    }

    /// Returns the value of a document.
    ///
    /// # Errors
    /// `EvaluationError::Query` where it has too many; when the request must stop.
    pub(crate) fn read(
        &self,
        doc: DocId,
        score: Option<f32>,
        control: &Control,
    ) -> Result<Raw, EngineError> {
        let is_max = self.mode == SortMode::Max;
        let number = match &self.source {
            Source::Nothing => None,
            Source::Score => score.map(|score| f64_to_u64(f64::from(score))),
            Source::System(bits, numbers) => Some(bits | numbers.get_val(doc)),
            Source::Whole(column) if self.kind == Kind::Fraction => {
                self.fraction(column.values_for_doc(doc).map(|value| value as f64))
            }
            Source::Whole(column) => {
                mode::whole(self.mode, column.values_for_doc(doc)).map(i64_to_u64)
            }
            Source::Unsigned(column) if self.kind == Kind::Fraction => {
                self.fraction(column.values_for_doc(doc).map(|value| value as f64))
            }
            Source::Unsigned(column) => mode::unsigned(self.mode, column.values_for_doc(doc)),
            Source::Fraction(column) if self.kind == Kind::Whole => {
                let values = column.values_for_doc(doc).map(|value| value as i64);
                mode::whole(self.mode, values).map(i64_to_u64)
            }
            Source::Fraction(column) => self.fraction(column.values_for_doc(doc)),
            Source::Boolean(column) if self.kind == Kind::Fraction => {
                let values = column.values_for_doc(doc);
                self.fraction(values.map(|value| f64::from(u8::from(value))))
            }
            Source::Boolean(column) => {
                let values = column.values_for_doc(doc).map(i64::from);
                mode::whole(self.mode, values).map(i64_to_u64)
            }
            Source::Distance(distances) => distances
                .chosen(self.mode, doc, control)?
                .map(|value| f64_to_u64(self.fitted(value))),
            Source::Ip(column) => {
                let values = column.values_for_doc(doc);
                let chosen = if is_max { values.max() } else { values.min() };
                let address = chosen.map(|ip| Raw::Address(ip.to_bits()));
                return Ok(address.unwrap_or_else(|| self.missing.clone()));
            }
            Source::Terms(column) => {
                let ords = column.term_ords(doc);
                let ord = if is_max { ords.max() } else { ords.min() };
                // Odd, so that values no document has stand between.
                ord.map(|ord| 2 * ord + 1)
            }
        };
        Ok(number.map_or_else(|| self.missing.clone(), Raw::Number))
    }

    fn fraction(&self, values: impl Iterator<Item = f64>) -> Option<u64> {
        let chosen = mode::fraction(self.mode, values);
        chosen.map(|value| f64_to_u64(self.fitted(value)))
    }

    /// Returns a fraction as one of the key's values: narrow ones are compared and shown as floats, as
    /// Elasticsearch does (`FloatValuesComparatorSource`).
    fn fitted(&self, value: f64) -> f64 {
        if self.is_narrow {
            narrowed(value)
        } else {
            value
        }
    }

    /// Returns the value that `raw`, read here, stands for.
    pub(crate) fn resolve(&self, raw: Raw) -> Result<SortValue, EngineError> {
        match (self.known(&raw), raw) {
            (Some(value), _) => Ok(value),
            (None, Raw::Number(odd)) => Ok(SortValue::Text(self.term(odd / 2)?)),
            (None, _) => Ok(SortValue::Missing),
        }
    }

    /// Returns the value that `raw`, read here, stands for; `None` where it is a term to be read.
    pub(super) fn known(&self, raw: &Raw) -> Option<SortValue> {
        if let Some(value) = &self.missing_value
            && *raw == self.missing
        {
            return Some(value.clone());
        }
        Some(match (raw, self.kind) {
            (Raw::First | Raw::Last, _) => SortValue::Missing,
            (Raw::Text(text), _) => SortValue::Text(text.clone()),
            (Raw::Address(address), _) => SortValue::Ip(*address),
            (Raw::Number(bits), Kind::Whole) => SortValue::I64(u64_to_i64(*bits)),
            (Raw::Number(value), Kind::Unsigned) => SortValue::U64(*value),
            (Raw::Number(bits), Kind::Fraction) => SortValue::F64(u64_to_f64(*bits)),
            (Raw::Number(_), Kind::Text | Kind::Ip) => return None,
        })
    }

    /// Returns how `value` compares within the segment.
    ///
    /// Several values may have one place: fractions between two whole numbers, texts between two
    /// terms. [`Bound`](super::bound::Bound) tells them apart.
    pub(super) fn raw_of(&self, value: &SortValue) -> Result<Raw, EngineError> {
        Ok(match value {
            SortValue::Missing if self.missing == Raw::First => Raw::First,
            SortValue::Missing => Raw::Last,
            // Of an index where the field is a number: it stands before all terms.
            SortValue::I64(_) | SortValue::U64(_) | SortValue::F64(_)
                if matches!(self.source, Source::Terms(_)) =>
            {
                Raw::Number(0)
            }
            SortValue::I64(_) | SortValue::U64(_) | SortValue::F64(_) => {
                Raw::Number(bound::place_of_number(self.kind, value))
            }
            SortValue::Text(text) => match (&self.source, self.kind) {
                (Source::Terms(column), _) => Raw::Number(place_of(column, text)?),
                // Older roots and ids of scrolls have addresses as text.
                (_, Kind::Ip) => {
                    parse_ip(text).map_or_else(|| Raw::Text(text.clone()), Raw::Address)
                }
                _ => Raw::Text(text.clone()),
            },
            SortValue::Ip(address) => match self.source {
                // Of an index where the field is an address: it stands before all terms.
                Source::Terms(_) => Raw::Number(0),
                _ => Raw::Address(*address),
            },
        })
    }

    fn term(&self, ord: u64) -> Result<String, EngineError> {
        let mut text = String::new();
        let Source::Terms(column) = &self.source else {
            return Err(EngineError::internal("a term of a key without terms"));
        };
        column
            .ord_to_str(ord, &mut text)
            .map_err(EngineError::io("reading a term"))?;
        Ok(text)
    }
}

/// Returns the largest or the smallest of the values of a kind, which stands for a missing one at that
/// end, as in Elasticsearch; `None` where nothing does.
fn end_of(kind: Kind, is_largest: bool) -> Option<SortValue> {
    let (smallest, largest) = match kind {
        Kind::Whole => (SortValue::I64(i64::MIN), SortValue::I64(i64::MAX)),
        Kind::Unsigned => (SortValue::U64(u64::MIN), SortValue::U64(u64::MAX)),
        Kind::Fraction => (
            SortValue::F64(f64::NEG_INFINITY),
            SortValue::F64(f64::INFINITY),
        ),
        Kind::Ip | Kind::Text => return None,
    };
    Some(if is_largest { largest } else { smallest })
}

fn source_of(
    key: &SortKey,
    view: &View,
    shard: ShardKey,
    segment: &SegmentView,
    memory: &Arc<MemoryAccount>,
) -> Result<(Source, Kind), EngineError> {
    let path = match &key.target {
        SortTarget::Score => return Ok((Source::Score, Kind::Fraction)),
        SortTarget::Doc => {
            let shard = u64::from(shard.shard.0) << SEQ_NO_BITS;
            return Ok((
                Source::System(shard, Arc::clone(segment.seq_nos())),
                Kind::Unsigned,
            ));
        }
        SortTarget::ShardDoc => {
            return Ok((
                Source::System(0, Arc::clone(segment.id_hashes())),
                Kind::Unsigned,
            ));
        }
        SortTarget::Distance(distance) => {
            let distances = Distances::open(key, distance, view, segment, memory)?;
            return Ok((
                distances.map_or(Source::Nothing, Source::Distance),
                Kind::Fraction,
            ));
        }
        SortTarget::Field(path) => path.as_str(),
    };
    if path == sorting::SEQ_NO {
        return Ok((
            Source::System(0, Arc::clone(segment.seq_nos())),
            Kind::Unsigned,
        ));
    }
    let kind = sorting::kind(key, path, view.mapping());
    let kind = kind.map_err(|error| EngineError::query(error.reason))?;
    let values = DocValues::of_path(view, segment, path)?;
    let values = match sort_value::resolution(key, view.mapping()) {
        Some(resolution) if resolution.is_nanos() => values.map(DocValues::in_nanos),
        Some(_) => values.map(DocValues::in_millis),
        None => values,
    };
    let source = match values {
        None => Source::Nothing,
        Some(DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column)) => {
            Source::Whole(column)
        }
        Some(DocValues::U64(column)) => Source::Unsigned(column),
        Some(DocValues::F64(column)) => Source::Fraction(column),
        Some(DocValues::Bool(column)) => Source::Boolean(column),
        Some(DocValues::Ip(column)) => Source::Ip(column),
        Some(DocValues::Terms(column)) => Source::Terms(column),
    };
    Ok((source, kind))
}
