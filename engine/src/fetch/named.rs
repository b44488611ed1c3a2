//! Which named queries a hit matches (`matched_queries`), and what each scores where that is asked for.

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_partial::score::model::Model;
use gleaner_query::answer::MatchedQuery;
use gleaner_query::resolved::{NamedClause, ShardQuery, Similarities, Statistics};
use tantivy::query::Weight;
use tantivy::{DocId, SegmentReader};

use crate::error::EngineError;
use crate::filter_cache::FilterCache;
use crate::lower::{self, Scope};
use crate::score::canonical::{Asked, Cursor};
use crate::view::{View, split_place};

/// Named clauses, ready to be asked about documents of a view.
pub(super) struct Plan<'a> {
    view: &'a Arc<View>,
    clauses: Vec<(&'a NamedClause, Box<dyn Weight>)>,
    /// The numbers that scores are made of; `None` where clauses only match.
    model: Option<Arc<Model>>,
    control: Arc<Control>,
}

impl<'a> Plan<'a> {
    /// Makes clauses ready; they are scored as `scored_by` is.
    pub(super) fn new(
        view: &'a Arc<View>,
        named: &'a [NamedClause],
        scored_by: Option<&ShardQuery>,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let control = Arc::new(control.apart());
        let scope = Scope {
            view,
            model: &Arc::new(Model::new(
                Arc::new(Statistics::default()),
                &Similarities::default(),
            )),
            control: &control,
            // A few documents are no reason to keep bitmaps.
            filters: &FilterCache::none(),
        };
        let weight = |named: &'a NamedClause| {
            let weight = lower::unscored(&scope, &named.clause)?;
            Ok((named, weight))
        };
        let model = |query: &ShardQuery| {
            let statistics = Arc::clone(&query.statistics);
            Arc::new(Model::new(statistics, &query.similarities))
        };
        Ok(Self {
            clauses: named
                .iter()
                .map(weight)
                .collect::<Result<_, EngineError>>()?,
            model: scored_by.map(model),
            control,
            view,
        })
    }

    /// Returns those that match the document at `place`, each name once, in their order.
    pub(super) fn read(&self, place: u64) -> Result<Vec<MatchedQuery>, EngineError> {
        let (ord, doc) = split_place(place);
        let mut matched: Vec<MatchedQuery> = Vec::new();
        let Some(segment) = self.view.segments().get(ord as usize) else {
            return Ok(matched);
        };
        for (named, weight) in &self.clauses {
            if matched.iter().any(|known| known.name == named.name) {
                continue;
            }
            let mut docs = weight.scorer(segment.reader(), 1.0)?;
            if docs.doc() < doc {
                docs.seek(doc);
            }
            let is_match = docs.doc() == doc;
            self.control.check_refused()?;
            self.control.check_whole()?;
            if is_match {
                matched.push(MatchedQuery {
                    name: named.name.clone(),
                    score: self.score(named, segment.reader(), doc)?,
                });
            }
        }
        Ok(matched)
    }

    /// Returns what a clause that matches `doc` scores by itself.
    fn score(
        &self,
        named: &NamedClause,
        reader: &SegmentReader,
        doc: DocId,
    ) -> Result<Option<f32>, EngineError> {
        let Some(model) = &self.model else {
            return Ok(None);
        };
        let scope = Scope {
            view: self.view,
            model,
            control: &self.control,
            filters: &FilterCache::none(),
        };
        let mut cursor = Cursor::open(&scope, reader, &named.clause, 1.0, Asked::Any)?;
        let score = cursor.score(doc).unwrap_or_default();
        self.control.check_refused()?;
        self.control.check_whole()?;
        Ok(Some(score as f32))
    }
}
