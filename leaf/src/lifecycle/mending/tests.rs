//! Copies as an earlier program left them, opened again.

use std::path::Path;

use gleaner_model::{ClusterState, Dynamic, Mapping, MappingVersion};
use gleaner_proto::LeafClient as _;
use gleaner_proto::search::ShardView;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{Clause, Statistics};
use serde_json::json;

use super::*;
use crate::testing::{Fixture, key, put, search};

/// Returns how many documents of index 1 are found by a field.
async fn num_with(fixture: &Fixture, path: &str) -> usize {
    let query = Clause::Exists {
        fields: vec![FieldPath::new(path)],
    };
    let newest = ShardView {
        shard: key(1),
        view: None,
        at_least: None,
    };
    let call = search(query, Statistics::default(), newest);
    let answer = fixture.leaf.search(call).await.remove(0);
    answer.expect("searched").hits.len()
}

/// Returns the mapping that an earlier program made of documents with `a`, `b` and `c`, that came together: the
/// fields claim versions that the mapping does not have.
fn mapping_of_before(dynamic: Dynamic) -> Mapping {
    let properties = json!({
        "a": {"type": "long"},
        "b": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "c": {"properties": {"d": {"type": "double"}}},
    });
    let body = json!({"properties": properties});
    let mut mapping = parse_mapping(&body, None, &MappingRules::default()).expect("a mapping");
    mapping.version = MappingVersion(2);
    mapping.dynamic = dynamic;
    for (path, field) in &mut mapping.fields {
        field.since = MappingVersion(match path.as_str() {
            "a" => 2,
            "b" | "b.keyword" => 3,
            _ => 4,
        });
    }
    mapping
}

/// Writes documents as an earlier program did, and stops.
async fn written_before(dynamic: Dynamic) -> Fixture {
    let fixture = Fixture::start();
    fixture.create(1).await;
    let mapping = Arc::new(mapping_of_before(dynamic));
    fixture
        .change(|state| {
            for index in state.indices.values_mut() {
                Arc::make_mut(index).mapping = Arc::clone(&mapping);
            }
        })
        .await;
    let documents = vec![
        put("a", r#"{"a":1}"#),
        put("b", r#"{"b":"x y"}"#),
        put("c", r#"{"c":{"d":[1.5,2]},"a":7}"#),
        put("d", r#"{"a":2,"b":null}"#),
    ];
    fixture.write(documents).await.expect("written");
    fixture
        .write(vec![put("b", r#"{"b":"y"}"#)])
        .await
        .expect("written");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    let lost = [("a", 3), ("b", 0), ("b.keyword", 0), ("c.d", 0)];
    for (path, count) in lost {
        assert_eq!(num_with(&fixture, path).await, count, "{path}");
    }
    fixture.leaf.stop().await;
    forget_completeness(&fixture.leaf.node.folders(key(1)).copy);
    // As the cluster state is read when a node starts.
    fixture
        .change(|state| {
            let stored = serde_json::to_vec(state).expect("it is JSON");
            *state = serde_json::from_slice::<ClusterState>(&stored).expect("it is a state");
        })
        .await;
    fixture
}

/// Removes what only a newer program writes into a copy's commit.
fn forget_completeness(folder: &Path) {
    let path = folder.join("meta.json");
    let meta = std::fs::read_to_string(&path).expect("it is committed");
    // Checksum and list of files are two lines before tantivy's own keys.
    let own = meta.splitn(3, '\n').nth(2).expect("it is sealed");
    let before = own.replace(r#",\"fields\":\"complete\""#, "");
    assert_ne!(before, own);
    std::fs::write(&path, format!("{{{before}")).expect("there is room");
}

/// Waits until the copy was looked through.
async fn looked_through(fixture: &Fixture) {
    let looking = fixture.primary().await.mend();
    crate::testing::soon(looking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_were_indexed_without_their_fields_are_indexed_again() {
    let fixture = written_before(Dynamic::True).await.start_again();
    looked_through(&fixture).await;
    let mended = [("a", 3), ("b", 1), ("b.keyword", 1), ("c.d", 1)];
    for (path, count) in mended {
        assert_eq!(num_with(&fixture, path).await, count, "{path}");
    }
    let document = fixture.get("b").await.expect("it is there");
    assert_eq!(
        (document.version.0, &*document.source),
        (2, &br#"{"b":"y"}"#[..])
    );
    let document = fixture.get("c").await.expect("it is there");
    assert_eq!(document.version.0, 1);
    let mapping = Arc::clone(&fixture.shard().await.schema.index.load().mapping);
    assert!(
        mapping
            .fields
            .values()
            .all(|field| field.since <= mapping.version)
    );
    // Once and for all: also after a crash, and not again.
    let next = fixture.primary().await.order.lock().await.next;
    let fixture = fixture.crash().await;
    looked_through(&fixture).await;
    for (path, count) in mended {
        assert_eq!(num_with(&fixture, path).await, count, "{path}");
    }
    let shard = fixture.shard().await;
    assert!(shard.engine().is_complete());
    assert_eq!(fixture.primary().await.order.lock().await.next, next);
    fixture.leaf.stop().await;
    let fixture = fixture.start_again();
    assert!(fixture.shard().await.engine().is_complete(), "forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_documents_do_not_add_is_left_as_it_is() {
    let fixture = written_before(Dynamic::False).await.start_again();
    let primary = fixture.primary().await;
    let found = primary.mended().await.expect("looked through");
    assert_eq!(found.num_documents, 0);
    let unsure: Vec<&str> = found.unsure.iter().map(FieldPath::as_str).collect();
    assert_eq!(unsure, ["b", "c.d"]);
    assert_eq!(num_with(&fixture, "b").await, 0);
}
