//! Routing, as requests and aliases give it: a document is read where it was written.

use anyhow::Result;
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
        let found = node.root.get(&get("books", &id, Some(""))).await?.1;
        assert_eq!(found.expect("is there").routing, None);
    }
    assert_eq!(total(&node, "books", "").await?, 20);
    Ok(())
}
