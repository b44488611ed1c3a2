//! Leaves of one process whose copies agree, with their logs, streams and engines, on a store of entries in memory.

mod simulation;
mod stopping;
mod store;
mod trimmed;

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_coordinator::entries::{EntryChange, EntryOutcome};
use gleaner_coordinator::{CoordinatorError, Embedded, update};
use gleaner_log::{MemoryLog, ShardLog};
use gleaner_model::{
    ClusterState, CopyId, CopyMeta, Entry, Incarnation, IndexMeta, NodeId, NodeUuid, SeqNo,
    ShardKey,
};
use gleaner_proto::read::GetCall;
use gleaner_proto::write::WriteItem;
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_replication::Change;

use crate::replicate::peers::InProcess;
use crate::rules::Rule;
use crate::testing::store::WithEntries;
use crate::testing::{PATIENCE, call, id, index, key, put, soon};
use crate::{Leaf, LeafOptions, NodeIdentity};
use store::NotedEntries;

struct Node {
    folder: tempfile::TempDir,
    log: Arc<dyn ShardLog>,
    leaf: Option<Arc<Leaf>>,
    num_processes: u8,
}

/// Leaves `a` and `b`, each with a copy of index 1.
struct Cluster {
    coordinator: Arc<WithEntries<NotedEntries>>,
    peers: Arc<InProcess>,
    nodes: BTreeMap<&'static str, Node>,
    /// The rule that a planted error breaks.
    omitted: Option<Rule>,
}

fn uuid(name: &str) -> NodeUuid {
    NodeUuid([name.as_bytes()[0]; 16])
}

fn copy(name: &str) -> CopyId {
    CopyId(uuid(name).0)
}

/// Returns the copy in sync on a node, whatever its name is by now.
fn in_sync_on(entry: &Entry, name: &str) -> Option<CopyId> {
    let mut in_sync = entry.in_sync.iter().copied();
    in_sync.find(|copy| entry.node_of(*copy) == Some(uuid(name)))
}

impl Cluster {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with another index.
    async fn start_with(change: impl FnOnce(&mut IndexMeta)) -> Self {
        let mut placed = index(1);
        change(&mut placed);
        let names = ["a", "b"].map(|name| NodeId(name.into()));
        placed.copies = vec![names.into()];
        let mut state = ClusterState::default();
        state.indices.insert(placed.uuid, Arc::new(placed));
        let entries = Arc::<NotedEntries>::default();
        entries.create(key(1), &[uuid("a"), uuid("b")]);
        let coordinator = Arc::new(WithEntries {
            state: Arc::new(Embedded::in_memory(state)),
            entries,
        });
        let mut cluster = Self {
            coordinator,
            peers: Arc::default(),
            nodes: BTreeMap::new(),
            omitted: None,
        };
        for name in ["a", "b"] {
            let node = Node {
                folder: tempfile::tempdir().expect("a folder"),
                log: Arc::new(MemoryLog::default()),
                leaf: None,
                num_processes: 0,
            };
            cluster.nodes.insert(name, node);
            cluster.again(name);
        }
        cluster.until(|entry| entry.in_sync.len() == 2).await;
        cluster
    }

    /// Makes another index, of which one copy in sync is enough, and waits until both are.
    async fn add_index(&self, number: u8) {
        let entries = &self.coordinator.entries;
        entries.create(key(number), &[uuid("a"), uuid("b")]);
        let made = update::<CoordinatorError, _>(&*self.coordinator, |state| {
            let mut next = state.clone();
            let mut added = index(number);
            added.copies = vec![["a", "b"].map(|name| NodeId(name.into())).into()];
            next.indices.insert(added.uuid, Arc::new(added));
            Ok(Some(next))
        });
        made.await.expect("memory takes it");
        self.until_of(key(number), |entry| entry.in_sync.len() == 2)
            .await;
    }

    /// Starts a leaf on what it has.
    fn again(&mut self, name: &'static str) {
        let node = self.nodes.get_mut(name).expect("a node");
        node.num_processes += 1;
        let identity = NodeIdentity {
            node: uuid(name),
            incarnation: Incarnation([node.num_processes; 16]),
        };
        let entries = &self.coordinator.entries;
        entries.set_alive(name, identity.node, Some(identity.incarnation));
        let mut options = LeafOptions::new(node.folder.path().to_owned(), || 0);
        options.node = Some(NodeId(name.into()));
        options.identity = Some(identity);
        options.omitted = self.omitted;
        let leaf = Leaf::start_with(
            options,
            Arc::clone(&self.coordinator) as _,
            Arc::clone(&node.log),
            Arc::clone(&self.peers) as _,
        );
        let leaf = leaf.expect("threads");
        self.peers.add(NodeId(name.into()), &leaf);
        node.leaf = Some(leaf);
    }

    /// Ends a leaf as a crash would; its lease runs out.
    async fn crash(&mut self, name: &'static str) {
        self.peers.remove(&NodeId(name.into()));
        let leaf = self.nodes.get_mut(name).and_then(|node| node.leaf.take());
        leaf.expect("it runs").abandon().await;
        self.coordinator.entries.set_alive(name, uuid(name), None);
    }

    fn leaf(&self, name: &str) -> &Arc<Leaf> {
        self.nodes[name].leaf.as_ref().expect("it runs")
    }

    fn entry(&self) -> Arc<Entry> {
        Arc::clone(&self.coordinator.entries.table().shards[&key(1)].entry)
    }

    async fn until(&self, is_wanted: impl Fn(&Entry) -> bool) {
        self.until_of(key(1), is_wanted).await;
    }

    async fn until_of(&self, shard: ShardKey, is_wanted: impl Fn(&Entry) -> bool) {
        use gleaner_coordinator::ShardEntries as _;
        let mut tables = self.coordinator.entries.watch();
        let wanted = tables.wait_for(|table| {
            let stored = table.shards.get(&shard);
            stored.is_some_and(|stored| is_wanted(&stored.entry))
        });
        let wanted = tokio::time::timeout(PATIENCE, wanted).await;
        assert!(wanted.is_ok(), "not as wanted: {:?}", self.entry());
    }

    /// Changes the entry, whatever it is by now.
    async fn change(&self, change: &Change) {
        use gleaner_coordinator::ShardEntries as _;
        let entries = &self.coordinator.entries;
        loop {
            let stored = entries.table().shards[&key(1)].clone();
            let next = change.apply(Some(&stored.entry), 1).expect("allowed");
            let changed = entries.change(EntryChange {
                shard: key(1),
                expected: stored.revision,
                entry: Arc::new(next.expect("an entry")),
                guard: None,
            });
            if let EntryOutcome::Made { .. } = changed.await {
                return;
            }
        }
    }

    /// Has a leaf that is about to stop give its shard away. A machine that is busy may take longer than the leaf waits.
    async fn hand_over(&self, name: &str) {
        let leads = |entry: &Entry| entry.primary == copy(name);
        let handed = async {
            while leads(&self.entry()) {
                self.until(|entry| !leads(entry) || entry.in_sync.len() == 2)
                    .await;
                self.leaf(name).hand_over().await;
            }
        };
        soon(handed).await;
    }

    /// Writes at a leaf once it leads and takes writes.
    async fn write(&self, name: &str, items: Vec<WriteItem>) {
        let written = async {
            loop {
                match self.leaf(name).write(call(items.clone())).await {
                    Err(LeafFault::NotHere { .. } | LeafFault::Recovering { .. }) => {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    }
                    written => return written,
                }
            }
        };
        let answer = soon(written).await.expect("written");
        assert!(answer.items.iter().all(Result::is_ok), "{answer:?}");
    }

    async fn has(&self, name: &str, document: &str) -> bool {
        let get = GetCall {
            shard: key(1),
            ids: vec![id(document)],
            realtime: true,
            remaining: PATIENCE,
        };
        let found = self.leaf(name).get(get).await.expect("it leads");
        found.found[0].is_some()
    }

    /// Loses all that a node has while its process is away.
    fn lose_folder(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).expect("a node");
        node.folder = tempfile::tempdir().expect("a folder");
        node.log = Arc::new(MemoryLog::default());
    }

    /// Waits until a leaf has led the shard, or says why it does not open its copy.
    async fn until_led_or_told(&self, name: &str) {
        let leads_or_tells = async {
            loop {
                let made = self.coordinator.entries.made();
                let states = self.leaf(name).states(|_| true).await;
                let tells = states.iter().any(|state| {
                    state
                        .reason
                        .as_ref()
                        .is_some_and(|reason| reason.contains("gone"))
                });
                if tells || made.iter().any(|entry| entry.primary == copy(name)) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        soon(leads_or_tells).await;
    }

    async fn end(&self, name: &str) -> SeqNo {
        let tail = self.nodes[name].log.tail(key(1)).await.expect("reads");
        tail.map_or(SeqNo(0), SeqNo::next)
    }

    /// Waits until both logs end at the same place, and returns it.
    async fn until_same_end(&self) -> SeqNo {
        let equal = async {
            loop {
                let (a, b) = (self.end("a").await, self.end("b").await);
                if a == b {
                    return a;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        soon(equal).await
    }

    /// Puts another copy on node `b`, in the place of its own, and waits until one is in sync there.
    async fn replace_on_b(&self) {
        let other = CopyId([9; 16]);
        self.change(&Change::Place {
            add: [(other, CopyMeta::on(uuid("b")))].into(),
            remove: [copy("b")].into(),
        })
        .await;
        let is_other = |held: CopyId| held != copy("b");
        self.until(|entry| in_sync_on(entry, "b").is_some_and(is_other))
            .await;
    }

    /// Waits until both logs, which have the same beginning, hold the same.
    async fn until_equal(&self) {
        let end = self.until_same_end().await;
        let mut hashes = Vec::new();
        for name in ["a", "b"] {
            let last = SeqNo(end.0 - 1);
            hashes.push(
                self.nodes[name]
                    .log
                    .chain(key(1), last)
                    .await
                    .expect("reads"),
            );
        }
        assert_eq!(hashes[0], hashes[1], "the same records");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_on_all_copies_in_sync_and_outlives_its_primary() {
    let mut cluster = Cluster::start().await;
    cluster
        .write("a", vec![put("1", "{}"), put("2", "{}")])
        .await;
    assert_eq!(
        cluster.end("b").await,
        cluster.end("a").await,
        "when it is answered"
    );

    cluster.crash("a").await;
    cluster.until(|entry| entry.primary == copy("b")).await;
    assert!(!cluster.entry().in_sync.contains(&copy("a")));
    cluster.write("b", vec![put("3", "{}")]).await;
    for document in ["1", "2", "3"] {
        assert!(cluster.has("b", document).await, "{document}");
    }

    cluster.again("a");
    cluster.until(|entry| entry.in_sync.len() == 2).await;
    assert_eq!(cluster.entry().primary, copy("b"), "it follows");
    cluster.write("b", vec![put("4", "{}")]).await;
    cluster.until_equal().await;
    let refused = cluster.leaf("a").write(call(vec![put("5", "{}")])).await;
    assert_eq!(refused, Err(LeafFault::NotHere { shard: key(1) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_says_that_it_leads_as_long_as_its_entry_says_so() {
    let cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    assert!(cluster.leaf("a").states(|_| true).await[0].is_primary);
    cluster.change(&Change::HandOver { to: copy("b") }).await;
    // It may not have heard of that yet.
    assert!(!cluster.leaf("a").states(|_| true).await[0].is_primary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_folder_is_lost_does_not_count_as_in_sync_and_is_made_again() {
    let mut cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    cluster.crash("b").await;
    cluster.lose_folder("b");
    cluster.again("b");
    cluster
        .until(|entry| !entry.in_sync.contains(&copy("b")))
        .await;
    cluster
        .until(|entry| entry.in_sync.contains(&copy("b")))
        .await;
    cluster.write("a", vec![put("2", "{}")]).await;
    cluster.until_equal().await;
    cluster.crash("a").await;
    cluster.until(|entry| entry.primary == copy("b")).await;
    cluster.write("b", vec![put("3", "{}")]).await;
    for document in ["1", "2", "3"] {
        assert!(cluster.has("b", document).await, "{document}");
    }
}

/// Has both copies be away, and the one that is in sync and has lost its folder come back first. Does it lead?
async fn leads_with_an_empty_folder(omitted: Option<Rule>) -> bool {
    // Neither takes the other out.
    let mut cluster = Cluster::start_with(|index| index.settings.min_in_sync = Some(2)).await;
    cluster.write("a", vec![put("1", "{}")]).await;
    cluster.crash("b").await;
    cluster.crash("a").await;
    cluster.lose_folder("b");
    cluster.omitted = omitted;
    cluster.again("b");
    cluster.until_led_or_told("b").await;
    let made = cluster.coordinator.entries.made();
    made.iter().any(|entry| entry.primary == copy("b"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_sync_whose_folder_is_lost_does_not_lead() {
    assert!(!leads_with_an_empty_folder(None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_that_a_copy_whose_folder_is_lost_counts_as_in_sync() {
    assert!(leads_with_an_empty_folder(Some(Rule::LostIsNotInSync)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_log_has_lost_records_is_made_anew_where_another_is_in_sync() {
    let mut cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    cluster.leaf("a").refresh(key(1)).await.expect("shown");
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    // What its folder holds by now, its log lacks.
    cluster.crash("a").await;
    cluster.nodes.get_mut("a").expect("a node").log = Arc::new(MemoryLog::default());
    cluster.again("a");
    cluster
        .until(|entry| !entry.in_sync.contains(&copy("a")))
        .await;
    cluster
        .until(|entry| in_sync_on(entry, "a").is_some())
        .await;
    cluster.write("b", vec![put("2", "{}")]).await;
    cluster.crash("b").await;
    cluster
        .until(|entry| Some(entry.primary) == in_sync_on(entry, "a"))
        .await;
    cluster.write("a", vec![put("3", "{}")]).await;
    for document in ["1", "2", "3"] {
        assert!(cluster.has("a", document).await, "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_given_another_copy_makes_that_one() {
    let mut cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    cluster.replace_on_b().await;
    cluster.write("a", vec![put("2", "{}")]).await;
    // Made from files, so its log begins behind them.
    cluster.until_same_end().await;
    cluster.crash("a").await;
    cluster
        .until(|entry| Some(entry.primary) == in_sync_on(entry, "b"))
        .await;
    cluster.write("b", vec![put("3", "{}")]).await;
    for document in ["1", "2", "3"] {
        assert!(cluster.has("b", document).await, "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_least_number_in_sync_nobody_is_taken_out_and_writes_wait() {
    let mut cluster = Cluster::start_with(|index| index.settings.min_in_sync = Some(2)).await;
    cluster.add_index(2).await;
    cluster.write("a", vec![put("1", "{}")]).await;
    cluster.crash("b").await;
    let leaf = Arc::clone(cluster.leaf("a"));
    let writing = tokio::spawn(async move { leaf.write(call(vec![put("2", "{}")])).await });
    // Where one copy is enough, `b` is taken out.
    cluster
        .until_of(key(2), |entry| entry.in_sync.len() == 1)
        .await;
    assert_eq!(cluster.entry().in_sync.len(), 2);
    assert!(!writing.is_finished(), "only one copy can have it");
    cluster.again("b");
    let written = soon(writing).await.expect("no panic").expect("written");
    assert!(written.items.iter().all(Result::is_ok), "{written:?}");
    cluster.until_equal().await;

    // It may be fewer from now on.
    let fewer = update::<CoordinatorError, _>(&*cluster.coordinator, |state| {
        let mut next = state.clone();
        let index = next.indices.get_mut(&key(1).index).expect("it is there");
        Arc::make_mut(index).settings.min_in_sync = Some(1);
        Ok(Some(next))
    });
    fewer.await.expect("memory takes it");
    cluster.crash("b").await;
    cluster.write("a", vec![put("3", "{}")]).await;
    assert_eq!(cluster.entry().in_sync.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_answered_when_each_copy_shows_it_or_says_that_it_may_be_old() {
    let cluster = Cluster::start().await;
    let follower = cluster
        .leaf("b")
        .shard(key(1), PATIENCE)
        .await
        .expect("it opens");
    for number in 0..20 {
        cluster
            .write("a", vec![put(&number.to_string(), "{}")])
            .await;
        let shown = cluster.leaf("a").refresh(key(1)).await.expect("refreshed");
        let is_old = follower.engine().view().generation().visible < shown.visible;
        let driver = follower.driver().expect("it agrees with others");
        assert!(!is_old || !driver.may_serve(), "{number}");
    }
}
