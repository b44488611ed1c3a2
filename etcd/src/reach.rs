//! Nodes that etcd hears and roots do not reach: they lose their lease, so that others may take their shards over.
//!
//! ```text
//! a root cannot reach a node for long ── says so, under its own lease
//! more than half of the roots say so  ── one of them ends the node's lease ──▶ others take over
//! the node finds its lease over       ── registers again once that is no more than half
//! ```
//!
//! Nothing is written while all is well. What a root says is of one process of the node: the next one registers at once.
//! Does: count, end leases. Does not: find out who can be reached (`cli` does). Read first: [`Complaints::file`].

use std::collections::HashSet;

use bytes::Bytes;
use gleaner_coordinator::CoordinatorError;
use gleaner_model::{Incarnation, NodeUuid, PeerRole};
use gleaner_proto::etcd::{Client, Fault, LeaseId, Listing, Operation, Range, Transaction};
use tokio::sync::watch;

use crate::error_of;
use crate::keys::Keys;
use crate::session::AliveValue;
use crate::value::{ALIVE, UNREACHABLE};

/// By what a root says which nodes it cannot reach. Clones say it for the same root.
#[derive(Clone)]
pub struct Complaints {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    /// The name of the root among those that show a version.
    pub(crate) process: String,
    pub(crate) lease: watch::Receiver<Option<LeaseId>>,
}

impl Complaints {
    /// Says that this root cannot reach the process `incarnation` of a node, and ends the lease of that process where more than
    /// half of the roots that are alive say so. Returns whether it has. To be called again while the node is not reached.
    ///
    /// # Errors
    /// [`CoordinatorError`] when etcd does not answer or refuses.
    pub async fn file(
        &self,
        node: NodeUuid,
        incarnation: Incarnation,
    ) -> Result<bool, CoordinatorError> {
        let filed = self.try_file(node, incarnation).await;
        filed.map_err(error_of)
    }

    async fn try_file(&self, node: NodeUuid, incarnation: Incarnation) -> Result<bool, Fault> {
        let Some(lease) = *self.lease.borrow() else {
            return Ok(false);
        };
        let key = self.keys.unreachable(node, &self.process);
        let value = UNREACHABLE.encode(&AliveValue { incarnation }, None);
        let value = Bytes::from(value.expect("a name has a form"));
        let known = self.client.range(Range::key(&key)).await?.pairs;
        let is_known = |known: &gleaner_proto::etcd::KeyValue| {
            known.value == value && known.lease == Some(lease)
        };
        if !known.first().is_some_and(is_known) {
            let put = Operation::Put {
                key,
                value,
                lease: Some(lease),
            };
            self.change(put).await?;
        }
        if !is_out_of_reach(&self.client, &self.keys, node, incarnation).await? {
            return Ok(false);
        }
        let alive = self
            .client
            .range(Range::key(&self.keys.alive(node)))
            .await?;
        let is_meant = |value: &[u8]| is_of(ALIVE.decode(value), incarnation);
        let mut meant = alive.pairs.into_iter().filter(|pair| is_meant(&pair.value));
        match meant.next().and_then(|pair| pair.lease) {
            Some(lease) => self.client.revoke(lease).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Says no more that this root cannot reach a node.
    ///
    /// # Errors
    /// [`CoordinatorError`] when etcd does not answer: to be tried again.
    pub async fn withdraw(&self, node: NodeUuid) -> Result<(), CoordinatorError> {
        let key = self.keys.unreachable(node, &self.process);
        self.change(Operation::Delete { key })
            .await
            .map_err(error_of)
    }

    async fn change(&self, operation: Operation) -> Result<(), Fault> {
        let transaction = Transaction {
            compares: Vec::new(),
            operations: vec![operation],
        };
        self.client.transaction(transaction).await.map(drop)
    }
}

/// Returns whether more than half of the roots that are alive say that they cannot reach the process `incarnation` of a
/// node.
pub(crate) async fn is_out_of_reach(
    client: &Client,
    keys: &Keys,
    node: NodeUuid,
    incarnation: Incarnation,
) -> Result<bool, Fault> {
    let prefix = keys.unreachable_of(node);
    let mut complaints = client.range(Range::prefix(&prefix)).await?;
    complaints
        .pairs
        .retain(|pair| is_of(UNREACHABLE.decode(&pair.value), incarnation));
    if complaints.pairs.is_empty() {
        return Ok(false);
    }
    let shown = keys.shown("");
    let roots = client.range(Range::prefix(&keys.shown_by(PeerRole::Root)));
    let roots = roots.await?;
    let roots: HashSet<&[u8]> = names(&roots, &shown).collect();
    let complaining = names(&complaints, &prefix).filter(|root| roots.contains(root));
    Ok(complaining.count() * 2 > roots.len())
}

fn is_of(value: Result<AliveValue, String>, incarnation: Incarnation) -> bool {
    value.is_ok_and(|value| value.incarnation == incarnation)
}

/// Returns what keys are called behind `prefix`.
fn names<'a>(listing: &'a Listing, prefix: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = listing.pairs.iter();
    pairs.filter_map(|pair| pair.key.strip_prefix(prefix.as_bytes()))
}
