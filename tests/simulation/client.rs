//! The host of the root, and its clients: searches, writes and refreshes, all drawn from the seed.

mod searching;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::Embedded;
use gleaner_datasets::Random;
use gleaner_model::{NodeId, ShardKey};
use gleaner_root::leaves::{Copies, Leaves, Members};
use gleaner_root::{LeafHandle, Root, RootOptions};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::cluster::Cluster;
use crate::faults::DEAD_CONNECTION;
use crate::schedule::{Broken, Schedule, millis};
use crate::watched::Watched;

pub(crate) use searching::EVERYTHING;

/// Share of the requests that the root may send twice, and what it is told in a run that is not to
/// keep it.
pub(crate) const HEDGE_SHARE: f64 = 0.05;

/// By when writes and refreshes are owed.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for everything to be well again after the last fault.
const SETTLING: Duration = Duration::from_secs(3);

/// Searches that are asked then.
const LAST_SEARCHES: u64 = 4;

/// Time without any call at the end.
const QUIET: Duration = Duration::from_millis(500);

/// A client of the root.
pub(crate) struct Client {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) root: Root,
}

/// Runs the root and its clients to the end of the schedule.
pub(crate) async fn run(cluster: Arc<Cluster>) -> turmoil::Result {
    let client = Arc::new(Client::new(Arc::clone(&cluster)));
    let started = tokio::time::Instant::now();
    let schedule = &cluster.schedule;
    let mut tasks = JoinSet::new();
    for number in 0..schedule.num_searchers {
        let random = drawing(schedule, 100 + number);
        tasks.spawn(Arc::clone(&client).search_on(random, schedule.end));
    }
    for number in 0..schedule.num_writers {
        let random = drawing(schedule, 200 + number);
        tasks.spawn(Arc::clone(&client).write_on(random, schedule.end));
    }
    let random = drawing(schedule, 300);
    tasks.spawn(Arc::clone(&client).refresh_on(random, schedule.end));
    tasks.join_all().await;
    sleep_until(started + schedule.end + settling(schedule)).await;
    cluster.trace(|| "all is well again".to_owned());
    client.make_all_visible().await;
    let mut random = drawing(schedule, 400);
    for number in 0..LAST_SEARCHES {
        client.search_last(&mut random, number == 0).await;
    }
    sleep(QUIET).await;
    Ok(())
}

/// Returns how long connections may be dead after the last fault.
fn settling(schedule: &Schedule) -> Duration {
    let lossy = schedule.faults.iter().filter(|of| of.fault.is_lossy());
    let last = lossy.map(|of| of.until + DEAD_CONNECTION).max();
    let rest = last.unwrap_or_default().saturating_sub(schedule.end);
    rest + SETTLING
}

fn drawing(schedule: &Schedule, stream: u64) -> Random {
    if schedule.is_breaking(Broken::IsRandom) {
        return Random::stream(rand::random(), stream);
    }
    Random::stream(schedule.seed, stream)
}

impl Client {
    fn new(cluster: Arc<Cluster>) -> Self {
        let coordinator = Arc::new(Embedded::in_memory(cluster.schedule.state()));
        let options = RootOptions {
            write_timeout: WRITE_TIMEOUT,
            hedge_share: match cluster.schedule.broken {
                Some(Broken::HedgesFreely) => 1.0,
                _ => HEDGE_SHARE,
            },
            ..RootOptions::default()
        };
        let watching = Arc::clone(&cluster);
        let connect = move |id: &NodeId, _: &str| {
            let number = id.0.strip_prefix("leaf-").and_then(|n| n.parse().ok());
            let number = number.expect("leaves are numbered");
            Arc::new(Watched::new(Arc::clone(&watching), number)) as _
        };
        let members = Members::new(&*coordinator, connect);
        let leaves: Arc<dyn Leaves> = match cluster.schedule.broken {
            Some(Broken::HidesCopies) => Arc::new(PrimariesOnly(members)),
            _ => Arc::new(members),
        };
        let root = Root::new(coordinator, leaves, options, || 1_767_225_600_000);
        Self { cluster, root }
    }

    /// Waits a moment, no longer than to `end`; returns whether there is time left.
    async fn pause(&self, length: Duration, end: Duration) -> bool {
        sleep(length).await;
        crate::cluster::now() < end
    }

    async fn refresh_on(self: Arc<Self>, mut random: Random, end: Duration) {
        while self.pause(millis(&mut random, 60..500), end).await {
            self.refresh().await;
        }
    }
}

/// The leaves without the copies beside the primaries.
struct PrimariesOnly(Members);

impl Leaves for PrimariesOnly {
    fn copies(&self, shard: ShardKey) -> Copies {
        self.0.copies(shard).iter().take(1).cloned().collect()
    }

    fn all(&self) -> Vec<LeafHandle> {
        self.0.all()
    }
}
