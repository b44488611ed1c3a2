//! What a seed stands for: a layout, a network, a stream of faults.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use gleaner_datasets::Random;
use gleaner_model::{
    ClusterState, IndexMeta, IndexName, IndexSettings, IndexUuid, NodeId, NodeMeta, PrimaryTerm,
    Role, ShardKey, ShardNumber,
};
use gleaner_query::mapping::{MappingRules, parse_mapping};
use serde_json::json;

use crate::faults::{self, Planned};

/// The index that everything goes to.
pub(crate) const INDEX: &str = "simulated";

/// Faults in every schedule, at least.
pub(crate) const MIN_FAULTS: usize = 20;

/// Where the leaves listen.
pub(crate) const PORT: u16 = 7_000;

/// What a run does wrong on purpose, to show that the invariant's checker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Leaves leave out their best hit and do not count it.
    HidesHits,
    /// Leaves answer their best hit twice in place of another.
    RepeatsHits,
    /// Leaves score by numbers of their own.
    ScoresAlone,
    /// Leaves count more documents than they show.
    Miscounts,
    /// Leaves swap the places of the first two hits when they are fetched.
    SwapsContents,
    /// The root is given three times as long as the client was promised.
    IgnoresDeadlines,
    /// Leaves acknowledge before they sync, and never sync by themselves.
    LosesWrites,
    /// Nobody but the primary is asked.
    HidesCopies,
    /// The root may send every request twice.
    HedgesFreely,
    /// Calls that are given up go on.
    LeaksCalls,
    /// Leaves show what is new although they promised to wait.
    BreaksLeases,
    /// The client draws from the machine's entropy.
    IsRandom,
}

/// Everything that a seed decides before the run begins.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) num_leaves: usize,
    /// Leaves that hold each shard, the primary first.
    pub(crate) copies: Vec<Vec<usize>>,
    /// Longest time of a message between any two hosts.
    pub(crate) max_latency: Duration,
    /// Time a leaf takes to sync its log.
    pub(crate) sync: Duration,
    /// Time between two refreshes that nobody asks for.
    pub(crate) refresh_interval: Duration,
    /// How long a leaf keeps a view that is not the newest and is not used.
    pub(crate) view_age: Duration,
    /// How long a leaf reads its log after a crash.
    pub(crate) recovery: Duration,
    /// For how long a leaf that has nothing for a query promises to show nothing newer.
    pub(crate) lease: Duration,
    /// How long it must have shown the same before it promises that.
    pub(crate) lease_after: Duration,
    pub(crate) num_searchers: u64,
    pub(crate) num_writers: u64,
    /// In order of their begin.
    pub(crate) faults: Vec<Planned>,
    /// When the last fault is over and the client stops.
    pub(crate) end: Duration,
    pub(crate) broken: Option<Broken>,
}

impl Schedule {
    /// Draws the schedule of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Random::stream(seed, 0);
        let num_leaves = within(&mut random, 2..6) as usize;
        let num_shards = within(&mut random, 1..9) as usize;
        let num_copies = (within(&mut random, 1..4) as usize).min(num_leaves);
        let copies = (0..num_shards).map(|_| chosen(&mut random, num_leaves, num_copies));
        let copies = copies.collect();
        let max_latency = millis(&mut random, 1..12);
        let sync = millis(&mut random, 0..6);
        let refresh_interval = millis(&mut random, 100..900);
        let view_age = Duration::from_secs([1, 5, 30][random.below(3) as usize]);
        let recovery = millis(&mut random, 0..300);
        let num_searchers = within(&mut random, 2..5);
        let num_writers = within(&mut random, 1..3);
        let (faults, end) = faults::draw(&mut random, num_leaves);
        let lease = Duration::from_millis([0, 100, 500][random.below(3) as usize]);
        let lease_after = millis(&mut random, 0..200);
        Self {
            seed,
            num_leaves,
            copies,
            max_latency,
            sync,
            refresh_interval,
            view_age,
            recovery,
            lease,
            lease_after,
            num_searchers,
            num_writers,
            faults,
            end,
            broken: None,
        }
    }

    /// Returns the same schedule with something done wrong.
    pub(crate) fn breaking(mut self, broken: Broken) -> Self {
        self.broken = Some(broken);
        if broken == Broken::BreaksLeases {
            (self.lease, self.lease_after) = (Duration::from_millis(500), Duration::ZERO);
        }
        self
    }

    pub(crate) fn is_breaking(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// Returns all shards.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardKey> + use<> {
        (0..self.copies.len() as u32).map(shard)
    }

    /// Returns the shards of which `leaf` holds a copy, and whether that is the primary.
    pub(crate) fn held_by(&self, leaf: usize) -> Vec<(ShardKey, bool)> {
        let held = self.shards().zip(&self.copies);
        let held = held.filter(|(_, copies)| copies.contains(&leaf));
        held.map(|(shard, copies)| (shard, copies[0] == leaf))
            .collect()
    }

    /// Returns the leaves that hold `shard`.
    pub(crate) fn copies_of(&self, shard: ShardKey) -> &[usize] {
        &self.copies[shard.shard.0 as usize]
    }

    /// Returns the cluster as its members know it.
    pub(crate) fn state(&self) -> ClusterState {
        let node = |leaf: usize| {
            let meta = NodeMeta {
                role: Role::Leaf,
                address: format!("{}:{PORT}", host(leaf)),
                http_address: None,
                weight: 1.0,
                zone: None,
            };
            (node_id(leaf), meta)
        };
        ClusterState {
            version: 1,
            cluster_name: "simulated".to_owned(),
            nodes: (0..self.num_leaves).map(node).collect(),
            indices: [(uuid(), Arc::new(self.index()))].into(),
            ..ClusterState::default()
        }
    }

    fn index(&self) -> IndexMeta {
        let number_of_shards = self.copies.len() as u32;
        let settings = IndexSettings {
            number_of_shards,
            routing_slots: gleaner_model::settings::routing_slots_for(number_of_shards),
            ..IndexSettings::default()
        };
        let mapping = json!({"properties": {"body": {"type": "text"}}});
        let mapping = parse_mapping(&mapping, None, &MappingRules::from(&settings));
        let nodes = |copies: &Vec<usize>| copies.iter().map(|leaf| node_id(*leaf)).collect();
        IndexMeta {
            mapping: Arc::new(mapping.expect("a good mapping")),
            primary_terms: vec![TERM; self.copies.len()],
            copies: self.copies.iter().map(nodes).collect(),
            settings,
            ..IndexMeta::new(uuid(), IndexName::parse(INDEX).expect("a good name"))
        }
    }
}

/// The term of every primary: none ever moves.
pub(crate) const TERM: PrimaryTerm = PrimaryTerm(1);

fn uuid() -> IndexUuid {
    IndexUuid([7; 16])
}

pub(crate) fn shard(number: u32) -> ShardKey {
    ShardKey {
        index: uuid(),
        shard: ShardNumber(number),
    }
}

/// Returns the name of a leaf's host.
pub(crate) fn host(leaf: usize) -> String {
    format!("leaf-{leaf}")
}

pub(crate) fn node_id(leaf: usize) -> NodeId {
    NodeId(host(leaf).into())
}

/// Draws `count` of the leaves, in any order.
fn chosen(random: &mut Random, num_leaves: usize, count: usize) -> Vec<usize> {
    let mut leaves: Vec<usize> = (0..num_leaves).collect();
    let pick = |_| leaves.remove(random.below(leaves.len() as u64) as usize);
    (0..count).map(pick).collect()
}

/// Draws a number of the range.
pub(crate) fn within(random: &mut Random, range: Range<u64>) -> u64 {
    range.start + random.below(range.end - range.start)
}

pub(crate) fn millis(random: &mut Random, range: Range<u64>) -> Duration {
    Duration::from_millis(within(random, range))
}
