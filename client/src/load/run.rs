//! A load from its first batch to its last: read, deliver in parallel, keep the books.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, block_in_place},
    time::{MissedTickBehavior, interval, interval_at, timeout},
};

use super::{
    batch::{Batch, Limits, SharedBatcher},
    delivery::Delivery,
    ledger::{Ledger, SettledBatch},
    reading::LoadReader,
    report::Reporter,
};

/// How long requests under way may take when the load ends early.
const DRAIN: Duration = Duration::from_secs(10);

/// How often it is looked whether a batch has waited for long enough to be filled.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// How many batches, per request in flight, may be settled before one that is not: it bounds what
/// the books hold in memory.
const LEAD: u64 = 16;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Requests in flight, ≥ 1.
    pub parallel: usize,
    /// How much of it in one request.
    pub limits: Limits,
}

impl Flow {
    /// Returns how many batches a run may have sent that its checkpoint does not cover: those that the
    /// books hold, and as many again for what is settled between two checkpoints.
    pub(super) fn num_uncovered(self) -> u64 {
        2 * LEAD * self.parallel as u64
    }
}

/// How a load ended, when nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was read and settled.
    Whole,
    /// Somebody asked it to stop; what is settled is in the books.
    Interrupted,
}

/// What a load notes as it runs.
pub(super) struct Books<'a> {
    /// What is settled.
    pub(super) ledger: &'a mut Ledger,
    /// Shows how far the load is.
    pub(super) reporter: &'a Reporter,
}

/// Runs the load until all is settled or `interrupt` completes.
///
/// # Errors
/// What stopped it; everything settled before is in the books.
pub(super) async fn run(
    reading: LoadReader,
    delivery: Delivery,
    flow: Flow,
    books: Books<'_>,
    interrupt: impl Future<Output = ()>,
) -> Result<End> {
    let Books { ledger, reporter } = books;
    let meter = Arc::clone(&reading.meter);
    let (sender, mut batches) = mpsc::channel(flow.parallel);
    let batcher = SharedBatcher::new(flow.limits, sender);
    let filled = batcher.clone();
    let reader = tokio::task::spawn_blocking(move || reading.run(&filled));
    let delivery = Arc::new(delivery);
    let mut under_way = JoinSet::new();
    let (tell_end, is_ending) = watch::channel(false);
    let mut interrupt = pin!(interrupt);
    let start = tokio::time::Instant::now() + reporter.interval();
    let mut ticks = interval_at(start, reporter.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = interval(LOOKED_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_reading, mut num_sent) = (true, 0);
    let end = loop {
        if !is_reading && under_way.is_empty() {
            break Ok(End::Whole);
        }
        let has_room = under_way.len() < flow.parallel
            && num_sent - ledger.next_batch() < LEAD * flow.parallel as u64;
        tokio::select! {
            batch = batches.recv(), if is_reading && has_room => match batch {
                Some(batch) => {
                    num_sent += 1;
                    under_way.spawn(delivered(Arc::clone(&delivery), batch, is_ending.clone()));
                }
                None => is_reading = false,
            },
            Some(settled) = under_way.join_next() => {
                if let Err(error) = note(ledger, settled) {
                    break Err(error);
                }
            }
            _ = looks.tick(), if is_reading => batcher.send_waiting(Instant::now()),
            _ = ticks.tick() => reporter.tick(&meter, ledger.accepted(), ledger.refused()),
            () = &mut interrupt => break Ok(End::Interrupted),
        }
    };
    drop(batches);
    // Who waits for a busy server would wait in vain, and whoever ended the load with them.
    tell_end.send_replace(true);
    let drained = timeout(DRAIN, drain(ledger, &mut under_way)).await;
    block_in_place(|| ledger.save())?;
    // After an early end the reader may hang on a pipe; it is left to the end of the process.
    match (end, drained) {
        (Ok(End::Whole), _) => reader
            .await
            .context("the reader failed")?
            .map(|()| End::Whole),
        (Ok(End::Interrupted), Ok(Err(error))) => Err(error),
        (end, _) => end,
    }
}

async fn delivered(
    delivery: Arc<Delivery>,
    batch: Batch,
    is_ending: watch::Receiver<bool>,
) -> Result<Option<SettledBatch>> {
    delivery.deliver(batch, is_ending).await
}

fn note(
    ledger: &mut Ledger,
    settled: Result<Result<Option<SettledBatch>>, tokio::task::JoinError>,
) -> Result<()> {
    match settled.context("a delivery failed")?? {
        Some(settled) => block_in_place(|| ledger.settle(settled)),
        None => Ok(()),
    }
}

/// Waits for requests under way; the first fault ends it.
async fn drain(
    ledger: &mut Ledger,
    under_way: &mut JoinSet<Result<Option<SettledBatch>>>,
) -> Result<()> {
    while let Some(settled) = under_way.join_next().await {
        note(ledger, settled)?;
    }
    Ok(())
}
