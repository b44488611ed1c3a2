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
//! Called by: opening of a primary, and what its followers ask. Read first: [`PrimaryOpening::agree`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{History, NodeId, Relation, SeqNo};
use gleaner_proto::LeafFault;
use serde::{Deserialize, Serialize};

use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::copy::shard::Shard;
use crate::fault::log_fault;
use crate::lifecycle::recovery::PrimaryOpening;
use crate::replicate::history::keep;

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

impl Loss {
    /// Reads what is noted at `path`; `None` when nothing is.
    fn read(path: &Path) -> Result<Option<Self>, String> {
        let content = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("`{}`: {error}", path.display()))?,
        };
        let read = serde_json::from_slice(&content);
        read.map(Some)
            .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
    }

    /// Notes that the copy on `node` has shown a loss.
    async fn note(path: PathBuf, node: &NodeId, reason: &str) -> Result<(), String> {
        let loss = Self {
            format: 1,
            node: node.to_string(),
            reason: reason.to_owned(),
        };
        let shown = path.display().to_string();
        let noted = tokio::task::spawn_blocking(move || keep(&path, &loss)).await;
        let noted = noted.map_err(|error| error.to_string())?;
        noted.map_err(|error| format!("`{shown}` cannot be written: {error}"))
    }

    /// Forgets what is noted: the records are here again.
    fn forget(path: &Path) -> Result<(), String> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("`{}` cannot be removed: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// What becomes of a follower whose history the primary cannot compare with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownHistory {
    /// It goes on to follow: it gives up nothing.
    Followed,
    /// It is refused: it would give up what it holds.
    RefusedDocuments,
}

/// What the copies of a shard say of its primary's log.
#[derive(Default)]
struct Verdicts {
    agreeing: Vec<NodeId>,
    /// The copy that goes on furthest.
    ahead: Option<(NodeId, History)>,
    differing: Option<(NodeId, SeqNo)>,
}

impl PrimaryOpening {
    /// Sees to it that the primary holds all that the other copies that can be reached hold.
    ///
    /// # Errors
    /// Why the copy must not be opened, and what to do.
    pub(crate) async fn agree(&self) -> Result<(), String> {
        let (node, key) = (&self.leaf.node, self.key);
        let lost = node.folders(key).lost;
        let others = node.other_copies(key);
        let loss = Loss::read(&lost)?;
        if others.is_empty() || !node.was_opened(key) {
            return Loss::forget(&lost);
        }
        // A damaged log is not a shorter one: what another copy holds does not replace it.
        let tail = node.log.tail(key).await;
        tail.map_err(|error| with_causes(&error))?;
        let own = node.history(key).own().await?;
        if own.next == SeqNo(0) && loss.is_none() {
            self.check_presence().await?;
        }
        let verdicts = self.verdicts_on(&own, &others).await;
        if let Some((node, at)) = verdicts.differing {
            let reason = differing_reason(&node, at);
            Loss::note(lost, &node, &reason).await?;
            return Err(reason);
        }
        if let Some((node, history)) = verdicts.ahead {
            let reason = ahead_reason(&node, own.next, history.next);
            Loss::note(lost.clone(), &node, &reason).await?;
            self.opening
                .tell(format!("it is made from the copy on `{node}`"));
            self.restore(&node, &history).await?;
            return Loss::forget(&lost);
        }
        let Some(loss) = loss else {
            return Ok(());
        };
        let is_named = |node: &NodeId| *node.0 == *loss.node;
        if verdicts.agreeing.iter().any(is_named) || !others.iter().any(is_named) {
            return Loss::forget(&lost);
        }
        Err(format!(
            "{}. `{}` does not answer now; the shard opens when it does",
            loss.reason, loss.node
        ))
    }

    async fn verdicts_on(&self, own: &History, others: &[NodeId]) -> Verdicts {
        let (leaf, key) = (&self.leaf, self.key);
        let asked = others.iter().map(|node| async move {
            let peer = leaf.node.peers.replication(node)?;
            let told = tokio::time::timeout(PATIENCE, peer.history(key)).await;
            Some((node.clone(), told.ok()?.ok()?))
        });
        // It was begun to be made from another copy: what is here is not whole.
        let is_half_made = leaf.node.folders(key).incoming.exists();
        let mut verdicts = Verdicts::default();
        for (node, history) in join_all(asked).await.into_iter().flatten() {
            match leaf.node.history(key).relation_to(own, &history).await {
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
}

impl Leaf {
    /// Looks whether this primary holds what a follower does. One that does not is closed; when it is
    /// opened again it is made from the follower, if that can be.
    ///
    /// # Errors
    /// What the follower is answered.
    pub(crate) async fn check_follower(
        &self,
        shard: &Arc<Shard>,
        follower: &NodeId,
        held: &History,
        unknown: UnknownHistory,
    ) -> Result<(), LeafFault> {
        let key = shard.key;
        let stopped = |reason: String| LeafFault::Stopped { shard: key, reason };
        let tail = self.node.log.tail(key).await;
        tail.map_err(|error| log_fault(key, &error))?;
        let history = self.node.history(key);
        let own = history.own().await.map_err(stopped)?;
        let reason = match history.relation_to(&own, held).await {
            Relation::Holds => return Ok(()),
            Relation::Unknown if unknown == UnknownHistory::Followed => return Ok(()),
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
        let lost = self.node.folders(key).lost;
        let noted = Loss::note(lost, follower, &reason).await;
        noted.map_err(stopped)?;
        if let Some(leaf) = self.me.upgrade() {
            leaf.reopen(key);
        }
        Err(stopped(reason))
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
