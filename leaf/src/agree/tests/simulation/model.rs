//! A copy whose engine is a map in memory, around the real driver: what it applies, shows, reads and orders.
//!
//! Its writes, reads and refreshes take the steps of those of the product, with the same calls of the driver.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_log::ShardLog;
use gleaner_model::{Generation, Incarnation, MappingVersion, PrimaryTerm, SeqNo};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::history::{History, Life};
use super::operation::{Document, Operation};
use crate::agree::CopyDriver;
use crate::agree::driver::Reign;
use crate::agree::host::CopyHost;
use crate::replicate::halt::Halt;

/// A copy.
pub(super) struct ModelCopy {
    pub(super) driver: Arc<CopyDriver>,
    pub(super) log: Arc<dyn ShardLog>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) incarnation: Incarnation,
    pub(super) view: Mutex<View>,
    pub(super) visible: watch::Sender<Generation>,
    /// Told when searches see more.
    pub(super) shown: Notify,
    pub(super) order: tokio::sync::Mutex<Order>,
}

/// What was applied.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) next: u64,
    pub(super) documents: BTreeMap<u8, Document>,
    /// What searches see.
    pub(super) shown: BTreeMap<u8, Document>,
    pub(super) is_serving: bool,
    pub(super) leads: Option<PrimaryTerm>,
    /// Batches that are written and wait for those before.
    waiting: BTreeMap<u64, Vec<Operation>>,
}

/// A commit, which outlives the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Commit {
    pub(super) next: u64,
    pub(super) documents: BTreeMap<u8, Document>,
}

/// Where a primary goes on with its writes.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) next: u64,
    /// The latest write of each document, agreed or not.
    pub(super) versions: BTreeMap<u8, Document>,
    /// A batch has failed.
    pub(super) is_uncertain: bool,
}

impl ModelCopy {
    /// Opens a copy on its last commit.
    pub(super) fn open(
        driver: Arc<CopyDriver>,
        log: Arc<dyn ShardLog>,
        history: Arc<Mutex<History>>,
        incarnation: Incarnation,
        commit: Commit,
    ) -> Arc<Self> {
        let view = View {
            next: commit.next,
            shown: commit.documents.clone(),
            documents: commit.documents,
            ..View::default()
        };
        Arc::new(Self {
            driver,
            log,
            history,
            incarnation,
            visible: watch::Sender::new(generation(view.next)),
            view: Mutex::new(view),
            shown: Notify::new(),
            order: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn life(&self) -> Life {
        (self.driver.copy, self.incarnation)
    }

    /// Returns the term under which it takes writes.
    pub(super) fn leads(&self) -> Option<PrimaryTerm> {
        self.view.lock().leads
    }

    /// Returns what a commit would hold; `None` while more is applied than shown.
    pub(super) fn commit(&self) -> Option<Commit> {
        let view = self.view.lock();
        let is_shown = self.visible.borrow().visible.0 == view.next;
        is_shown.then(|| Commit {
            next: view.next,
            documents: view.documents.clone(),
        })
    }

    /// Takes in a batch of `term` that is written, and applies what is due.
    pub(super) fn offer(&self, term: PrimaryTerm, first: u64, operations: Vec<Operation>) {
        let mut view = self.view.lock();
        if view.leads == Some(term) && first >= view.next {
            view.waiting.insert(first, operations);
        }
        loop {
            let next = view.next;
            let Some(operations) = view.waiting.remove(&next) else {
                return;
            };
            for operation in operations {
                self.apply_one(&mut view, operation);
            }
        }
    }

    fn apply_one(&self, view: &mut View, operation: Operation) {
        let position = view.next;
        let mut history = self.history.lock();
        history.applied(self.driver.copy, position, operation);
        view.next += 1;
        match operation.document {
            Some(document) => {
                let written = Document {
                    position,
                    operation,
                };
                view.documents.insert(document, written);
            }
            None => {
                view.shown = view.documents.clone();
                self.visible.send_replace(generation(view.next));
                self.shown.notify_waiters();
            }
        }
    }

    /// Returns the latest write of each document in the log, of which all below `end` was ordered.
    async fn versions(&self, end: u64) -> Result<BTreeMap<u8, Document>, Halt> {
        let (mut next, mut versions) = {
            let view = self.view.lock();
            (view.next, view.documents.clone())
        };
        while next < end {
            let page = self.log.read(self.driver.shard, SeqNo(next), 1 << 20).await;
            let page = page.map_err(|error| Halt::broken(&error))?;
            for record in &page.records {
                let operation = Operation::decode(&record.payload);
                if let Some(document) = operation.document {
                    let position = record.seq_no.0;
                    let written = Document {
                        position,
                        operation,
                    };
                    versions.insert(document, written);
                }
            }
            if page.next.0 <= next {
                return Err(Halt::Broken(format!("its log lacks operation {next}")));
            }
            next = page.next.0;
        }
        Ok(versions)
    }
}

impl CopyHost for ModelCopy {
    fn next(&self) -> SeqNo {
        SeqNo(self.view.lock().next)
    }

    fn visible(&self) -> watch::Receiver<Generation> {
        self.visible.subscribe()
    }

    async fn apply(&self, payloads: Vec<Bytes>) -> Result<(), Halt> {
        let mut view = self.view.lock();
        for payload in &payloads {
            self.apply_one(&mut view, Operation::decode(payload));
        }
        Ok(())
    }

    async fn serve(&self) -> bool {
        self.view.lock().is_serving = true;
        true
    }

    async fn lead(&self, reign: Reign) -> Result<(), Halt> {
        let versions = self.versions(reign.start.0).await?;
        *self.order.lock().await = Order {
            next: reign.start.0,
            versions,
            is_uncertain: false,
        };
        self.history.lock().lead(self.life(), reign.term);
        let mut view = self.view.lock();
        view.is_serving = true;
        view.leads = Some(reign.term);
        Ok(())
    }

    async fn step_down(&self) {
        let mut view = self.view.lock();
        view.leads = None;
        view.waiting.clear();
    }

    async fn damaged(&self, damage: String) -> Halt {
        Halt::Broken(damage)
    }

    async fn closed(&self) {
        std::future::pending::<()>().await;
    }
}

fn generation(visible: u64) -> Generation {
    Generation {
        mapping: MappingVersion(0),
        visible: SeqNo(visible),
    }
}
