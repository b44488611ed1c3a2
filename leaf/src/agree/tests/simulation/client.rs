//! What clients ask of a copy: writes, real-time reads, refreshes, searches.
//!
//! They take the steps of the product: a batch is planned, carried out and applied by its code.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{MappingVersion, Operation, OperationKind, PrimaryTerm};
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteItem;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::history::{Read, SearchAnswer};
use super::model::ModelCopy;
use super::operation::{Intent, id_of};
use crate::copy::applier::ApplyTarget;
use crate::write::contents::read_contents;
use crate::write::learnt::PlanContext;
use crate::write::plan::{Plan, PlanBatch, PlanStep, plan};
use crate::write::writable::WritableCopy;
use crate::write::{BATCH_BYTES, CarryOptions, Outcomes, WriteOrder, carry_out};

/// How long a read waits until it may be told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of tombstones that are remembered once they are shown: a few of them.
const TOMBSTONE_BYTES: usize = 500;

/// How long they are, at most.
const TOMBSTONE_AGE: Duration = Duration::from_secs(3_600);

/// What a client asks.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Write(Vec<Intent>),
    /// With what must be known.
    Read(u8, Option<u64>),
    Refresh(u64),
    /// With what must be seen, and how long it takes.
    Search(u64, Duration),
}

/// Why writes were not carried out.
enum Failed {
    /// They are nowhere.
    Refused,
    Unknown,
}

impl From<LeafFault> for Failed {
    fn from(fault: LeafFault) -> Self {
        match fault {
            LeafFault::NotHere { .. } => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

impl ModelCopy {
    /// Answers a client.
    pub(super) async fn answer(self: Arc<Self>, call: Call) {
        match call {
            Call::Write(intents) => self.write(intents).await,
            Call::Read(document, floor) => self.read(document, floor).await,
            Call::Refresh(number) => self.refresh(number).await,
            Call::Search(floor, length) => self.search(floor, length).await,
        }
    }

    async fn write(self: &Arc<Self>, intents: Vec<Intent>) {
        let Some(term) = self.leads() else {
            return self.history.lock().refuse(&intents);
        };
        let written = self.plan_and_write(term, &intents).await;
        let mut history = self.history.lock();
        match written {
            Ok((first, outcomes)) => {
                history.lead(self.life(), term);
                history.answer(self.driver.copy, first, &intents, &outcomes);
            }
            Err(Failed::Refused) => history.refuse(&intents),
            Err(Failed::Unknown) => history.tally.num_unknown += 1,
        }
    }

    /// Writes a batch; returns what became of its items, and the position at which it was planned.
    async fn plan_and_write(
        self: &Arc<Self>,
        term: PrimaryTerm,
        intents: &[Intent],
    ) -> Result<(u64, Outcomes), Failed> {
        let items: Vec<WriteItem> = intents.iter().map(Intent::item).collect();
        let mut learnt = PlanContext::default();
        loop {
            let order = self.to_order(term).await?;
            let batch = PlanBatch {
                items: &items,
                limit: BATCH_BYTES,
                learnt: &learnt,
                builder: None,
                now_ms: 0,
            };
            let first = order.next;
            match plan(&**self, &order, &batch)? {
                PlanStep::NeedsFields(_) => unreachable!("the mapping takes all fields"),
                PlanStep::NeedsContents(positions) => {
                    drop(order);
                    let (log, shard) = (&self.log, self.driver.shard);
                    let contents = read_contents(log, shard, &positions, BATCH_BYTES).await;
                    let (contents, _) = contents?;
                    learnt.contents.extend(contents);
                }
                PlanStep::Ready(plan) if plan.operations.is_empty() => {
                    let num_readings = self.pipeline.state().num_readings;
                    drop(order);
                    if self.has_settled(first, num_readings).await {
                        let until = (Instant::now() + PATIENCE).into_std();
                        let told = self.driver.wait_to_tell(term, first, until).await;
                        told.map_err(|_| Failed::Refused)?;
                        return Ok((first.0, plan.outcomes));
                    }
                }
                PlanStep::Ready(plan) => {
                    let outcomes = carry_out(self, order, plan, CarryOptions::default()).await?;
                    return Ok((first.0, outcomes));
                }
            }
        }
    }

    /// Locks the order of writes when the copy is fit to order them.
    async fn to_order(&self, term: PrimaryTerm) -> Result<OwnedMutexGuard<WriteOrder>, Failed> {
        let order = Arc::clone(&self.order).lock_owned().await;
        let leads = self.leads() == Some(term) && self.driver.wait_to_order(term).await;
        if !leads || self.pipeline.state().is_uncertain || self.leads() != Some(term) {
            return Err(Failed::Refused);
        }
        Ok(order)
    }

    async fn read(&self, document: u8, floor: Option<u64>) {
        let Some(term) = self.leads() else {
            return;
        };
        let (unseen, ordered) = {
            let order = self.order.lock().await;
            let latest = order.versions.get(&id_of(document));
            let unseen = latest.map(|latest| (!latest.is_deleted()).then_some(latest.seq_no.0));
            (unseen, order.next)
        };
        if self.leads() != Some(term) {
            return;
        }
        // Taken after the version map was read, as there.
        let state = self.applier.engine.state();
        let found = unseen.unwrap_or_else(|| {
            let found = state.shown.get(&document);
            found.map(|found| found.position)
        });
        let until = (Instant::now() + PATIENCE).into_std();
        let told = self.driver.wait_to_tell(term, ordered, until).await;
        if told.is_ok() {
            let read = Read {
                document,
                floor,
                found,
                read_at: ordered.0.max(state.visible),
            };
            self.history.lock().told(self.driver.copy, read);
        }
    }

    async fn refresh(self: &Arc<Self>, number: u64) {
        let Some(term) = self.leads() else {
            return;
        };
        let Ok(order) = self.to_order(term).await else {
            return;
        };
        let refresh = Operation {
            term,
            mapping: MappingVersion(0),
            timestamp_ms: number as i64,
            kind: OperationKind::Refresh,
        };
        let plan = Plan {
            operations: vec![refresh],
            ..Plan::default()
        };
        let how = CarryOptions {
            is_awaited: true,
            ..CarryOptions::default()
        };
        if carry_out(self, order, plan, how).await.is_err() {
            return;
        }
        let shown = self.applier.engine.generation().visible;
        let mut order = self.order.lock().await;
        if self.leads() == Some(term) {
            order.versions.prune(shown, TOMBSTONE_AGE, TOMBSTONE_BYTES);
        }
        drop(order);
        if self.driver.wait_refreshed(term, shown).await.is_ok() {
            self.history.lock().refresh(self.driver.copy, shown.0);
        }
    }

    async fn search(&self, floor: u64, length: Duration) {
        // A copy that finds its primary meanwhile still answers from what it had.
        let was_stale = !self.driver.may_serve();
        if !self.is_serving() {
            return;
        }
        let state = self.applier.engine.state();
        tokio::time::sleep(length).await;
        let is_flagged = was_stale || !self.driver.may_serve();
        let mut history = self.history.lock();
        let answer = SearchAnswer {
            copy: self.driver.copy,
            is_flagged,
            visible: state.visible,
            documents: &state.shown,
        };
        history.searched(floor, &answer);
    }
}
