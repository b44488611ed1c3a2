//! A search's answer as the dialect writes it.

use bytes::Bytes;
use gleaner_query::search::SearchRequest;
use gleaner_root::{SearchResponse, Total};
use serde::Serialize;
use serde_json::{Value, json};

use super::aggregation::{AggregationForm, Results, num_bytes_of};
use super::hit::{HitBody, HitForm};
use super::profile::profile;
use super::shards;
use crate::error::ApiError;
use crate::parameters::Parameters;

/// How a search's answer is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct SearchForm {
    pub(crate) hits: HitForm,
    pub(crate) aggregations: AggregationForm,
    /// Whether `_coverage` is shown of a whole answer too.
    pub(crate) has_coverage: bool,
}

impl SearchForm {
    /// Reads the form from the request and its URI.
    ///
    /// # Errors
    /// 400 for plain totals of a search that does not count all.
    pub(crate) fn of(request: &SearchRequest, parameters: &Parameters) -> Result<Self, ApiError> {
        let has_plain_totals = parameters.is_set("rest_total_hits_as_int")?;
        let stored = request.stored_fields.as_deref().unwrap_or_default();
        let is_bare = stored.iter().any(|field| field == "_none_");
        let is_source_asked =
            request.is_source_asked || stored.iter().any(|field| field == "_source");
        Ok(Self {
            hits: HitForm {
                has_version: request.version,
                has_seq_no: request.seq_no_primary_term,
                is_bare,
                has_plain_totals,
                num_sort_values: request.num_sort_values(),
                is_without_source: request.stored_fields.is_some() && !is_source_asked,
            },
            aggregations: AggregationForm {
                has_typed_keys: parameters.is_set("typed_keys")?,
                has_plain_totals,
            },
            has_coverage: parameters.get("min_coverage").is_some(),
        })
    }
}

/// The answer, borrowed: `_source` is copied once, into the body.
#[derive(Serialize)]
pub(crate) struct SearchBody<'a> {
    #[serde(rename = "_scroll_id", skip_serializing_if = "Option::is_none")]
    scroll_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pit_id: Option<&'a str>,
    took: u64,
    timed_out: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminated_early: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Value,
    /// Ours: only where something was not seen, or a floor was asked for.
    #[serde(rename = "_coverage", skip_serializing_if = "Option::is_none")]
    coverage: Option<Value>,
    hits: Hits<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregations: Option<Results<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Value>,
}

#[derive(Serialize)]
struct Hits<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Value>,
    max_score: Option<f32>,
    hits: Vec<HitBody<'a>>,
}

impl<'a> SearchBody<'a> {
    /// Returns the body of `response` in `form`.
    pub(crate) fn new(response: &'a SearchResponse, form: &'a SearchForm) -> Self {
        let hits = response.hits.iter().enumerate();
        let hits = hits
            .map(|(at, hit)| HitBody::new(hit, &form.hits, response.explained_on.get(at)))
            .collect();
        let total = total(response.total, form.aggregations.has_plain_totals);
        let aggregations = (!response.aggregations.is_empty())
            .then(|| form.aggregations.results(&response.aggregations));
        Self {
            scroll_id: response.scroll_id.as_deref(),
            pit_id: response.pit_id.as_deref(),
            took: response.took.as_millis() as u64,
            timed_out: response.timed_out,
            terminated_early: response.terminated_early,
            shards: shards::of_search(&response.shards),
            coverage: (response.coverage.is_partial() || form.has_coverage)
                .then(|| shards::coverage(&response.coverage)),
            hits: Hits {
                total,
                max_score: response.max_score,
                hits,
            },
            aggregations,
            profile: response.profile.as_deref().map(profile),
        }
    }
}

/// Returns roughly how many bytes the answer's hits and its head take in `form`.
pub(crate) fn size_hint(response: &SearchResponse, form: &SearchForm) -> usize {
    let sources = response.hits.iter().filter_map(|hit| hit.source.as_ref());
    let num_hidden = match form.hits.has_source() {
        true => 0,
        false => sources.map(Bytes::len).sum(),
    };
    let content = response.content_bytes.saturating_sub(num_hidden);
    let hits = HIT_BYTES * response.hits.len() + content;
    HEAD_BYTES + hits + num_bytes_of(&response.aggregations, ENOUGH_BYTES)
}

/// Bytes of aggregations beyond which they are not looked at: they take long enough then.
const ENOUGH_BYTES: usize = 64 << 10;

/// Bytes of a hit beside its source: index, id and score.
const HIT_BYTES: usize = 128;

/// Bytes of an answer beside its hits.
const HEAD_BYTES: usize = 512;

/// A total that was not asked for is left out, or −1 where only a number may stand.
fn total(total: Option<Total>, is_plain: bool) -> Option<Value> {
    match (total, is_plain) {
        (Some(total), true) => Some(json!(total.value)),
        (None, true) => Some(json!(-1)),
        (Some(total), false) => {
            let relation = if total.is_exact { "eq" } else { "gte" };
            Some(json!({"value": total.value, "relation": relation}))
        }
        (None, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use gleaner_query::search::parse_search_value;

    use super::*;

    #[test]
    fn totals_are_objects_or_numbers() {
        let some = Some(Total {
            value: 10,
            is_exact: false,
        });
        assert_eq!(
            total(some, false),
            Some(json!({"value": 10, "relation": "gte"}))
        );
        assert_eq!(total(some, true), Some(json!(10)));
        assert_eq!(total(None, false), None);
        assert_eq!(total(None, true), Some(json!(-1)));
    }

    #[test]
    fn stored_fields_leave_out_a_source_that_nothing_asks_for() {
        let is_left_out = |body: &Value| {
            let limits = gleaner_query::limits::Limits::default();
            let request = parse_search_value(body, &limits).expect("a search");
            let form = SearchForm::of(&request, &Parameters::default()).expect("a form");
            form.hits.is_without_source
        };
        assert!(is_left_out(&json!({"stored_fields": "a"})));
        for body in [
            json!({}),
            json!({"stored_fields": ["a", "_source"]}),
            json!({"stored_fields": "a", "_source": true}),
            json!({"stored_fields": "a", "_source": ["b"]}),
        ] {
            assert!(!is_left_out(&body), "{body}");
        }
    }

    #[test]
    fn an_order_by_score_alone_is_none_unless_pages_are_walked_by_it() {
        for (body, expected) in [
            (json!({}), Some(0)),
            (json!({"sort": ["_score"]}), Some(0)),
            (json!({"sort": [{"_score": "asc"}]}), Some(1)),
            (json!({"sort": ["_score", "a"]}), Some(2)),
            (json!({"sort": ["_score"], "search_after": [1.5]}), Some(1)),
            (
                json!({"sort": ["_score"], "search_after": [1.5, "7"]}),
                None,
            ),
            (json!({"sort": ["_score"], "pit": {"id": "p"}}), None),
        ] {
            let limits = gleaner_query::limits::Limits::default();
            let request = parse_search_value(&body, &limits).expect("a search");
            assert_eq!(request.num_sort_values(), expected, "{body}");
        }
    }

    #[test]
    fn an_empty_answer_has_all_the_keys_clients_read() {
        let response = SearchResponse::default();
        let form = SearchForm::default();
        let shown = serde_json::to_value(SearchBody::new(&response, &form)).expect("plain data");
        assert_eq!(
            shown,
            json!({
                "took": 0, "timed_out": false,
                "_shards": {"total": 0, "successful": 0, "skipped": 0, "failed": 0},
                "hits": {"max_score": null, "hits": []},
            })
        );
    }
}
