//! Who `_nodes` says is there, and at which address.

use std::sync::Arc;

use axum::body::Body;
use gleaner_coordinator::Embedded;
use gleaner_model::{ClusterState, NodeId, NodeMeta, Role};
use gleaner_proto::{GrpcLeaf, Peer};
use gleaner_root::leaves::Members;
use gleaner_root::{Root, RootOptions};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::ApiOptions;

/// Two roots and a leaf; nobody listens at the leaf's address.
fn cluster() -> Arc<Root> {
    let meta = |role, address: &str, http_address: Option<&str>| NodeMeta {
        role,
        address: address.to_owned(),
        http_address: http_address.map(str::to_owned),
        weight: 1.0,
        zone: None,
    };
    let root = |name: &str, http| {
        let address = format!("{name}:9300");
        (NodeId(name.into()), meta(Role::Root, &address, Some(http)))
    };
    let leaf = meta(Role::Leaf, "127.0.0.1:1", Some("127.0.0.1:2"));
    let nodes = [
        root("root-1", "root-1:9200"),
        root("root-2", "root-2:9200"),
        (NodeId("leaf-1".into()), leaf),
    ];
    let state = ClusterState {
        nodes: nodes.into(),
        ..ClusterState::default()
    };
    let coordinator = Arc::new(Embedded::in_memory(state));
    let leaves = Members::new(&*coordinator, |_, meta| {
        let peer = Peer::new(&meta.address).expect("a good address");
        Arc::new(GrpcLeaf::new(peer))
    });
    let (leaves, options) = (Arc::new(leaves), RootOptions::default());
    Arc::new(Root::new(coordinator, leaves, options, || 0))
}

/// Asks the first root, which clients know as `published:80`.
async fn get(path: &str) -> Value {
    let options = ApiOptions {
        node_name: "root-1".to_owned(),
        publish_address: "published:80".to_owned(),
        ..ApiOptions::default()
    };
    let dialect = crate::dialect(cluster(), options, None);
    let request = http::Request::builder().uri(path).body(Body::empty());
    let answer = dialect.oneshot(request.expect("a good request")).await;
    let body = answer.expect("it never fails").into_body();
    let body = body.collect().await.expect("a whole body");
    serde_json::from_slice(&body.to_bytes()).expect("JSON")
}

#[tokio::test]
async fn each_member_is_told_by_its_own_address_and_only_roots_to_clients() {
    let nodes = get("/_nodes/http").await["nodes"].clone();
    let of = |name: &str| {
        let node = &nodes[name];
        json!([
            node["transport_address"],
            node["http"]["publish_address"],
            node["roles"]
        ])
    };
    let roots = json!(["ingest", "master"]);
    assert_eq!(of("leaf-1"), json!(["127.0.0.1:1", null, ["data"]]));
    assert_eq!(of("root-1"), json!(["root-1:9300", "published:80", roots]));
    assert_eq!(of("root-2"), json!(["root-2:9300", "root-2:9200", roots]));
    let named = get("/_nodes/leaf-*").await;
    assert_eq!(named["_nodes"]["total"], 1);
}

#[tokio::test]
async fn statistics_stand_beside_the_member_they_are_of() {
    let nodes = get("/_nodes/stats").await["nodes"].clone();
    assert_eq!(nodes["leaf-1"]["transport_address"], "127.0.0.1:1");
    assert_eq!(nodes["leaf-1"].get("process"), None);
    assert!(nodes["root-1"]["process"].is_object());
}
