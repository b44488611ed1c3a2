//! The run: requests begin as the schedule says, and what becomes of them is counted.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

use super::{
    pacer::Pacer,
    request::{Outcome, Searches},
    schedule::{Arrival, Schedule},
    tally::Tally,
};

/// How much may be under way.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests on the wire.
    pub connections: usize,
    /// Requests without an answer, those on the wire included.
    pub outstanding: usize,
}

/// A request that has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedRequest {
    /// When it was due.
    pub(super) intended: Instant,
    /// When the generator began it.
    pub(super) begun: Instant,
    /// When it was sent, after it had waited for a connection.
    pub(super) sent: Instant,
    /// When its whole answer was there.
    pub(super) done: Instant,
    pub(super) outcome: Outcome,
}

/// Begins requests; belongs to the pacer.
struct Launcher {
    searches: Searches,
    start: Instant,
    runtime: Handle,
    connections: Arc<Semaphore>,
    outstanding: Arc<Semaphore>,
    /// Holds as many endings as requests may be outstanding.
    endings: mpsc::Sender<EndedRequest>,
    counts: Arc<Counts>,
}

/// Requests past the warm-up.
#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    dropped: AtomicU64,
}

/// Sends all searches of the schedule; ends when the last is answered or `interrupt` completes.
pub(super) async fn run(
    searches: Searches,
    schedule: Schedule,
    limits: Limits,
    interrupt: impl Future<Output = ()>,
) -> Result<Tally> {
    let start = Instant::now();
    let counts = Arc::new(Counts::default());
    let mut tally = Tally::new(searches.number(), start + schedule.measured_from());
    let (endings, mut ended) = mpsc::channel(limits.outstanding);
    let launcher = Launcher {
        searches,
        start,
        runtime: Handle::current(),
        connections: Arc::new(Semaphore::new(limits.connections)),
        outstanding: Arc::new(Semaphore::new(limits.outstanding)),
        endings,
        counts: Arc::clone(&counts),
    };
    let begin = move |arrival| launcher.begin(arrival);
    let pacer = Pacer::start(start, schedule.arrivals(), begin)?;
    let mut interrupt = pin!(interrupt);
    loop {
        tokio::select! {
            // The pacer's sender and those of all requests are gone when everything has ended.
            ending = ended.recv() => match ending {
                Some(ending) => tally.add(&ending),
                None => break,
            },
            () = &mut interrupt => {
                tally.is_interrupted = true;
                break;
            }
        }
    }
    drop(pacer);
    tally.num_begun = counts.begun.load(Ordering::Relaxed);
    tally.num_dropped = counts.dropped.load(Ordering::Relaxed);
    Ok(tally)
}

impl Launcher {
    /// Begins a request on a task of its own, or drops it when too many are outstanding.
    fn begin(&self, arrival: Arrival) {
        let begun = Instant::now();
        let Ok(permit) = Arc::clone(&self.outstanding).try_acquire_owned() else {
            count(&self.counts.dropped, arrival);
            return;
        };
        count(&self.counts.begun, arrival);
        let searches = self.searches.clone();
        let (connections, endings) = (Arc::clone(&self.connections), self.endings.clone());
        let intended = self.start + arrival.after;
        self.runtime.spawn(async move {
            let connection = connections.acquire().await;
            let connection = connection.expect("nobody closes the semaphore");
            let sent = Instant::now();
            let outcome = searches.ask(arrival.number).await;
            let done = Instant::now();
            drop(connection);
            if arrival.is_measured {
                let ending = EndedRequest {
                    intended,
                    begun,
                    sent,
                    done,
                    outcome,
                };
                // Nobody listens after an interrupt.
                drop(endings.send(ending).await);
            }
            drop(permit);
        });
    }
}

fn count(counter: &AtomicU64, arrival: Arrival) {
    counter.fetch_add(u64::from(arrival.is_measured), Ordering::Relaxed);
}
