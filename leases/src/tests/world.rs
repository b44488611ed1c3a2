//! A leaf, two roots that follow it, a front that follows both and one that follows one; a network that is slow, cut and loses answers, processes
//! that begin again, a shard that rests, a cluster state that some hear of late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::link::Link;
use super::*;
use crate::rules::{Rule, Rules};

/// What may be done wrong, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The leaf acknowledges without waiting for those who follow it.
    AcknowledgesAtOnce,
    /// The root counts a change as heard before those who follow it have heard.
    HearsForOthers,
    /// A holder counts its lease from the answer.
    CountsFromAnswer,
    /// A root grants a whole lease, however little is left of its own.
    GrantsMoreThanItHas,
    /// What is leased is read before the lease is noted, so that a change in between is in neither.
    ReadsBeforeItNotes,
    /// A leaf that begins again acknowledges at once, though leases of its life before go on.
    ForgetsAtStart,
    /// All processes leave a rule out.
    Without(Rule),
}

impl Fault {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let faults = [
            Self::AcknowledgesAtOnce,
            Self::HearsForOthers,
            Self::CountsFromAnswer,
            Self::GrantsMoreThanItHas,
            Self::ReadsBeforeItNotes,
            Self::ForgetsAtStart,
        ];
        faults.into_iter().chain(Rule::ALL.map(Self::Without))
    }
}

fn rules(fault: Option<Fault>) -> Rules {
    let omitted = match fault {
        Some(Fault::Without(rule)) => Some(rule),
        _ => None,
    };
    Rules { omitted }
}

fn grants(fault: Option<Fault>) -> Arc<Grants> {
    Arc::new(Grants::by(rules(fault)))
}

/// What was found.
#[derive(Debug)]
pub(super) enum Stale {
    /// A read that was older than what had been acknowledged before it began.
    Unheard,
    /// A read by a cluster state that is older than what its grantors have known for as long as a lease lasts.
    LateState,
}

pub(super) struct World {
    leaf: Arc<Leaf>,
    roots: Vec<Arc<Node>>,
    fronts: Vec<Arc<Node>>,
    fault: Option<Fault>,
    is_good: bool,
    /// What is acknowledged as visible.
    acknowledged: AtomicU64,
}

/// Look-ups of roots and fronts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reads {
    /// Under a lease.
    pub(super) leased: u64,
    /// Without one.
    pub(super) without: u64,
}

/// The versions of the cluster state that a process has known, since when.
#[derive(Default)]
struct KnownState(parking_lot::Mutex<Vec<(Instant, u64)>>);

impl KnownState {
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> u64 {
        let known = self.0.lock();
        let known = known.iter().rev().find(|(since, _)| *since <= moment);
        known.map_or(0, |(_, version)| *version)
    }

    fn learn(&self, version: u64) {
        if version > self.now() {
            self.0.lock().push((Instant::now(), version));
        }
    }
}

/// The leaf's shard.
pub(super) struct Leaf {
    visible: AtomicU64,
    /// Whether the shard rests, and is leased to nobody.
    is_resting: AtomicBool,
    state: Arc<KnownState>,
    /// Those of the process as it is now.
    grants: parking_lot::Mutex<Arc<Grants>>,
    begun: parking_lot::Mutex<Instant>,
    fault: Option<Fault>,
}

impl Leaf {
    fn new(fault: Option<Fault>) -> Self {
        Self {
            visible: AtomicU64::new(1),
            is_resting: AtomicBool::new(false),
            state: Arc::default(),
            grants: parking_lot::Mutex::new(grants(fault)),
            begun: parking_lot::Mutex::new(Instant::now()),
            fault,
        }
    }

    /// Begins again, and knows of no lease.
    fn begin_again(&self) {
        *self.grants.lock() = grants(self.fault);
        *self.begun.lock() = Instant::now();
    }

    /// Says that a write is visible once no lease hides it: those of a life before too.
    async fn acknowledge(&self, visible: u64) {
        if self.fault == Some(Fault::AcknowledgesAtOnce) {
            return;
        }
        if self.fault != Some(Fault::ForgetsAtStart) {
            let begun = *self.begun.lock();
            sleep_until(begun + GRANTED).await;
        }
        self.grants().acknowledge(shard(A), at(visible)).await;
    }
}

impl Shown for Leaf {
    fn leasable(&self, index: IndexUuid, _: &mut Duration) -> Vec<(ShardKey, Generation)> {
        if self.is_resting.load(Ordering::SeqCst) {
            return Vec::new();
        }
        vec![(shard(index), at(self.visible.load(Ordering::SeqCst)))]
    }

    fn note_read(&self, _: IndexUuid) {}

    fn state_version(&self) -> u64 {
        self.state.now()
    }
}

/// Who is followed, as it is now.
pub(super) trait Followed: Shown {
    fn grants(&self) -> Arc<Grants>;
}

impl Followed for Leaf {
    fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.lock())
    }
}

/// A root, or a front: who follows, and may be followed.
pub(super) struct Node {
    /// Its process as it is now.
    process: parking_lot::Mutex<Process>,
    begins_again: tokio::sync::Notify,
    state: Arc<KnownState>,
    /// What its grantors know of the cluster state.
    known_above: Vec<Arc<KnownState>>,
    fault: Option<Fault>,
}

/// One life of a node.
#[derive(Clone)]
struct Process {
    holder: u64,
    holdings: Arc<Holdings>,
    interest: Arc<Interest>,
    grants: Arc<Grants>,
}

impl Process {
    fn new(fault: Option<Fault>) -> Self {
        Self {
            holder: rand::random(),
            holdings: Arc::new(Holdings::by(rules(fault))),
            interest: Arc::default(),
            grants: grants(fault),
        }
    }
}

impl Node {
    fn new(known_above: Vec<Arc<KnownState>>, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self {
            process: parking_lot::Mutex::new(Process::new(fault)),
            begins_again: tokio::sync::Notify::new(),
            state: Arc::default(),
            known_above,
            fault,
        })
    }

    fn process(&self) -> Process {
        self.process.lock().clone()
    }

    /// Begins again, and has heard of nothing.
    fn begin_again(&self) {
        *self.process.lock() = Process::new(self.fault);
        self.begins_again.notify_waiters();
    }

    /// Follows the grantor called `above` in one life after the other.
    async fn follow(&self, above: &str, grantor: &dyn Grantor) {
        loop {
            let process = self.process();
            let following = Following {
                name: NodeId(above.into()),
                holder: process.holder,
                holdings: process.holdings,
                interest: process.interest,
                // Followed all the same, only that it waits for nobody.
                grants: Some(process.grants).filter(|_| self.fault != Some(Fault::HearsForOthers)),
            };
            tokio::select! {
                () = follow(&following, grantor) => {}
                () = self.begins_again.notified() => {}
            }
        }
    }

    /// Returns what it would answer from, if anything that it keeps is current.
    fn read(&self) -> Option<Generation> {
        let process = self.process();
        process.interest.note([A].into_iter(), true);
        process.holdings.newest(shard(A), self.state.now())
    }

    /// Is the state that it goes by older than what all of its grantors have known for as long as a lease lasts?
    fn lags(&self) -> bool {
        let Some(before) = Instant::now().checked_sub(LEASE) else {
            return false;
        };
        let known = self.known_above.iter().map(|state| state.at(before));
        known.min() > Some(self.state.now())
    }
}

impl Shown for Node {
    fn leasable(&self, index: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        let process = self.process();
        process.interest.note([index].into_iter(), false);
        let leaf = NodeId("leaf".into());
        let held = process
            .holdings
            .shown(&leaf, shard(index), self.state.now());
        let Some((generation, left)) = held else {
            return Vec::new();
        };
        if self.fault != Some(Fault::GrantsMoreThanItHas) {
            *longest = left.min(*longest);
        }
        vec![(shard(index), generation)]
    }

    fn note_read(&self, _: IndexUuid) {}

    fn state_version(&self) -> u64 {
        self.state.now()
    }
}

impl Followed for Node {
    fn grants(&self) -> Arc<Grants> {
        self.process().grants
    }
}

impl World {
    /// Runs ten seconds of it.
    pub(super) fn run(seed: u64, fault: Option<Fault>) -> Result<Reads, Stale> {
        Self::run_on(seed, fault, false)
    }

    /// As [`Self::run`]; in a good world nothing is lost, slower than 5 ms or begins again, and no shard rests.
    pub(super) fn run_on(seed: u64, fault: Option<Fault>, is_good: bool) -> Result<Reads, Stale> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let world = Arc::new(Self::new(fault, is_good));
            world.play(StdRng::seed_from_u64(seed)).await
        })
    }

    fn new(fault: Option<Fault>, is_good: bool) -> Self {
        let leaf = Arc::new(Leaf::new(fault));
        let root = || Node::new(vec![Arc::clone(&leaf.state)], fault);
        let roots = vec![root(), root()];
        let front = |num_roots| {
            let above = roots.iter().take(num_roots);
            Node::new(above.map(|root| Arc::clone(&root.state)).collect(), fault)
        };
        let fronts = vec![front(2), front(1)];
        Self {
            leaf,
            roots,
            fronts,
            fault,
            is_good,
            acknowledged: AtomicU64::new(1),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.roots.iter().chain(&self.fronts)
    }

    async fn play(self: &Arc<Self>, mut random: StdRng) -> Result<Reads, Stale> {
        let mut tasks = JoinSet::new();
        for (number, root) in self.roots.iter().enumerate() {
            let link = self.link(&self.leaf, &mut random);
            let node = Arc::clone(root);
            tasks.spawn(async move { node.follow("leaf", &link).await });
            let fronts = self.fronts.iter();
            for front in fronts.filter(|front| number < front.known_above.len()) {
                let (node, link) = (Arc::clone(front), self.link(root, &mut random));
                let above = format!("root-{number}");
                tasks.spawn(async move { node.follow(&above, &link).await });
            }
        }
        let (world, writing) = (Arc::clone(self), StdRng::from_rng(&mut random));
        tasks.spawn(async move { world.write(writing).await });
        let world = Arc::clone(self);
        tasks.spawn(async move { world.trouble(random).await });
        self.read().await
    }

    fn link<S>(&self, grantor: &Arc<S>, random: &mut StdRng) -> Link<S> {
        Link {
            grantor: Arc::clone(grantor),
            is_good: self.is_good,
            random: parking_lot::Mutex::new(StdRng::from_rng(random)),
            fault: self.fault,
        }
    }

    /// Makes one write after another visible.
    async fn write(&self, mut random: StdRng) {
        let leaf = &self.leaf;
        loop {
            sleep(Duration::from_millis(random.random_range(0..400))).await;
            if !self.is_good && random.random_bool(0.15) {
                leaf.begin_again();
            }
            let visible = leaf.visible.fetch_add(1, Ordering::SeqCst) + 1;
            if random.random_bool(0.3) {
                // A refresh that nobody waits for: what is acknowledged then has nothing left to show.
                leaf.grants().note(shard(A), at(visible));
                sleep(Duration::from_millis(random.random_range(0..4))).await;
            }
            leaf.acknowledge(visible).await;
            self.acknowledged.store(visible, Ordering::SeqCst);
        }
    }

    /// Has things happen that leases must stand.
    async fn trouble(&self, mut random: StdRng) {
        if self.is_good {
            return;
        }
        let mut late = JoinSet::new();
        loop {
            sleep(Duration::from_millis(random.random_range(0..500))).await;
            match random.random_range(0..4) {
                0 => {
                    let nodes: Vec<_> = self.nodes().collect();
                    nodes[random.random_range(0..nodes.len())].begin_again();
                }
                1 => {
                    let version = self.leaf.state.now() + 1;
                    self.leaf.state.learn(version);
                    for node in self.nodes() {
                        let most = if random.random_bool(0.2) { 2_000 } else { 20 };
                        let wait = Duration::from_millis(random.random_range(0..most));
                        let state = Arc::clone(&node.state);
                        late.spawn(async move {
                            sleep(wait).await;
                            state.learn(version);
                        });
                    }
                }
                _ => {
                    let rests = random.random_bool(0.3);
                    self.leaf.is_resting.store(rests, Ordering::SeqCst);
                }
            }
        }
    }

    /// Looks up what each node would answer from, again and again.
    async fn read(&self) -> Result<Reads, Stale> {
        let mut reads = Reads::default();
        for _ in 0..10_000 / 7 {
            sleep(Duration::from_millis(7)).await;
            let least = self.acknowledged.load(Ordering::SeqCst);
            for node in self.nodes() {
                match node.read() {
                    Some(shown) if shown.visible.0 < least => return Err(Stale::Unheard),
                    Some(_) if node.lags() => return Err(Stale::LateState),
                    Some(_) => reads.leased += 1,
                    None => reads.without += 1,
                }
            }
        }
        Ok(reads)
    }
}
