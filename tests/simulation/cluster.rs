//! What all parts of a run share: disks, conduct, the truth, the history.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gleaner_datasets::Random;
use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{DocumentId, MappingVersion, SeqNo, ShardKey, Version};
use gleaner_shard_router::shard_of;
use parking_lot::Mutex;

use crate::history::History;
use crate::schedule::{Schedule, TERM, within};
use crate::signal::Signal;
use crate::truth::Truth;

/// Ids that documents are drawn from.
pub(crate) const NUM_IDS: u64 = 120;

/// Words that documents and queries are drawn from.
pub(crate) const NUM_WORDS: u64 = 12;

/// Words that few documents have.
const NUM_RARE_WORDS: u64 = 8;

/// How a leaf behaves at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conduct {
    pub(crate) slow_ms: u64,
    pub(crate) is_stuck: bool,
    pub(crate) is_refusing: bool,
}

/// What a copy can be asked for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyState {
    pub(crate) is_started: bool,
    pub(crate) visible: SeqNo,
}

/// One leaf beyond its process.
pub(crate) struct Place {
    /// What is synced: survives the process.
    pub(crate) disk: Mutex<BTreeMap<ShardKey, Vec<Operation>>>,
    pub(crate) conduct: Signal<Conduct>,
    /// Calls of the search path that it is carrying out.
    pub(crate) num_open: AtomicI64,
    /// Times that it was started.
    pub(crate) num_starts: AtomicU64,
    /// Its copies, while the process lives.
    pub(crate) states: Mutex<BTreeMap<ShardKey, CopyState>>,
}

/// A simulated cluster.
pub(crate) struct Cluster {
    pub(crate) schedule: Schedule,
    pub(crate) places: Vec<Place>,
    pub(crate) truth: Mutex<Truth>,
    pub(crate) history: Mutex<History>,
    /// What each copy has shown, and since when.
    shown: Mutex<BTreeMap<(ShardKey, usize), Vec<Sight>>>,
}

/// Since when a copy has shown what; `None`: it is gone.
type Sight = (Duration, Option<SeqNo>);

impl Cluster {
    /// Returns a cluster whose shards hold some documents on every copy.
    pub(crate) fn new(schedule: Schedule) -> Self {
        let place = |_| Place {
            disk: Mutex::default(),
            conduct: Signal::new(Conduct::default()),
            num_open: AtomicI64::new(0),
            num_starts: AtomicU64::new(0),
            states: Mutex::default(),
        };
        let cluster = Self {
            places: (0..schedule.num_leaves).map(place).collect(),
            truth: Mutex::default(),
            history: Mutex::default(),
            shown: Mutex::default(),
            schedule,
        };
        cluster.fill();
        cluster
    }

    fn fill(&self) {
        let mut random = Random::stream(self.schedule.seed, 1);
        let mut logs: BTreeMap<ShardKey, Vec<Operation>> = BTreeMap::new();
        for shard in self.schedule.shards() {
            logs.insert(shard, Vec::new());
        }
        for number in 0..NUM_IDS {
            if random.chance(1, 4) {
                continue;
            }
            let id = document_id(number);
            let log = logs
                .get_mut(&self.shard_of(&id))
                .expect("it is one of them");
            log.push(operation(OperationKind::Index {
                id,
                routing: None,
                version: Version(1),
                source: source(&mut random),
            }));
        }
        for (shard, mut log) in logs {
            log.push(operation(OperationKind::Refresh));
            self.truth.lock().synced(shard, 0, &log);
            for leaf in self.schedule.copies_of(shard) {
                self.places[*leaf].disk.lock().insert(shard, log.clone());
            }
        }
    }

    /// Returns the shard that a document belongs to.
    pub(crate) fn shard_of(&self, id: &DocumentId) -> ShardKey {
        let num_shards = self.schedule.copies.len() as u32;
        let slots = gleaner_model::settings::routing_slots_for(num_shards);
        let number = shard_of(id.as_str(), slots, num_shards);
        crate::schedule::shard(number.0)
    }

    /// Changes how a leaf behaves.
    pub(crate) fn conduct(&self, leaf: usize, change: impl FnOnce(&mut Conduct)) {
        self.places[leaf].conduct.change(change);
    }

    /// Notes that the process of a leaf is gone.
    pub(crate) fn forget(&self, leaf: usize, at: Duration) {
        let states = std::mem::take(&mut *self.places[leaf].states.lock());
        for shard in states.into_keys() {
            self.shows((leaf, shard), None, at);
        }
    }

    /// Returns the calls that leaves are carrying out.
    pub(crate) fn num_open(&self) -> Vec<i64> {
        let open = |place: &Place| place.num_open.load(Ordering::Relaxed);
        self.places.iter().map(open).collect()
    }

    /// Returns the leaves that serve each shard and show the newest of it.
    pub(crate) fn ready(&self) -> BTreeMap<ShardKey, Vec<usize>> {
        let of_shard = |shard: ShardKey| {
            let newest = self.truth.lock().moments(shard).pop();
            let leaves = self.schedule.copies_of(shard).iter().copied();
            let is_ready = |leaf: &usize| {
                let states = self.places[*leaf].states.lock();
                let state = states.get(&shard);
                state.is_some_and(|state| state.is_started && Some(state.visible) >= newest)
            };
            (shard, leaves.filter(is_ready).collect())
        };
        self.schedule.shards().map(of_shard).collect()
    }

    /// Notes what a copy shows from `at` on; `None`: it is gone.
    pub(crate) fn shows(
        &self,
        (leaf, shard): (usize, ShardKey),
        visible: Option<SeqNo>,
        at: Duration,
    ) {
        let mut shown = self.shown.lock();
        let of_copy = shown.entry((shard, leaf)).or_default();
        if of_copy.last().is_none_or(|(_, last)| *last != visible) {
            of_copy.push((at, visible));
        }
    }

    /// Returns what copies of a shard showed at any time from `begun` to `ended`, and what those had
    /// promised that were gone by then.
    pub(crate) fn shown(
        &self,
        shard: ShardKey,
        (begun, ended): (Duration, Duration),
    ) -> Vec<SeqNo> {
        let mut moments = Vec::new();
        let shown = self.shown.lock();
        for ((_, _), of_copy) in shown.range((shard, 0)..=(shard, usize::MAX)) {
            let ends = of_copy.iter().skip(1).map(|(at, next)| match next {
                Some(_) => *at,
                None => *at + self.schedule.lease,
            });
            for ((from, visible), until) in of_copy.iter().zip(ends.chain([Duration::MAX])) {
                if *from <= ended && until >= begun {
                    moments.extend(*visible);
                }
            }
        }
        moments
    }

    /// Adds a line to the trace.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        self.history.lock().trace(now(), &line());
    }
}

/// Returns the simulated time.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().expect("inside of a simulation")
}

pub(crate) fn document_id(number: u64) -> DocumentId {
    DocumentId::parse(&format!("d{number}")).expect("a good id")
}

pub(crate) fn operation(kind: OperationKind) -> Operation {
    Operation {
        term: TERM,
        mapping: MappingVersion(0),
        timestamp_ms: 0,
        kind,
    }
}

/// Draws a document.
pub(crate) fn source(random: &mut Random) -> bytes::Bytes {
    let num_words = within(random, 1..7);
    let mut words: Vec<String> = (0..num_words).map(|_| word(random)).collect();
    words.extend(random.chance(1, 3).then(|| rare_word(random)));
    let source = serde_json::json!({"body": words.join(" ")});
    source.to_string().into()
}

/// Draws a word that most shards lack most of the time.
pub(crate) fn rare_word(random: &mut Random) -> String {
    format!("r{}", random.below(NUM_RARE_WORDS))
}

/// Draws a word: the first are more frequent.
pub(crate) fn word(random: &mut Random) -> String {
    let most = within(random, 1..NUM_WORDS + 1);
    format!("w{}", random.below(most))
}
