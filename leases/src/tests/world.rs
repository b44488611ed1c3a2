//! A leaf, two roots that follow it, two fronts that follow a root each; a network that is slow, cut and loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{sleep, sleep_until};

use super::*;

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
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::AcknowledgesAtOnce,
        Self::HearsForOthers,
        Self::CountsFromAnswer,
        Self::GrantsMoreThanItHas,
        Self::ReadsBeforeItNotes,
        Self::ForgetsAtStart,
    ];
}

/// What was found: a read that was older than what had been acknowledged before it began.
#[derive(Debug)]
pub(super) struct Stale;

pub(super) struct World;

/// Look-ups of roots and fronts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reads {
    /// Under a lease.
    pub(super) leased: u64,
    /// Without one.
    pub(super) without: u64,
}

/// The leaf's shard.
struct Leaf {
    visible: AtomicU64,
    /// Those of the process as it is now.
    grants: parking_lot::Mutex<Arc<Grants>>,
    begun: parking_lot::Mutex<Instant>,
}

impl Leaf {
    fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.lock())
    }

    /// Begins again, and knows of no lease.
    fn begin_again(&self) {
        *self.grants.lock() = Arc::default();
        *self.begun.lock() = Instant::now();
    }

    /// Says that a write is visible once no lease hides it: those of a life before too.
    async fn acknowledge(&self, visible: u64, fault: Option<Fault>) {
        if fault == Some(Fault::AcknowledgesAtOnce) {
            return;
        }
        if fault != Some(Fault::ForgetsAtStart) {
            let begun = *self.begun.lock();
            sleep_until(begun + GRANTED).await;
        }
        self.grants().acknowledge(shard(A), at(visible)).await;
    }
}

impl Shown for Leaf {
    fn leasable(&self, index: IndexUuid, _: &mut Duration) -> Vec<(ShardKey, Generation)> {
        vec![(shard(index), at(self.visible.load(Ordering::SeqCst)))]
    }

    fn note_read(&self, _: IndexUuid) {}

    fn state_version(&self) -> u64 {
        1
    }
}

/// A root, or a front: who follows, and may be followed.
struct Node {
    following: Following,
    fault: Option<Fault>,
}

impl Node {
    fn new(above: &str, grants: Option<Arc<Grants>>, fault: Option<Fault>) -> Arc<Self> {
        let following = Following {
            name: NodeId(above.into()),
            holder: rand::random(),
            holdings: Arc::default(),
            interest: Arc::default(),
            grants,
        };
        Arc::new(Self { following, fault })
    }

    fn shown(&self) -> Option<(Generation, Duration)> {
        self.following.interest.note([A].into_iter(), true);
        let Following { holdings, name, .. } = &self.following;
        holdings.shown(name, shard(A), 1)
    }
}

impl Shown for Node {
    fn leasable(&self, index: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        let Some((generation, left)) = self.shown() else {
            return Vec::new();
        };
        if self.fault != Some(Fault::GrantsMoreThanItHas) {
            *longest = left.min(*longest);
        }
        vec![(shard(index), generation)]
    }

    fn note_read(&self, _: IndexUuid) {}

    fn state_version(&self) -> u64 {
        1
    }
}

/// What was shown when an ask came.
struct Earlier<'a> {
    shown: &'a dyn Shown,
    leased: Vec<(ShardKey, Generation)>,
    longest: Duration,
}

impl Shown for Earlier<'_> {
    fn leasable(&self, _: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        *longest = self.longest.min(*longest);
        self.leased.clone()
    }

    fn note_read(&self, index: IndexUuid) {
        self.shown.note_read(index);
    }

    fn state_version(&self) -> u64 {
        self.shown.state_version()
    }
}

/// The way from a holder to a grantor: each message is late by up to 300 ms, and sometimes lost.
struct Link<S> {
    grantor: Arc<S>,
    is_good: bool,
    random: parking_lot::Mutex<StdRng>,
    fault: Option<Fault>,
}

impl<S> Link<S> {
    async fn travel(&self) -> Result<(), FollowFault> {
        let (wait, is_lost) = {
            let mut random = self.random.lock();
            let slow = !self.is_good && random.random_bool(0.1);
            let most = if slow { 300 } else { 5 };
            let is_lost = !self.is_good && random.random_bool(0.03);
            (random.random_range(0..most), is_lost)
        };
        sleep(Duration::from_millis(wait)).await;
        if is_lost {
            sleep(Duration::from_millis(400)).await;
            return Err(FollowFault::Unreachable("lost".to_owned()));
        }
        Ok(())
    }

    async fn ask(
        &self,
        call: FollowCall,
        grants: &Grants,
        shown: &dyn Shown,
        is_alive: &(dyn Fn() -> bool + Sync),
    ) -> Result<FollowAnswer, FollowFault> {
        let sent = Instant::now();
        self.travel().await?;
        let mut longest = LEASE;
        let earlier = Earlier {
            shown,
            leased: shown.leasable(A, &mut longest),
            longest,
        };
        let shown = match self.fault {
            Some(Fault::ReadsBeforeItNotes) => &earlier,
            _ => shown,
        };
        let mut answer = grants.answer(&call, shown).await?;
        if !is_alive() {
            return Err(FollowFault::Unreachable("it has begun again".to_owned()));
        }
        self.travel().await?;
        if self.fault == Some(Fault::CountsFromAnswer) {
            answer.lease += sent.elapsed();
        }
        Ok(answer)
    }
}

#[async_trait]
impl Grantor for Link<Leaf> {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let grants = self.grantor.grants();
        let is_alive = || Arc::ptr_eq(&grants, &self.grantor.grants());
        self.ask(call, &grants, &*self.grantor, &is_alive).await
    }
}

#[async_trait]
impl Grantor for Link<Node> {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let grants = self.grantor.following.grants.clone().expect("a root");
        self.ask(call, &grants, &*self.grantor, &|| true).await
    }
}

impl World {
    /// Runs ten seconds of it.
    pub(super) fn run(seed: u64, fault: Option<Fault>) -> Result<Reads, Stale> {
        Self::run_on(seed, fault, false)
    }

    /// As [`Self::run`]; on a good network nothing is lost or slower than 5 ms.
    pub(super) fn run_on(seed: u64, fault: Option<Fault>, is_good: bool) -> Result<Reads, Stale> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(Self::play(seed, fault, is_good))
    }

    async fn play(seed: u64, fault: Option<Fault>, is_good: bool) -> Result<Reads, Stale> {
        let mut random = StdRng::seed_from_u64(seed);
        let leaf = Arc::new(Leaf {
            visible: AtomicU64::new(1),
            grants: parking_lot::Mutex::default(),
            begun: parking_lot::Mutex::new(Instant::now()),
        });
        let mut tasks = tokio::task::JoinSet::new();
        let mut nodes = Vec::new();
        for _ in 0..2 {
            let grants = Some(Arc::default()).filter(|_| fault != Some(Fault::HearsForOthers));
            let root = Node::new("leaf", grants.clone(), fault);
            let followed = if grants.is_some() {
                Arc::clone(&root)
            } else {
                // Followed all the same, only that it waits for nobody.
                let mut other = Following::clone(&root.following);
                other.grants = Some(Arc::default());
                Arc::new(Node {
                    following: other,
                    fault,
                })
            };
            let front = Node::new("root", None, fault);
            let above = Link {
                grantor: Arc::clone(&leaf),
                is_good,
                random: parking_lot::Mutex::new(StdRng::from_rng(&mut random)),
                fault,
            };
            let below = Link {
                grantor: followed,
                is_good,
                random: parking_lot::Mutex::new(StdRng::from_rng(&mut random)),
                fault,
            };
            let (of_root, of_front) = (root.following.clone(), front.following.clone());
            tasks.spawn(async move { follow(&of_root, &above).await });
            tasks.spawn(async move { follow(&of_front, &below).await });
            nodes.extend([root, front]);
        }
        let acknowledged = Arc::new(AtomicU64::new(1));
        let writing = {
            let (acknowledged, leaf) = (Arc::clone(&acknowledged), Arc::clone(&leaf));
            let mut random = StdRng::from_rng(&mut random);
            async move {
                loop {
                    sleep(Duration::from_millis(random.random_range(0..400))).await;
                    if !is_good && random.random_bool(0.15) {
                        leaf.begin_again();
                    }
                    let visible = leaf.visible.fetch_add(1, Ordering::SeqCst) + 1;
                    leaf.acknowledge(visible, fault).await;
                    acknowledged.store(visible, Ordering::SeqCst);
                }
            }
        };
        tasks.spawn(writing);
        let mut reads = Reads::default();
        for _ in 0..10_000 / 7 {
            sleep(Duration::from_millis(7)).await;
            let least = acknowledged.load(Ordering::SeqCst);
            for node in &nodes {
                match node.shown() {
                    Some((shown, _)) if shown.visible.0 < least => return Err(Stale),
                    Some(_) => reads.leased += 1,
                    None => reads.without += 1,
                }
            }
        }
        Ok(reads)
    }
}
