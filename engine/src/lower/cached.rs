//! Filters that remember their bitmaps.
//!
//! A filter that leads a walk is worth a bitmap when evaluating it costs more than finding one. A *gate*
//! is only asked about documents that others bring in; there a bitmap answers soonest whatever the filter
//! is.

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_query::resolved::{Access, Clause, Pattern};
use roaring::RoaringBitmap;
use tantivy::query::{AllScorer, EmptyScorer, Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TantivyError};

use super::{Scope, excluded};
use crate::EngineError;
use crate::filter_cache::{BitmapScorer, FilterCache, FilterKey, collect_bitmap, fingerprint};

/// Values of an `AnyOf` from which on its bitmap is kept at first use: it is built anyway.
const COSTLY_VALUES: usize = 16;

/// Lets `weight`, made from `clause`, look in the filter cache first; cheap clauses stay as they
/// are.
pub(super) fn wrap(
    scope: &Scope<'_>,
    clause: &Clause,
    weight: Box<dyn Weight>,
) -> Result<Box<dyn Weight>, EngineError> {
    if let Clause::Term { .. } | Clause::Synonyms { .. } | Clause::Exact { .. } = clause {
        return Ok(weight);
    }
    let Some(identity) = Identity::of(clause)? else {
        return Ok(weight);
    };
    Ok(Box::new(CachedFilter {
        inner: weight,
        identity,
        cache: Arc::clone(scope.filters),
        control: Arc::clone(scope.control),
    }))
}

/// What a filter's bitmaps are found by.
#[derive(Clone, Copy)]
struct Identity {
    fingerprint: u128,
    /// Whether a bitmap is kept at its first use.
    is_costly: bool,
}

impl Identity {
    /// Returns the identity of a simplified filter; `None` where no bitmap is kept.
    fn of(clause: &Clause) -> Result<Option<Self>, EngineError> {
        if let Access::Nothing | Access::Everything | Access::Ids(_) = clause.access() {
            return Ok(None);
        }
        // Scores are those of a moment, a segment's bitmaps are kept beyond it.
        if clause.matches_by_score() {
            return Ok(None);
        }
        let is_costly = match clause {
            Clause::AnyOf { values, .. } => values.len() >= COSTLY_VALUES,
            Clause::Pattern { pattern, .. } => !matches!(pattern, Pattern::Fuzzy { .. }),
            _ => false,
        };
        Ok(Some(Self {
            fingerprint: fingerprint(clause)?,
            is_costly,
        }))
    }

    /// Returns the bitmap of a segment: one that is kept, or one made of `docset` if it is time to
    /// keep it; `None` when it is not.
    fn bitmap(
        self,
        reader: &SegmentReader,
        cache: &FilterCache,
        control: &Control,
        docset: impl FnOnce() -> Result<Box<dyn Scorer>, EngineError>,
    ) -> Result<Option<Arc<RoaringBitmap>>, EngineError> {
        if !cache.admits(reader.max_doc()) {
            return Ok(None);
        }
        let key = FilterKey {
            segment: reader.segment_id(),
            filter: self.fingerprint,
        };
        if let Some(bitmap) = cache.get(&key) {
            return Ok(Some(bitmap));
        }
        if !self.is_costly && !cache.is_second_use(&key) {
            return Ok(None);
        }
        let bitmap = collect_bitmap(docset()?.as_mut(), control)?;
        let bitmap = Arc::new(bitmap);
        cache.insert(key, Arc::clone(&bitmap));
        Ok(Some(bitmap))
    }
}

/// A filter that is asked about documents which others bring in; made once for all shards.
pub(crate) struct GateFilter<'q> {
    clause: &'q Clause,
    identity: Option<Identity>,
}

/// What a gate lets through of a segment.
pub(crate) enum Gate {
    /// All documents.
    All,
    /// None.
    None,
    /// Those in a bitmap.
    Bitmap(Arc<RoaringBitmap>),
    /// Those of a scorer, which may be asked by `seek_danger` about any ascending documents.
    Scorer(Box<dyn Scorer>),
}

impl<'q> GateFilter<'q> {
    /// Makes a filter ready.
    ///
    /// # Errors
    /// When it has no encoding.
    pub(crate) fn new(clause: &'q Clause) -> Result<Self, EngineError> {
        let (clause, _) = super::simplify(clause, 1.0);
        Ok(Self {
            clause,
            identity: Identity::of(clause)?,
        })
    }

    /// Tells what is wrong with the filter on the shard that `scope` is of.
    ///
    /// # Errors
    /// As [`super::query`].
    pub(crate) fn check(&self, scope: &Scope<'_>) -> Result<(), EngineError> {
        super::matching(scope, self.clause).map(drop)
    }

    /// Opens the gate of a segment of the shard that `scope` is of; its clause is lowered only if
    /// there is no bitmap of it.
    ///
    /// # Errors
    /// As [`super::query`].
    pub(crate) fn open(
        &self,
        scope: &Scope<'_>,
        reader: &SegmentReader,
    ) -> Result<Gate, EngineError> {
        let weight = || super::matching(scope, self.clause);
        if let Some(identity) = self.identity {
            let docset = || Ok(weight()?.scorer(reader, 1.0)?);
            if let Some(bitmap) = identity.bitmap(reader, scope.filters, scope.control, docset)? {
                return Ok(match Share::of(&bitmap, reader.max_doc()) {
                    Share::None => Gate::None,
                    Share::All => Gate::All,
                    Share::Some => Gate::Bitmap(bitmap),
                });
            }
        }
        let scorer = excluded::ExcludedWeight(weight()?).scorer(reader, 1.0)?;
        // To find the first document of a phrase may have been cut short.
        scope.control.check_whole()?;
        Ok(if scorer.is::<AllScorer>() {
            Gate::All
        } else if scorer.is::<EmptyScorer>() {
            Gate::None
        } else {
            Gate::Scorer(scorer)
        })
    }
}

impl Gate {
    /// Returns roughly how many documents get through, at most.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::All => u64::MAX,
            Self::None => 0,
            Self::Bitmap(bitmap) => bitmap.len(),
            Self::Scorer(scorer) => u64::from(scorer.size_hint()),
        }
    }

    /// Returns whether `doc` gets through; documents ascend.
    #[inline]
    pub(crate) fn holds(&mut self, doc: DocId) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Bitmap(bitmap) => bitmap.contains(doc),
            Self::Scorer(scorer) => scorer.seek_danger(doc) == SeekDangerResult::Found,
        }
    }
}

/// How many of a segment's documents a bitmap holds.
enum Share {
    None,
    Some,
    All,
}

impl Share {
    fn of(bitmap: &RoaringBitmap, max_doc: u32) -> Self {
        match bitmap.len() {
            0 => Self::None,
            all if all == u64::from(max_doc) => Self::All,
            _ => Self::Some,
        }
    }
}

struct CachedFilter {
    inner: Box<dyn Weight>,
    identity: Identity,
    cache: Arc<FilterCache>,
    control: Arc<Control>,
}

impl Weight for CachedFilter {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let docset = || Ok(self.inner.scorer(reader, 1.0)?);
        let bitmap = self
            .identity
            .bitmap(reader, &self.cache, &self.control, docset)
            .map_err(carried)?;
        let Some(bitmap) = bitmap else {
            return self.inner.scorer(reader, boost);
        };
        Ok(match Share::of(&bitmap, reader.max_doc()) {
            Share::None => Box::new(EmptyScorer),
            Share::All => Box::new(AllScorer::new(reader.max_doc())),
            Share::Some => Box::new(BitmapScorer::new(bitmap, boost)),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}

/// Carries an error through tantivy.
pub(super) fn carried(error: EngineError) -> TantivyError {
    match error {
        EngineError::Tantivy(error) => error,
        other => TantivyError::InternalError(other.to_string()),
    }
}

/// Carries a stop through tantivy, whose errors are its own; the caller asks the control.
pub(super) fn stopped(stop: gleaner_partial::control::Stop) -> TantivyError {
    TantivyError::InternalError(format!("evaluation stopped: {stop:?}"))
}
