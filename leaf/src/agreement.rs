//! A primary and its past: whether other copies hold records that it gave out and no longer has.
//!
//! ```text
//! <index>/<shard>.lost   a copy has shown that this primary has lost records, and which copy
//!
//! another copy's log     is held here   →  nothing
//!                        goes on        →  this copy is made from that one before it takes a write
//!                        differs        →  this copy is not opened: both hold acknowledged records,
//!                                          and an operator decides
//! ```
//!
//! A primary gives out what is durable only, so a copy that has more shows that the primary's folder is an
//! older one: a backup, or another disk's. It is found when the primary opens, by asking the copies that
//! can be reached, and whenever a copy begins to follow. The file is removed when that copy agrees, or is
//! no copy of the shard any more.
//!
//! Called by: opening of a primary, and what its followers ask. Read first: [`Leaf::agree`].

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{History, NodeId, PrimaryTerm, Relation, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use serde::{Deserialize, Serialize};

use crate::Leaf;
use crate::applier::with_causes;
use crate::fault::log_fault;
use crate::history::keep;
use crate::opening::Opening;
use crate::shard::Shard;

/// How long another copy may take to tell its history.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Loss {
    format: u32,
    /// The leaf whose copy has shown it.
    node: String,
    /// What is missing here, for people.
    reason: String,
}

/// What the copies of a shard say of its primary's log.
#[derive(Default)]
struct Verdicts {
    agreeing: Vec<NodeId>,
    /// The copy that goes on furthest.
    ahead: Option<(NodeId, History)>,
    differing: Option<(NodeId, SeqNo)>,
}

impl Leaf {
    /// Sees to it that the primary of `key` holds all that the other copies that can be reached hold.
    ///
    /// # Errors
    /// Why the copy must not be opened, and what to do.
    pub(crate) async fn agree(
        self: &Arc<Self>,
        key: ShardKey,
        opening: &Arc<Opening>,
    ) -> Result<(), String> {
        let others = self.other_copies(key);
        let loss = self.noted_loss(key)?;
        if others.is_empty() || !self.was_opened(key) {
            return self.forget_loss(key, loss.is_some());
        }
        // A damaged log is not a shorter one: what another copy holds does not replace it.
        self.log
            .tail(key)
            .await
            .map_err(|error| with_causes(&error))?;
        let own = self.own_history(key).await?;
        if own.next == SeqNo(0) && loss.is_none() {
            self.check_presence(key).await?;
        }
        let verdicts = self.verdicts_on(key, &own, &others).await;
        if let Some((node, at)) = verdicts.differing {
            let reason = differing_reason(&node, at);
            self.note_loss(key, &node, &reason).await?;
            return Err(reason);
        }
        if let Some((node, history)) = verdicts.ahead {
            let reason = ahead_reason(&node, own.next, history.next);
            self.note_loss(key, &node, &reason).await?;
            opening.tell(format!("it is made from the copy on `{node}`"));
            return self.restore(key, opening, (node, history)).await;
        }
        let Some(loss) = loss else {
            return Ok(());
        };
        let is_named = |node: &NodeId| *node.0 == *loss.node;
        if verdicts.agreeing.iter().any(is_named) || !others.iter().any(is_named) {
            return self.forget_loss(key, true);
        }
        Err(format!(
            "{}. `{}` does not answer now; the shard opens when it does",
            loss.reason, loss.node
        ))
    }

    async fn verdicts_on(&self, key: ShardKey, own: &History, others: &[NodeId]) -> Verdicts {
        let asked = others.iter().map(|node| async move {
            let peer = self.peers.replication(node)?;
            let told = tokio::time::timeout(PATIENCE, peer.history(key)).await;
            Some((node.clone(), told.ok()?.ok()?))
        });
        // It was begun to be made from another copy: what is here is not whole.
        let is_half_made = self.folders(key).incoming.exists();
        let mut verdicts = Verdicts::default();
        for (node, history) in join_all(asked).await.into_iter().flatten() {
            match self.relation(key, own, &history).await {
                Relation::Holds if !is_half_made => verdicts.agreeing.push(node),
                Relation::Unknown => {}
                Relation::Parts(at) => verdicts.differing = Some((node, at)),
                Relation::Holds | Relation::Lacks(_) => {
                    let furthest = verdicts.ahead.as_ref().map(|(_, known)| known.next);
                    if furthest.is_none_or(|known| known < history.next) {
                        verdicts.ahead = Some((node, history));
                    }
                }
            }
        }
        verdicts
    }

    /// Looks whether this primary holds what a follower does. One that does not is closed; when it is
    /// opened again it is made from the follower, if that can be.
    ///
    /// # Errors
    /// What the follower is answered.
    pub(crate) async fn check_follower(
        &self,
        shard: &Arc<Shard>,
        (follower, held): (&NodeId, &History),
        is_to_give_up: bool,
    ) -> Result<(), LeafFault> {
        let key = shard.key;
        let stopped = |reason: String| LeafFault::Stopped { shard: key, reason };
        let tail = self.log.tail(key).await;
        tail.map_err(|error| log_fault(key, &error))?;
        let own = self.own_history(key).await.map_err(stopped)?;
        let reason = match self.relation(key, &own, held).await {
            Relation::Holds => return Ok(()),
            Relation::Unknown if !is_to_give_up => return Ok(()),
            Relation::Unknown => {
                return Err(stopped(
                    "whether the primary's history holds the copy's records cannot be told: both are \
                     kept; remove the copy's folder to have it made again"
                        .to_owned(),
                ));
            }
            Relation::Lacks(from) => ahead_reason(follower, from, held.next),
            Relation::Parts(at) => differing_reason(follower, at),
        };
        tracing::error!(shard = %key, reason, "primary has lost acknowledged operations");
        let noted = self.note_loss(key, follower, &reason).await;
        noted.map_err(stopped)?;
        if let Some(leaf) = self.me.upgrade() {
            leaf.reopen(key);
        }
        Err(stopped(reason))
    }

    /// Returns the nodes of the other copies of a shard.
    pub(crate) fn other_copies(&self, key: ShardKey) -> Vec<NodeId> {
        let state = self.coordinator.state();
        let index = state.indices.get(&key.index);
        let copies = index.map(|index| index.copies_of(key.shard));
        let is_other = |node: &&NodeId| Some(*node) != self.options.node.as_ref();
        let others = copies.unwrap_or_default().iter().filter(is_other);
        others.cloned().collect()
    }

    /// Returns whether a primary of the shard was ever opened.
    pub(crate) fn was_opened(&self, key: ShardKey) -> bool {
        let state = self.coordinator.state();
        let terms = state.indices.get(&key.index).map(|i| &i.primary_terms);
        let term = terms.and_then(|terms| terms.get(key.shard.0 as usize));
        term.is_some_and(|term| *term > PrimaryTerm::default())
    }

    fn noted_loss(&self, key: ShardKey) -> Result<Option<Loss>, String> {
        let path = self.folders(key).lost;
        let content = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("`{}`: {error}", path.display()))?,
        };
        let read = serde_json::from_slice(&content);
        read.map(Some)
            .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
    }

    async fn note_loss(&self, key: ShardKey, node: &NodeId, reason: &str) -> Result<(), String> {
        let loss = Loss {
            format: 1,
            node: node.to_string(),
            reason: reason.to_owned(),
        };
        let path = self.folders(key).lost;
        let shown = path.display().to_string();
        let noted = tokio::task::spawn_blocking(move || keep(&path, &loss)).await;
        let noted = noted.map_err(|error| error.to_string())?;
        noted.map_err(|error| format!("`{shown}` cannot be written: {error}"))
    }

    fn forget_loss(&self, key: ShardKey, is_noted: bool) -> Result<(), String> {
        let path = self.folders(key).lost;
        match fs::remove_file(&path) {
            Err(error) if is_noted && error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("`{}` cannot be removed: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Forgets that the primary has lost records: they are here again.
    pub(crate) fn regain(&self, key: ShardKey) -> Result<(), String> {
        self.forget_loss(key, true)
    }
}

fn ahead_reason(node: &NodeId, own: SeqNo, other: SeqNo) -> String {
    format!(
        "this primary has lost acknowledged operations: its log ends before {own}, and the copy on \
         `{node}` holds those up to {other}. It takes no writes until it is made from that copy"
    )
}

fn differing_reason(node: &NodeId, at: SeqNo) -> String {
    format!(
        "this primary and the copy on `{node}` hold different acknowledged operations from {at} on: one of \
         them was started with an older folder and written to. Neither is given up and no writes are \
         taken. To go on with the copy's, stop both leaves and put its folders of this index in place of \
         the primary's; to go on with the primary's, remove the folders of this index from `{node}`"
    )
}
