//! A ranked hit and its content, joined.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::mapping::Resolution;
use gleaner_query::answer::{Explanation, FetchedHit, Hit, SortValue};
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value::{Format, all_shown, formats, narrow_keys, resolution};
use gleaner_query::source::{ShownSource, kept_source};
use serde_json::Value;

use crate::RootError;
use crate::merge::RankedHit;
use crate::plan::IndexPlan;
use crate::search::Tie;
use crate::search::phase::CommonRequest;

/// Joins hits of a search with their content.
pub(super) struct Joiner<'a> {
    plans: &'a [IndexPlan],
    asked: &'a CommonRequest<'a>,
    /// How the values of each sort key are shown, per plan.
    formats: Vec<Vec<Format>>,
    /// What of `_source` is shown, per plan.
    pub(super) shown: Vec<Arc<ShownSource>>,
    /// Whether the value by which hits are put together counts nanoseconds, per plan.
    counts_nanos: Vec<bool>,
}

impl<'a> Joiner<'a> {
    /// Returns what joins the hits of `plans`.
    ///
    /// # Errors
    /// When a `format` of the order is none.
    pub(super) fn new(
        plans: &'a [IndexPlan],
        asked: &'a CommonRequest<'a>,
    ) -> Result<Self, RootError> {
        let sort = &asked.request.sort;
        let mappings = plans.iter().map(|plan| &*plan.index.mapping);
        let narrow = narrow_keys(sort, &mappings);
        let formats = mappings.map(|mapping| formats(sort, mapping, &narrow));
        let shown = |plan: &IndexPlan| {
            let kept = kept_source(&plan.index.mapping);
            Arc::new(ShownSource::new(&asked.request.source, &kept))
        };
        let collapse = asked.request.collapse.as_ref();
        let group = collapse.map(|by| SortKey::ascending(SortTarget::Field(by.field.clone())));
        let counts_nanos = |plan: &IndexPlan| {
            let resolution = resolution(group.as_ref()?, &plan.index.mapping);
            resolution.map(Resolution::is_nanos)
        };
        Ok(Self {
            plans,
            asked,
            counts_nanos: plans
                .iter()
                .map(|plan| counts_nanos(plan) == Some(true))
                .collect(),
            formats: formats.collect::<Result<_, _>>()?,
            shown: plans.iter().map(shown).collect(),
        })
    }

    /// Joins a ranked hit with its content, of which `source` is shown.
    pub(super) fn joined(
        &self,
        ranked: &RankedHit,
        mut content: FetchedHit,
        source: Option<Bytes>,
    ) -> Hit {
        let request = self.asked.request;
        let score = ranked.hit.score.filter(|_| request.shows_scores());
        // What is not shown of it is let go.
        content.source = Bytes::new();
        if let (Some(collapse), Some(SortValue::Missing)) = (&request.collapse, &ranked.hit.group) {
            let null = || vec![Value::Null];
            content
                .fields
                .entry(collapse.field.clone())
                .or_insert_with(null);
        }
        if let Some(rescored) = &ranked.rescored {
            let first = content.explanation.take();
            content.explanation = first.map(|first| explained_anew(rescored, first));
        }
        let mut hit = Hit {
            index: self.plans[ranked.plan].index.name.to_string(),
            score,
            sort: self.sort_values(ranked, content.routing.is_some()),
            content,
            source,
            shard: ranked.shard.shard.0,
            group: ranked.hit.group.clone(),
            is_group_of_nanos: self.counts_nanos[ranked.plan],
            inner_hits: Default::default(),
        };
        hit.add_metadata(&request.fields);
        hit
    }

    /// Returns the values that a client gives back as `search_after`: the keys, then the tie-break, so
    /// that documents with equal keys are neither repeated nor skipped. There is none where the keys
    /// tell any two documents apart: those of one index by `_doc`, and by `_shard_doc` unless they are
    /// routed, when there may be several of one id.
    fn sort_values(&self, ranked: &RankedHit, is_routed: bool) -> Vec<Value> {
        let sort = &self.asked.request.sort;
        let mut values = all_shown(&ranked.hit.keys, &self.formats[ranked.plan]);
        let is_alone = self.plans.len() == 1;
        let is_total = |key: &SortKey| match key.target {
            SortTarget::Doc => is_alone,
            SortTarget::ShardDoc => is_alone && !is_routed,
            SortTarget::Score | SortTarget::Field(_) | SortTarget::Distance(_) => false,
        };
        if values.is_empty() || sort.iter().any(is_total) {
            return values;
        }
        let tie = Tie {
            hash: ranked.hit.tie.hash,
            plan: (!is_alone).then_some(ranked.plan),
            shard: is_routed.then_some(ranked.shard.shard.0),
        };
        values.push(tie.to_string().into());
        values
    }
}

/// Puts the explanation of the first score where only its value is known.
fn explained_anew(rescored: &Explanation, first: Explanation) -> Explanation {
    let mut explained = rescored.clone();
    match explained.details.first_mut() {
        Some(inner) if inner.details.is_empty() => *inner = first,
        Some(inner) => *inner = explained_anew(inner, first),
        None => {}
    }
    explained
}
