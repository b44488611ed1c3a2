//! What this room's unit tests share: an index's meta, and leaves that answer as told.

mod leaf;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gleaner_coordinator::Embedded;
use gleaner_model::{
    ClusterState, Generation, IndexMeta, IndexName, IndexSettings, IndexUuid, NodeId, PrimaryTerm,
    SeqNo, ShardKey, ShardNumber,
};
use gleaner_query::limits::Limits;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use serde_json::Value;

use crate::leaves::{Copies, Leaves, SingleLeaf};
use crate::{LeafHandle, Root, RootOptions};

pub(crate) use leaf::{Draw, FakeLeaf};

/// The time of every request: 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

/// Returns the UUID of index `n`.
pub(crate) fn uuid(n: u8) -> IndexUuid {
    IndexUuid([n; 16])
}

/// Returns a shard of index `n`.
pub(crate) fn shard(n: u8, shard: u32) -> ShardKey {
    let shard = ShardNumber(shard);
    ShardKey {
        index: uuid(n),
        shard,
    }
}

/// Returns what a copy shows of which all operations below `visible` are.
pub(crate) fn shows(visible: u64) -> Generation {
    Generation {
        visible: SeqNo(visible),
        ..Generation::default()
    }
}

/// Returns index `n`, named `index-n`, with two shards.
pub(crate) fn index(n: u8, mapping: &Value) -> IndexMeta {
    let settings = IndexSettings {
        number_of_shards: 2,
        routing_slots: gleaner_model::settings::routing_slots_for(2),
        ..IndexSettings::default()
    };
    let mapping = parse_mapping(mapping, None, &MappingRules::from(&settings));
    IndexMeta {
        mapping: Arc::new(mapping.expect("a good mapping")),
        primary_terms: vec![PrimaryTerm(1); 2],
        settings,
        ..IndexMeta::new(
            uuid(n),
            IndexName::parse(&format!("index-{n}")).expect("a good name"),
        )
    }
}

/// Returns a cluster state with these indices.
pub(crate) fn state(indices: impl IntoIterator<Item = IndexMeta>) -> ClusterState {
    let indices = indices
        .into_iter()
        .map(|index| (index.uuid, Arc::new(index)));
    ClusterState {
        indices: indices.collect(),
        ..ClusterState::default()
    }
}

/// A root over one fake leaf that holds every shard.
pub(crate) struct Fixture {
    pub(crate) leaf: Arc<FakeLeaf>,
    pub(crate) root: Root,
}

impl Fixture {
    /// Returns a root that knows `indices`.
    pub(crate) fn new(indices: impl IntoIterator<Item = IndexMeta>) -> Self {
        let leaf = Arc::new(FakeLeaf::default());
        let located = LeafHandle {
            node: NodeId("fake".into()),
            client: Arc::clone(&leaf) as _,
        };
        let coordinator = Arc::new(Embedded::in_memory(state(indices)));
        let leaves = Arc::new(SingleLeaf::new(located));
        let root = Root::new(coordinator, leaves, RootOptions::default(), || NOW_MS);
        Self { leaf, root }
    }
}

/// Fake leaves `leaf-0`, `leaf-1`, … each with views of its own.
pub(crate) struct Cluster {
    pub(crate) leaves: Vec<Arc<FakeLeaf>>,
    pub(crate) root: Arc<Root>,
    /// Whether the copies of shards agree through entries; not at first.
    pub(crate) leaves_agree: Arc<AtomicBool>,
}

impl Cluster {
    /// Returns a root with these options over leaves that all hold every shard.
    pub(crate) fn new(
        num_leaves: usize,
        indices: impl IntoIterator<Item = IndexMeta>,
        options: RootOptions,
    ) -> Self {
        Self::with_copies(num_leaves, num_leaves, indices, options)
    }

    /// Returns a root over leaves of which as many hold each shard as `num_copies`: the leaf of the
    /// shard's number, and those after it.
    pub(crate) fn with_copies(
        num_leaves: usize,
        num_copies: usize,
        indices: impl IntoIterator<Item = IndexMeta>,
        options: RootOptions,
    ) -> Self {
        let leaf = |n: usize| FakeLeaf {
            view_offset: 100 * n as u64,
            ..FakeLeaf::default()
        };
        let leaves: Vec<Arc<FakeLeaf>> = (0..num_leaves).map(|n| Arc::new(leaf(n))).collect();
        let located = leaves.iter().enumerate().map(|(n, leaf)| LeafHandle {
            node: NodeId(format!("leaf-{n}").into()),
            client: Arc::clone(leaf) as _,
        });
        let all: Vec<LeafHandle> = located.collect();
        let copies_from = |first: usize| -> Copies {
            let copies = (first..first + num_copies).map(|n| all[n % num_leaves].clone());
            copies.collect()
        };
        // Where all hold all, the first leaf is every shard's primary.
        let num_primaries = if num_copies < num_leaves {
            num_leaves
        } else {
            1
        };
        let copies = (0..num_primaries).map(copies_from).collect();
        let leaves_agree = Arc::<AtomicBool>::default();
        let copies_agree = Arc::clone(&leaves_agree);
        let placed = Arc::new(Placed {
            all,
            copies,
            copies_agree,
        });
        let coordinator = Arc::new(Embedded::in_memory(state(indices)));
        let root = Root::new(coordinator, placed, options, || NOW_MS);
        Self {
            leaves,
            root: Arc::new(root),
            leaves_agree,
        }
    }

    /// Does something to every leaf.
    pub(crate) fn each(&self, act: impl Fn(&FakeLeaf)) {
        self.leaves.iter().for_each(|leaf| act(leaf));
    }
}

/// Leaves that hold shards by their numbers.
struct Placed {
    all: Vec<LeafHandle>,
    /// By the shard's number, in turn.
    copies: Vec<Copies>,
    copies_agree: Arc<AtomicBool>,
}

impl Leaves for Placed {
    fn copies_agree(&self) -> bool {
        self.copies_agree.load(Ordering::Relaxed)
    }

    fn copies(&self, shard: ShardKey) -> Copies {
        Arc::clone(&self.copies[shard.shard.0 as usize % self.copies.len()])
    }

    fn all(&self) -> Vec<LeafHandle> {
        self.all.clone()
    }
}

/// Returns the limits in force.
pub(crate) fn limits() -> Limits {
    Limits::default()
}
