//! Writes: versions, conflicts, updates, visibility, restarts.

use anyhow::Result;
use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_proto::write::{Condition, Update, WriteAction, WriteFault, WriteResult};
use gleaner_query::answer::Hit;
use gleaner_query::names::ResolveOptions;
use gleaner_root::RootError;
use gleaner_root::ingest::{IngestItem, IngestOptions, RefreshPolicy};
use gleaner_root::read::GetRequest;
use gleaner_testkit::Node;
use gleaner_testkit::node::item;
use serde_json::{Value, json};

fn get(id: &str) -> GetRequest {
    GetRequest {
        index: "books".to_owned(),
        id: id.to_owned(),
        realtime: true,
        ..GetRequest::default()
    }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.content.id.as_str()).collect()
}

fn conditional(id: &str, source: &Value, condition: Condition) -> IngestItem {
    IngestItem {
        condition,
        ..item("books", id, source)
    }
}

async fn one(
    node: &Node,
    item: IngestItem,
) -> Result<gleaner_proto::write::WriteOutcome, RootError> {
    let mut results = node.ingest(vec![item], RefreshPolicy::None).await;
    results.remove(0).outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_read_at_once_and_found_after_a_refresh() -> Result<()> {
    let node = Node::start().await?;
    let outcome = one(
        &node,
        item("books", "1", &json!({"title": "the rust book"})),
    )
    .await?;
    assert_eq!(
        (outcome.result, outcome.version),
        (WriteResult::Created, Version(1))
    );
    let found = node.root.reader().get(&get("1")).await?;
    assert_eq!(found.index, "books");
    assert_eq!(
        found.document.expect("realtime").source,
        Bytes::from(r#"{"title":"the rust book"}"#)
    );
    node.put(
        "books",
        &[("2".to_owned(), json!({"title": "rust and iron"}))],
    )
    .await?;
    node.root.refresher().refresh(&Default::default()).await?;
    let response = node
        .search("books", &json!({"query": {"match": {"title": "rust"}}}))
        .await?;
    assert_eq!(ids(&response.hits).len(), 2);
    assert_eq!(response.shards.total, 4);
    assert_eq!(response.shards.failures, vec![]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_decide_conflicts() -> Result<()> {
    let node = Node::start().await?;
    let first = one(&node, item("books", "1", &json!({"n": 1}))).await?;
    let is = |seq_no, term| Condition::Is { seq_no, term };
    let wrong = one(
        &node,
        conditional("1", &json!({"n": 2}), is(SeqNo(9), PrimaryTerm(1))),
    )
    .await;
    assert!(matches!(
        wrong,
        Err(RootError::Write(WriteFault::VersionConflict { .. }))
    ));
    let right = conditional("1", &json!({"n": 2}), is(first.seq_no, first.term));
    assert_eq!(one(&node, right).await?.version, Version(2));
    let create = WriteAction::Index {
        source: Bytes::from_static(b"{}"),
        create: true,
    };
    let again = IngestItem {
        action: create,
        ..item("books", "1", &json!({}))
    };
    assert!(matches!(
        one(&node, again).await,
        Err(RootError::Write(WriteFault::VersionConflict { .. }))
    ));
    let external = Condition::ExternalGreater(Version(40));
    assert_eq!(
        one(&node, conditional("1", &json!({"n": 3}), external))
            .await?
            .version,
        Version(40)
    );
    assert!(
        one(&node, conditional("1", &json!({"n": 4}), external))
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_merge_and_deletes_leave_tombstones() -> Result<()> {
    let node = Node::start().await?;
    node.put("books", &[("1".to_owned(), json!({"a": {"b": 1}, "c": 2}))])
        .await?;
    let doc = Some(Bytes::from_static(br#"{"a":{"d":3}}"#));
    let update = Update {
        doc,
        detect_noop: true,
        ..Update::default()
    };
    let action = WriteAction::Update(update);
    let update = IngestItem {
        action,
        ..item("books", "1", &json!({}))
    };
    assert_eq!(
        one(&node, update.clone()).await?.result,
        WriteResult::Updated
    );
    assert_eq!(one(&node, update).await?.result, WriteResult::Noop);
    let found = node
        .root
        .reader()
        .get(&get("1"))
        .await?
        .document
        .expect("is there");
    assert_eq!(found.source, Bytes::from(r#"{"a":{"b":1,"d":3},"c":2}"#));
    let delete = IngestItem {
        action: WriteAction::Delete,
        ..item("books", "1", &json!({}))
    };
    let deleted = one(&node, delete.clone()).await?;
    assert_eq!(
        (deleted.result, deleted.version),
        (WriteResult::Deleted, Version(3))
    );
    assert_eq!(one(&node, delete).await?.result, WriteResult::NotFound);
    assert_eq!(node.root.reader().get(&get("1")).await?.document, None);
    node.root.refresher().refresh(&Default::default()).await?;
    assert_eq!(node.search("books", &json!({})).await?.hits, vec![]);
    assert_eq!(
        one(&node, item("books", "1", &json!({}))).await?.version,
        Version(5)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_harms_no_other() -> Result<()> {
    let node = Node::start().await?;
    node.create(
        "books",
        &json!({"mappings": {"properties": {"n": {"type": "long"}}}}),
    )
    .await?;
    let items = vec![
        item("books", "1", &json!({"n": 1})),
        item("books", "2", &json!({"n": "many"})),
        item("books", "3", &json!({"n": 3, "new": "field"})),
    ];
    let results = node.ingest(items, RefreshPolicy::Immediate).await;
    let taken: Vec<bool> = results
        .iter()
        .map(|result| result.outcome.is_ok())
        .collect();
    assert_eq!(taken, [true, false, true]);
    let response = node
        .search("books", &json!({"query": {"match": {"new": "field"}}}))
        .await?;
    assert_eq!(ids(&response.hits), ["3"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_again_is_answered_and_not_applied_twice() -> Result<()> {
    let node = Node::start().await?;
    let options = IngestOptions {
        idempotency_key: Some("load-7".to_owned()),
        ..IngestOptions::default()
    };
    let anonymous = |n: u32| IngestItem {
        id: None,
        ..item("books", "", &json!({"n": n}))
    };
    let items: Vec<IngestItem> = (0..50).map(anonymous).collect();
    let first = node.root.ingester().ingest(items.clone(), &options).await;
    let second = node.root.ingester().ingest(items.clone(), &options).await;
    let node = node.restart(false).await?;
    let third = node.root.ingester().ingest(items, &options).await;
    for ((first, second), third) in first.iter().zip(&second).zip(&third) {
        assert_eq!(first.id, second.id);
        let (first, second) = (first.outcome.as_ref(), second.outcome.as_ref());
        assert_eq!(first.expect("taken"), second.expect("answered"));
        assert_eq!(
            first.expect("taken"),
            third.outcome.as_ref().expect("answered")
        );
    }
    node.root.refresher().refresh(&Default::default()).await?;
    let response = node.search("books", &json!({"size": 0})).await?;
    assert_eq!(response.total.expect("counted").value, 50);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_used_again_for_other_documents_writes_them() -> Result<()> {
    let node = Node::start().await?;
    let options = IngestOptions {
        idempotency_key: Some("load-7".to_owned()),
        ..IngestOptions::default()
    };
    for start in [0, 50, 0] {
        let anonymous = |n: u32| IngestItem {
            id: None,
            ..item("books", "", &json!({"n": n}))
        };
        let items = (start..start + 50).map(anonymous).collect();
        let results = node.root.ingester().ingest(items, &options).await;
        assert!(results.iter().all(|result| result.outcome.is_ok()));
    }
    node.root.refresher().refresh(&Default::default()).await?;
    let response = node.search("books", &json!({"size": 0})).await?;
    assert_eq!(response.total.expect("counted").value, 100);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_comes_later_is_in_no_document_before_it_after_a_crash_either() -> Result<()> {
    let mut node = Node::start().await?;
    let text = json!({"dynamic": false, "properties": {"t": {"type": "text"}}});
    node.create("notes", &json!({"mappings": text})).await?;
    let source = json!({"t": "a", "x": "foo"});
    node.put("notes", &[("before".to_owned(), source.clone())])
        .await?;
    let field = json!({"properties": {"x": {"type": "keyword"}}});
    let (root, options) = (&node.root, ResolveOptions::default());
    root.admin()
        .put_mapping("notes", &options, &field, false)
        .await?;
    node.put("notes", &[("behind".to_owned(), source)]).await?;
    for is_graceful in [false, true, false] {
        let response = node
            .search("notes", &json!({"query": {"term": {"x": "foo"}}}))
            .await?;
        let ids: Vec<&str> = response
            .hits
            .iter()
            .map(|hit| hit.content.id.as_str())
            .collect();
        assert_eq!(ids, ["behind"]);
        node = node.restart(is_graceful).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_both_ways_of_stopping() -> Result<()> {
    let mut node = Node::start().await?;
    let mut expected = 0;
    for (round, is_graceful) in [(0, true), (1, false), (2, false), (3, true)] {
        let documents: Vec<(String, Value)> = (0..100)
            .map(|n| (format!("{round}-{n}"), json!({"n": n, "round": round})))
            .collect();
        let items = documents
            .iter()
            .map(|(id, source)| item("books", id, source))
            .collect();
        for result in node.ingest(items, RefreshPolicy::None).await {
            result.outcome?;
        }
        expected += 100;
        node = node.restart(is_graceful).await?;
        let response = node.search("books", &json!({"size": 0})).await?;
        assert_eq!(
            response.total.expect("counted").value,
            expected,
            "round {round}"
        );
        let id = format!("{round}-7");
        assert!(node.root.reader().get(&get(&id)).await?.document.is_some());
    }
    let outcome = one(&node, item("books", "0-0", &json!({}))).await?;
    assert_eq!(outcome.result, WriteResult::Updated);
    assert!(outcome.term > PrimaryTerm(1), "each start is a new primary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_infer_different_types_at_once_agree_on_one() -> Result<()> {
    let node = Node::start().await?;
    node.create("books", &json!({})).await?;
    let sources = [
        json!({"new": 7}),
        json!({"new": "seven"}),
        json!({"new": true}),
    ];
    let writes = (0..24).map(|n| {
        let source = &sources[n % sources.len()];
        node.ingest(
            vec![item("books", &n.to_string(), source)],
            RefreshPolicy::None,
        )
    });
    let mut taken = 0;
    for results in futures::future::join_all(writes).await {
        for result in results {
            match result.outcome {
                Ok(_) => taken += 1,
                Err(RootError::Write(WriteFault::Document { .. })) => {}
                Err(other) => return Err(other.into()),
            }
        }
    }
    let state = node.root.cluster().state();
    let mapping = &state.index_named("books").expect("made").mapping;
    assert!(mapping.field("new").is_some());
    assert!(taken >= 8, "the winner's documents are taken: {taken}");
    node.root.refresher().refresh(&Default::default()).await?;
    let body = json!({"size": 0, "query": {"exists": {"field": "new"}}});
    assert_eq!(
        node.search("books", &body)
            .await?
            .total
            .expect("counted")
            .value,
        taken
    );
    Ok(())
}
