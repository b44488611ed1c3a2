//! A ranked hit and its content, joined.

use gleaner_query::answer::{FetchedHit, Hit};
use gleaner_query::date::DateFormatter;
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value::{all_shown, formats};
use gleaner_query::source::filter_source;
use serde_json::Value;

use crate::RootError;
use crate::merge::Ranked;
use crate::plan::IndexPlan;
use crate::search::Asked;

/// Joins hits of a search with their content.
pub(super) struct Joiner<'a> {
    plans: &'a [IndexPlan],
    asked: &'a Asked<'a>,
    /// How the values of each sort key are shown, per plan.
    formats: Vec<Vec<Option<DateFormatter>>>,
}

impl<'a> Joiner<'a> {
    /// Returns what joins the hits of `plans`.
    ///
    /// # Errors
    /// When a `format` of the order is none.
    pub(super) fn new(plans: &'a [IndexPlan], asked: &'a Asked<'a>) -> Result<Self, RootError> {
        let sort = &asked.request.sort;
        let formats = plans.iter().map(|plan| formats(sort, &plan.index.mapping));
        Ok(Self {
            plans,
            asked,
            formats: formats.collect::<Result<_, _>>()?,
        })
    }

    /// Joins a ranked hit with its content.
    pub(super) fn joined(&self, ranked: &Ranked, content: FetchedHit) -> Result<Hit, RootError> {
        let request = self.asked.request;
        let source = if request.source.enabled {
            let filtered = filter_source(&content.source, &request.source);
            Some(filtered.map_err(|error| RootError::Internal(error.to_string()))?)
        } else {
            None
        };
        let score = if request.sort.is_empty() || request.track_scores {
            ranked.hit.score
        } else {
            None
        };
        let by_score = |key: &SortKey| key.target == SortTarget::Score;
        let score = if request.sort.iter().any(by_score) {
            ranked.hit.score
        } else {
            score
        };
        Ok(Hit {
            index: self.plans[ranked.plan].index.name.to_string(),
            score,
            sort: self.sort_values(ranked),
            content,
            source,
            shard: ranked.shard.shard.0,
        })
    }

    /// Returns the values that a client gives back as `search_after`: the keys, then the tie-break, so
    /// that documents with equal keys are neither repeated nor skipped. The tie-break is text: it has
    /// more digits than a JSON reader's double keeps. Where several indices are searched, the index
    /// follows it: documents of one id in two of them tie in everything else.
    fn sort_values(&self, ranked: &Ranked) -> Vec<Value> {
        let sort = &self.asked.request.sort;
        let mut values = all_shown(&ranked.hit.keys, &self.formats[ranked.plan]);
        let is_total = |key: &SortKey| matches!(key.target, SortTarget::Doc | SortTarget::ShardDoc);
        if !values.is_empty() && !sort.iter().any(is_total) {
            let hash = ranked.hit.tie.hash;
            values.push(Value::from(if self.plans.len() > 1 {
                format!("{hash}:{}", ranked.plan)
            } else {
                hash.to_string()
            }));
        }
        values
    }
}
