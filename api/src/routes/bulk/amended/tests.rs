//! Answers that are changed, whole and filtered.

use std::sync::Arc;

use serde_json::json;

use super::super::items::Items;
use super::*;
use crate::request::BodyRoom;

const ALL: &str = r#"{"total":2,"successful":2,"failed":0}"#;

/// Returns the answers of four items and where they stand: a write of shard 0, a refusal, a write of shard
/// 1, and one of shard 0 that changed nothing.
fn answered(filter: Option<&FilterPath>, room: &Arc<BodyRoom>) -> (RenderedItems, Places) {
    let mut items = Items::new(filter);
    let mut places = Places::new(room.open());
    let all: Value = serde_json::from_str(ALL).expect("JSON");
    for (id, shard) in [("a", Some(0)), ("b", None), ("c", Some(1)), ("d", Some(0))] {
        let written = json!({"_id": id, "_shards": all, "forced_refresh": true, "status": 200});
        let refused = json!({"_id": id, "status": 400, "error": {}});
        let body = if shard.is_some() { written } else { refused };
        let num_bytes = items.add("index", &body, shard.is_none());
        if num_bytes > 0 {
            places.places.push(Place {
                num_bytes: num_bytes as u32,
                shard,
                is_noop: id == "d",
            });
        }
    }
    places.count().expect("room");
    let mut rendered = RenderedItems::new(room.open(), true);
    rendered.put(&items.take()).expect("room");
    // The last chunk has no places.
    items.add("index", &json!({"_id": "e", "status": 200}), false);
    rendered.put(&items.take()).expect("room");
    (rendered, places)
}

#[test]
fn a_shard_that_came_otherwise_is_told_so_and_the_rest_stays() {
    for (path, is_forced) in [
        (None, true),
        (None, false),
        (Some("items.*._id,items.*._shards.failed"), true),
        (Some("items.index.forced_refresh,items.*.status"), false),
        (Some("items.*.status,items.*._shards.f*"), true),
    ] {
        let filter = path.map(|path| FilterPath::parse(path).expect("short"));
        let room = BodyRoom::new(1 << 20);
        let (rendered, places) = answered(filter.as_ref(), &room);
        let told = ShardSummaries {
            of_write: json!({"total": 2, "successful": 1, "failed": 1, "failures": [1]}),
            of_noop: json!({"total": 0, "successful": 0, "failed": 1, "failures": [1]}),
            is_forced,
        };
        let write = told.of_write.clone();
        let noop = told.of_noop.clone();
        let amending = Amendment {
            places: places.places,
            told: BTreeMap::from([(0, told)]),
            filter: filter.clone(),
        };
        let amended = RenderedItems::new(room.open(), true);
        let amended = amending.amend(rendered, amended).expect("amended");
        let amended = amended.into_plain().ok().expect("little");
        let shown: Value =
            serde_json::from_slice(&[b"[", &amended[..], b"]"].concat()).expect("JSON");
        let of_shard = |id: &str, copies: &Value| match is_forced {
            true => {
                json!({"_id": id, "_shards": copies, "forced_refresh": true, "status": 200})
            }
            false => json!({"_id": id, "_shards": copies, "status": 200}),
        };
        let all: Value = serde_json::from_str(ALL).expect("JSON");
        let wanted = json!({"items": [
            {"index": of_shard("a", &write)},
            {"index": {"_id": "b", "status": 400, "error": {}}},
            {"index": {"_id": "c", "_shards": all, "forced_refresh": true, "status": 200}},
            {"index": of_shard("d", &noop)},
            {"index": {"_id": "e", "status": 200}},
        ]});
        let wanted = filter.map_or(wanted.clone(), |filter| filter.apply(wanted));
        assert_eq!(shown, wanted["items"], "{path:?}");
    }
}

#[test]
fn places_are_counted_with_what_is_held() {
    let room = BodyRoom::new(size_of::<Place>());
    let mut places = Places::new(room.open());
    places.note(1, None);
    places.note(0, None);
    assert!(places.count().is_ok());
    places.note(1, None);
    assert!(places.count().is_err());
}
