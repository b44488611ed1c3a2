//! Filters that remember their bitmaps.

use std::sync::Arc;

use gleaner_query::resolved::{Clause, Pattern};
use tantivy::query::{AllScorer, ConstScorer, EmptyScorer, Explanation, Scorer, Weight};
use tantivy::{DocId, Score, SegmentReader, TantivyError};

use super::Scope;
use crate::EngineError;
use crate::control::Control;
use crate::filter_cache::{BitmapDocSet, FilterCache, FilterKey, collect_bitmap, fingerprint};

/// Values of an `AnyOf` from which on its bitmap is kept at first use: it is built anyway.
const COSTLY_VALUES: usize = 16;

/// Lets `weight`, made from `clause`, look in the filter cache first; cheap clauses stay as they
/// are.
pub(super) fn wrap(
    scope: &Scope<'_>,
    clause: &Clause,
    weight: Box<dyn Weight>,
) -> Result<Box<dyn Weight>, EngineError> {
    let is_costly = match clause {
        Clause::MatchAll
        | Clause::MatchNone
        | Clause::Term { .. }
        | Clause::Synonyms { .. }
        | Clause::Exact { .. }
        | Clause::Ids { .. } => return Ok(weight),
        Clause::AnyOf { values, .. } => values.len() >= COSTLY_VALUES,
        Clause::Pattern { pattern, .. } => !matches!(pattern, Pattern::Fuzzy { .. }),
        _ => false,
    };
    Ok(Box::new(CachedFilter {
        inner: weight,
        fingerprint: fingerprint(clause)?,
        is_costly,
        cache: Arc::clone(scope.filters),
        control: Arc::clone(scope.control),
    }))
}

struct CachedFilter {
    inner: Box<dyn Weight>,
    fingerprint: u128,
    /// Whether the bitmap is kept at its first use.
    is_costly: bool,
    cache: Arc<FilterCache>,
    control: Arc<Control>,
}

impl Weight for CachedFilter {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if !self.cache.admits(reader.max_doc()) {
            return self.inner.scorer(reader, boost);
        }
        let key = FilterKey {
            segment: reader.segment_id(),
            filter: self.fingerprint,
        };
        let bitmap = match self.cache.get(&key) {
            Some(bitmap) => bitmap,
            None if self.is_costly || self.cache.is_second_use(&key) => {
                let mut docset = self.inner.scorer(reader, 1.0)?;
                let bitmap = collect_bitmap(docset.as_mut(), &self.control).map_err(stopped)?;
                let bitmap = Arc::new(bitmap);
                self.cache.insert(key, Arc::clone(&bitmap));
                bitmap
            }
            None => return self.inner.scorer(reader, boost),
        };
        Ok(match bitmap.len() {
            0 => Box::new(EmptyScorer),
            all if all == u64::from(reader.max_doc()) => Box::new(AllScorer::new(reader.max_doc())),
            _ => Box::new(ConstScorer::new(BitmapDocSet::new(bitmap), boost)),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}

/// Carries a stop through tantivy, whose errors are its own; whoever called asks the control.
pub(super) fn stopped(stop: crate::control::Stop) -> TantivyError {
    TantivyError::InternalError(format!("evaluation stopped: {stop:?}"))
}
