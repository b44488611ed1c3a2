//! `index_filter`: leaves out indices that hold no document which a query matches.
//!
//! Does not: narrow what is found in the indices that are kept.
//! Called by: `_field_caps` and `_pit`. Read first: [`matching`].

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gleaner_query::dsl::{Query, parse_query};
use gleaner_query::json::ObjectReader;
use gleaner_query::names::ResolvedIndex;
use gleaner_query::search::{SearchRequest, TrackTotal};
use gleaner_root::SearchResponse;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::StatusCode;

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

/// Keeps the indices that hold a document which `filter` matches, as far as can be told.
///
/// # Errors
/// Those of a search for one document.
pub(super) async fn matching(
    request: &Request,
    indices: Vec<ResolvedIndex>,
    filter: &Query,
) -> Result<Vec<ResolvedIndex>, ApiError> {
    let concurrent = request.app.options.max_concurrent_searches.max(1);
    let names = indices.iter().map(|found| found.meta.name.to_string());
    let names: Vec<String> = names.collect();
    let matches: Vec<bool> = stream::iter(names)
        .map(|name| async move { has_match(request, name, filter).await })
        .buffered(concurrent)
        .try_collect()
        .await?;
    let both = indices.into_iter().zip(matches);
    let kept = both.filter_map(|(found, is_matched)| is_matched.then_some(found));
    Ok(kept.collect())
}

async fn has_match(request: &Request, index: String, filter: &Query) -> Result<bool, ApiError> {
    let search = SearchRequest {
        query: Some(filter.clone()),
        size: Some(0),
        track_total_hits: TrackTotal::UpTo(1),
        ..SearchRequest::default()
    };
    let target = Target {
        expression: Some(index),
        ..Target::default()
    };
    let options = SearchOptions {
        origin: request.origin(&Bytes::new()),
        ..SearchOptions::default()
    };
    let response = request.root().search(&target, &search, &options).await;
    match response.map_err(ApiError::from) {
        Ok(response) => Ok(may_match(&response)),
        // It has gone meanwhile.
        Err(error) if error.status == StatusCode::NOT_FOUND => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns whether a document matched, or may have: an index is kept too that was not searched whole, or on a copy that may
/// lack acknowledged writes.
fn may_match(response: &SearchResponse) -> bool {
    let shards = &response.shards;
    let is_whole = shards.failures.is_empty() && shards.stale == 0 && !response.timed_out;
    !is_whole || response.total.is_some_and(|total| total.value > 0)
}

#[cfg(test)]
mod tests {
    use gleaner_root::Total;

    use super::*;

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
}
