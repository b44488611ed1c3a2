//! Values of several fields side by side, as numbers in their order: what keys of several values are made of.
//!
//! Does: read the values of a block of documents ([`Side::gather`]), walk their combinations
//! ([`each_combination`]), turn numbers back into keys ([`Column::keys`]). Does not: know buckets.
//! Called by `composite` and `multi_terms`.

use std::collections::HashMap;

use gleaner_partial::cells::Cells;
use gleaner_partial::control::{Control, Pace};
use gleaner_partial::key::{Fraction, Key, ValueFormat};
use gleaner_partial::request::formats;
use gleaner_partial::request::rounding::{ReadyStarts, Rounding};
use gleaner_query::aggregation::{CompositeSource, CompositeValues, GeoGrid};
use tantivy::DocId;
use tantivy::columnar::{self, StrColumn};

use super::node::SegmentContext;
use super::points::Points;
use super::source::{Numbers, Source, ip_number, visit_column};
use super::term_keys::{self, KeyColumn as _};
use super::whole::{Ordered, WholeSegment};
use crate::doc_values::DocValues;
use crate::error::EngineError;

/// A value in the order of its source: 0, 1, 2 for a missing one before all, a value, a missing one after all;
/// then the value's number.
pub(super) type Part = (u8, u128);

/// Before all values: of documents without one.
pub(super) const FIRST: Part = (0, 0);
/// After all values: of documents without one.
pub(super) const LAST: Part = (2, 0);

/// The values of one source in a segment.
pub(super) enum Column {
    /// Terms by ordinal: odd numbers, so that there is one between two of them.
    Terms(StrColumn),
    Whole(columnar::Column<i64>),
    Unsigned(columnar::Column<u64>),
    Fractions(columnar::Column<f64>),
    Booleans(columnar::Column<bool>),
    Addresses(columnar::Column<std::net::Ipv6Addr>),
    Intervals(Numbers, f64),
    Dates(Numbers, ReadyStarts),
    Cells(Points, Cells),
    Nothing,
}

impl Column {
    /// Opens values that are taken each by itself.
    pub(super) fn of_values(values: Option<DocValues>) -> Self {
        match values {
            Some(DocValues::Terms(column)) => Self::Terms(column),
            Some(
                DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column),
            ) => Self::Whole(column),
            Some(DocValues::U64(column)) => Self::Unsigned(column),
            Some(DocValues::F64(column)) => Self::Fractions(column),
            Some(DocValues::Bool(column)) => Self::Booleans(column),
            Some(DocValues::Ip(column)) => Self::Addresses(column),
            None => Self::Nothing,
        }
    }

    /// Opens a source of `composite`.
    pub(super) fn of_source(
        source: &CompositeSource,
        context: &SegmentContext<'_>,
    ) -> Result<(Self, ValueFormat), EngineError> {
        Ok(match &source.values {
            CompositeValues::Terms => {
                let opened = Source::open(&source.source, context)?;
                (Self::of_values(opened.values), opened.format)
            }
            CompositeValues::Histogram(width) => {
                let (numbers, format) = Numbers::open(&source.source, "composite", context)?;
                (
                    Self::Intervals(numbers, *width),
                    formats::of_fractions(format),
                )
            }
            CompositeValues::DateHistogram {
                interval,
                time_zone,
                offset_ms,
            } => {
                let zone = time_zone.as_deref();
                let (numbers, mut format) =
                    Numbers::open_in(zone, &source.source, "composite", context)?;
                format.time_zone.clone_from(time_zone);
                let (min, max) = numbers.extent().unwrap_or((0.0, -1.0));
                let rounding = Rounding::of(*interval, zone, *offset_ms)?;
                let starts = ReadyStarts::new(rounding, min as i64, max as i64);
                (Self::Dates(numbers, starts), format)
            }
            CompositeValues::GeoTile { zoom, bounds } => {
                let points = Points::open(&source.source.field, context)?;
                let cells = Cells::new(GeoGrid::Geotile(*zoom), bounds.as_ref());
                (Self::Cells(points, cells), ValueFormat::default())
            }
        })
    }

    /// Returns the documents of a segment ascending by this source, whose values are those of `field`; `None` where there is no such
    /// order.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(super) fn ordered<'a>(
        &self,
        field: &str,
        whole: &WholeSegment<'a>,
    ) -> Result<Option<Ordered<'a>>, EngineError> {
        let values = match self {
            Self::Terms(column) => DocValues::Terms(column.clone()),
            Self::Whole(column) => DocValues::I64(column.clone()),
            Self::Unsigned(column) => DocValues::U64(column.clone()),
            Self::Fractions(column) => DocValues::F64(column.clone()),
            Self::Intervals(numbers, _) | Self::Dates(numbers, _) => return numbers.ordered(whole),
            Self::Booleans(_) | Self::Addresses(_) | Self::Cells(..) | Self::Nothing => {
                return Ok(None);
            }
        };
        whole.ordered(field, &values)
    }

    fn visit(&mut self, docs: &[DocId], mut f: impl FnMut(usize, u128)) {
        let some = |value: Option<u128>, i, f: &mut dyn FnMut(usize, u128)| {
            value.into_iter().for_each(|value| f(i, value));
        };
        match self {
            Self::Terms(column) => visit_column(column.ords(), docs, |i, ord: Option<u64>| {
                some(ord.map(ordinal_number), i, &mut f);
            }),
            Self::Whole(column) => visit_column(column, docs, |i, value: Option<i64>| {
                some(value.map(whole_number), i, &mut f);
            }),
            Self::Unsigned(column) => visit_column(column, docs, |i, value: Option<u64>| {
                some(value.map(u128::from), i, &mut f);
            }),
            Self::Fractions(column) => visit_column(column, docs, |i, value: Option<f64>| {
                some(value.map(fraction_number), i, &mut f);
            }),
            Self::Booleans(column) => visit_column(column, docs, |i, value: Option<bool>| {
                some(value.map(|value| whole_number(value.into())), i, &mut f);
            }),
            Self::Addresses(column) => visit_column(column, docs, |i, value| {
                some(value.map(ip_number), i, &mut f);
            }),
            Self::Intervals(numbers, width) => numbers.visit(docs, |i, value| {
                f(i, fraction_number((value / *width).floor() * *width));
            }),
            Self::Dates(numbers, starts) => numbers.visit(docs, |i, value| {
                f(i, whole_number(starts.round(value as i64)));
            }),
            Self::Cells(points, cells) => points.visit(docs, |i, point| {
                some(cells.of(point).map(whole_number), i, &mut f);
            }),
            Self::Nothing => {}
        }
    }

    /// Returns the keys of numbers, which are sorted and distinct.
    ///
    /// # Errors
    /// When terms cannot be read.
    pub(super) fn keys(&self, numbers: &[u128]) -> Result<Vec<Key>, EngineError> {
        let of = |key: fn(u128) -> Key| Ok(numbers.iter().map(|number| key(*number)).collect());
        match self {
            Self::Terms(column) => {
                let ords: Vec<u64> = numbers.iter().map(|number| (number >> 1) as u64).collect();
                term_keys::Terms(column.clone()).keys(&ords)
            }
            Self::Whole(_) | Self::Booleans(_) | Self::Dates(..) | Self::Cells(..) => {
                of(|number| Key::I64((number as u64 ^ SIGN) as i64))
            }
            Self::Unsigned(_) => of(|number| Key::U64(number as u64)),
            Self::Fractions(_) | Self::Intervals(..) => of(number_fraction),
            Self::Addresses(_) => of(Key::Ip),
            Self::Nothing => Ok(Vec::new()),
        }
    }

    /// Returns the number of a key if a value of the segment may have it.
    ///
    /// # Errors
    /// When terms cannot be read.
    pub(super) fn held_number(&self, key: &Key) -> Result<Option<u128>, EngineError> {
        let number = self.number(key)?;
        let is_held = match self {
            Self::Nothing => false,
            Self::Terms(_) => number & 1 == 1,
            _ => true,
        };
        Ok(is_held.then_some(number))
    }

    /// Returns the number of a key; of a term that the segment lacks one between its neighbours'.
    ///
    /// # Errors
    /// When terms cannot be read.
    pub(super) fn number(&self, key: &Key) -> Result<u128, EngineError> {
        Ok(match (self, key) {
            (Self::Terms(column), Key::Text(text)) => {
                let unread = || EngineError::io("reading terms");
                let dictionary = column.dictionary();
                if let Some(ord) = dictionary.term_ord(text).map_err(unread())? {
                    return Ok(ordinal_number(ord));
                }
                let later = dictionary.range().ge(text).into_stream();
                let mut later = later.map_err(unread())?;
                let next = match later.advance() {
                    true => later.term_ord(),
                    false => dictionary.num_terms() as u64,
                };
                u128::from(next) << 1
            }
            (_, Key::I64(value)) => whole_number(*value),
            (_, Key::U64(value)) => u128::from(*value),
            (_, Key::F64(value)) => fraction_number(value.get()),
            (_, Key::Ip(address)) => *address,
            (_, Key::Text(_)) => 0,
        })
    }
}

const SIGN: u64 = 1 << 63;

fn ordinal_number(ord: u64) -> u128 {
    (u128::from(ord) << 1) | 1
}

fn whole_number(value: i64) -> u128 {
    u128::from(value as u64 ^ SIGN)
}

fn fraction_number(value: f64) -> u128 {
    let bits = Fraction::from(value).get().to_bits();
    u128::from(match bits & SIGN == 0 {
        true => bits | SIGN,
        false => !bits,
    })
}

fn number_fraction(number: u128) -> Key {
    let number = number as u64;
    let bits = match number & SIGN == 0 {
        true => !number,
        false => number & !SIGN,
    };
    Key::F64(Fraction::from(f64::from_bits(bits)))
}

/// A column with what stands for missing values.
pub(super) struct Side {
    pub(super) column: Column,
    /// `None`: documents without a value are left out.
    pub(super) missing: Option<Part>,
    pub(super) descending: bool,
}

/// The values of each document of a block.
pub(super) struct Gathered {
    /// Where those of each document begin, and where the last end.
    starts: Vec<usize>,
    parts: Vec<Part>,
}

impl Gathered {
    /// Returns the values of document `i`.
    pub(super) fn of(&self, i: usize) -> &[Part] {
        &self.parts[self.starts[i]..self.starts[i + 1]]
    }
}

impl Side {
    /// Reads the values of a block, each once for a document.
    pub(super) fn gather(&mut self, docs: &[DocId]) -> Gathered {
        let mut found: Vec<(usize, u128)> = Vec::with_capacity(docs.len());
        self.column.visit(docs, |i, value| found.push((i, value)));
        // Values of a document stand together; of points, cells are in no order.
        found.sort_unstable();
        found.dedup();
        let mut gathered = Gathered {
            starts: Vec::with_capacity(docs.len() + 1),
            parts: Vec::with_capacity(found.len()),
        };
        let mut found = found.into_iter().peekable();
        for i in 0..docs.len() {
            let start = gathered.parts.len();
            gathered.starts.push(start);
            while let Some((_, value)) = found.next_if(|(at, _)| *at == i) {
                gathered.parts.push(self.part(value));
            }
            if gathered.parts.len() == start {
                gathered.parts.extend(self.missing);
            }
        }
        gathered.starts.push(gathered.parts.len());
        gathered
    }

    /// Returns a value's part in the direction of the source.
    pub(super) fn part(&self, value: u128) -> Part {
        (1, if self.descending { !value } else { value })
    }

    /// Returns the keys of parts, which may repeat; `None` for missing values.
    pub(super) fn keys(
        &self,
        parts: impl Iterator<Item = Part>,
    ) -> Result<HashMap<Part, Option<Key>>, EngineError> {
        let number = |part: Part| if self.descending { !part.1 } else { part.1 };
        let (values, missing): (Vec<Part>, Vec<Part>) = parts.partition(|part| part.0 == 1);
        let mut numbers: Vec<u128> = values.into_iter().map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let keys = self.column.keys(&numbers)?;
        let pairs = numbers.into_iter().zip(keys);
        let known = pairs.map(|(number, key)| (self.part(number), Some(key)));
        Ok(known
            .chain(missing.into_iter().map(|part| (part, None)))
            .collect())
    }
}

/// Calls `f` with each combination of the values of document `i`, one of each source; none where a source has
/// none. There may be very many: `pace` counts them.
///
/// # Errors
/// Those of `f`; when the request must stop.
pub(super) fn each_combination(
    gathered: &[Gathered],
    i: usize,
    pace: &mut Pace<&Control>,
    mut f: impl FnMut(&[Part]) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let lists: Vec<&[Part]> = gathered.iter().map(|values| values.of(i)).collect();
    if lists.iter().any(|list| list.is_empty()) {
        return Ok(());
    }
    let mut places = vec![0; lists.len()];
    let mut parts: Vec<Part> = lists.iter().map(|list| list[0]).collect();
    loop {
        pace.step(1)?;
        f(&parts)?;
        // The last source turns fastest.
        let mut at = lists.len();
        loop {
            let Some(next) = at.checked_sub(1) else {
                return Ok(());
            };
            at = next;
            places[at] += 1;
            if let Some(part) = lists[at].get(places[at]) {
                parts[at] = *part;
                break;
            }
            places[at] = 0;
            parts[at] = lists[at][0];
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_partial::EvaluationError;

    use super::*;

    /// The values of each document, of one source.
    fn gathered(lists: &[&[u128]]) -> Gathered {
        let mut all = Gathered {
            starts: vec![0],
            parts: Vec::new(),
        };
        for list in lists {
            all.parts.extend(list.iter().map(|value| (1, *value)));
            all.starts.push(all.parts.len());
        }
        all
    }

    #[test]
    fn numbers_keep_the_order_of_fractions() {
        let values = [f64::MIN, -1.5, -0.0, 0.25, 7.0, f64::MAX];
        let numbers = values.map(fraction_number);
        assert!(numbers.is_sorted());
        for (number, value) in numbers.into_iter().zip(values) {
            assert_eq!(number_fraction(number), Key::F64(Fraction::from(value)));
        }
        assert!([i64::MIN, -1, 0, i64::MAX].map(whole_number).is_sorted());
    }

    #[test]
    fn every_combination_comes_once() {
        let sides = [gathered(&[&[1, 2], &[]]), gathered(&[&[7, 8, 9], &[7]])];
        let control = Control::unlimited();
        let of = |i| {
            let mut found = Vec::new();
            let noted = each_combination(&sides, i, &mut Pace::new(&control), |parts| {
                found.push(parts.iter().map(|part| part.1).collect::<Vec<_>>());
                Ok(())
            });
            noted.expect("nothing fails");
            found
        };
        assert_eq!(of(0), [[1, 7], [1, 8], [1, 9], [2, 7], [2, 8], [2, 9]]);
        assert_eq!(of(1), [[0; 0]; 0].map(|_: [u128; 0]| vec![]));
    }

    #[test]
    fn the_combinations_of_one_document_end_when_the_request_is_cancelled() {
        let values: Vec<u128> = (0..32).collect();
        let sides: Vec<Gathered> = (0..8).map(|_| gathered(&[&values])).collect();
        let control = Control::unlimited();
        control.cancel();
        let mut num_calls = 0;
        let stopped = each_combination(&sides, 0, &mut Pace::new(&control), |_| {
            num_calls += 1;
            Ok(())
        });
        assert!(
            matches!(
                stopped,
                Err(EngineError::Evaluation(EvaluationError::Cancelled))
            ),
            "{stopped:?}"
        );
        assert!(num_calls < 10_000, "{num_calls}");
    }
}
