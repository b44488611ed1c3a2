//! Handing matches to aggregations, and answering the queries inside them.

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_partial::score::model::Model;
use gleaner_query::resolved::{Clause, ShardQuery, Similarities, Statistics};
use roaring::RoaringBitmap;

use super::{SearchEnv, Target};
use crate::EngineError;
use crate::aggregate::{AggregationEnv, FilterDocuments, Plan};
use crate::filter_cache::{FilterCache, collect_bitmap};
use crate::lower::{self, Scope};
use crate::view::{SegmentView, View};

/// Finds the live documents of filters inside aggregations; nothing in them is scored.
pub(crate) struct LiveFilters {
    view: Arc<View>,
    model: Arc<Model>,
    control: Arc<Control>,
    filters: Arc<FilterCache>,
}

impl LiveFilters {
    /// Returns what answers the filters of one shard.
    pub(crate) fn new(target: &Target, env: &SearchEnv<'_>) -> Self {
        Self {
            view: Arc::clone(&target.view),
            model: Arc::new(Model::new(
                Arc::new(Statistics::default()),
                &Similarities::default(),
            )),
            control: Arc::clone(env.control),
            filters: Arc::clone(env.filters),
        }
    }
}

impl FilterDocuments for LiveFilters {
    fn documents(
        &self,
        _: &View,
        segment: &SegmentView,
        clause: &Clause,
    ) -> Result<Arc<RoaringBitmap>, EngineError> {
        let scope = Scope {
            view: &self.view,
            model: &self.model,
            control: &self.control,
            filters: &self.filters,
        };
        let mut docs = lower::filter(&scope, clause)?.scorer(segment.reader(), 1.0)?;
        let mut found = collect_bitmap(docs.as_mut(), &self.control)?;
        if segment.reader().has_deletes() {
            let alive = found.iter().filter(|&doc| segment.is_alive(doc));
            found = alive.collect();
        }
        Ok(Arc::new(found))
    }
}

/// Makes the aggregations of `query` ready for one shard; `None` when there are none.
pub(super) fn plan<'a>(
    query: &'a ShardQuery,
    target: &'a Target,
    documents: &'a LiveFilters,
    env: &'a SearchEnv<'a>,
) -> Result<Option<Plan<'a>>, EngineError> {
    if query.aggregations.is_empty() {
        return Ok(None);
    }
    let env = AggregationEnv {
        view: &target.view,
        shard: target.key,
        documents,
        memory: env.memory,
        control: env.control,
    };
    Plan::new(query, env).map(Some)
}
