//! Columns whose terms stand for values, with these values beside: points and ranges.
//!
//! Does: read the dictionary of such a column once for a segment ([`DecodedColumns`]), and keep what its terms
//! stand for: 8 bytes for a point, 16 for a range. Does not: know documents apart from their ordinals.
//! Called by aggregations and functions of scores. Read first: [`Decoded`].

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_model::FieldKind;
use gleaner_query::encoded::{GeoPoint, numbers_of};
use parking_lot::RwLock;
use tantivy::columnar::{Column, StrColumn};
use tantivy::schema::Field;
use tantivy::{DocId, SegmentReader};

use crate::EngineError;
use crate::control::Control;
use crate::schema::FieldHandle;

/// Terms read between two looks at the request's control.
const TERMS_A_CHECK: usize = 4_096;

/// A column of terms with what each stands for.
pub(crate) struct Decoded<T> {
    column: StrColumn,
    /// By ordinal of their terms.
    values: Vec<T>,
}

/// Points of a field.
pub(crate) type PointColumn = Decoded<GeoPoint>;
/// Ranges of a field, as their least and greatest values.
pub(crate) type RangeColumn = Decoded<(f64, f64)>;

impl<T: Copy> Decoded<T> {
    /// Reads all terms of a column.
    ///
    /// # Errors
    /// When they cannot be read, one of them stands for nothing, or `control` stops.
    fn read(
        column: StrColumn,
        control: &Control,
        value_of: impl Fn(&str) -> Option<T>,
    ) -> Result<Self, EngineError> {
        let dictionary = column.dictionary();
        let mut values = Vec::with_capacity(dictionary.num_terms());
        let terms = dictionary.stream();
        let mut terms = terms.map_err(EngineError::io("reading terms"))?;
        while terms.advance() {
            if values.len().is_multiple_of(TERMS_A_CHECK) {
                control.check()?;
            }
            let term = std::str::from_utf8(terms.key()).ok();
            values.push(term.and_then(&value_of).ok_or_else(|| {
                EngineError::Corrupt("a column of values has a term that is none".to_owned())
            })?);
        }
        Ok(Self { column, values })
    }

    /// Returns the memory that the values take, in bytes.
    pub(crate) fn num_bytes(&self) -> usize {
        self.values.len() * size_of::<T>()
    }

    /// Returns the ordinals of documents.
    pub(crate) fn ords(&self) -> &Column<u64> {
        self.column.ords()
    }

    /// Returns the value of an ordinal.
    pub(crate) fn value(&self, ord: u64) -> Option<T> {
        self.values.get(ord as usize).copied()
    }

    /// Returns the values of a document.
    pub(crate) fn of_document(&self, doc: DocId) -> impl Iterator<Item = T> {
        let ords = self.column.term_ords(doc);
        ords.filter_map(|ord| self.value(ord))
    }
}

/// What was decoded in a segment.
#[derive(Default)]
pub(crate) struct DecodedColumns {
    points: RwLock<Known<GeoPoint>>,
    ranges: RwLock<Known<(f64, f64)>>,
}

type Known<T> = HashMap<Field, Arc<Decoded<T>>>;

impl DecodedColumns {
    /// Returns the points of a field; `None` where no document of the segment has one.
    ///
    /// # Errors
    /// When they cannot be read, or `control` stops.
    pub(crate) fn points(
        &self,
        reader: &SegmentReader,
        handle: &FieldHandle,
        control: &Control,
    ) -> Result<Option<Arc<PointColumn>>, EngineError> {
        remembered(&self.points, reader, handle, |column| {
            Decoded::read(column, control, GeoPoint::of_term)
        })
    }

    /// Returns the ranges of a field of numbers or dates; `None` where the segment has no column of them.
    ///
    /// # Errors
    /// When they cannot be read, or `control` stops.
    pub(crate) fn ranges(
        &self,
        reader: &SegmentReader,
        handle: &FieldHandle,
        control: &Control,
    ) -> Result<Option<Arc<RangeColumn>>, EngineError> {
        let FieldKind::Encoded { codec, .. } = &handle.kind else {
            return Ok(None);
        };
        remembered(&self.ranges, reader, handle, |column| {
            Decoded::read(column, control, |term| numbers_of(codec, term))
        })
    }
}

fn remembered<T>(
    known: &RwLock<Known<T>>,
    reader: &SegmentReader,
    handle: &FieldHandle,
    read: impl FnOnce(StrColumn) -> Result<Decoded<T>, EngineError>,
) -> Result<Option<Arc<Decoded<T>>>, EngineError> {
    if let Some(decoded) = known.read().get(&handle.column) {
        return Ok(Some(Arc::clone(decoded)));
    }
    let Some(column) = reader.fast_fields().str(handle.name.as_str())? else {
        return Ok(None);
    };
    let decoded = Arc::new(read(column)?);
    known.write().insert(handle.column, Arc::clone(&decoded));
    Ok(Some(decoded))
}
