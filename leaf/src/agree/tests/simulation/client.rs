//! What clients ask of a copy: writes, real-time reads, refreshes, searches.

use std::sync::Arc;
use std::time::Duration;

use gleaner_log::Append;
use gleaner_model::{PrimaryTerm, SeqNo};
use tokio::time::Instant;

use super::history::SearchAnswer;
use super::model::ModelCopy;
use super::operation::{Document, Operation};
use crate::agree::driver::NotOrdered;
use crate::write::append::Queued;

/// How long a read waits until it may be told.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a client asks.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Write(Vec<Operation>),
    /// With what must be known.
    Read(u8, Option<u64>),
    Refresh(u64),
    /// With what must be seen, and how long it takes.
    Search(u64, Duration),
}

/// What became of a batch.
enum Written {
    Yes { first: u64 },
    Refused,
    Unknown,
}

impl ModelCopy {
    /// Answers a client.
    pub(super) async fn answer(self: Arc<Self>, call: Call) {
        match call {
            Call::Write(operations) => self.write(operations).await,
            Call::Read(document, floor) => self.read(document, floor).await,
            Call::Refresh(number) => self.refresh(number).await,
            Call::Search(floor, length) => self.search(floor, length).await,
        }
    }

    async fn write(&self, operations: Vec<Operation>) {
        let Some(term) = self.leads() else {
            return self.history.lock().refuse(&operations);
        };
        match self.order(term, &operations).await {
            Written::Yes { first } => {
                let reign = (self.life(), term);
                self.history
                    .lock()
                    .acknowledge(reign.0, reign.1, first, &operations);
            }
            Written::Refused => self.history.lock().refuse(&operations),
            Written::Unknown => self.history.lock().tally.num_unknown += 1,
        }
    }

    /// Orders a batch, waits until it is written and hands it on to be applied.
    async fn order(&self, term: PrimaryTerm, operations: &[Operation]) -> Written {
        let mut order = self.order.lock().await;
        let leads = self.driver.wait_to_order(term).await;
        if !leads || order.is_uncertain || self.leads() != Some(term) {
            return Written::Refused;
        }
        let first = order.next;
        let append = Append {
            shard: self.driver.shard,
            term,
            expected_last: first.checked_sub(1).map(SeqNo),
            producer: None,
            batch: operations
                .iter()
                .map(|operation| operation.encode())
                .collect(),
        };
        let ordered = match self.driver.order(term, append) {
            Ok(ordered) => ordered,
            Err(NotOrdered::NotPrimary | NotOrdered::Log(_)) => return Written::Refused,
        };
        for (position, operation) in (first..).zip(operations) {
            if let Some(document) = operation.document {
                let operation = *operation;
                let written = Document {
                    position,
                    operation,
                };
                order.versions.insert(document, written);
            }
        }
        order.next = first + operations.len() as u64;
        drop(order);
        let queued = Queued::Agreeing(ordered, term);
        let written = queued.written(self.driver.shard, SeqNo(first), Some(&self.driver));
        if written.await.is_err() {
            self.order.lock().await.is_uncertain |= self.leads() == Some(term);
            return Written::Unknown;
        }
        self.offer(term, first, operations.to_vec());
        Written::Yes { first }
    }

    async fn read(&self, document: u8, floor: Option<u64>) {
        let Some(term) = self.leads() else {
            return;
        };
        let (found, ordered) = {
            let order = self.order.lock().await;
            (order.versions.get(&document).copied(), order.next)
        };
        if self.leads() != Some(term) {
            return;
        }
        let until = (Instant::now() + PATIENCE).into_std();
        let told = self.driver.wait_to_tell(term, SeqNo(ordered), until).await;
        if told.is_ok() {
            let mut history = self.history.lock();
            history.told(self.driver.copy, floor, document, found);
        }
    }

    async fn refresh(&self, number: u64) {
        let Some(term) = self.leads() else {
            return;
        };
        let operation = Operation {
            number,
            document: None,
        };
        let Written::Yes { first } = self.order(term, &[operation]).await else {
            return;
        };
        let shown = loop {
            let more = self.shown.notified();
            let visible = self.visible.borrow().visible;
            if visible.0 > first {
                break visible;
            }
            more.await;
        };
        if self.driver.wait_refreshed(term, shown).await.is_ok() {
            self.history.lock().refresh(self.driver.copy, shown.0);
        }
    }

    async fn search(&self, floor: u64, length: Duration) {
        // A copy that finds its primary meanwhile still answers from what it had.
        let was_stale = !self.driver.may_serve();
        let (visible, shown) = {
            let view = self.view.lock();
            if !view.is_serving {
                return;
            }
            (self.visible.borrow().visible.0, view.shown.clone())
        };
        tokio::time::sleep(length).await;
        let is_flagged = was_stale || !self.driver.may_serve();
        let mut history = self.history.lock();
        let answer = SearchAnswer {
            copy: self.driver.copy,
            is_flagged,
            visible,
            documents: &shown,
        };
        history.searched(floor, &answer);
    }
}
