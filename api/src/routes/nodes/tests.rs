//! Who `_nodes` says is there, and at which address.

use std::sync::Arc;

use axum::body::Body;
use gleaner_coordinator::Embedded;
use gleaner_model::{ClusterState, NodeId, NodeMeta, Role, ShardKey};
use gleaner_proto::{GrpcLeaf, Peer};
use gleaner_root::leaves::{Copies, Members};
use gleaner_root::{LeafHandle, Leaves, Root, RootOptions};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::ApiOptions;

/// Leaves that nobody listens for; the first is not asked, so nothing says that it is silent.
struct OneIsThere(Members);

impl Leaves for OneIsThere {
    fn copies(&self, shard: ShardKey) -> Copies {
        self.0.copies(shard)
    }

    fn all(&self) -> Vec<LeafHandle> {
        let mut all = self.0.all();
        all.retain(|leaf| &*leaf.node.0 != "leaf-1");
        all
    }
}

/// Two roots and two leaves, of which the second is away.
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
    let leaf = |name: &str| {
        let meta = meta(Role::Leaf, "127.0.0.1:1", Some("127.0.0.1:2"));
        (NodeId(name.into()), meta)
    };
    let nodes = [
        root("root-1", "root-1:9200"),
        root("root-2", "root-2:9200"),
        leaf("leaf-1"),
        leaf("leaf-2"),
    ];
    let state = ClusterState {
        nodes: nodes.into(),
        ..ClusterState::default()
    };
    let coordinator = Arc::new(Embedded::in_memory(state));
    let leaves = Members::new(&*coordinator, |_, address| {
        let peer = Peer::new(address).expect("a good address");
        Arc::new(GrpcLeaf::new(peer))
    });
    let (leaves, options) = (Arc::new(OneIsThere(leaves)), RootOptions::default());
    Arc::new(Root::new(coordinator, leaves, options, || 0))
}

async fn get(path: &str) -> Value {
    serde_json::from_str(&text(path).await).expect("JSON")
}

/// Asks the first root, which clients know as `published:80`.
async fn text(path: &str) -> String {
    let options = ApiOptions {
        node_name: "root-1".to_owned(),
        publish_address: "published:80".to_owned(),
        ..ApiOptions::default()
    };
    let dialect = crate::dialect(cluster(), options, None);
    let request = http::Request::builder().uri(path).body(Body::empty());
    let answer = dialect.oneshot(request.expect("a good request")).await;
    let body = answer.expect("it never fails").into_body();
    let body = body.collect().await.expect("a whole body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
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

fn names(nodes: &Value) -> Vec<String> {
    let nodes = nodes.as_object().into_iter().flatten();
    let mut names: Vec<String> = nodes.map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn nodes_are_named_by_role_place_and_pattern() {
    for (expression, expected) in [
        ("_all", &["leaf-1", "root-1", "root-2"][..]),
        ("_local", &["root-1"][..]),
        ("_master", &["root-1"][..]),
        ("master:true", &["root-1", "root-2"][..]),
        ("_all,data:false", &["root-1", "root-2"][..]),
        ("data:true,root-2", &["leaf-1", "root-2"][..]),
        ("root-*,master:false", &[][..]),
        ("zone:a", &[][..]),
        ("root-1:9300", &["root-1"][..]),
    ] {
        for path in [
            format!("/_nodes/{expression}"),
            format!("/_nodes/{expression}/stats/os"),
        ] {
            let answer = get(&path).await;
            assert_eq!(names(&answer["nodes"]), expected, "{path}");
            assert_eq!(answer["_nodes"]["total"], expected.len(), "{path}");
        }
    }
    assert_eq!(get("/_nodes/data:maybe").await["status"], 400);
}

#[tokio::test]
async fn sections_of_nodes_are_those_asked_for() {
    for path in ["/_nodes/os,process", "/_nodes/root-1/os,process"] {
        let node = get(path).await["nodes"]["root-1"].clone();
        assert_eq!(node["process"]["id"], std::process::id(), "{path}");
        assert!(node["os"].is_object() && node["name"] == "root-1", "{node}");
        assert_eq!((node.get("http"), node.get("plugins")), (None, None));
    }
    // As in the dialect, a metric that is not known has no section: Metricbeat asks for `nodes`.
    for path in ["/_nodes/root-1/htpt", "/_nodes/_local/nodes"] {
        let node = get(path).await["nodes"]["root-1"].clone();
        assert_eq!(node["name"], "root-1", "{path}");
        assert_eq!((node.get("http"), node.get("os")), (None, None), "{path}");
    }
}

#[tokio::test]
async fn a_node_tells_the_aggregations_that_there_are() {
    for path in [
        "/_nodes",
        "/_nodes/aggregations",
        "/_nodes/leaf-1/aggregations",
    ] {
        let told = get(path).await["nodes"]["leaf-1"]["aggregations"].clone();
        for kind in ["terms", "avg", "rate"] {
            assert_eq!(told[kind], json!({"types": ["other"]}), "{path}: {kind}");
        }
        assert_eq!(told.get("aggs"), None, "{path}");
    }
}

#[tokio::test]
async fn a_node_tells_its_process_and_settings_by_default_and_by_name() {
    let sections = ["jvm", "settings", "thread_pool", "total_indexing_buffer"];
    let all = get("/_nodes").await["nodes"]["root-1"].clone();
    for (metric, section) in ["jvm", "settings", "thread_pool", "indices"]
        .iter()
        .zip(sections)
    {
        let own = get(&format!("/_nodes/{metric}")).await["nodes"]["root-1"].clone();
        assert!(!own[section].is_null(), "{section} of {own}");
        let others = sections.iter().filter(|other| **other != section);
        for other in others {
            assert_eq!(own.get(other), None, "{metric}");
        }
        assert!(all.get(section).is_some(), "{section} of {all}");
    }
    let jvm = &all["jvm"];
    assert_eq!(jvm["pid"], std::process::id());
    assert!(
        jvm["version"].is_string() && jvm["vm_name"].is_string(),
        "{jvm}"
    );
    let heap = jvm["mem"]["heap_max_in_bytes"].as_u64();
    assert!(heap.is_some_and(|bytes| bytes > 0), "{jvm}");
    let stats = get("/_nodes/stats/jvm").await["nodes"]["root-1"]["jvm"].clone();
    assert_eq!(stats["mem"]["heap_max_in_bytes"].as_u64(), heap);
    let settings = &all["settings"];
    assert_eq!(settings["node"]["roles"], json!(["ingest", "master"]));
    assert_eq!(settings["node"]["attr"], json!({}));
    assert_eq!(
        settings["cluster"]["election"]["strategy"],
        "supports_voting_only"
    );
    assert_eq!(all["process"]["refresh_interval_in_millis"], 1_000);
    assert!(all["os"]["version"].is_string() && all["index_version"].is_u64());
    let flat = get("/_nodes/settings?flat_settings").await["nodes"]["leaf-1"]["settings"].clone();
    assert_eq!(
        (&flat["client.type"], &flat["node.name"]),
        (&json!("node"), &json!("leaf-1"))
    );
    assert_eq!(
        (&flat["http.type"], flat.get("node.attr")),
        (&json!("gleaner"), None)
    );
    let search = &all["thread_pool"]["search"];
    assert!(
        search["size"].is_number() && search["queue_size"].is_number(),
        "{search}"
    );
}

#[tokio::test]
async fn threads_are_looked_at_for_a_bounded_time() {
    let told = text("/_nodes/root-*/hot_threads?interval=20ms&ignore_idle_threads=false").await;
    assert!(told.starts_with("::: {root-1}{root-1}{root-1}"), "{told}");
    let other =
        "::: {root-2}{root-2}{root-2}{root-2:9300}{im}\n   Ask this node itself for its threads";
    assert!(told.contains(other), "{told}");
    #[cfg(target_os = "linux")]
    assert!(told.contains("cpu usage by thread '"), "{told}");
    let other_path = "/_cluster/nodes/root-2/hot_threads?interval=20ms";
    let told = text(other_path).await;
    assert!(told.starts_with("::: {root-2}"), "{told}");
    for refused in [
        "interval=31s",
        "interval=0",
        "threads=0",
        "type=wait",
        "type=foo",
        "sort=foo",
        "snapshots=many",
        "ignore_idle_threads=maybe",
    ] {
        let answer = get(&format!("/_nodes/hot_threads?{refused}")).await;
        assert_eq!(answer["status"], 400, "{refused}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let told = get("/_nodes/usage").await;
    let asked = &told["nodes"]["root-1"]["rest_actions"];
    assert_eq!(*asked, json!({"nodes.usage": 1}));
    assert_eq!(told["nodes"]["leaf-1"]["rest_actions"], json!({}));
    // Roots do not call each other.
    assert_eq!(told["nodes"].get("root-2"), None);
    assert_eq!(
        told["_nodes"],
        json!({"total": 3, "successful": 2, "failed": 1})
    );
    let node = get("/_nodes/_local/usage/aggregations").await["nodes"]["root-1"].clone();
    assert_eq!(node.get("rest_actions"), None);
}

#[tokio::test]
async fn clients_that_sniff_do_not_wait_for_leaves() {
    for path in ["/_nodes/http", "/_nodes/_all/http"] {
        let nodes = get(path).await["nodes"].clone();
        // Nobody has found out that it is away.
        assert!(nodes["leaf-2"].is_object(), "{path}");
        assert_eq!(nodes["leaf-2"].get("http"), None, "{path}");
    }
}

#[tokio::test]
async fn statistics_stand_beside_the_member_they_are_of() {
    let nodes = get("/_nodes/stats").await["nodes"].clone();
    assert_eq!(nodes["leaf-1"]["transport_address"], "127.0.0.1:1");
    assert_eq!(nodes["leaf-1"].get("process"), None);
    assert!(nodes["root-1"]["process"].is_object());
}

#[tokio::test]
async fn statistics_are_those_asked_for() {
    let of = |path: &'static str| async move { get(path).await["nodes"]["root-1"].clone() };
    let all = of("/_nodes/stats/_all").await;
    assert!(all["process"].is_object() && all["indices"]["store"].is_object());
    let indices = of("/_nodes/stats/indices/docs").await;
    assert_eq!(indices.get("process"), None);
    assert_eq!(
        indices["indices"]["docs"],
        json!({"count": 0, "deleted": 0, "total_size_in_bytes": 0})
    );
    assert_eq!(indices["indices"].get("store"), None);
    let others = of("/_nodes/root-1/stats/process,jvm").await;
    assert!(others["process"].is_object());
    assert_eq!(others.get("indices"), None);
    let refused = get("/_nodes/stats/transprot").await;
    let reason = "request [/_nodes/stats/transprot] contains unrecognized metric: [transprot] -> \
                  did you mean [transport]?";
    assert_eq!(refused["error"]["reason"], reason);
    for (path, expected) in [
        (
            "/_nodes/stats/indices/dogs",
            "unrecognized index metric: [dogs] -> did you mean [docs]?",
        ),
        (
            "/_nodes/stats/_all/docs",
            "index metrics [docs] but all stats requested",
        ),
        (
            "/_nodes/root-1/stats/os/docs",
            "index metrics [docs] but indices stats not requested",
        ),
        (
            "/_nodes/stats/os,_all",
            "_all and individual metrics [os,_all]",
        ),
    ] {
        let reason = get(path).await["error"]["reason"].clone();
        assert_eq!(reason, format!("request [{path}] contains {expected}"));
    }
}

#[tokio::test]
async fn a_leaf_that_does_not_answer_is_no_member_anywhere() {
    let expected = ["leaf-1", "root-1", "root-2"];
    for path in ["/_nodes", "/_nodes/stats", "/_cluster/state/nodes"] {
        assert_eq!(names(&get(path).await["nodes"]), expected, "{path}");
    }
    let table = get("/_cat/nodes?format=json&h=name").await;
    let rows = table.as_array().into_iter().flatten();
    let rows: Vec<&str> = rows.filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(rows, expected);
    let health = get("/_cluster/health").await;
    assert_eq!(health["number_of_nodes"], 3);
    assert_eq!(health["number_of_data_nodes"], 1);
    let count = &get("/_cluster/stats").await["nodes"]["count"];
    for (role, expected) in [
        ("total", 3),
        ("data", 1),
        ("master", 2),
        ("ingest", 2),
        ("coordinating_only", 0),
        ("data_hot", 0),
        ("ml", 0),
    ] {
        assert_eq!(count[role], expected, "{role}");
    }
}

#[tokio::test]
async fn statistics_of_the_cluster_are_of_the_nodes_that_are_named() {
    for (expression, expected) in [
        ("_all", [4, 1, 3, 1, 2]),
        ("leaf-*", [2, 1, 1, 1, 0]),
        ("data:true", [2, 1, 1, 1, 0]),
        ("_local", [1, 0, 1, 0, 1]),
        ("root-*,leaf-1", [3, 0, 3, 1, 2]),
        ("nobody", [0, 0, 0, 0, 0]),
    ] {
        let path = format!("/_cluster/stats/nodes/{expression}");
        let stats = get(&path).await;
        let (header, count) = (&stats["_nodes"], &stats["nodes"]["count"]);
        let shown = [
            &header["total"],
            &header["failed"],
            &count["total"],
            &count["data"],
            &count["master"],
        ];
        assert_eq!(json!(shown), json!(expected), "{path}");
        assert_eq!(stats["status"], "green", "{path}");
    }
    let whole = get("/_cluster/stats").await;
    let header = json!({"total": 4, "successful": 3, "failed": 1});
    assert_eq!(whole["_nodes"], header);
    let ingest = json!({"number_of_pipelines": 0, "processor_stats": {}});
    assert_eq!(whole["nodes"]["ingest"], ingest);
    assert_eq!(whole["nodes"]["os"]["pretty_names"][0]["count"], 1);
    let indices = &whole["indices"];
    assert_eq!(indices["analysis"]["analyzer_types"], json!([]));
    assert_eq!(indices["versions"], json!([]));
    assert_eq!(indices["search"]["total"], 0);
    assert_eq!(indices["segments"]["file_sizes"], json!({}));
    assert_eq!(
        whole["nodes"]["indexing_pressure"]["memory"]["limit_in_bytes"],
        0
    );
    assert_eq!(whole["snapshots"]["repositories"], json!({}));
    assert_eq!(whole["ccs"]["_search"]["took"]["max"], 0);
    assert_eq!(get("/_cluster/stats/nodes/data:maybe").await["status"], 400);
}

#[tokio::test]
async fn the_master_is_the_same_wherever_it_is_told() {
    let table = get("/_cat/nodes?format=json&h=name,master").await;
    let rows = table.as_array().into_iter().flatten();
    let marked: Vec<&str> = rows
        .filter(|row| row["master"] == "*")
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert_eq!(marked, ["root-1"]);
    assert_eq!(get("/_cat/master?format=json").await[0]["node"], "root-1");
    let state = get("/_cluster/state/master_node").await;
    assert_eq!(state["master_node"], "root-1");
}

#[tokio::test]
async fn the_state_shows_of_each_node_what_typed_clients_require() {
    let state = get("/_cluster/state/nodes").await;
    let node = &state["nodes"]["root-1"];
    let versions = json!([node["min_index_version"], node["max_index_version"]]);
    assert_eq!(versions, json!([7_000_099, 8_190_099]));
    assert_eq!(node["external_id"], "root-1");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_root_that_is_asked_tells_its_own_figures_and_others_are_unknown() {
    let columns = "name,pid,heap.percent,ram.percent,cpu,load_1m,file_desc.current,uptime";
    let table = get(&format!("/_cat/nodes?format=json&h={columns}")).await;
    let rows = table.as_array().cloned().unwrap_or_default();
    assert_eq!(rows.len(), 3, "{table}");
    for row in &rows {
        for column in columns.split(',').skip(1) {
            let is_told = row["name"] == "root-1";
            assert_eq!(row[column].is_string(), is_told, "{column} of {row}");
        }
    }
    let own = rows.iter().find(|row| row["name"] == "root-1");
    let pid = std::process::id().to_string();
    assert_eq!(own.expect("it is there")["pid"], pid);
}

#[tokio::test]
async fn every_column_of_the_table_has_a_cell() {
    let [told, shown] = [
        "/_cat/nodes?help&format=text",
        "/_cat/nodes?format=json&h=*",
    ]
    .map(text);
    let names: Vec<String> = told.await.lines().filter_map(first_word).collect();
    let shown: Value = serde_json::from_str(&shown.await).expect("JSON");
    for row in shown.as_array().into_iter().flatten() {
        let row = row.as_object().cloned().unwrap_or_default();
        let shown: Vec<String> = row.keys().cloned().collect();
        let (mut names, mut shown) = (names.clone(), shown);
        names.sort();
        shown.sort();
        assert_eq!(shown, names);
    }
}

fn first_word(line: &str) -> Option<String> {
    line.split_whitespace().next().map(str::to_owned)
}
