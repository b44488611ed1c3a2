//! A leaf of the simulation: it keeps the promises of a leaf, over documents in memory.
//!
//! It orders writes as a primary, syncs them before it acknowledges, shows them by refresh records,
//! follows the primary by a stream over the wire as a replica, keeps views for a time, and answers searches
//! from them. What is synced survives its process. No search engine is in it: tantivy has threads and
//! maps files, which a simulation cannot hold.

mod calls;
mod copy;
mod following;
mod lease;
mod primary;
mod ranking;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use gleaner_datasets::Random;
use gleaner_model::{Role, ShardKey};
use gleaner_proto::node::{LocalNode, Readiness};
use gleaner_proto::search::ShardView;
use gleaner_proto::{GRACE, GrpcLeaf, LeafFault, Services, serve_on};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::cluster::{Cluster, now};
use crate::history::Overdue;
use crate::network;
use crate::schedule::{PORT, millis, node_id};
use copy::Copy;

/// The process of a leaf.
pub(crate) struct Leaf {
    cluster: Arc<Cluster>,
    number: usize,
    copies: BTreeMap<ShardKey, Arc<Copy>>,
    random: Mutex<Random>,
}

/// Runs a leaf's process until it is killed.
pub(crate) async fn run(cluster: Arc<Cluster>, number: usize) -> turmoil::Result {
    let num_starts = cluster.places[number]
        .num_starts
        .fetch_add(1, Ordering::Relaxed);
    // An earlier process cannot have left calls: they ended with it.
    let leaf = Arc::new(Leaf::start(Arc::clone(&cluster), number, num_starts));
    let incoming = network::listen(PORT).await?;
    let (_ready, readiness) = watch::channel(Readiness::Ready);
    let services = Services {
        node: Arc::new(LocalNode::new(node_id(number), Role::Leaf, "0", readiness)),
        leaf: Some(Arc::clone(&leaf) as _),
        replication: Some(Arc::clone(&leaf) as _),
        leases: None,
    };
    serve_on(incoming, services, std::future::pending()).await?;
    Ok(())
}

impl Leaf {
    fn start(cluster: Arc<Cluster>, number: usize, num_starts: u64) -> Self {
        let held = cluster.schedule.held_by(number);
        let copies = held.into_iter().map(|(shard, is_primary)| {
            let named = (number, shard, is_primary);
            let copy = Copy::open(Arc::clone(&cluster), named, num_starts);
            (shard, Arc::new(copy))
        });
        let leaf = Self {
            copies: copies.collect(),
            random: Mutex::new(Random::stream(
                cluster.schedule.seed,
                1_000 * (number as u64 + 1) + num_starts,
            )),
            number,
            cluster,
        };
        leaf.begin(num_starts);
        leaf
    }

    /// Starts what goes on by itself. After a crash the log is read first.
    fn begin(&self, num_starts: u64) {
        let recovery = match num_starts {
            0 => Duration::ZERO,
            // What an earlier process promised holds.
            _ => self
                .cluster
                .schedule
                .recovery
                .max(self.cluster.schedule.lease),
        };
        let mut clients: BTreeMap<usize, GrpcLeaf> = BTreeMap::new();
        for (shard, copy) in &self.copies {
            let copy = Arc::clone(copy);
            if copy.is_primary {
                tokio::spawn(primary::run(copy, recovery));
            } else {
                let primary = self.cluster.schedule.copies_of(*shard)[0];
                let client = clients.entry(primary);
                let client = client.or_insert_with(|| GrpcLeaf::new(network::peer(primary)));
                tokio::spawn(following::run(copy, client.clone(), recovery));
            }
        }
    }

    fn copy(&self, shard: ShardKey) -> Result<&Arc<Copy>, LeafFault> {
        self.copies.get(&shard).ok_or(LeafFault::NotHere { shard })
    }

    /// Counts a call as open until it is dropped; `remaining` is what its caller gave it, if it did.
    fn opened(&self, remaining: Option<Duration>) -> OpenCall {
        let cluster = Arc::clone(&self.cluster);
        let number = self.number;
        let num_open = &cluster.places[number].num_open;
        num_open.fetch_add(1, Ordering::Relaxed);
        let begun = now();
        OpenCall {
            cluster,
            number,
            begun,
            due: remaining.map(|remaining| begun + remaining + GRACE),
        }
    }

    /// Takes the time that a call takes; refuses it when the leaf does.
    async fn admit(&self, shards: &[ShardView], remaining: Duration) -> Result<(), LeafFault> {
        let conduct = &self.cluster.places[self.number].conduct;
        let found = conduct.with(|conduct| *conduct);
        if found.is_refusing {
            return Err(LeafFault::Rejected {
                queue: "search".into(),
                capacity: 8,
            });
        }
        conduct.wait_until(|conduct| !conduct.is_stuck).await;
        let usual = millis(&mut self.random.lock(), 0..4);
        let needed = usual + Duration::from_millis(found.slow_ms);
        sleep(needed.min(remaining)).await;
        match shards.first() {
            Some(first) if needed > remaining => {
                Err(LeafFault::DeadlinePassed { shard: first.shard })
            }
            _ => Ok(()),
        }
    }
}

/// A call under way.
struct OpenCall {
    cluster: Arc<Cluster>,
    number: usize,
    begun: Duration,
    /// When its caller is gone at the latest.
    due: Option<Duration>,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let open: &AtomicI64 = &self.cluster.places[self.number].num_open;
        open.fetch_sub(1, Ordering::Relaxed);
        // A process that is killed drops its calls, and its time stands no more.
        let is_alive = !self.cluster.places[self.number].states.lock().is_empty();
        let Some(due) = self.due.filter(|_| is_alive) else {
            return;
        };
        let ended = now();
        if ended > due {
            self.cluster.history.lock().overdue.push(Overdue {
                leaf: self.number,
                begun: self.begun,
                ended,
                by: ended - due,
            });
        }
    }
}
