//! Ids of format 1: views without the copies that hold them.

use serde::Deserialize;

use super::state::{IndexViews, KeptDocuments, PointInTimeState, Position, ScrollState};

#[derive(Deserialize)]
struct Views {
    index: [u8; 16],
    views: Vec<(u32, u64)>,
    alias_filters: Vec<String>,
}

/// A point in time.
#[derive(Deserialize)]
pub(crate) struct PointInTime {
    indices: Vec<Views>,
    keep_alive_ms: u64,
    holder: u64,
}

/// A scroll.
#[derive(Deserialize)]
pub(crate) struct Scroll {
    pit: PointInTime,
    body: Vec<u8>,
    parameters: Vec<(String, String)>,
    after: Option<Position>,
    now_ms: i64,
}

impl From<Views> for IndexViews {
    fn from(first: Views) -> Self {
        let Views {
            index,
            views,
            alias_filters,
        } = first;
        let anywhere = |(shard, view)| (shard, view, 0);
        Self {
            index,
            views: views.into_iter().map(anywhere).collect(),
            alias_filters,
        }
    }
}

impl From<PointInTime> for PointInTimeState {
    fn from(first: PointInTime) -> Self {
        let PointInTime {
            indices,
            keep_alive_ms,
            holder,
        } = first;
        Self {
            indices: indices.into_iter().map(Into::into).collect(),
            nodes: Vec::new(),
            keep_alive_ms,
            holder,
        }
    }
}

impl From<Scroll> for ScrollState {
    fn from(first: Scroll) -> Self {
        let Scroll {
            pit,
            body,
            parameters,
            after,
            now_ms,
        } = first;
        Self {
            pit: pit.into(),
            body,
            parameters,
            after,
            now_ms,
            after_shard: None,
            total: None,
            max_score: None,
            named: KeptDocuments::default(),
        }
    }
}
