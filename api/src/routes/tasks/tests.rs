//! Searches that hang on a leaf which never answers: listed, cancelled, given up by their client.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use gleaner_coordinator::Embedded;
use gleaner_model::{ClusterState, IndexMeta, IndexName, IndexUuid, NodeId, PrimaryTerm};
use gleaner_proto::{GrpcLeaf, Peer};
use gleaner_root::leaves::SingleLeaf;
use gleaner_root::{LeafHandle, Root, RootOptions};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use super::*;
use crate::{ApiOptions, Dialect};

/// A root whose only leaf takes connections and says nothing.
async fn root() -> Arc<Root> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let peer = Peer::new(&address.to_string()).expect("an address");
    let leaf = LeafHandle {
        node: NodeId("silent".into()),
        client: Arc::new(GrpcLeaf::new(peer)),
    };
    let index = IndexMeta {
        settings: Default::default(),
        mapping: Default::default(),
        primary_terms: vec![PrimaryTerm(1)],
        ..IndexMeta::new(
            IndexUuid([1; 16]),
            IndexName::parse("books").expect("a good name"),
        )
    };
    let state = ClusterState {
        indices: [(index.uuid, Arc::new(index))].into(),
        ..ClusterState::default()
    };
    let coordinator = Arc::new(Embedded::in_memory(state));
    let leaves = Arc::new(SingleLeaf::new(leaf));
    Arc::new(Root::new(coordinator, leaves, RootOptions::default(), || 0))
}

fn dialect(root: &Arc<Root>) -> Dialect {
    crate::dialect(Arc::clone(root), ApiOptions::default(), None)
}

/// Sends a request without a body; returns status and JSON.
fn send(
    root: &Arc<Root>,
    method: &str,
    path: &str,
) -> impl Future<Output = (StatusCode, Value)> + use<> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("x-opaque-id", "mine");
    let request = request.body(Body::empty()).expect("a good request");
    let answer = dialect(root).oneshot(request);
    async move {
        let answer = answer.await.expect("it never fails");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole body");
        let json = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        (status, json)
    }
}

/// Waits until so many tasks are under way.
async fn until(root: &Root, num_tasks: usize) {
    let reached = async {
        while root.tasks().list_all().len() != num_tasks {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), reached).await;
    waited.expect("the number of tasks is reached");
}

#[tokio::test]
async fn a_search_is_listed_with_its_origin_and_cancelled_by_its_id() {
    let root = root().await;
    let search = tokio::spawn(send(&root, "GET", "/books/_search"));
    until(&root, 1).await;
    let (_, listed) = send(&root, "GET", "/_tasks?actions=*search&detailed").await;
    assert_eq!(listed["nodes"]["root"]["attributes"], json!({}));
    let task = &listed["nodes"]["root"]["tasks"]["root:1"];
    assert_eq!(task["action"], "indices:data/read/search");
    assert_eq!(task["headers"], json!({"X-Opaque-Id": "mine"}));
    let description = task["description"].as_str().expect("detailed");
    assert!(description.starts_with("indices[books]"), "{description}");
    let (_, others) = send(&root, "GET", "/_tasks?actions=*bulk").await;
    assert_eq!(others, json!({"nodes": {}}));
    for list in ["/_tasks", "/_cat/tasks"] {
        let path = format!("{list}?wait_for_completion=true&timeout=1ms");
        let (status, late) = send(&root, "GET", &path).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{late}");
        assert_eq!(late["error"]["type"], "timeout_exception");
    }
    let (_, one) = send(&root, "GET", "/_tasks/root:1").await;
    assert_eq!(one["completed"], false);
    let (status, cancelled) = send(&root, "POST", "/_tasks/root:1/_cancel").await;
    assert_eq!(status, StatusCode::OK);
    let task = &cancelled["nodes"]["root"]["tasks"]["root:1"];
    assert_eq!(task["cancelled"], true);
    let (status, body) = search.await.expect("answered");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["type"], "task_cancelled_exception");
}

#[tokio::test]
async fn a_merge_is_listed_as_one_that_cannot_be_cancelled() {
    let root = root().await;
    let merge = "/books/_forcemerge?wait_for_completion=false";
    let (_, begun) = send(&root, "POST", merge).await;
    assert_eq!(begun, json!({"task": "root:1"}));
    let (status, refused) = send(&root, "POST", "/_tasks/root:1/_cancel").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let error = &refused["error"];
    assert_eq!(error["type"], "illegal_argument_exception");
    let reason = "task [root:1] doesn't support cancellation";
    assert_eq!(error["reason"], reason);
    let all = "/_tasks/_cancel?actions=*forcemerge";
    let (status, cancelled) = send(&root, "POST", all).await;
    assert_eq!((status, cancelled), (StatusCode::OK, json!({"nodes": {}})));
    let (_, one) = send(&root, "GET", "/_tasks/root:1").await;
    let task = &one["task"];
    assert_eq!(
        (&one["completed"], &task["cancellable"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(task.get("cancelled"), None);
}

#[tokio::test]
async fn a_list_has_itself_in_it() {
    let root = root().await;
    let (_, listed) = send(&root, "GET", "/_tasks").await;
    let tasks = listed["nodes"]["root"]["tasks"].as_object();
    let tasks = tasks.expect("tasks");
    let actions: Vec<&Value> = tasks.values().map(|task| &task["action"]).collect();
    assert_eq!(actions, [LISTS, LISTS_ON_NODE]);
    let whole = &tasks["root:1"];
    assert_eq!(whole["headers"], json!({"X-Opaque-Id": "mine"}));
    assert_eq!(
        (&whole["type"], &whole["cancellable"]),
        (&json!("transport"), &json!(false))
    );
    assert_eq!(whole.get("cancelled"), None);
    let part = &tasks["root:2"];
    assert_eq!(
        (&part["type"], &part["parent_task_id"]),
        (&json!("direct"), &json!("root:1"))
    );
    let (_, one) = send(&root, "GET", "/_tasks?actions=*lists&group_by=none").await;
    assert_eq!(one["tasks"].as_array().map(Vec::len), Some(1), "{one}");
    let (_, parents) = send(&root, "GET", "/_tasks?group_by=parents").await;
    let child = &parents["tasks"]["root:5"]["children"][0];
    assert_eq!(child["action"], LISTS_ON_NODE, "{parents}");
    let (_, others) = send(&root, "GET", "/_tasks?nodes=other").await;
    assert_eq!(others, json!({"nodes": {}}));
    let (_, table) = send(&root, "GET", "/_cat/tasks?format=json&h=action,type").await;
    let rows = json!([
        {"action": LISTS, "type": "transport"},
        {"action": LISTS_ON_NODE, "type": "direct"},
    ]);
    assert_eq!(table, rows);
}

#[tokio::test]
async fn tasks_that_are_not_there_are_not_found_and_bad_ids_are_refused() {
    let root = root().await;
    for (method, path) in [
        ("GET", "/_tasks/root:7"),
        ("POST", "/_tasks/other:1/_cancel"),
    ] {
        let (status, body) = send(&root, method, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(body["error"]["type"], "resource_not_found_exception");
    }
    let (status, _) = send(&root, "GET", "/_tasks/nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, cancelled) = send(&root, "POST", "/_tasks/_cancel?actions=*").await;
    assert_eq!((status, cancelled), (StatusCode::OK, json!({"nodes": {}})));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_search() {
    let root = root().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (service, options) = (dialect(&root), ApiOptions::default());
    tokio::spawn(async move { crate::serve(listener, service, &options, pending()).await });
    let mut client = TcpStream::connect(address).await.expect("connects");
    let request = b"GET /books/_search HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.write_all(request).await.expect("sent");
    until(&root, 1).await;
    drop(client);
    until(&root, 0).await;
}
