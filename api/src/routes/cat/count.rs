//! `_cat/count`: how many documents there are, or match a query.

use gleaner_query::dsl::Query;
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, TrackTotal, apply_uri_parameters};
use gleaner_root::SearchResponse;
use gleaner_root::search::SearchOptions;

use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::parameters::groups::URI_QUERY;
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::{Column, Reply, Table};

const COLUMNS: &[Column] = &[
    Column::text("epoch", "t,time", "seconds since 1970-01-01 00:00:00"),
    Column::text("timestamp", "ts,hms", "time in HH:MM:SS"),
    Column::text("count", "dc,docs.count,docsCount", "the document count"),
];

pub(super) async fn table(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let query = request.query(&body).await?;
    let search = counting(
        query,
        &request.parameters,
        &request.root().cluster().limits(),
    )?;
    let options = SearchOptions {
        origin: request.origin(&body),
        ..SearchOptions::default()
    };
    let response = request
        .root()
        .search(&request.target()?, &search, &options)
        .await?;
    let seconds = request.root().cluster().now_ms() / 1_000;
    Ok(shown(&response, seconds))
}

/// Returns the table with what was counted, `seconds` after the epoch.
fn shown(response: &SearchResponse, seconds: i64) -> Reply {
    let row = vec![
        seconds.to_string().into(),
        clock_text(seconds).into(),
        response.total.map_or(0, |total| total.value).into(),
    ];
    let table = Table {
        columns: COLUMNS,
        rows: vec![row],
    };
    Reply::table(table).warning(&Staleness::of_search(&response.shards).warnings())
}

/// Returns the search that counts what the body or the URI asks for; all documents where neither does.
fn counting(
    query: Option<Query>,
    parameters: &Parameters,
    limits: &Limits,
) -> Result<SearchRequest, ApiError> {
    let mut search = SearchRequest {
        query,
        size: Some(0),
        track_total_hits: TrackTotal::Exact,
        ..SearchRequest::default()
    };
    // The table has a `size` of its own.
    let is_query = |name: &str| URI_QUERY.iter().any(|parameter| parameter.name == name);
    let pairs = parameters.pairs().iter();
    let pairs: Vec<_> = pairs.filter(|(name, _)| is_query(name)).cloned().collect();
    apply_uri_parameters(&mut search, &pairs, limits)?;
    Ok(search)
}

/// Returns the time of day, UTC.
pub(super) fn clock_text(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use gleaner_query::search::parse_query_body;

    use super::*;

    #[test]
    fn a_query_of_the_body_or_the_uri_is_counted() {
        let search = |body: &'static str, query: &str| {
            let parameters = Parameters::parse(Some(query)).expect("well formed");
            let limits = Limits::default();
            let query = parse_query_body(body.as_bytes(), &limits)?;
            counting(query, &parameters, &limits)
        };
        let all = search("", "size=k&v").expect("a search");
        assert_eq!((all.query, all.size), (None, Some(0)));
        let body = r#"{"query": {"match_none": {}}}"#;
        assert!(search(body, "").expect("a search").query.is_some());
        assert!(search("", "q=a").expect("a search").query.is_some());
        assert!(search(r#"{"size": 1}"#, "").is_err());
    }

    #[test]
    fn a_count_of_copies_without_their_primaries_warns() {
        let mut response = SearchResponse::default();
        response.shards.total = 2;
        assert!(shown(&response, 0).warnings().is_empty());
        response.shards.stale = 1;
        let warned = shown(&response, 0);
        let expected = "1 of 2 shards may be old: their primaries are away";
        assert_eq!(warned.warnings(), [expected]);
    }

    #[test]
    fn the_clock_is_utc() {
        assert_eq!(clock_text(1_700_000_000), "22:13:20");
    }
}
