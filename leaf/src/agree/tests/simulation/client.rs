//! What clients ask of a copy: writes, real-time reads, refreshes, searches.
//!
//! They take the steps of the product: a batch is planned, carried out and applied by its code.

use std::sync::Arc;
use std::time::Duration;

use gleaner_log::ProducerSequence;
use gleaner_model::{MappingVersion, Operation, OperationKind, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteItem;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::history::{Read, SearchAnswer};
use super::model::ModelCopy;
use super::operation::{Intent, id_of};
use crate::copy::applier::ApplyTarget;
use crate::write::contents::read_contents;
use crate::write::idempotency::{answers, batch_of};
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
    Write(Request),
    /// With what must be known.
    Read(u8, Option<u64>),
    Refresh(u64),
    /// With what must be seen, and how long it takes.
    Search(u64, Duration),
}

/// Writes that are sent together.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) intents: Vec<Intent>,
    /// By which it is known when it is sent again.
    pub(super) key: Option<u64>,
}

/// What became of a request.
pub(super) struct Answer {
    pub(super) outcomes: Outcomes,
    /// Position at which it was planned.
    pub(super) planned_at: u64,
    /// It was written before.
    pub(super) is_again: bool,
}

/// Why writes were not carried out.
enum Failed {
    /// They are nowhere.
    Refused,
    Unknown,
}

/// What the log says of a request.
enum Earlier {
    Written(Answer),
    New(OwnedMutexGuard<WriteOrder>),
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
            Call::Write(request) => self.write(request).await,
            Call::Read(document, floor) => self.read(document, floor).await,
            Call::Refresh(number) => self.refresh(number).await,
            Call::Search(floor, length) => self.search(floor, length).await,
        }
    }

    async fn write(self: &Arc<Self>, request: Request) {
        let intents = &request.intents;
        let Some(term) = self.leads() else {
            return self.history.lock().refuse(&request);
        };
        let written = self.plan_and_write(term, &request).await;
        let mut history = self.history.lock();
        match written {
            Ok(answer) => {
                history.lead(self.life(), term);
                history.answer(self.driver.copy, intents, &answer);
            }
            Err(Failed::Refused) => history.refuse(&request),
            Err(Failed::Unknown) => history.tally.num_unknown += 1,
        }
    }

    /// Writes a batch, unless it was written before; returns what became of its items.
    async fn plan_and_write(
        self: &Arc<Self>,
        term: PrimaryTerm,
        request: &Request,
    ) -> Result<Answer, Failed> {
        let items: Vec<WriteItem> = request.intents.iter().map(Intent::item).collect();
        let producer = request.key.map(|key| ProducerSequence {
            id: key.into(),
            sequence: 0,
        });
        let mut learnt = PlanContext::default();
        loop {
            let mut order = self.to_order(term).await?;
            if let Some(producer) = producer {
                match self.written_before(order, producer, &items).await? {
                    Earlier::Written(answer) => return Ok(answer),
                    Earlier::New(guard) => order = guard,
                }
            }
            let batch = PlanBatch {
                items: &items,
                limit: BATCH_BYTES,
                learnt: &learnt,
                builder: None,
                now_ms: 0,
            };
            let first = order.next;
            let answer = |outcomes| Answer {
                outcomes,
                planned_at: first.0,
                is_again: false,
            };
            match plan(&**self, &order, &batch)? {
                PlanStep::NeedsFields(_) => unreachable!("the mapping takes all fields"),
                PlanStep::NeedsContents(positions) => {
                    drop(order);
                    let (log, shard) = (&self.log, self.driver.shard);
                    let contents = read_contents(log, shard, &positions, BATCH_BYTES).await;
                    let (contents, _) = contents?;
                    learnt.contents.extend(contents);
                }
                PlanStep::Ready(plan) if plan.operations.is_empty() && producer.is_none() => {
                    let num_readings = self.pipeline.state().num_readings;
                    drop(order);
                    if self.has_settled(first, num_readings).await {
                        self.wait_to_tell(term, first).await?;
                        return Ok(answer(plan.outcomes));
                    }
                }
                PlanStep::Ready(mut plan) => {
                    if let Some(key) = request.key {
                        self.name_batch(&order, key, &items, &mut plan);
                    }
                    let how = CarryOptions {
                        producer,
                        ..CarryOptions::default()
                    };
                    let outcomes = carry_out(self, order, plan, how).await?;
                    return Ok(answer(outcomes));
                }
            }
        }
    }

    /// Returns the answer to a request that the log holds.
    async fn written_before(
        &self,
        order: OwnedMutexGuard<WriteOrder>,
        producer: ProducerSequence,
        items: &[WriteItem],
    ) -> Result<Earlier, Failed> {
        let unread = |_| Failed::Refused;
        let produced = self.log.produced(self.driver.shard, producer).await;
        let Some(appended) = produced.map_err(unread)? else {
            return Ok(Earlier::New(order));
        };
        let name = (self.driver.shard, producer);
        let outcomes = match self.answers.find(&name, appended.first, items) {
            Some(outcomes) => outcomes,
            None => {
                let applied = self.applier.wait_applied(appended.last.next()).await;
                applied.map_err(|_| Failed::Refused)?;
                let batch = batch_of(self, appended).await.map_err(unread)?;
                answers(self, &order, batch, items)?
            }
        };
        let term = order.term;
        drop(order);
        self.wait_to_tell(term, appended.last.next()).await?;
        Ok(Earlier::Written(Answer {
            outcomes,
            planned_at: appended.first.0,
            is_again: true,
        }))
    }

    /// Has the log know a request by its batch, and notes its answer.
    fn name_batch(&self, order: &WriteOrder, key: u64, items: &[WriteItem], plan: &mut Plan) {
        if plan.operations.is_empty() {
            let nothing = own_operation(order.term, key, OperationKind::NoOp);
            plan.operations.push(nothing);
        }
        let producer = ProducerSequence {
            id: key.into(),
            sequence: 0,
        };
        let name = (self.driver.shard, producer);
        self.answers.note(name, order.next, items, &plan.outcomes);
    }

    async fn wait_to_tell(&self, term: PrimaryTerm, read: SeqNo) -> Result<(), Failed> {
        let until = (Instant::now() + PATIENCE).into_std();
        let told = self.driver.wait_to_tell(term, read, until).await;
        told.map_err(|_| Failed::Refused)
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
        if self.wait_to_tell(term, ordered).await.is_ok() {
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
        let refresh = own_operation(term, number, OperationKind::Refresh);
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

/// Returns an operation that is no write of a client.
fn own_operation(term: PrimaryTerm, number: u64, kind: OperationKind) -> Operation {
    Operation {
        term,
        mapping: MappingVersion(0),
        timestamp_ms: number as i64,
        kind,
    }
}
