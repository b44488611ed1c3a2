//! Writes that follow a change of the mapping.

use std::path::Path;

use async_trait::async_trait;
use gleaner_coordinator::{CoordinatorError, Embedded};
use gleaner_model::{ChosenTemplates, ClusterState, IndexMeta, MappingVersion};
use gleaner_proto::search::ShardView;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::{Clause, Statistics};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::testing::{FaultyLog, index, search};
use crate::{Leaf, LeafOptions};

/// A coordinator that knows each change at once and tells no watcher.
struct Silent {
    inner: Embedded,
    told: watch::Sender<Arc<ClusterState>>,
}

impl Silent {
    fn of(inner: Embedded) -> Self {
        let told = watch::Sender::new(inner.state());
        Self { inner, told }
    }

    /// Changes index 1.
    async fn change(&self, change: impl Fn(&mut IndexMeta)) -> Arc<ClusterState> {
        let changed = gleaner_coordinator::update::<CoordinatorError, _>(self, |state| {
            let mut next = state.clone();
            let index = next.indices.get_mut(&key(1).index).expect("made");
            change(Arc::make_mut(index));
            Ok(Some(next))
        });
        changed.await.expect("memory takes it")
    }

    /// Adds a field to index 1.
    async fn agree_on(&self, field: &str, declared: Value) -> MappingVersion {
        let body = json!({"properties": {field: declared}});
        let state = self.change(|index| {
            let rules = MappingRules::from(&index.settings);
            let mapping = parse_mapping(&body, Some(&index.mapping), &rules).expect("a mapping");
            index.mapping = Arc::new(mapping);
        });
        state.await.indices[&key(1).index].mapping.version
    }

    /// Sets how many nested objects a document of index 1 may have.
    async fn limit_nested(&self, most: usize) {
        let limit = Value::from(most.to_string());
        let changed = self.change(|index| {
            let name = "index.mapping.nested_objects.limit".to_owned();
            index.settings.declared.insert(name, limit.clone());
        });
        changed.await;
    }
}

#[async_trait]
impl Coordinator for Silent {
    fn state(&self) -> Arc<ClusterState> {
        self.inner.state()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.inner.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.told.subscribe()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.inner.compare_and_swap(expected, next).await
    }
}

/// Starts a leaf with index 1, which hears of no change before it asks.
async fn start(folder: &Path, coordinator: &Arc<Silent>, log: &Arc<FaultyLog>) -> Arc<Leaf> {
    let options = LeafOptions::new(folder.to_owned(), || 0);
    let leaf = Leaf::start(options, Arc::clone(coordinator) as _, Arc::clone(log) as _);
    let leaf = leaf.expect("threads");
    leaf.shard(key(1), PATIENCE).await.expect("opens");
    leaf
}

/// Returns a coordinator of a cluster with index 1.
fn coordinator() -> Arc<Silent> {
    let mut state = ClusterState::default();
    state.indices.insert(key(1).index, Arc::new(index(1)));
    Arc::new(Silent::of(Embedded::in_memory(state)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_ordered_under_a_mapping_that_was_agreed_before_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let (coordinator, log) = (coordinator(), Arc::default());
    let leaf = start(folder.path(), &coordinator, &log).await;
    // By itself, and with what comes meanwhile.
    let writes = [update("a", "{}", true), put("b", "{}")];
    for (field, item) in ["first", "second"].into_iter().zip(writes) {
        let agreed = coordinator
            .agree_on(field, json!({"type": "keyword"}))
            .await;
        let answer = soon(leaf.write(call(vec![item]))).await.expect("written");
        let seq_no = answer.items[0].as_ref().expect("taken").seq_no;
        let record = log.read_one(key(1), seq_no).await.expect("read");
        let operation = Operation::decode(&record.expect("it is there").payload);
        assert_eq!(operation.expect("decodes").mapping, agreed, "{field}");
    }
    leaf.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_planned_under_settings_that_were_agreed_before_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let (coordinator, log) = (coordinator(), Arc::default());
    let leaf = start(folder.path(), &coordinator, &log).await;
    coordinator.agree_on("n", json!({"type": "nested"})).await;
    let write = || async {
        let three = put("a", r#"{"n":[{},{},{}]}"#);
        let answer = soon(leaf.write(call(vec![three]))).await;
        told(&answer.expect("written").items[0])
    };
    assert_eq!(write().await, Ok((WriteResult::Created, 1)));
    // The mapping stays as it is.
    coordinator.limit_nested(2).await;
    assert_eq!(write().await, Err("document"));
    coordinator.limit_nested(3).await;
    assert_eq!(write().await, Ok((WriteResult::Updated, 2)));
    leaf.stop().await;
}

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
    let search = search(query, Statistics::default(), newest);
    let answer = fixture.leaf.search(search).await.remove(0);
    answer.expect("searched").hits.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_bring_fields_together_have_them_all() {
    let fixture = Fixture::start();
    let before = fixture.shard().await.schema.index.load().mapping.version;
    let items = vec![
        put("a", r#"{"a":1}"#),
        put("b", r#"{"b":2,"a":3}"#),
        update("c", r#"{"c":{"d":"x"}}"#, true),
        update("a", r#"{"e":true}"#, false),
    ];
    let answer = fixture.write(items).await.expect("written");
    assert!(answer.items.iter().all(Result::is_ok), "{answer:?}");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    let shard = fixture.shard().await;
    let index = shard.schema.index.load_full();
    assert_eq!(index.mapping.version, before.next());
    let paths = [("a", 2), ("b", 1), ("c.d", 1), ("c.d.keyword", 1), ("e", 1)];
    for (path, count) in paths {
        assert_eq!(num_with(&fixture, path).await, count, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_asks_hears_what_it_brings_and_is_not_written() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let items = vec![
        put("a", r#"{"n":1}"#),
        put("b", "{}"),
        update("c", r#"{"m":2}"#, true),
    ];
    for items in [items.clone(), items[..2].to_vec()] {
        let asking = WriteCall {
            asks_fields: true,
            ..call(items)
        };
        let answer = soon(fixture.leaf.write(asking)).await.expect("answered");
        let brought = [Some(&br#"{"n":1}"#[..]), None, Some(br#"{"m":2}"#)];
        for (outcome, brought) in answer.items.iter().zip(brought) {
            let document = brought.map(Bytes::from_static);
            assert_eq!(*outcome, Err(WriteFault::Unagreed { document }));
        }
    }
    assert_eq!(fixture.primary().await.order.lock().await.next, SeqNo(0));
    let fault = WriteFault::Document {
        kind: "mapper_parsing_exception".into(),
        reason: "in its turn".to_owned(),
        cause: None,
    };
    let refused = RefusedItem {
        at: 0,
        fault: fault.clone(),
    };
    let again = WriteCall {
        refused: vec![refused],
        ..call(items)
    };
    let answer = soon(fixture.leaf.write(again)).await.expect("answered");
    assert_eq!(answer.items[0], Err(fault));
    assert!(answer.items[1..].iter().all(Result::is_ok), "{answer:?}");
    let mapping = Arc::clone(&shard.schema.index.load().mapping);
    let fields: Vec<&str> = mapping.fields.keys().map(FieldPath::as_str).collect();
    assert_eq!(fields, ["m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_chosen_for_its_item_alone() {
    let fixture = Fixture::start();
    fixture.shard().await;
    let words = json!({"words": {"mapping": {"type": "keyword"}}});
    let body = json!({"dynamic_templates": [words]});
    fixture
        .change(|state| {
            let index = state.indices.get_mut(&key(1).index).expect("made");
            let rules = MappingRules::from(&index.settings);
            let mapping = parse_mapping(&body, Some(&index.mapping), &rules).expect("a mapping");
            Arc::make_mut(index).mapping = Arc::new(mapping);
        })
        .await;
    let by = |template: &str| WriteItem {
        templates: ChosenTemplates::from_iter([("a".to_owned(), template.to_owned())]),
        ..put("x", r#"{"a":"b"}"#)
    };
    let answer = fixture.write(vec![by("gone"), by("words")]).await;
    let answer = answer.expect("written");
    let refused = answer.items[0].as_ref().expect_err("there is none");
    assert_eq!(
        refused.to_string(),
        "Can't find dynamic template for dynamic template name [gone] of field [a]"
    );
    assert!(answer.items[1].is_ok(), "{answer:?}");
    let index = fixture.shard().await.schema.index.load_full();
    let field = index.mapping.field("a").expect("brought");
    assert_eq!(field.kind.type_name(), "keyword");
    let again = fixture.write(vec![by("gone")]).await.expect("written");
    assert!(again.items[0].is_ok(), "the field is there: {again:?}");
}
