//! `_cat/count`.

use gleaner_query::search::{SearchRequest, TrackTotal};
use gleaner_root::search::SearchOptions;

use crate::request::Request;
use crate::response::{Column, Reply, Table};
use crate::route::Answer;

const COLUMNS: &[Column] = &[
    Column::text("epoch", "t,time", "seconds since 1970-01-01 00:00:00"),
    Column::text("timestamp", "ts,hms", "time in HH:MM:SS"),
    Column::text("count", "dc,docs.count,docsCount", "the document count"),
];

pub(super) async fn table(request: Request) -> Answer {
    let search = SearchRequest {
        size: Some(0),
        track_total_hits: TrackTotal::Exact,
        ..SearchRequest::default()
    };
    let options = SearchOptions::default();
    let response = request
        .root()
        .search(&request.target()?, &search, &options)
        .await?;
    let seconds = request.root().now_ms() / 1_000;
    let row = vec![
        seconds.to_string().into(),
        clock_text(seconds).into(),
        response.total.map_or(0, |total| total.value).into(),
    ];
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: vec![row],
    }))
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
    use super::*;

    #[test]
    fn the_clock_is_utc() {
        assert_eq!(clock_text(1_700_000_000), "22:13:20");
    }
}
