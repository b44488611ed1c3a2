//! Writes that follow a change of the mapping.

use async_trait::async_trait;
use gleaner_coordinator::{CoordinatorError, Embedded};
use gleaner_model::{ClusterState, MappingVersion};
use gleaner_query::mapping::{MappingRules, parse_mapping};
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::LeafOptions;
use crate::testing::{FaultyLog, index};

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

    /// Adds a field to index 1.
    async fn agree_on(&self, field: &str) -> MappingVersion {
        let body = json!({"properties": {field: {"type": "keyword"}}});
        let changed = gleaner_coordinator::update::<CoordinatorError, _>(self, |state| {
            let mut next = state.clone();
            let index = next.indices.get_mut(&key(1).index).expect("made");
            let rules = MappingRules::from(&index.settings);
            let mapping = parse_mapping(&body, Some(&index.mapping), &rules).expect("a mapping");
            Arc::make_mut(index).mapping = Arc::new(mapping);
            Ok(Some(next))
        });
        let state = changed.await.expect("memory takes it");
        state.indices[&key(1).index].mapping.version
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

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_ordered_under_a_mapping_that_was_agreed_before_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut state = ClusterState::default();
    state.indices.insert(key(1).index, Arc::new(index(1)));
    let coordinator = Arc::new(Silent::of(Embedded::in_memory(state)));
    let log = Arc::new(FaultyLog::default());
    let options = LeafOptions::new(folder.path().to_owned(), || 0);
    let leaf = Leaf::start(
        options,
        Arc::clone(&coordinator) as _,
        Arc::clone(&log) as _,
    );
    let leaf = leaf.expect("threads");
    leaf.shard(key(1), PATIENCE).await.expect("opens");
    // By itself, and with what comes meanwhile.
    let writes = [update("a", "{}", true), put("b", "{}")];
    for (field, item) in ["first", "second"].into_iter().zip(writes) {
        let agreed = coordinator.agree_on(field).await;
        let answer = soon(leaf.write(call(vec![item]))).await.expect("written");
        let seq_no = answer.items[0].as_ref().expect("taken").seq_no;
        let record = log.read_one(key(1), seq_no).await.expect("read");
        let operation = Operation::decode(&record.expect("it is there").payload);
        assert_eq!(operation.expect("decodes").mapping, agreed, "{field}");
    }
    leaf.stop().await;
}
