//! Keys of `terms` in one segment: what a column's values are.

use std::hash::Hash;
use std::net::Ipv6Addr;

use gleaner_partial::control::Control;
use gleaner_partial::key::{Fraction, Key};
use gleaner_partial::request::key_filter::KeyFilter;
use tantivy::DocId;
use tantivy::columnar::{Column, StrColumn};

use super::key_filter::Ordinals;
use super::source::{ip_number, visit_column};
use crate::error::EngineError;

/// Values of one type of column as keys.
pub(super) trait KeyColumn: Send {
    /// A value as it is grouped by; equal values of two documents are equal here.
    type Raw: Copy + Eq + Ord + Hash + Send;

    /// Calls `f` with the place in `docs` and each value, or once with `None` without a value.
    fn visit(&self, docs: &[DocId], f: impl FnMut(usize, Option<Self::Raw>));

    /// Returns the first value of a document.
    fn first(&self, doc: DocId) -> Option<Self::Raw>;

    /// Returns the keys of values, which are sorted and distinct.
    fn keys(&self, raws: &[Self::Raw]) -> Result<Vec<Key>, EngineError>;

    /// Returns the number of values where they are numbered from 0.
    fn num_ordinals(&self) -> Option<usize>;

    /// Returns a value's number where they are numbered from 0.
    fn ordinal(raw: Self::Raw) -> usize;

    /// Returns the numbers of the values wanted, where to read a value costs more than to ask for its
    /// number.
    fn wanted(&self, _: &KeyFilter, _: &Control) -> Result<Option<Ordinals>, EngineError> {
        Ok(None)
    }
}

/// Terms of a `keyword` by ordinal.
pub(super) struct Terms(pub(super) StrColumn);

impl KeyColumn for Terms {
    type Raw = u64;

    fn visit(&self, docs: &[DocId], f: impl FnMut(usize, Option<u64>)) {
        visit_column(self.0.ords(), docs, f);
    }

    fn first(&self, doc: DocId) -> Option<u64> {
        self.0.ords().first(doc)
    }

    fn keys(&self, raws: &[u64]) -> Result<Vec<Key>, EngineError> {
        let mut keys = Vec::with_capacity(raws.len());
        let mut push =
            |term: &[u8]| keys.push(Key::Text(String::from_utf8_lossy(term).into_owned()));
        let dictionary = self.0.dictionary();
        let found = dictionary.sorted_ords_to_term_cb(raws, &mut push);
        match found.map_err(EngineError::io("reading terms"))? {
            true => Ok(keys),
            false => Err(EngineError::Corrupt(
                "a column has terms beyond its dictionary".to_owned(),
            )),
        }
    }

    fn num_ordinals(&self) -> Option<usize> {
        Some(self.0.dictionary().num_terms())
    }

    fn ordinal(raw: u64) -> usize {
        raw as usize
    }

    fn wanted(
        &self,
        filter: &KeyFilter,
        control: &Control,
    ) -> Result<Option<Ordinals>, EngineError> {
        Ordinals::of(filter, self.0.dictionary(), control).map(Some)
    }
}

/// Whole numbers, dates.
pub(super) struct Whole(pub(super) Column<i64>);
/// `unsigned_long`.
pub(super) struct Unsigned(pub(super) Column<u64>);
/// Fractions.
pub(super) struct Fractions(pub(super) Column<f64>);
/// Booleans.
pub(super) struct Booleans(pub(super) Column<bool>);
/// Addresses.
pub(super) struct Addresses(pub(super) Column<Ipv6Addr>);

/// Columns whose values are keys by themselves.
macro_rules! value_column {
    ($column:ty, $raw:ty, $to_raw:expr, $to_key:expr) => {
        impl KeyColumn for $column {
            type Raw = $raw;

            fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, Option<$raw>)) {
                visit_column(&self.0, docs, |i, value| f(i, value.map($to_raw)));
            }

            fn first(&self, doc: DocId) -> Option<$raw> {
                self.0.first(doc).map($to_raw)
            }

            fn keys(&self, raws: &[$raw]) -> Result<Vec<Key>, EngineError> {
                Ok(raws.iter().copied().map($to_key).collect())
            }

            fn num_ordinals(&self) -> Option<usize> {
                None
            }

            fn ordinal(_: $raw) -> usize {
                0
            }
        }
    };
}

value_column!(Whole, i64, |value| value, Key::I64);
value_column!(Unsigned, u64, |value| value, Key::U64);
value_column!(Fractions, Fraction, Fraction::from, Key::F64);
value_column!(Booleans, bool, |value| value, |value| Key::I64(
    value.into()
));
value_column!(Addresses, u128, ip_number, Key::Ip);

/// A column without values.
pub(super) struct Nothing;

impl KeyColumn for Nothing {
    type Raw = u8;

    fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, Option<u8>)) {
        (0..docs.len()).for_each(|i| f(i, None));
    }

    fn first(&self, _: DocId) -> Option<u8> {
        None
    }

    fn keys(&self, _: &[u8]) -> Result<Vec<Key>, EngineError> {
        Ok(Vec::new())
    }

    fn num_ordinals(&self) -> Option<usize> {
        None
    }

    fn ordinal(_: u8) -> usize {
        0
    }
}
