//! Routing, as requests and aliases give it: a document is read where it was written.

use anyhow::Result;
use bytes::Bytes;
use gleaner_proto::write::{Update, WriteAction, WriteResult};
use gleaner_root::ingest::{IngestItem, RefreshPolicy};
use gleaner_root::plan::Target;
use gleaner_root::read::GetRequest;
use gleaner_testkit::Node;
use gleaner_testkit::node::item;
use serde_json::json;

fn routed(index: &str, id: &str, routing: &str) -> IngestItem {
    IngestItem {
        routing: Some(routing.to_owned()),
        ..item(index, id, &json!({"n": 1}))
    }
}

fn get(index: &str, id: &str, routing: Option<&str>) -> GetRequest {
    GetRequest {
        index: index.to_owned(),
        id: id.to_owned(),
        routing: routing.map(str::to_owned),
        realtime: true,
        ..GetRequest::default()
    }
}

async fn total(node: &Node, index: &str, routing: &str) -> Result<u64> {
    let target = Target {
        expression: Some(index.to_owned()),
        routing: Some(routing.to_owned()),
        ..Target::default()
    };
    let response = node
        .root
        .search(&target, &Default::default(), &Default::default())
        .await?;
    Ok(response.total.expect("counted").value)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_routing_is_none() -> Result<()> {
    let node = Node::start().await?;
    let settings = json!({"settings": {"number_of_shards": 8}});
    node.create("books", &settings).await?;
    for n in 0..20 {
        let id = n.to_string();
        let twice = vec![routed("books", &id, ""), item("books", &id, &json!({}))];
        for (result, version) in node
            .ingest(twice, RefreshPolicy::Immediate)
            .await
            .iter()
            .zip(1..)
        {
            assert_eq!(result.outcome.as_ref().expect("written").version.0, version);
        }
        let found = node
            .root
            .reader()
            .get(&get("books", &id, Some("")))
            .await?
            .document;
        assert_eq!(found.expect("is there").routing, None);
    }
    assert_eq!(total(&node, "books", "").await?, 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_read_through_the_alias_it_was_written_through() -> Result<()> {
    let node = Node::start().await?;
    let alias = json!({"index_routing": "A", "search_routing": "B,C"});
    let body = json!({"settings": {"number_of_shards": 8}, "aliases": {"shelf": alias}});
    node.create("books", &body).await?;
    for n in 0..20 {
        let id = n.to_string();
        let put = vec![item("shelf", &id, &json!({}))];
        let written = node.ingest(put, RefreshPolicy::Immediate).await.remove(0);
        assert_eq!(written.outcome?.version.0, 1);
        for routing in [None, Some(""), Some("A")] {
            let found = node
                .root
                .reader()
                .get(&get("shelf", &id, routing))
                .await?
                .document;
            assert_eq!(found.expect("is there").routing.as_deref(), Some("A"));
        }
        let of_alias = get("shelf", &id, None);
        let explained = node
            .root
            .reader()
            .explain(&of_alias, &Default::default())
            .await?
            .1;
        assert!(explained.found.is_some());
        let delete = IngestItem {
            action: WriteAction::Delete,
            ..item("shelf", &id, &json!({}))
        };
        let deleted = node
            .ingest(vec![delete], RefreshPolicy::None)
            .await
            .remove(0);
        assert_eq!(deleted.outcome?.result, WriteResult::Deleted);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_takes_no_other_routing_than_its_own() -> Result<()> {
    let node = Node::start().await?;
    let alias = json!({"index_routing": "A", "search_routing": "A,B"});
    let body = json!({"settings": {"number_of_shards": 8}, "aliases": {"shelf": alias}});
    node.create("books", &body).await?;
    let reason = "Alias [shelf] has index routing associated with it [A], and was provided with \
                  routing value [Z], rejecting operation";
    let update = WriteAction::Update(Update {
        doc: Some(Bytes::from_static(b"{}")),
        ..Update::default()
    });
    let put = routed("shelf", "1", "Z");
    for action in [put.action.clone(), WriteAction::Delete, update] {
        let write = IngestItem {
            action,
            ..put.clone()
        };
        let refused = node
            .ingest(vec![write], RefreshPolicy::None)
            .await
            .remove(0);
        assert_eq!(refused.outcome.expect_err("refused").to_string(), reason);
    }
    let refused = node.root.reader().get(&get("shelf", "1", Some("Z"))).await;
    assert_eq!(refused.expect_err("refused").to_string(), reason);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_the_shards_that_it_and_its_alias_both_name() -> Result<()> {
    let node = Node::start().await?;
    let alias = json!({"search_routing": "a,b"});
    let body = json!({"settings": {"number_of_shards": 8}, "aliases": {"shelf": alias}});
    node.create("books", &body).await?;
    let routings = ["a", "b", "c", "d"];
    let puts = routings.map(|routing| routed("books", routing, routing));
    node.ingest(puts.into(), RefreshPolicy::Immediate).await;
    let mut alone = Vec::new();
    for routing in routings {
        alone.push(total(&node, "books", routing).await?);
    }
    assert_eq!(total(&node, "shelf", "a").await?, alone[0]);
    assert_eq!(total(&node, "shelf", "b,c").await?, alone[1]);
    assert_eq!(total(&node, "shelf", "c,d").await?, 4, "none in common");
    assert_eq!(total(&node, "shelf,books", "c").await?, alone[2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_not_explained_without_the_routing_it_requires() -> Result<()> {
    let node = Node::start().await?;
    let mappings = json!({"_routing": {"required": true}});
    node.create("books", &json!({"mappings": mappings})).await?;
    let put = vec![routed("books", "1", "Z")];
    node.ingest(put, RefreshPolicy::Immediate).await;
    let explain = async |routing| {
        let of = get("books", "1", routing);
        node.root.reader().explain(&of, &Default::default()).await
    };
    assert!(explain(Some("Z")).await?.1.found.is_some());
    let refused = explain(None).await.expect_err("refused").to_string();
    assert_eq!(refused, "routing is required for [books]/[1]");
    Ok(())
}
