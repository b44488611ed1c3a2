//! `cardinality`: terms by ordinal, hashed once per segment; numbers by value; ranges by those of a document.

use gleaner_partial::EvaluationError;
use gleaner_partial::Partial;
use gleaner_partial::control::Meter;
use gleaner_partial::control::{Control, Stop};
use gleaner_partial::distinct::{
    Distinct, hash_fraction, hash_ip, hash_set, hash_text, hash_unsigned, hash_whole,
};
use gleaner_partial::key::{ValueFormat, ValueKind};
use gleaner_partial::request::formats::EncodedValues;
use gleaner_partial::request::{bounds, keys};
use gleaner_query::aggregation::ValueSource;
use roaring::RoaringBitmap;
use serde_json::Value;
use tantivy::columnar::StrColumn;

use super::metrics::grow;
use super::node::{Block, Node, SegmentContext};
use super::source::{Source, ip_number, visit_column};
use super::spans;
use crate::doc_values::DocValues;
use crate::error::EngineError;

/// The aggregation's name.
const NAME: &str = "cardinality";
/// Terms hashed between two looks at the request's control.
const TERMS_A_CHECK: usize = 65_536;
/// Terms hashed, roughly, although it is late, some ten milliseconds: what was counted in time is part
/// of the answer.
const TERMS_WHEN_LATE: usize = 4 * TERMS_A_CHECK;

pub(super) fn build<'a>(
    request: &'a ValueSource,
    threshold: u32,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    match EncodedValues::of(context.view.mapping(), request, NAME)? {
        Some(EncodedValues::Ranges) => return build_ranges(&request.field, threshold, context),
        // A point is its term, as the index keeps it.
        Some(EncodedValues::Points(missing)) => {
            let column = spans::open_terms(&request.field, NAME, context)?;
            let values = Values {
                column: column.map(DocValues::Terms),
                missing: missing.map(|point| hash_text(&point.term())),
            };
            return Ok(build_values(values, threshold, context));
        }
        None => {}
    }
    let opened = Source::open(request, context)?;
    let missing = request.missing.as_ref();
    let missing = missing
        .map(|value| hash_value(value, &opened.format, context.now_ms))
        .transpose()?;
    let values = Values {
        column: opened.values,
        missing,
    };
    Ok(build_values(values, threshold, context))
}

/// What is counted.
struct Values {
    /// `None` where no document of the segment has a value.
    column: Option<DocValues>,
    /// Hash of what stands for missing values.
    missing: Option<u64>,
}

/// Values, of which each counts by itself.
fn build_values<'a>(
    values: Values,
    threshold: u32,
    context: &SegmentContext<'a>,
) -> Box<dyn Node + 'a> {
    let Values { column, missing } = values;
    let meter = context.ledger.meter();
    match column {
        Some(DocValues::Terms(column)) => Box::new(TermsNode {
            column,
            missing,
            threshold,
            owners: Vec::new(),
            meter,
            control: context.control,
        }),
        values => Box::new(ValuesNode {
            values,
            missing,
            threshold,
            owners: Vec::new(),
            recent: Recent::default(),
            meter,
        }),
    }
}

/// Ranges: those of a document are one value.
fn build_ranges<'a>(
    field: &str,
    threshold: u32,
    context: &SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let column = spans::open_terms(field, NAME, context)?;
    let mut meter = context.ledger.meter();
    let mut hashes = Vec::new();
    if let Some(column) = &column {
        meter.charge(column.num_terms() * size_of::<u64>())?;
        let terms = column.dictionary().stream();
        let mut terms = terms.map_err(EngineError::io("reading terms"))?;
        while terms.advance() {
            if hashes.len().is_multiple_of(TERMS_A_CHECK) {
                context.control.check()?;
            }
            hashes.push(hash_text(&String::from_utf8_lossy(terms.key())));
        }
    }
    Ok(Box::new(RangesNode {
        column,
        hashes,
        threshold,
        owners: Vec::new(),
        meter,
    }))
}

/// Returns the hash of what stands for missing values.
fn hash_value(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<u64, EvaluationError> {
    match (format.kind, value) {
        (ValueKind::Keyword | ValueKind::Unmapped, Value::String(text)) => Ok(hash_text(text)),
        // Another index may know the field: as what such a value is of.
        (ValueKind::Unmapped, Value::Number(_) | Value::Bool(_)) => {
            bounds::number(value, format, now_ms).map(hash_fraction)
        }
        (ValueKind::Keyword | ValueKind::Unmapped, other) => Ok(hash_text(&other.to_string())),
        (ValueKind::Ip, Value::String(text)) => keys::parse_ip(text).map(hash_ip),
        _ => bounds::missing(value, format, now_ms).map(hash_fraction),
    }
}

/// Values that were added a moment ago: those of most fields are few, and hashing one takes longer than finding it here.
struct Recent(Vec<(u64, u32)>);

/// A power of two: 16 KiB.
const NUM_RECENT: usize = 1 << 10;

/// Stands in the place of an owner that had no value. There are fewer owners than that.
const MISSING: u32 = 1 << 31;

impl Default for Recent {
    fn default() -> Self {
        Self(vec![(0, u32::MAX); NUM_RECENT])
    }
}

impl Recent {
    /// Returns whether `owner` had the value of these bits lately, and notes it.
    fn has(&mut self, bits: u64, owner: u32) -> bool {
        // Multiplied, as the low bits of fractions are mostly zero.
        let spread =
            bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - NUM_RECENT.trailing_zeros());
        let place = &mut self.0[spread as usize];
        std::mem::replace(place, (bits, owner)) == (bits, owner)
    }
}

struct ValuesNode<'a> {
    values: Option<DocValues>,
    missing: Option<u64>,
    threshold: u32,
    owners: Vec<Distinct>,
    recent: Recent,
    meter: Meter<'a>,
}

impl Node for ValuesNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let threshold = self.threshold;
        grow(&mut self.owners, block, &mut self.meter, || {
            Distinct::new(threshold)
        })?;
        let (owners, recent) = (&mut self.owners, &mut self.recent);
        let missing = self.missing;
        let mut grown = 0;
        // Of a value come its bits, which no other one of the column has, and its hash where that is needed.
        let mut add = |i: usize, bits: Option<u64>, hash: &dyn Fn(u64) -> u64| {
            let owner = block.owners[i];
            let hash = match (bits, missing) {
                (Some(bits), _) if !recent.has(bits, owner) => hash(bits),
                (None, Some(missing)) if !recent.has(0, owner | MISSING) => missing,
                _ => return,
            };
            let set = &mut owners[owner as usize];
            let before = set.num_bytes();
            set.insert(hash);
            grown += set.num_bytes().saturating_sub(before);
        };
        let whole = |bits: u64| hash_whole(bits.cast_signed());
        let docs = block.docs;
        match &self.values {
            None => (0..docs.len()).for_each(|i| add(i, None, &whole)),
            Some(
                DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column),
            ) => {
                visit_column(column, docs, |i, value: Option<i64>| {
                    add(i, value.map(i64::cast_unsigned), &whole);
                });
            }
            Some(DocValues::U64(column)) => {
                visit_column(column, docs, |i, value| add(i, value, &hash_unsigned));
            }
            Some(DocValues::F64(column)) => {
                let fraction = |bits: u64| hash_fraction(f64::from_bits(bits));
                visit_column(column, docs, |i, value: Option<f64>| {
                    add(i, value.map(f64::to_bits), &fraction);
                });
            }
            Some(DocValues::Bool(column)) => {
                visit_column(column, docs, |i, value| {
                    add(i, value.map(u64::from), &whole);
                });
            }
            Some(DocValues::Ip(column)) => {
                visit_column(column, docs, |i, value| {
                    let hash = value.map(|value| hash_ip(ip_number(value)));
                    add(i, hash, &|hash| hash);
                });
            }
            Some(DocValues::Terms(_)) => {}
        }
        Ok(self.meter.charge(grown)?)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners
            .resize(num_owners, Distinct::new(self.threshold));
        Ok(self.owners.into_iter().map(Partial::Distinct).collect())
    }
}

struct RangesNode<'a> {
    /// `None` where the segment has no ranges.
    column: Option<StrColumn>,
    /// Of each range, by ordinal.
    hashes: Vec<u64>,
    threshold: u32,
    owners: Vec<Distinct>,
    meter: Meter<'a>,
}

impl Node for RangesNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let threshold = self.threshold;
        grow(&mut self.owners, block, &mut self.meter, || {
            Distinct::new(threshold)
        })?;
        let Some(column) = &self.column else {
            return Ok(());
        };
        let hashes = &self.hashes;
        let mut found: Vec<(usize, u64)> = Vec::with_capacity(block.docs.len());
        visit_column(column.ords(), block.docs, |i, ord: Option<u64>| {
            let hash = ord.and_then(|ord| hashes.get(ord as usize));
            found.extend(hash.map(|hash| (i, *hash)));
        });
        found.sort_unstable();
        found.dedup();
        let mut grown = 0;
        for of_document in found.chunk_by(|a, b| a.0 == b.0) {
            let set: Vec<u64> = of_document.iter().map(|(_, hash)| *hash).collect();
            let owner = block.owners[of_document[0].0];
            let distinct = &mut self.owners[owner as usize];
            let before = distinct.num_bytes();
            distinct.insert(hash_set(&set));
            grown += distinct.num_bytes().saturating_sub(before);
        }
        Ok(self.meter.charge(grown)?)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners
            .resize(num_owners, Distinct::new(self.threshold));
        Ok(self.owners.into_iter().map(Partial::Distinct).collect())
    }
}

struct TermsNode<'a> {
    column: StrColumn,
    missing: Option<u64>,
    threshold: u32,
    owners: Vec<Ords>,
    meter: Meter<'a>,
    control: &'a Control,
}

/// Ordinals of an owner, and whether a document had none.
#[derive(Default)]
struct Ords {
    ords: RoaringBitmap,
    has_missing: bool,
}

impl Node for TermsNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, Ords::default)?;
        let owners = &mut self.owners;
        let mut added = 0;
        visit_column(self.column.ords(), block.docs, |i, ord| {
            let owner = &mut owners[block.owners[i] as usize];
            match ord {
                // Ordinals of a segment's terms fit 32 bits: it has fewer values than that.
                Some(ord) => added += usize::from(owner.ords.insert(ord as u32)),
                None => owner.has_missing = true,
            }
        });
        Ok(self.meter.charge(added * 2)?)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize_with(num_owners, Ords::default);
        let mut partials = Vec::with_capacity(num_owners);
        let mut num_late = 0;
        for owner in self.owners {
            let mut distinct = Distinct::new(self.threshold);
            let ords: Vec<u64> = owner.ords.iter().map(u64::from).collect();
            let mut insert =
                |term: &[u8]| distinct.insert(hash_text(&String::from_utf8_lossy(term)));
            for ords in ords.chunks(TERMS_A_CHECK) {
                match self.control.check() {
                    Err(Stop::Deadline) if num_late < TERMS_WHEN_LATE => num_late += ords.len(),
                    checked => checked?,
                }
                self.column
                    .dictionary()
                    .sorted_ords_to_term_cb(ords, &mut insert)
                    .map_err(EngineError::io("reading terms"))?;
            }
            if let Some(hash) = self.missing.filter(|_| owner.has_missing) {
                distinct.insert(hash);
            }
            self.meter.charge(distinct.num_bytes())?;
            partials.push(Partial::Distinct(distinct));
        }
        Ok(partials)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_for_missing_values_is_one_value_whether_or_not_the_field_is_known() {
        let hash = |kind, value: Value| {
            let format = ValueFormat {
                kind,
                ..ValueFormat::default()
            };
            hash_value(&value, &format, 0).expect("it is good")
        };
        for (kind, value) in [
            (ValueKind::Long, json!(5)),
            (ValueKind::Double, json!(0.5)),
            (ValueKind::Boolean, json!(true)),
            (ValueKind::Keyword, json!("a")),
        ] {
            assert_eq!(hash(ValueKind::Unmapped, value.clone()), hash(kind, value));
        }
    }
}
