//! Several leaves of one process with one index, and what it means that two copies are equal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded, update};
use gleaner_log::{LocalLog, LogOptions, MemoryLog, ShardLog};
use gleaner_model::{
    ClusterState, Entry, FieldPath, Generation, Incarnation, IndexMeta, NodeId, NodeUuid, SeqNo,
};
use gleaner_proto::read::{Document, GetCall, WaitForRefreshCall};
use gleaner_proto::search::{SearchCall, ShardView, StatisticsCall};
use gleaner_proto::write::{WriteAction, WriteItem};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{ShardHits, ViewId};
use gleaner_query::resolved::{Clause, Statistics, StatisticsRequest};

use super::wire::{Wire, Wires};
use crate::copy::shard::Shard;
use crate::testing::{PATIENCE, call, id, index, item, key};
use crate::{Leaf, LeafOptions, NodeIdentity};

pub(super) use crate::testing::search;

pub(super) use crate::testing::soon;

/// Leaves on one network and, unless told otherwise, one coordinator.
pub(super) struct Cluster {
    pub(super) coordinator: Arc<Embedded>,
    wires: Arc<Wires>,
    nodes: BTreeMap<&'static str, Node>,
}

struct Node {
    folder: tempfile::TempDir,
    log: Arc<dyn ShardLog>,
    options: LeafOptions,
    coordinator: Arc<dyn Coordinator>,
    leaf: Option<Arc<Leaf>>,
    num_processes: u8,
}

impl Cluster {
    /// Starts leaf `a`, with its log in memory, as primary of index 1.
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts leaf `a` with changed options.
    pub(super) async fn start_with(change: impl FnOnce(&mut LeafOptions)) -> Self {
        let mut cluster = Self::empty();
        cluster.add_with("a", Arc::new(MemoryLog::default()), change);
        cluster.hold(&["a"]).await;
        cluster
    }

    /// Starts leaves `a` and `b`, both with a copy of index 1.
    pub(super) async fn of_two() -> Self {
        let mut cluster = Self::start().await;
        cluster.add("b");
        cluster.hold(&["a", "b"]).await;
        cluster.until_in_sync(2).await;
        cluster.shard("b").await;
        cluster
    }

    /// Waits until so many copies are in sync.
    pub(super) async fn until_in_sync(&self, number: usize) {
        self.until(|entry| entry.in_sync.len() == number).await;
    }

    /// Waits until two copies are in sync, one of which was not since the entry had `version`.
    pub(super) async fn until_made_anew(&self, version: u64) {
        self.until(|entry| entry.version >= version + 2 && entry.in_sync.len() == 2)
            .await;
    }

    /// Returns the version of the entry.
    pub(super) fn version(&self) -> u64 {
        let entries = self.coordinator.embedded_entries();
        let table = entries.expect("it keeps entries").table();
        table.shards[&key(1)].entry.version
    }

    async fn until(&self, is_wanted: impl Fn(&Entry) -> bool) {
        let entries = self.coordinator.entries().expect("it keeps entries");
        let mut tables = entries.watch();
        let wanted = tables.wait_for(|table| {
            let stored = table.shards.get(&key(1));
            stored.is_some_and(|stored| is_wanted(&stored.entry))
        });
        drop(soon(wanted).await.expect("the store lives"));
    }

    /// Waits until the copy of `name` knows that it shows what was acknowledged.
    pub(super) async fn unflagged(&self, name: &str) {
        soon(async {
            loop {
                let readiness = self.leaf(name).readiness();
                if readiness.is_ready() && readiness.cut_off.is_empty() {
                    return;
                }
                tokio::time::sleep(MOMENT).await;
            }
        })
        .await;
    }

    pub(super) fn empty() -> Self {
        let coordinator = Embedded::in_memory(ClusterState::default()).with_entries();
        Self {
            coordinator: Arc::new(coordinator.expect("nothing is kept")),
            wires: Arc::default(),
            nodes: BTreeMap::new(),
        }
    }

    /// Starts a leaf with its log in memory.
    pub(super) fn add(&mut self, name: &'static str) {
        self.add_with(name, Arc::new(MemoryLog::default()), |_| {});
    }

    /// Starts a leaf with its log on the disk.
    pub(super) fn add_durable(&mut self, name: &'static str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let options = LogOptions {
            segment_bytes: 4_096,
            ..LogOptions::default()
        };
        let (log, _) = LocalLog::open(folder.path(), options).expect("opens");
        self.add_with(name, Arc::new(log), |_| {});
        folder
    }

    pub(super) fn add_with(
        &mut self,
        name: &'static str,
        log: Arc<dyn ShardLog>,
        change: impl FnOnce(&mut LeafOptions),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = LeafOptions::new(folder.path().to_owned(), || 0);
        options.node = Some(NodeId(name.into()));
        change(&mut options);
        let node = Node {
            folder,
            log,
            options,
            coordinator: Arc::clone(&self.coordinator) as _,
            leaf: None,
            num_processes: 0,
        };
        self.nodes.insert(name, node);
        self.again(name);
    }

    /// Starts a leaf again on what it has.
    pub(super) fn again(&mut self, name: &'static str) {
        let node = self.nodes.get_mut(name).expect("a leaf");
        node.num_processes += 1;
        let identity = NodeIdentity {
            node: NodeUuid([name.as_bytes()[0]; 16]),
            incarnation: Incarnation([node.num_processes; 16]),
        };
        let entries = self
            .coordinator
            .embedded_entries()
            .expect("it keeps entries");
        let id = NodeId(name.into());
        entries.set_alive(&id, identity.node, Some(identity.incarnation));
        node.options.identity = Some(identity);
        let leaf = Leaf::start_with(
            node.options.clone(),
            Arc::clone(&node.coordinator),
            Arc::clone(&node.log),
            Arc::clone(&self.wires) as _,
        );
        let leaf = leaf.expect("threads");
        self.wires.leaves.add(NodeId(name.into()), &leaf);
        node.leaf = Some(leaf);
    }

    /// Gives a leaf a coordinator of its own, from its next start on.
    pub(super) fn set_coordinator(&mut self, name: &str, coordinator: Arc<dyn Coordinator>) {
        self.nodes.get_mut(name).expect("a leaf").coordinator = coordinator;
    }

    /// Gives a leaf that is down another log.
    pub(super) fn set_log(&mut self, name: &str, log: Arc<dyn ShardLog>) {
        self.nodes.get_mut(name).expect("a leaf").log = log;
    }

    /// Ends a leaf for good: it is not alive any more.
    pub(super) async fn lose(&mut self, name: &'static str) {
        self.stop(name).await;
        let entries = self.coordinator.embedded_entries();
        let entries = entries.expect("it keeps entries");
        let node = NodeUuid([name.as_bytes()[0]; 16]);
        entries.set_alive(&NodeId(name.into()), node, None);
    }

    /// Ends a leaf as a crash would. It comes back before its lease runs out: it counts as alive.
    pub(super) async fn crash(&mut self, name: &str) {
        let leaf = self.take(name);
        leaf.abandon().await;
    }

    /// Stops a leaf.
    pub(super) async fn stop(&mut self, name: &str) {
        let leaf = self.take(name);
        leaf.stop().await;
    }

    fn take(&mut self, name: &str) -> Arc<Leaf> {
        self.wires.leaves.remove(&NodeId(name.into()));
        let node = self.nodes.get_mut(name).expect("a leaf");
        node.leaf.take().expect("it runs")
    }

    pub(super) fn leaf(&self, name: &str) -> &Arc<Leaf> {
        self.nodes[name].leaf.as_ref().expect("it runs")
    }

    pub(super) fn log(&self, name: &str) -> &Arc<dyn ShardLog> {
        &self.nodes[name].log
    }

    /// Returns the folder of a leaf's indices.
    pub(super) fn folder(&self, name: &str) -> &std::path::Path {
        self.nodes[name].folder.path()
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wires.wire
    }

    /// Changes index 1, which is made when it is not there.
    pub(super) async fn change(&self, change: impl Fn(&mut IndexMeta)) {
        let changed = update::<CoordinatorError, _>(&*self.coordinator, |state| {
            let mut next = state.clone();
            let meta = next.indices.get(&key(1).index).cloned();
            let mut meta = meta.map_or_else(|| index(1), |meta| IndexMeta::clone(&meta));
            change(&mut meta);
            next.indices.insert(meta.uuid, Arc::new(meta));
            Ok(Some(next))
        });
        changed.await.expect("memory takes it");
    }

    /// Makes `names` the copies of index 1, the primary first, and waits until the entry says so.
    pub(super) async fn hold(&self, names: &[&str]) {
        let copies: Vec<NodeId> = names.iter().map(|name| NodeId((*name).into())).collect();
        self.change(|index| index.copies = vec![copies.clone()])
            .await;
        self.until(|entry| entry.copies.len() == names.len()).await;
    }

    /// Returns a leaf's copy when it serves.
    pub(super) async fn shard(&self, name: &str) -> Arc<Shard> {
        let shard = self.leaf(name).shard(key(1), PATIENCE).await;
        shard.expect("it opens")
    }

    /// Writes through the primary, once it takes writes; returns once what was written is applied there.
    pub(super) async fn write(&self, items: Vec<WriteItem>) {
        self.leads().await;
        let answer = self.leaf("a").write(call(items)).await.expect("written");
        assert!(answer.items.iter().all(Result::is_ok), "{answer:?}");
        self.shard("a").await.pipeline.wait_idle().await;
    }

    /// Waits until leaf `a` leads.
    async fn leads(&self) {
        let leaf = self.leaf("a");
        let mut changes = leaf.copies.changes();
        let mut told = Vec::new();
        let leading = async {
            while leaf.copies.primary(key(1), MOMENT).await.is_err() {
                let states = leaf.shard_states().await.expect("its own");
                let reasons = states.into_iter().filter_map(|state| state.reason);
                told.extend(reasons.filter(|reason| reason.contains("cannot")));
                drop(tokio::time::timeout(MOMENT, changes.changed()).await);
            }
        };
        let leads = tokio::time::timeout(PATIENCE, leading).await.is_ok();
        told.dedup();
        assert!(leads, "it does not lead: {told:?}");
    }

    /// Makes everything written visible on the primary; returns the generation.
    pub(super) async fn refresh(&self) -> Generation {
        self.leads().await;
        self.leaf("a").refresh(key(1)).await.expect("refreshes")
    }

    /// Has the primary commit all and give up its log: who needs more begins from files.
    pub(super) async fn trimmed(&self) {
        self.refresh().await;
        self.leaf("a").flush(key(1)).await.expect("commits");
    }

    /// Refreshes, waits for the copy of `name` to show it, and compares it with the primary's.
    pub(super) async fn assert_equal(&self, name: &str) {
        self.leads().await;
        self.unflagged("a").await;
        self.unflagged(name).await;
        soon(async {
            loop {
                let generation = self.same_generation(name).await;
                let primary = self.shown("a").await;
                let copy = self.shown(name).await;
                let is_flagged = [&primary, &copy]
                    .map(|shown| is_flagged(&shown.1))
                    .contains(&true);
                // The primary may have shown more meanwhile, such as an operation of its own.
                if !is_flagged
                    && self.generation("a").await == generation
                    && self.generation(name).await == generation
                {
                    return assert_eq!(copy, primary);
                }
            }
        })
        .await;
    }

    /// Refreshes until the copy of `name` shows what the primary does, which may refresh by itself at the same time;
    /// returns the generation.
    async fn same_generation(&self, name: &str) -> Generation {
        loop {
            self.refresh().await;
            let generation = self.generation("a").await;
            let Some(last) = generation.visible.0.checked_sub(1) else {
                return generation;
            };
            let shown = self
                .leaf(name)
                .wait_for_refresh(WaitForRefreshCall::on_copy(key(1), SeqNo(last), PATIENCE));
            if shown.await.expect("it comes to show it") == generation {
                return generation;
            }
        }
    }

    async fn generation(&self, name: &str) -> Generation {
        self.shard(name).await.engine().view().generation()
    }

    /// Returns what a copy shows of documents and searches, ranked by the primary's statistics.
    async fn shown(&self, name: &str) -> (Vec<Option<Document>>, Vec<(Statistics, ShardHits)>) {
        let documents = self.documents(name).await;
        let mut answers = Vec::new();
        for clause in queries() {
            let numbers = self.statistics("a", &clause).await;
            let hits = self.search(name, &clause, &numbers).await;
            answers.push((self.statistics(name, &clause).await, hits));
        }
        (documents, answers)
    }

    /// Returns what a copy shows of the documents that these tests write.
    pub(super) async fn documents(&self, name: &str) -> Vec<Option<Document>> {
        let get = GetCall {
            shard: key(1),
            ids: (0..NUM_IDS).map(|n| id(&format!("d{n}"))).collect(),
            realtime: false,
            remaining: PATIENCE,
        };
        self.leaf(name).get(get).await.expect("reads").found
    }

    async fn statistics(&self, name: &str, clause: &Clause) -> Statistics {
        let mut request = StatisticsRequest::default();
        request.collect(clause);
        let call = StatisticsCall {
            shards: vec![newest(None)],
            request: Arc::new(request),
            remaining: PATIENCE,
        };
        let answer = self.leaf(name).statistics(call).await.remove(0);
        answer.expect("counts").statistics
    }

    async fn search(&self, name: &str, clause: &Clause, numbers: &Statistics) -> ShardHits {
        let call = search(clause.clone(), numbers.clone(), newest(None));
        let mut hits = found(self.leaf(name), call).await.expect("searches");
        // Views and places are of one copy, times of one call.
        hits.view = ViewId(0);
        hits.hits.iter_mut().for_each(|hit| hit.place = 0);
        hits.times = None;
        hits
    }
}

/// Returns whether an answer says that it may lack acknowledged writes.
fn is_flagged(answers: &[(Statistics, ShardHits)]) -> bool {
    answers.iter().any(|(_, hits)| hits.may_be_stale)
}

/// Ids that these tests write.
pub(super) const NUM_IDS: usize = 40;

/// Returns a write of one of the ids, told apart by `round`.
pub(super) fn put(n: usize, round: usize) -> WriteItem {
    let words = ["ash", "beech", "cedar", "elm", "fir", "gum"];
    let text: Vec<&str> = (0..=(n + round) % 9)
        .map(|i| words[(n * 3 + round + i * i) % words.len()])
        .collect();
    let source = format!(r#"{{"text":"{}","n":{round}}}"#, text.join(" "));
    let source = Bytes::from(source);
    let create = false;
    item(&format!("d{n}"), WriteAction::Index { source, create })
}

/// Returns a deletion of one of the ids.
pub(super) fn delete(n: usize) -> WriteItem {
    item(&format!("d{n}"), WriteAction::Delete)
}

/// Returns the index's newest view.
pub(super) fn newest(at_least: Option<SeqNo>) -> ShardView {
    ShardView {
        shard: key(1),
        view: None,
        at_least,
    }
}

/// Asks a leaf for the only shard.
pub(super) async fn found(leaf: &Leaf, call: SearchCall) -> Result<ShardHits, LeafFault> {
    leaf.search(call).await.remove(0)
}

/// Shorter than anything: for what must not be waited for.
pub(super) const MOMENT: Duration = Duration::from_millis(20);

fn queries() -> Vec<Clause> {
    let term = |text: &str| Clause::Term {
        field: FieldPath::new("text"),
        term: text.to_owned(),
    };
    let any = |words: &[&str]| Clause::Bool {
        must: Vec::new(),
        should: words.iter().map(|word| term(word)).collect(),
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    };
    let all = |words: &[&str]| Clause::Bool {
        must: words.iter().map(|word| term(word)).collect(),
        should: Vec::new(),
        filter: Vec::new(),
        must_not: vec![term("gum")],
        minimum_should_match: 0,
    };
    vec![
        Clause::MatchAll,
        term("ash"),
        any(&["beech", "fir"]),
        all(&["cedar", "elm"]),
    ]
}
