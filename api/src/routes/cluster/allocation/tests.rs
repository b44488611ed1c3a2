//! What is said of copies that are nowhere, or have failed.

use std::sync::Arc;

use gleaner_model::{IndexName, IndexSettings, IndexUuid, ShardKey};
use gleaner_proto::read::ShardState;

use super::*;
use crate::testing::{create, got, sent, speaking};

const PATH: &str = "/_cluster/allocation/explain";

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_nowhere_is_explained() {
    let dialect = speaking();
    let (status, refused) = sent(&dialect, ("GET", PATH), &Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(refused["error"]["reason"], NONE_UNASSIGNED);
    let body = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 1}});
    create(&dialect, "books", &body).await;
    let told = got(&dialect, PATH).await;
    assert_eq!(
        (&told["index"], &told["primary"]),
        (&json!("books"), &json!(true))
    );
    assert_eq!(told["current_state"], "unassigned");
    assert_eq!(told["can_allocate"], "no");
    for replica in [
        json!({"index": "books", "shard": 0, "primary": false}),
        json!({"index": "books", "shard": "0", "primary": "false"}),
    ] {
        let (status, told) = sent(&dialect, ("POST", PATH), &replica).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(told["primary"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_copy_is_refused() {
    let dialect = speaking();
    for (body, status, reason) in [
        (json!({"index": "books"}), 400, "shard must be specified"),
        (json!({"indx": "books"}), 400, "unknown field [indx]"),
        (json!({"shard": -1}), 400, "[shard] cannot be [-1]"),
        (json!({"shard": "a"}), 400, "[shard] cannot be [\"a\"]"),
        (
            json!({"primary": "yes"}),
            400,
            "[primary] cannot be [\"yes\"]",
        ),
        (
            json!({"index": "books", "shard": 0, "primary": true}),
            404,
            "no such index [books]",
        ),
    ] {
        let (told, answer) = sent(&dialect, ("POST", PATH), &body).await;
        assert_eq!(told.as_u16(), status, "{body}");
        let shown = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(shown.contains(reason), "{body}: {shown}");
    }
}

fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

/// A shard that `a` holds, with a replica on `b`, and a third copy that no leaf is there for.
fn books() -> IndexMeta {
    let settings = IndexSettings {
        number_of_shards: 1,
        number_of_replicas: 2,
        ..IndexSettings::default()
    };
    IndexMeta {
        settings,
        copies: vec![vec![node("a"), node("b")]],
        ..IndexMeta::new(
            IndexUuid([1; 16]),
            IndexName::parse("books").expect("a good name"),
        )
    }
}

fn copy(index: &IndexMeta, on: &str, phase: ShardPhase) -> LocatedShard {
    let shard = ShardKey {
        index: index.uuid,
        shard: ShardNumber(0),
    };
    LocatedShard {
        index: Arc::new(index.clone()),
        node: node(on),
        state: ShardState {
            reason: (phase == ShardPhase::Failed).then(|| "its files are damaged".to_owned()),
            ..ShardState::empty(shard, on == "a", phase)
        },
    }
}

fn member(name: &str) -> Member {
    Member {
        id: name.to_owned(),
        name: name.to_owned(),
        address: format!("{name}:9300"),
        http_address: None,
        roles: &["data"],
    }
}

/// Explains a replica of the index, where leaves tell of `copies`.
fn replica_of(index: &IndexMeta, copies: Vec<LocatedShard>, silent: &[&str]) -> Value {
    let states = ShardStates {
        copies,
        num_leaves: 2,
        silent: silent.iter().map(|name| node(name)).collect(),
        num_untold: 0,
    };
    let mut state = ClusterState::default();
    state.indices.insert(index.uuid, Arc::new(index.clone()));
    let place = first_unassigned(&state, &states.copies).expect("one is missing");
    shown(&place, &[member("a"), member("b"), member("c")], &states)
}

#[test]
fn a_replica_that_has_failed_says_why() {
    let mut index = books();
    index.settings.number_of_replicas = 1;
    let copies = vec![
        copy(&index, "a", ShardPhase::Started),
        copy(&index, "b", ShardPhase::Failed),
    ];
    let told = replica_of(&index, copies, &[]);
    assert_eq!(told["primary"], false);
    assert_eq!(told["current_state"], "unassigned");
    assert_eq!(told["unassigned_info"]["reason"], "ALLOCATION_FAILED");
    assert_eq!(told["unassigned_info"]["details"], "its files are damaged");
    assert_eq!(
        told["allocate_explanation"],
        "the copy on [b] has failed: its files are damaged"
    );
    assert_eq!(told["unassigned_info"]["at"], "1970-01-01T00:00:00.000Z");
    let first = &told["node_allocation_decisions"][0];
    assert_eq!(
        (&first["roles"], &first["weight_ranking"]),
        (&json!(["data"]), &json!(1))
    );
    let deciders = told["node_allocation_decisions"].as_array();
    let deciders = deciders.into_iter().flatten();
    let deciders: Vec<&Value> = deciders.map(|of| &of["deciders"][0]["decider"]).collect();
    assert_eq!(deciders, ["same_shard", "same_shard", "placement"]);
}

#[test]
fn a_copy_that_is_somewhere_tells_of_its_node() {
    let index = books();
    let copies = [copy(&index, "a", ShardPhase::Started)];
    let place = Shard::of(&index, 0, &copies).place(true, copies.first());
    for members in [&[member("a")][..], &[]] {
        let told = shown(&place, members, &ShardStates::default());
        let node = &told["current_node"];
        assert_eq!(node["roles"], json!(["data"]), "{told}");
        assert_eq!(node["weight_ranking"], 1, "{told}");
    }
}

#[test]
fn a_replica_that_is_nowhere_names_the_leaf_that_is_to_hold_it() {
    let index = books();
    let primary = || copy(&index, "a", ShardPhase::Started);
    let away = replica_of(&index, vec![primary()], &["b"]);
    assert_eq!(away["primary"], false);
    assert_eq!(away["unassigned_info"]["reason"], "NODE_LEFT");
    assert!(away["unassigned_info"]["at"].is_string(), "{away}");
    assert_eq!(
        away["allocate_explanation"],
        "[b] is to hold the copy and does not answer"
    );
    // The leaves hold a copy each, and a third copy has no leaf.
    let held = vec![primary(), copy(&index, "b", ShardPhase::Started)];
    let placeless = replica_of(&index, held, &[]);
    assert_eq!(placeless["primary"], false);
    assert_eq!(placeless["unassigned_info"]["reason"], "INDEX_CREATED");
}
