//! The primary of a shard: what only the copy that orders the writes has.
//!
//! Does: gives writes their order and waits until what it has ordered has ended. Does not: plan them
//! ([`super::plan`]) or show them ([`super::refresh`]). Called by: the leaf, and the rest of
//! [`crate::write`]. Read first: [`Primary`].

use std::sync::Arc;
use std::time::Instant;

use gleaner_model::{Operation, OperationKind, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use tokio::sync::OwnedMutexGuard;

use super::idempotency::RequestAnswers;
use super::pending::PendingWrites;
use super::queue::{ShardRoom, WriteQueue};
use super::stopped;
use super::versions::VersionMap;
use crate::LeafOptions;
use crate::copy::shard::Shard;
use crate::node::Node;

/// What the primaries of a leaf share.
pub(crate) struct WriteResources {
    /// Room for writes under way.
    pub(crate) queue: WriteQueue,
    /// Answers to requests that may be sent again.
    pub(crate) answers: RequestAnswers,
}

impl WriteResources {
    /// Returns what the primaries of a leaf share.
    pub(crate) fn new(options: &LeafOptions) -> Self {
        Self {
            queue: WriteQueue::new(options.write_queue_bytes, options.write_patience),
            answers: RequestAnswers::default(),
        }
    }
}

/// The copy that orders a shard's writes.
pub(crate) struct Primary {
    pub(crate) shard: Arc<Shard>,
    /// Locked while writes are ordered, not while they become durable.
    pub(crate) order: Arc<tokio::sync::Mutex<WriteOrder>>,
    pub(super) shared: Arc<WriteResources>,
    /// What its writes may take.
    pub(super) room: ShardRoom,
    /// Calls that no task has taken yet.
    pub(super) pending: PendingWrites,
    /// Held while documents that lack fields are looked for: one such task a shard.
    pub(crate) mending: tokio::sync::Mutex<()>,
    /// Its term.
    term: PrimaryTerm,
    /// When it began to lead, where there was another primary before: leases that one granted run out from then on.
    pub(crate) took_over: Option<Instant>,
    /// Whether another copy leads, or a later term.
    has_ended: tokio::sync::watch::Sender<bool>,
}

/// Where a primary goes on with its writes.
pub(crate) struct WriteOrder {
    pub(crate) term: PrimaryTerm,
    /// The next operation's position.
    pub(crate) next: SeqNo,
    pub(crate) versions: VersionMap,
}

impl Primary {
    /// Returns the primary of an open copy that goes on as `order` says.
    pub(crate) fn new(shard: Arc<Shard>, order: WriteOrder, shared: Arc<WriteResources>) -> Self {
        Self {
            shard,
            term: order.term,
            took_over: None,
            has_ended: tokio::sync::watch::Sender::new(false),
            order: Arc::new(tokio::sync::Mutex::new(order)),
            room: shared.queue.for_shard(),
            shared,
            pending: PendingWrites::default(),
            mending: tokio::sync::Mutex::default(),
        }
    }

    /// Returns it as one that leads since `begun`, after another.
    pub(crate) fn after_another(self, begun: Instant) -> Self {
        Self {
            took_over: Some(begun),
            ..self
        }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.shard.node
    }

    /// Returns the term that it was opened under.
    pub(crate) fn term(&self) -> PrimaryTerm {
        self.term
    }

    /// Takes no more writes: the copy does not lead its term any more.
    pub(crate) fn end_reign(&self) {
        self.has_ended.send_replace(true);
    }

    /// Returns whether the copy does not lead its term any more.
    pub(crate) fn has_ended(&self) -> bool {
        *self.has_ended.borrow()
    }

    /// Waits until the copy does not lead its term any more.
    pub(crate) async fn ended(&self) {
        let mut ended = self.has_ended.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(ended.wait_for(|has_ended| *has_ended).await);
    }

    /// Locks the order of writes.
    pub(crate) async fn lock_order(&self) -> OwnedMutexGuard<WriteOrder> {
        Arc::clone(&self.order).lock_owned().await
    }

    /// Takes no more writes and waits for those under way. Nothing is made durable.
    pub(crate) async fn close(&self) {
        self.shard.end_driver();
        let order = self.order.lock().await;
        self.shard.pipeline.close();
        drop(order);
        self.shard.pipeline.wait_idle().await;
        self.shard.applier.close("this copy was closed");
    }

    /// Locks the order when the primary is fit to write, under the mapping and the settings of the newest cluster state
    /// that is known here: a root may have planned the write with those.
    pub(super) async fn to_order(
        &self,
        asked: PrimaryTerm,
    ) -> Result<OwnedMutexGuard<WriteOrder>, LeafFault> {
        loop {
            let mut order = self.order_with_room().await?;
            self.prepare(&mut order, asked).await?;
            if !self.shard.is_behind(&self.node().coordinator.state()) {
                return Ok(order);
            }
            drop(order);
            // One that cannot be taken over stops the shard.
            self.shard.take_meta().await;
        }
    }

    /// Locks the order when the version map has room for more; a map far beyond its bound is
    /// first made visible, at the writer's cost.
    async fn order_with_room(&self) -> Result<OwnedMutexGuard<WriteOrder>, LeafFault> {
        let bound = self.node().options.unseen_bytes;
        let order = self.lock_order().await;
        if order.versions.bytes() > bound {
            self.shard.refreshes.wanted.notify_one();
        }
        if order.versions.bytes() <= bound.saturating_mul(4) {
            return Ok(order);
        }
        drop(order);
        self.refresh().await?;
        Ok(self.lock_order().await)
    }

    /// Makes the primary fit to order writes: open, right term, known tail.
    pub(super) async fn prepare(
        &self,
        order: &mut WriteOrder,
        asked: PrimaryTerm,
    ) -> Result<(), LeafFault> {
        let shard = &self.shard;
        if let Some(reason) = shard.applier.failure() {
            return Err(stopped(shard.key, &reason));
        }
        if shard.pipeline.state().is_closed {
            return Err(LeafFault::Recovering {
                shard: shard.key,
                progress: "its copy here is being closed".to_owned(),
            });
        }
        if let Some(driver) = shard.driver() {
            let leads = !self.has_ended() && driver.wait_to_order(order.term).await;
            if !leads || shard.pipeline.state().is_uncertain {
                return Err(LeafFault::NotHere { shard: shard.key });
            }
            return Ok(());
        }
        if asked > order.term {
            return Err(LeafFault::Fenced {
                shard: shard.key,
                current: order.term,
                asked,
            });
        }
        if shard.pipeline.state().is_uncertain {
            self.resync(order).await?;
        }
        Ok(())
    }

    /// Returns an operation that no client asked for.
    pub(super) fn own_operation(&self, term: PrimaryTerm, kind: OperationKind) -> Operation {
        Operation {
            term,
            mapping: self.shard.schema.index.load().mapping.version,
            timestamp_ms: self.node().now_ms(),
            kind,
        }
    }
}
