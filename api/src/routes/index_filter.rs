//! `index_filter`: leaves out indices that hold no document which a query matches.
//!
//! Does: ask each index for one such document; where aliases led to the index, only for one that these aliases show. Does
//! not: narrow what is found in the indices that are kept.
//! Called by: `_field_caps` and `_pit`. Read first: [`matching`].

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gleaner_model::Party;
use gleaner_query::QueryError;
use gleaner_query::dsl::{BoolQuery, MinimumShouldMatch, Query, parse_query};
use gleaner_query::error::ErrorType;
use gleaner_query::json::ObjectReader;
use gleaner_query::limits::Limits;
use gleaner_query::names::{ResolvedIndex, search_routing};
use gleaner_query::search::{SearchRequest, TrackTotal};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use gleaner_root::{RootError, SearchResponse};

use crate::error::ApiError;
use crate::request::Request;

/// Takes the filter out of a body; `None` where it has none.
///
/// # Errors
/// 400 for what is no query.
pub(super) fn take(
    reader: &mut ObjectReader<'_>,
    request: &Request,
) -> Result<Option<Query>, ApiError> {
    let limits = request.root().cluster().limits();
    let given = reader.take("index_filter");
    let filter = given.map(|query| parse_query(query, &limits)).transpose()?;
    Ok(filter)
}

/// Keeps those of `indices`, which `target` names, that hold a document which `filter` matches. An index that cannot be
/// searched now is kept, as Elasticsearch keeps a shard that does not answer `can_match`; one that was deleted or closed
/// meanwhile is left out.
///
/// # Errors
/// Those of reading the documents that the filter names; 400 where an index cannot be asked the filter; 403 for a block.
pub(super) async fn matching(
    request: &Request,
    target: &Target,
    indices: Vec<ResolvedIndex>,
    filter: Query,
) -> Result<Vec<ResolvedIndex>, ApiError> {
    let mut search = SearchRequest {
        query: Some(filter),
        size: Some(0),
        track_total_hits: TrackTotal::UpTo(1),
        ..SearchRequest::default()
    };
    let _held = request.look_up(&mut search, target).await?;
    let search = &search;
    let routing = target.routing.as_deref();
    let concurrent = request.app.options.max_concurrent_searches.max(1);
    let kept: Vec<Option<ResolvedIndex>> = stream::iter(indices)
        .map(|found| async move {
            let is_matched = has_match(request, search, routing, &found).await?;
            Ok::<_, ApiError>(is_matched.then_some(found))
        })
        .buffered(concurrent)
        .try_collect()
        .await?;
    Ok(kept.into_iter().flatten().collect())
}

/// Returns whether `search` matches, or may match, a document that `found` shows. `routing` is that of the request.
async fn has_match(
    request: &Request,
    search: &SearchRequest,
    routing: Option<&str>,
    found: &ResolvedIndex,
) -> Result<bool, ApiError> {
    let mut search = search.clone();
    keep_to_view(&mut search, found, &request.root().cluster().limits())?;
    let routing = search_routing(routing, found.search_routing.as_deref());
    let target = Target {
        expression: Some(found.meta.name.to_string()),
        routing: routing.map(|values| values.into_iter().collect::<Vec<_>>().join(",")),
        ..Target::default()
    };
    let options = SearchOptions {
        origin: request.origin(&Bytes::new()),
        patience: request.patience(),
        ..SearchOptions::default()
    };
    match request.root().search(&target, &search, &options).await {
        Ok(response) => Ok(may_match(&response)),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) if is_refused(&error) => Err(error.into()),
        Err(error) => {
            let index = found.meta.name.as_str();
            tracing::debug!(index, %error, "an index is kept that could not be filtered");
            Ok(true)
        }
    }
}

/// Has `search` find only documents that the aliases show through which the index was reached.
fn keep_to_view(
    search: &mut SearchRequest,
    found: &ResolvedIndex,
    limits: &Limits,
) -> Result<(), QueryError> {
    let filters = found.filters.iter();
    let filters = filters.map(|filter| parse_query(filter, limits));
    let filters: Vec<Query> = filters.collect::<Result<_, _>>()?;
    if filters.is_empty() {
        return Ok(());
    }
    let of_aliases = Query::Bool(BoolQuery {
        should: filters,
        minimum_should_match: Some(MinimumShouldMatch::Count(1)),
        boost: 1.0,
        ..BoolQuery::default()
    });
    let filter = search.query.take().into_iter().chain([of_aliases]);
    search.query = Some(Query::Bool(BoolQuery {
        filter: filter.collect(),
        boost: 1.0,
        ..BoolQuery::default()
    }));
    Ok(())
}

/// Returns whether a document matched, or may have: an index is kept too that was not searched whole, or on a copy that may
/// lack acknowledged writes.
fn may_match(response: &SearchResponse) -> bool {
    let shards = &response.shards;
    let is_whole = shards.failures.is_empty() && shards.stale == 0 && !response.timed_out;
    !is_whole || response.total.is_some_and(|total| total.value > 0)
}

/// Returns whether the index was deleted or closed after its name was resolved.
fn is_gone(error: &RootError) -> bool {
    match error {
        RootError::IndexNotFound(_) | RootError::IndexClosed(_) => true,
        RootError::Query(error) => matches!(
            error.kind,
            ErrorType::IndexNotFound | ErrorType::IndexClosed
        ),
        _ => false,
    }
}

/// Returns whether the request itself is at fault, as far as the root or any shard says.
fn is_refused(error: &RootError) -> bool {
    match error {
        RootError::AllShardsFailed { failures, .. } => failures
            .iter()
            .any(|failure| failure.fault.fault_kind().party == Party::Client),
        other => other.fault_kind().party == Party::Client,
    }
}

#[cfg(test)]
mod tests {
    use gleaner_root::Total;
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::testing::deleting::with_an_index;
    use crate::testing::sent;

    #[test]
    fn an_index_is_left_out_only_where_all_of_it_was_searched() {
        let found = |value, timed_out| {
            let mut response = SearchResponse::default();
            response.total = Some(Total {
                value,
                is_exact: true,
            });
            response.timed_out = timed_out;
            response
        };
        assert!(may_match(&found(1, false)));
        assert!(!may_match(&found(0, false)));
        assert!(may_match(&found(0, true)));
        let mut stale = found(0, false);
        stale.shards.stale = 1;
        assert!(may_match(&stale));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_that_is_deleted_meanwhile_is_left_out() {
        let body = json!({"index_filter": {"term": {"tag": "a"}}});
        for path in [
            "/bo*/_field_caps?fields=*",
            "/books/_field_caps?fields=*",
            "/bo*/_pit?keep_alive=1m",
            "/books/_pit?keep_alive=1m",
        ] {
            let (dialect, leaves) = with_an_index().await;
            leaves.arm();
            let (status, answer) = sent(&dialect, ("POST", path), &body).await;
            assert!(!leaves.has("books"), "{path}: it was asked");
            assert_eq!(status, StatusCode::OK, "{path}: {answer}");
            match path.contains("_pit") {
                true => assert_eq!(answer["_shards"]["total"], 0, "{path}: {answer}"),
                false => assert_eq!(answer, json!({"indices": [], "fields": {}}), "{path}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_that_no_leaf_answers_for_is_kept() {
        let (dialect, _) = with_an_index().await;
        let body = json!({"index_filter": {"term": {"tag": "a"}}});
        let request = ("POST", "/bo*/_field_caps?fields=tag");
        let (status, answer) = sent(&dialect, request, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["indices"], json!(["books"]), "{answer}");
    }
}
