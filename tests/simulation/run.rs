//! One run of a schedule, from its first message to its last.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use turmoil::{Builder, Sim};

use crate::cluster::Cluster;
use crate::faults::{Planned, ROOT};
use crate::schedule::{Schedule, host};
use crate::{client, leaf};

/// Longer than any schedule, in simulated time.
const LONGEST: Duration = Duration::from_secs(600);

/// The start of simulated time: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// What is left of a run, to be judged.
pub(crate) struct Run {
    pub(crate) cluster: Arc<Cluster>,
    /// Calls that leaves were carrying out at the end, per leaf.
    pub(crate) num_open: Vec<i64>,
    /// Why it did not come to its end.
    pub(crate) failure: Option<String>,
    /// The hash of its trace.
    pub(crate) hash: u64,
}

impl Run {
    /// Runs a schedule.
    pub(crate) fn of(schedule: Schedule) -> Self {
        let cluster = Arc::new(Cluster::new(schedule));
        let mut sim = build(&cluster);
        let mut stage = Stage::default();
        let failure = loop {
            stage.advance(&mut sim, &cluster);
            match sim.step() {
                Ok(true) => break None,
                Ok(false) => {}
                Err(error) => break Some(error.to_string()),
            }
        };
        let num_open = cluster.num_open();
        let hash = cluster.history.lock().hash();
        drop(sim);
        Self {
            cluster,
            num_open,
            failure,
            hash,
        }
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.cluster.schedule
    }
}

fn build(cluster: &Arc<Cluster>) -> Sim<'static> {
    let schedule = &cluster.schedule;
    let mut sim = Builder::new()
        .rng_seed(schedule.seed)
        .epoch(SystemTime::UNIX_EPOCH + EPOCH)
        .simulation_duration(LONGEST)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(schedule.max_latency)
        // A leaf that holds still takes no bytes off; the root's calls must still fit.
        .tcp_capacity(1 << 14)
        .build();
    for number in 0..schedule.num_leaves {
        let cluster = Arc::clone(cluster);
        sim.host(host(number), move || {
            leaf::run(Arc::clone(&cluster), number)
        });
    }
    sim.client(ROOT, client::run(Arc::clone(cluster)));
    sim
}

/// How far the faults of a schedule are.
#[derive(Default)]
struct Stage {
    num_begun: usize,
    under_way: Vec<Planned>,
}

impl Stage {
    /// Ends the faults that are over and begins those that are due.
    fn advance(&mut self, sim: &mut Sim<'_>, cluster: &Cluster) {
        let now = sim.elapsed();
        let trace = |planned: &Planned, what: &str| {
            let Planned { leaf, fault, .. } = planned;
            let line = format!("leaf-{leaf} {fault:?} {what}");
            cluster.history.lock().trace(now, &line);
        };
        let (over, under_way) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|planned: &Planned| planned.until <= now);
        self.under_way = under_way;
        let over: Vec<Planned> = over;
        for planned in &over {
            trace(planned, "ends");
            planned.end(sim, cluster);
        }
        let faults = &cluster.schedule.faults;
        while let Some(due) = faults.get(self.num_begun).filter(|due| due.from <= now) {
            trace(due, "begins");
            due.begin(sim, cluster);
            self.under_way.push(*due);
            self.num_begun += 1;
        }
    }
}
