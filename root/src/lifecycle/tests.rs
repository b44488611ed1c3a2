//! Which indices of data streams are deleted, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::{DataStream, IndexName, StreamLifecycle};
use serde_json::json;

use super::*;
use crate::testing;

const DAY_MS: i64 = 86_400_000;

/// A stream that keeps a week, with three indices made a day apart; the first was replaced by a version that did not
/// note when.
fn stream(retention: Option<&str>) -> ClusterState {
    let indices = (0..3_u8).map(|n| {
        let mut index = testing::index(n, &json!({}));
        index.created_ms = i64::from(n) * DAY_MS;
        index.rolled_over_ms = (n == 1).then_some(2 * DAY_MS);
        index
    });
    let mut state = testing::state(indices);
    let of = DataStream {
        indices: state.indices.keys().copied().collect(),
        generation: 3,
        hidden: false,
        lifecycle: Some(StreamLifecycle {
            is_enabled: true,
            retention: retention.map(str::to_owned),
        }),
    };
    let name = IndexName::parse("logs").expect("a good name");
    state.data_streams = BTreeMap::from([(name, of)]);
    state
}

fn names(state: &ClusterState, now_ms: i64) -> Vec<String> {
    let expired = expired(state, now_ms);
    expired.iter().map(|index| index.name.to_string()).collect()
}

#[test]
fn an_index_is_kept_for_the_retention_after_it_was_replaced() {
    let state = stream(Some("7d"));
    // The first was replaced when the second was made.
    assert!(names(&state, 8 * DAY_MS - 1).is_empty());
    assert_eq!(names(&state, 8 * DAY_MS), ["index-0"]);
    assert_eq!(names(&state, 9 * DAY_MS), ["index-0", "index-1"]);
    // What is written to stays, however old.
    assert_eq!(names(&state, 900 * DAY_MS), ["index-0", "index-1"]);
    assert!(names(&stream(None), 900 * DAY_MS).is_empty());
}

#[test]
fn nothing_is_due_while_lifecycles_are_stopped_or_deletion_is_blocked() {
    let mut state = stream(Some("7d"));
    for index in state.indices.values_mut() {
        let is_first = index.name.as_str() == "index-0";
        Arc::make_mut(index).settings.blocks.read_only = is_first;
    }
    assert_eq!(names(&state, 9 * DAY_MS), ["index-1"]);
    state.lifecycles = Arc::new(gleaner_model::Lifecycles {
        is_stopped: true,
        ..gleaner_model::Lifecycles::default()
    });
    assert!(names(&state, 9 * DAY_MS).is_empty());
    assert!(rollovers(&state, 9 * DAY_MS).is_empty());
}
