//! Columns whose terms stand for values, with these values beside: points and ranges.
//!
//! Does: read the dictionary of such a column once for a segment ([`DecodedColumns`]), and keep what its terms
//! stand for: 8 bytes for a point, 16 for a range. Whoever asks for them has paid before they are read; reading is for
//! all who ask later, so that no deadline ends it. What is not used for long is given up ([`kept`]). Does not: know
//! documents apart from their ordinals.
//! Called by aggregations and by orders. Read first: [`Decoded`].

mod kept;

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_model::FieldKind;
use gleaner_query::encoded::{GeoPoint, numbers_of};
use parking_lot::{Mutex, RwLock};
use tantivy::columnar::{Column, StrColumn};
use tantivy::schema::Field;
use tantivy::{DocId, SegmentReader};

use self::kept::{Forget, KEPT, Place};
use crate::EngineError;
use crate::schema::FieldHandle;

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
    /// When they cannot be read, or one of them stands for nothing.
    fn read(column: StrColumn, value_of: impl Fn(&str) -> Option<T>) -> Result<Self, EngineError> {
        let dictionary = column.dictionary();
        let mut values = Vec::with_capacity(dictionary.num_terms());
        let terms = dictionary.stream();
        let mut terms = terms.map_err(EngineError::io("reading terms"))?;
        while terms.advance() {
            let term = std::str::from_utf8(terms.key()).ok();
            values.push(term.and_then(&value_of).ok_or_else(|| {
                EngineError::Corrupt("a column of values has a term that is none".to_owned())
            })?);
        }
        Ok(Self { column, values })
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
    points: Known<GeoPoint>,
    ranges: Known<(f64, f64)>,
}

/// By field.
type Known<T> = RwLock<HashMap<Field, Arc<Slot<T>>>>;

/// A column that was decoded, until it is given up.
struct Slot<T> {
    /// Held while it is decoded, so that others wait for it.
    decoding: Mutex<()>,
    /// Held for a moment only.
    decoded: Mutex<Option<Arc<Decoded<T>>>>,
    place: Place,
}

impl<T> Slot<T> {
    fn known(&self) -> Option<Arc<Decoded<T>>> {
        self.decoded.lock().clone()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            decoding: Mutex::default(),
            decoded: Mutex::default(),
            place: Place::default(),
        }
    }
}

impl<T: Send + Sync> Forget for Slot<T> {
    fn forget(&self) {
        let taken = self.decoded.lock().take();
        // Not under the lock: it may be large.
        drop(taken);
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        KEPT.gone(&self.place);
    }
}

impl DecodedColumns {
    /// Returns the points of a field; `None` where no document of the segment has one. `charge` is called with
    /// the bytes that they take, before they are read.
    ///
    /// # Errors
    /// When they cannot be read; those of `charge`.
    pub(crate) fn points(
        &self,
        reader: &SegmentReader,
        handle: &FieldHandle,
        charge: impl FnOnce(usize) -> Result<(), EngineError>,
    ) -> Result<Option<Arc<PointColumn>>, EngineError> {
        let Some(column) = reader.fast_fields().str(handle.name.as_str())? else {
            return Ok(None);
        };
        charge(column.num_terms() * size_of::<GeoPoint>())?;
        remembered(&self.points, handle.column, || {
            Decoded::read(column, GeoPoint::of_term)
        })
        .map(Some)
    }

    /// Returns the points of a field if they are decoded already.
    pub(crate) fn known_points(&self, handle: &FieldHandle) -> Option<Arc<PointColumn>> {
        let slot = self.points.read().get(&handle.column).cloned()?;
        // One that is being decoded is not waited for.
        slot.known()
    }

    /// Returns the ranges of a field of numbers or dates; `None` where the segment has no column of them. `charge`
    /// is called with the bytes that they take, before they are read.
    ///
    /// # Errors
    /// When they cannot be read; those of `charge`.
    pub(crate) fn ranges(
        &self,
        reader: &SegmentReader,
        handle: &FieldHandle,
        charge: impl FnOnce(usize) -> Result<(), EngineError>,
    ) -> Result<Option<Arc<RangeColumn>>, EngineError> {
        let FieldKind::Encoded { codec, .. } = &handle.kind else {
            return Ok(None);
        };
        let Some(column) = reader.fast_fields().str(handle.name.as_str())? else {
            return Ok(None);
        };
        charge(column.num_terms() * size_of::<(f64, f64)>())?;
        remembered(&self.ranges, handle.column, || {
            Decoded::read(column, |term| numbers_of(codec, term))
        })
        .map(Some)
    }
}

/// Returns the decoded values of a field. The first request that wants them decodes them; others wait for it. They stay
/// decoded for later ones as long as there is room.
fn remembered<T: Send + Sync + 'static>(
    known: &Known<T>,
    field: Field,
    read: impl FnOnce() -> Result<Decoded<T>, EngineError>,
) -> Result<Arc<Decoded<T>>, EngineError> {
    let slot = Arc::clone(known.write().entry(field).or_default());
    let decoded = {
        let _turn = slot.decoding.lock();
        match slot.known() {
            Some(decoded) => decoded,
            None => {
                let decoded = Arc::new(read()?);
                *slot.decoded.lock() = Some(Arc::clone(&decoded));
                decoded
            }
        }
    };
    KEPT.used(&slot, size_of_val(&*decoded.values) as u64);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aggregate::testing::{Index, Layout, mapping};

    #[test]
    fn points_are_paid_for_before_they_are_read_and_read_once() {
        let layout = Layout {
            shards: 1,
            segments: 1,
            has_deletes: false,
        };
        let mapping = mapping(&json!({"place": {"type": "geo_point"}}));
        let documents = (0..3).map(|i| (format!("d{i}"), json!({"place": [i, i]})));
        let index = Index::new(&mapping, &documents.collect(), layout);
        let view = index.views().remove(0);
        let handle = view.field("place").expect("it is mapped");
        let segment = &view.segments()[0];
        let decoded = segment.decoded();
        let refused = decoded.points(segment.reader(), handle, |bytes| {
            Err(EngineError::internal(format!("{bytes} bytes")))
        });
        let refused = refused.err().map(|error| error.to_string());
        assert!(
            refused.is_some_and(|reason| reason.contains("24 bytes")),
            "three points"
        );
        assert!(decoded.known_points(handle).is_none());
        let points = || decoded.points(segment.reader(), handle, |_| Ok(()));
        let (first, second) = (points().expect("a column"), points().expect("a column"));
        let (first, second) = (first.expect("points"), second.expect("points"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(decoded.known_points(handle).is_some());
        let slot = Arc::clone(&decoded.points.read()[&handle.column]);
        // Also while somebody waits for his turn to use it.
        let turn = slot.decoding.lock();
        slot.forget();
        drop(turn);
        assert!(decoded.known_points(handle).is_none(), "it was given up");
        assert_eq!(
            points().expect("a column").expect("points").values,
            first.values
        );
    }
}
