//! Order of answers, made ids, blocks, indices made on the way.

use bytes::Bytes;
use gleaner_model::{SeqNo, Version};
use gleaner_proto::LeafFault;
use serde_json::json;

use super::*;
use crate::testing::{Fixture, index, shard};

pub(super) fn item(index: &str, id: Option<&str>) -> IngestItem {
    IngestItem {
        index: index.to_owned(),
        id: id.map(str::to_owned),
        routing: None,
        action: WriteAction::Index {
            source: Bytes::from_static(b"{}"),
            create: false,
        },
        condition: Condition::None,
        require_alias: false,
        require_data_stream: false,
        templates: ChosenTemplates::default(),
    }
}

async fn ingest(fixture: &Fixture, items: Vec<IngestItem>) -> Vec<IngestResult> {
    fixture
        .root
        .ingester()
        .ingest(items, &IngestOptions::default())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_stand_in_the_order_of_the_items() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let ids: Vec<String> = (0..50).map(|n| format!("id-{n}")).collect();
    let items = ids.iter().map(|id| item("index-1", Some(id))).collect();
    let results = ingest(&fixture, items).await;
    assert_eq!(
        results.iter().map(|result| &result.id).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
    assert_eq!(fixture.leaf.written.lock().len(), 2, "one call per shard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_shard_fails_its_items_only() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let fault = LeafFault::DiskFull { shard: shard(1, 0) };
    fixture.leaf.faults.lock().insert(shard(1, 0), fault);
    let items = (0..50)
        .map(|n| item("index-1", Some(&n.to_string())))
        .collect();
    for result in ingest(&fixture, items).await {
        assert_eq!(result.outcome.is_err(), result.shard == Some(shard(1, 0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_made_under_a_key_are_the_same_each_time_and_else_never() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let made = async |key: Option<&str>| {
        let options = IngestOptions {
            idempotency_key: key.map(str::to_owned),
            ..IngestOptions::default()
        };
        let items = vec![item("index-1", None), item("index-1", None)];
        let results = fixture.root.ingester().ingest(items, &options).await;
        results
            .into_iter()
            .map(|result| result.id)
            .collect::<Vec<_>>()
    };
    let (first, again, other) = (
        made(Some("k")).await,
        made(Some("k")).await,
        made(Some("l")).await,
    );
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_ne!(first[0], first[1]);
    assert_ne!(made(None).await, made(None).await);
    assert!(first.iter().all(|id| id.len() == 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_used_again_for_other_documents_is_another_request() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let made = async |source: &'static str| {
        let options = IngestOptions {
            idempotency_key: Some("k".to_owned()),
            ..IngestOptions::default()
        };
        let action = WriteAction::Index {
            source: source.into(),
            create: false,
        };
        let items = vec![IngestItem {
            action,
            ..item("index-1", None)
        }];
        fixture
            .root
            .ingester()
            .ingest(items, &options)
            .await
            .remove(0)
            .id
    };
    let (first, again, other) = (made("{}").await, made("{}").await, made("{\"a\":1}").await);
    assert_eq!(first, again);
    assert_ne!(first, other, "it would take the place of the first one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_to_a_missing_index_share_the_one_that_is_made() {
    let fixture = Fixture::new([]);
    let writes = (0..8).map(|n| {
        ingest(
            &fixture,
            vec![item("new", Some(if n % 2 == 0 { "a" } else { "b" }))],
        )
    });
    for results in futures::future::join_all(writes).await {
        assert!(results[0].outcome.is_ok());
    }
    assert_eq!(fixture.root.cluster().state().indices.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_a_write_makes_keeps_the_date_math_of_its_name() {
    let fixture = Fixture::new([]);
    let math = "<new-{now/d}>";
    let new_name = NewName::read(math, fixture.root.cluster().now_ms()).expect("good math");
    let dated = new_name.name.clone();
    let options = IngestOptions {
        new_name: Some(new_name),
        ..IngestOptions::default()
    };
    let items = vec![item(&dated, Some("1")), item("other", Some("1"))];
    for result in fixture.root.ingester().ingest(items, &options).await {
        assert!(result.outcome.is_ok(), "{result:?}");
    }
    let state = fixture.root.cluster().state();
    for (name, given) in [(&*dated, math), ("other", "other")] {
        let index = state.index_named(name).expect("it was made");
        assert_eq!(index.given_name(), given);
    }
}

fn deletion(index: &str, id: &str) -> IngestItem {
    IngestItem {
        action: WriteAction::Delete,
        ..item(index, Some(id))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_makes_no_index_unless_it_brings_a_version() {
    let fixture = Fixture::new([]);
    let refused = ingest(&fixture, vec![deletion("new", "1")]).await.remove(0);
    assert!(
        matches!(&refused.outcome, Err(RootError::IndexNotFound(name)) if name == "new"),
        "{refused:?}"
    );
    assert!(fixture.root.cluster().state().indices.is_empty());
    for condition in [
        Condition::ExternalGreater(Version(3)),
        Condition::ExternalGreaterOrEqual(Version(3)),
    ] {
        let versioned = IngestItem {
            condition,
            ..deletion("versioned", "1")
        };
        let written = ingest(&fixture, vec![versioned]).await.remove(0);
        assert!(written.outcome.is_ok(), "{written:?}");
    }
    assert_eq!(fixture.root.cluster().state().indices.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_finds_the_index_that_a_later_item_makes() {
    let fixture = Fixture::new([]);
    let items = vec![deletion("new", "1"), item("new", Some("1"))];
    for (result, id) in ingest(&fixture, items).await.iter().zip(["1", "1"]) {
        assert!(result.outcome.is_ok(), "{result:?}");
        assert_eq!(result.id, id);
    }
    let written = fixture.leaf.written.lock();
    let actions = written.iter().flat_map(|call| &call.items);
    let is_delete = actions.map(|item| item.action == WriteAction::Delete);
    assert_eq!(is_delete.collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_breaks_a_rule_is_told_so() {
    let fixture = Fixture::new([]);
    let results = ingest(&fixture, vec![item("Bad Name", Some("1"))]).await;
    assert!(
        matches!(results[0].outcome, Err(RootError::Name(_))),
        "{:?}",
        results[0].outcome
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_missing_routing_refuse_items() {
    let mut blocked = index(1, &json!({}));
    blocked.settings.blocks.write = true;
    let mut flooded = index(2, &json!({}));
    flooded.settings.blocks.read_only_allow_delete = true;
    let mut closed = index(3, &json!({}));
    closed.is_closed = true;
    let routed = index(4, &json!({"_routing": {"required": true}}));
    let fixture = Fixture::new([blocked, flooded, closed, routed]);
    let items = (1..=4)
        .map(|n| item(&format!("index-{n}"), Some("1")))
        .collect();
    let told: Vec<String> = ingest(&fixture, items)
        .await
        .into_iter()
        .map(|result| result.outcome.expect_err("refused").to_string())
        .collect();
    assert!(
        told[0].contains("FORBIDDEN/8/index write (api)"),
        "{}",
        told[0]
    );
    assert!(
        told[1].contains("TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage"),
        "{}",
        told[1]
    );
    assert_eq!(told[2], "closed");
    assert_eq!(told[3], "routing is required for [index-4]/[1]");
    assert!(fixture.leaf.written.lock().is_empty());
}

#[test]
fn an_update_with_a_condition_is_neither_an_upsert_nor_tried_again() {
    let conditional = |update: Update| IngestItem {
        action: WriteAction::Update(update),
        condition: Condition::Is {
            seq_no: SeqNo(3),
            term: gleaner_model::PrimaryTerm(1),
        },
        ..item("index-1", Some("1"))
    };
    let doc = || Update {
        doc: Some(Bytes::from_static(b"{}")),
        ..Update::default()
    };
    assert_eq!(check_item(&conditional(doc())), Ok(()));
    let wrong = Update {
        retry_on_conflict: 1,
        doc_as_upsert: true,
        upsert: Some(Bytes::from_static(b"{}")),
        ..doc()
    };
    let refused = check_item(&conditional(wrong.clone())).expect_err("refused");
    assert_eq!(
        refused.reason,
        "Validation Failed: 1: compare and write operations can not be retried;2: compare and write \
         operations can not be used with upsert;3: upsert requests don't support `if_seq_no` and \
         `if_primary_term`;"
    );
    let unconditional = IngestItem {
        condition: Condition::None,
        ..conditional(wrong)
    };
    assert_eq!(check_item(&unconditional), Ok(()));
}

#[test]
fn a_document_whose_id_is_made_has_no_condition() {
    for condition in [
        Condition::ExternalGreater(Version(3)),
        Condition::Is {
            seq_no: SeqNo(3),
            term: gleaner_model::PrimaryTerm(1),
        },
    ] {
        let named = IngestItem {
            condition,
            ..item("index-1", Some("1"))
        };
        assert_eq!(check_item(&named), Ok(()));
        let made = IngestItem { id: None, ..named };
        assert!(check_item(&made).is_err(), "{condition:?}");
    }
}
