//! How a shard's entry may change: every change there is, with its conditions in one function.
//!
//! Does: make the next entry from an entry and a [`Change`], or refuse.
//! Does not: know *when* a change is due (the machines do), talk to the coordinator.
//! Called by the machines, and by whatever makes, places, forces and deletes shards. A change is always
//! stored by compare-and-swap on the revision of the entry that it was made from.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{CopyId, CopyMeta, Entry, HistoryId, NodeUuid, PrimaryTerm};

/// A change of a shard's entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// Only the version grows: settles what became of a change whose outcome is unknown.
    Touch,
    /// The first entry of a new shard. Nothing was ever written, so the primary alone is in sync.
    Create {
        /// The primary.
        primary: CopyId,
        /// All copies, the primary among them.
        copies: BTreeMap<CopyId, CopyMeta>,
    },
    /// The primary's leaf opens its copy: a new term above the old one and above its own fence.
    Open {
        /// The fence of the primary's log.
        fence: PrimaryTerm,
    },
    /// The primary takes a copy out of the in-sync set.
    Shrink {
        /// The copy.
        copy: CopyId,
    },
    /// The primary takes a copy into the in-sync set.
    Grow {
        /// The copy.
        copy: CopyId,
    },
    /// A member of the in-sync set becomes primary because the old one's node is gone.
    TakeOver {
        /// The member.
        copy: CopyId,
        /// The fence of its log.
        fence: PrimaryTerm,
    },
    /// The primary gives its role to a member of the in-sync set.
    HandOver {
        /// The member.
        to: CopyId,
    },
    /// As [`Change::HandOver`], because the primary's log or data has failed, or its disk is stuck. It leaves the in-sync
    /// set with its role: nothing waits until it confirms what it cannot.
    Resign {
        /// The member.
        to: CopyId,
    },
    /// The controller adds and removes copies.
    Place {
        /// New copies.
        add: BTreeMap<CopyId, CopyMeta>,
        /// Copies that go.
        remove: BTreeSet<CopyId>,
    },
    /// An operator makes a copy primary although it may lack acknowledged writes: what it holds begins another history.
    Force {
        /// The copy.
        copy: CopyId,
        /// Another history than any before.
        history: HistoryId,
    },
    /// An operator has the shard begin again without records, in a new copy, which replaces that of its node.
    ForceEmpty {
        /// The new copy.
        copy: CopyId,
        /// Its node.
        node: NodeUuid,
        /// Another history than any before.
        history: HistoryId,
    },
    /// The shard is deleted.
    Delete,
}

/// Why a change was refused; the entry stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no entry to change.
    #[error("the shard has no entry")]
    NoEntry,
    /// The shard has an entry already.
    #[error("the shard has an entry already")]
    Exists,
    /// The copy is not one of the entry.
    #[error("copy {0} is not a copy of the shard")]
    UnknownCopy(CopyId),
    /// A copy of that id is there already.
    #[error("the shard has a copy {0} already")]
    KnownCopy(CopyId),
    /// The change needs a member of the in-sync set.
    #[error("copy {0} is not in sync")]
    NotInSync(CopyId),
    /// The copy is in the in-sync set already.
    #[error("copy {0} is in sync already")]
    InSync(CopyId),
    /// The copy is made for reads only.
    #[error("copy {0} is a learner")]
    Learner(CopyId),
    /// The change would take the primary away, or name it where another copy is meant.
    #[error("copy {0} is the primary")]
    Primary(CopyId),
    /// The in-sync set would fall below its bound.
    #[error("the in-sync set would fall to {left}, below `min_in_sync` {min_in_sync}")]
    TooFew {
        /// Members that would be left.
        left: usize,
        /// The bound.
        min_in_sync: usize,
    },
    /// A term or version has no next number.
    #[error("the numbers of the entry are exhausted")]
    Exhausted,
}

impl Change {
    /// Returns the entry after the change, `None` where it deletes the entry. `min_in_sync` is the
    /// index's setting, ≥ 1.
    ///
    /// What is *not* checked here, as it is no part of the entry: that the asker is the right one, that a
    /// joining copy holds all that it must, that the old primary's node is gone.
    ///
    /// # Errors
    /// [`Refusal`], the condition that does not hold.
    pub fn apply(
        &self,
        entry: Option<&Entry>,
        min_in_sync: usize,
    ) -> Result<Option<Entry>, Refusal> {
        let entry = match (self, entry) {
            (Self::Create { primary, copies }, None) => return created(*primary, copies).map(Some),
            (Self::Create { .. }, Some(_)) => return Err(Refusal::Exists),
            (_, None) => return Err(Refusal::NoEntry),
            (Self::Delete, Some(_)) => return Ok(None),
            (_, Some(entry)) => entry,
        };
        let mut next = entry.clone();
        next.version = entry.version.checked_add(1).ok_or(Refusal::Exhausted)?;
        match self {
            Self::Touch | Self::Create { .. } | Self::Delete => {}
            Self::Open { fence } => open(&mut next, *fence)?,
            Self::Shrink { copy } => {
                require_in_sync(entry, *copy)?;
                take_out(&mut next, *copy, min_in_sync)?;
            }
            Self::Grow { copy } => grow(&mut next, *copy)?,
            Self::TakeOver { copy, fence } => {
                require_other_in_sync(entry, *copy)?;
                next.term = above(entry.term.max(*fence))?;
                replace_primary(&mut next, *copy, min_in_sync);
            }
            Self::HandOver { to } => {
                require_other_in_sync(entry, *to)?;
                next.term = above(entry.term)?;
                next.primary = *to;
            }
            Self::Resign { to } => {
                require_other_in_sync(entry, *to)?;
                next.term = above(entry.term)?;
                replace_primary(&mut next, *to, min_in_sync);
            }
            Self::Place { add, remove } => place(&mut next, add, remove, min_in_sync)?,
            Self::Force { copy, history } => {
                require_copy(entry, *copy)?;
                force(&mut next, *copy, *history)?;
            }
            Self::ForceEmpty {
                copy,
                node,
                history,
            } => {
                next.copies.retain(|_, meta| meta.node != *node);
                let meta = CopyMeta {
                    empty: true,
                    ..CopyMeta::on(*node)
                };
                if next.copies.insert(*copy, meta).is_some() {
                    return Err(Refusal::KnownCopy(*copy));
                }
                force(&mut next, *copy, *history)?;
            }
        }
        Ok(Some(next))
    }

    /// Returns the node whose `alive` key the transaction must find absent, for the change of `entry`.
    pub fn absent_node(&self, entry: &Entry) -> Option<NodeUuid> {
        match self {
            Self::TakeOver { .. } => entry.node_of(entry.primary),
            _ => None,
        }
    }

    /// Returns whether the primary must have given up its read rights before it asks for this.
    pub fn gives_role_away(&self) -> bool {
        matches!(self, Self::HandOver { .. } | Self::Resign { .. })
    }
}

/// The primary is opened under a term of its own. From then on its folder holds what it should.
fn open(next: &mut Entry, fence: PrimaryTerm) -> Result<(), Refusal> {
    next.term = above(next.term.max(fence))?;
    if let Some(primary) = next.copies.get_mut(&next.primary) {
        primary.empty = false;
    }
    Ok(())
}

/// Makes a copy primary, alone in sync, and begins another history with what it holds.
fn force(next: &mut Entry, copy: CopyId, history: HistoryId) -> Result<(), Refusal> {
    next.term = above(next.term)?;
    next.forced.push(next.term);
    next.history = history;
    next.primary = copy;
    next.in_sync = [copy].into();
    Ok(())
}

/// Makes a member primary, and takes the old one out of the in-sync set. At the bound that one stays: it holds all that
/// was acknowledged.
fn replace_primary(next: &mut Entry, primary: CopyId, min_in_sync: usize) {
    if next.in_sync.len() > min_in_sync {
        next.in_sync.remove(&next.primary);
    }
    next.primary = primary;
}

fn created(primary: CopyId, copies: &BTreeMap<CopyId, CopyMeta>) -> Result<Entry, Refusal> {
    let entry = Entry::first(primary, copies.clone());
    require_copy(&entry, primary)?;
    Ok(entry)
}

fn grow(next: &mut Entry, copy: CopyId) -> Result<(), Refusal> {
    require_copy(next, copy)?;
    if next.in_sync.insert(copy) {
        Ok(())
    } else {
        Err(Refusal::InSync(copy))
    }
}

fn place(
    next: &mut Entry,
    add: &BTreeMap<CopyId, CopyMeta>,
    remove: &BTreeSet<CopyId>,
    min_in_sync: usize,
) -> Result<(), Refusal> {
    for copy in remove {
        if next.in_sync.contains(copy) {
            take_out(next, *copy, min_in_sync)?;
        }
        let removed = next.copies.remove(copy);
        removed.ok_or(Refusal::UnknownCopy(*copy))?;
    }
    for (copy, meta) in add {
        if next.copies.insert(*copy, meta.clone()).is_some() {
            return Err(Refusal::KnownCopy(*copy));
        }
    }
    Ok(())
}

/// Takes a member out of the in-sync set.
fn take_out(next: &mut Entry, copy: CopyId, min_in_sync: usize) -> Result<(), Refusal> {
    if copy == next.primary {
        return Err(Refusal::Primary(copy));
    }
    next.in_sync.remove(&copy);
    let left = next.in_sync.len();
    if left < min_in_sync {
        return Err(Refusal::TooFew { left, min_in_sync });
    }
    Ok(())
}

fn above(term: PrimaryTerm) -> Result<PrimaryTerm, Refusal> {
    let next = term.0.checked_add(1);
    next.map(PrimaryTerm).ok_or(Refusal::Exhausted)
}

fn require_in_sync(entry: &Entry, copy: CopyId) -> Result<(), Refusal> {
    let is_member = entry.in_sync.contains(&copy);
    is_member.then_some(()).ok_or(Refusal::NotInSync(copy))
}

fn require_other_in_sync(entry: &Entry, copy: CopyId) -> Result<(), Refusal> {
    if copy == entry.primary {
        return Err(Refusal::Primary(copy));
    }
    require_in_sync(entry, copy)
}

/// Refuses a copy that the entry does not have, or that is a learner.
fn require_copy(entry: &Entry, copy: CopyId) -> Result<(), Refusal> {
    match entry.copies.get(&copy) {
        None => Err(Refusal::UnknownCopy(copy)),
        Some(meta) if meta.learner => Err(Refusal::Learner(copy)),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
