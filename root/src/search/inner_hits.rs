//! `inner_hits` of collapsed hits: a search among the hits that each of them stands for.

use futures::{StreamExt, TryStreamExt, stream};
use gleaner_query::address::ip_text;
use gleaner_query::answer::{Hit, InnerHitList, SortValue};
use gleaner_query::date::Instant;
use gleaner_query::dsl::{BoolQuery, Query, RangeQuery, TermQuery};
use gleaner_query::search::{InnerHits, SearchRequest};
use serde_json::Value;

use super::gather::note_late_failure;
use super::prepared::{Page, PreparedSearch};
use crate::RootError;
use crate::response::SearchResponse;
use crate::search::Searcher;

/// Searches among collapsed hits that run at the same time.
const MAX_AT_ONCE: usize = 8;

impl Searcher {
    /// Adds to each hit of `response` the searches among those that it stands for. What these lack the whole answer lacks.
    ///
    /// # Errors
    /// As [`Searcher::run`].
    pub(super) async fn expand_collapsed(
        &self,
        search: &PreparedSearch<'_>,
        response: &mut SearchResponse,
    ) -> Result<(), RootError> {
        let Some(collapse) = &search.request.collapse else {
            return Ok(());
        };
        let asked = response.hits.iter().enumerate().flat_map(|(at, hit)| {
            let inner = collapse.inner_hits.iter();
            inner.map(move |inner| {
                let field = collapse.field.as_str();
                let request = request_within(search.request, inner, field, hit);
                (at, inner.name.clone(), request)
            })
        });
        // Each is a value of its own: what it is of must not be borrowed over the wait.
        let asked: Vec<(usize, String, SearchRequest)> = asked.collect();
        let answers = stream::iter(asked).map(|(at, name, request)| async move {
            let within = PreparedSearch {
                indices: search.indices,
                request: &request,
                options: search.options,
                page: Page::default(),
                deadline: search.deadline,
                now_ms: search.now_ms,
            };
            let mut answer = Box::pin(self.run(&within)).await?;
            let list = InnerHitList {
                total: answer.total.map(|total| (total.value, total.is_exact)),
                max_score: answer.max_score,
                has_version: request.version,
                has_seq_no: request.seq_no_primary_term,
                num_sort_values: request.num_sort_values(),
                hits: std::mem::take(&mut answer.hits),
            };
            Ok::<_, RootError>((at, name, list, answer))
        });
        let answers: Vec<_> = answers.buffered(MAX_AT_ONCE).try_collect().await?;
        for (at, name, list, answer) in answers {
            response.hits[at].inner_hits.insert(name, list);
            note_inner(response, answer);
        }
        Ok(())
    }
}

/// Adds to a response what one within it holds, lacks, and was evaluated on.
fn note_inner(response: &mut SearchResponse, inner: SearchResponse) {
    response.held_inner.extend(inner.held);
    response.content_bytes += inner.content_bytes;
    response.cpu += inner.cpu;
    response.timed_out |= inner.timed_out;
    response.shards.stale = response.shards.stale.max(inner.shards.stale);
    for failure in inner.shards.failures {
        note_late_failure(response, failure);
    }
    // Of several states it is good for the one who asked alone.
    response.edition = response
        .edition
        .filter(|_| response.edition == inner.edition);
}

/// Returns the search among the hits that `hit` stands for.
fn request_within(
    around: &SearchRequest,
    inner: &InnerHits,
    field: &str,
    hit: &Hit,
) -> SearchRequest {
    let everything = Query::MatchAll { boost: 1.0 };
    let mut query = BoolQuery {
        must: vec![around.query.clone().unwrap_or(everything)],
        filter: around.post_filter.iter().cloned().collect(),
        boost: 1.0,
        ..BoolQuery::default()
    };
    match of_group(field, hit) {
        Some(value) => query.filter.push(value),
        None => query.must_not.push(Query::Exists {
            field: field.to_owned(),
            boost: 1.0,
        }),
    }
    SearchRequest {
        query: Some(Query::Bool(query)),
        min_score: around.min_score,
        named_scores: around.named_scores,
        indices_boost: around.indices_boost.clone(),
        slice: around.slice,
        pit: around.pit.clone(),
        ..(*inner.request).clone()
    }
}

/// Returns what finds the documents of a value; `None` for those without one.
fn of_group(field: &str, hit: &Hit) -> Option<Query> {
    let value = match hit.group.as_ref()? {
        SortValue::Missing => return None,
        SortValue::I64(nanos) if hit.is_group_of_nanos => {
            Value::from(Instant::from_nanos(*nanos).epoch_millis())
        }
        SortValue::I64(number) => Value::from(*number),
        SortValue::U64(number) => Value::from(*number),
        SortValue::F64(number) => Value::from(*number),
        SortValue::Ip(address) => Value::from(ip_text(*address)),
        SortValue::Text(text) => {
            return Some(Query::Term(TermQuery {
                field: field.to_owned(),
                value: text.as_str().into(),
                case_insensitive: false,
                boost: 1.0,
            }));
        }
    };
    // A range reads dates in milliseconds whatever the format of the field is.
    Some(Query::Range(RangeQuery {
        field: field.to_owned(),
        lower: Some((value.clone(), true)),
        upper: Some((value, true)),
        format: Some("epoch_millis".to_owned()),
        boost: 1.0,
        ..RangeQuery::default()
    }))
}
