//! Whether an item may be written over what is there, in the dialect's words, and what version it gives.
//!
//! Does: conditions, creations, updates of what is missing. Does not: read documents (`plan` does).
//! Called by: `write::plan`, and by [`crate::write::idempotency`] for items that the log does not tell of.

use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_proto::write::{Condition, WriteAction, WriteFault, WriteItem};

use crate::write::update;
use crate::write::versions::Latest;

/// What is known of a document before a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownDocument {
    pub(crate) seq_no: SeqNo,
    pub(crate) term: PrimaryTerm,
    pub(crate) version: Version,
    pub(crate) is_deleted: bool,
}

impl KnownDocument {
    /// Returns what is known of a document that is there.
    pub(crate) fn live(seq_no: SeqNo, term: PrimaryTerm, version: Version) -> Self {
        Self {
            seq_no,
            term,
            version,
            is_deleted: false,
        }
    }
}

impl From<&Latest> for KnownDocument {
    fn from(latest: &Latest) -> Self {
        Self {
            seq_no: latest.seq_no,
            term: latest.term,
            version: latest.version,
            is_deleted: latest.is_deleted(),
        }
    }
}

/// Returns the version that a write gives the document.
pub(crate) fn next_version(condition: Condition, current: Option<&KnownDocument>) -> Version {
    match condition {
        Condition::ExternalGreater(version) | Condition::ExternalGreaterOrEqual(version) => version,
        Condition::None | Condition::Is { .. } | Condition::InternalVersion(_) => {
            current.map_or(Version(1), |latest| Version(latest.version.0 + 1))
        }
    }
}

/// Returns why an item may not be written over `current`, the latest write of its document. What an
/// update finds missing is told as such, whatever it asks for beside.
pub(crate) fn refusal(item: &WriteItem, current: Option<&KnownDocument>) -> Option<WriteFault> {
    let live = current.filter(|latest| !latest.is_deleted);
    if live.is_none()
        && let WriteAction::Update(update) = &item.action
        && update::when_missing(update).is_none()
    {
        let id = item.id.clone();
        return Some(WriteFault::DocumentMissing { id });
    }
    if let Err(fault) = check(item, current) {
        return Some(fault);
    }
    match (&item.action, live) {
        (WriteAction::Index { create: true, .. }, Some(live)) => Some(exists(item, live.version)),
        _ => None,
    }
}

/// Checks the item's condition against the latest write.
fn check(item: &WriteItem, current: Option<&KnownDocument>) -> Result<(), WriteFault> {
    let live = current.filter(|latest| !latest.is_deleted);
    match item.condition {
        Condition::None => Ok(()),
        Condition::Is { seq_no, term } => match live {
            Some(live) if live.seq_no == seq_no && live.term == term => Ok(()),
            Some(live) => Err(conflict(
                item,
                format!(
                    "required seqNo [{seq_no}], primary term [{term}]. current document has seqNo \
                     [{}] and primary term [{}]",
                    live.seq_no, live.term
                ),
            )),
            None => Err(conflict(
                item,
                format!(
                    "required seqNo [{seq_no}], primary term [{term}]. but no document was found"
                ),
            )),
        },
        Condition::ExternalGreater(version) => match current {
            Some(known) if known.version >= version => Err(conflict(
                item,
                format!(
                    "current version [{}] is higher or equal to the one provided [{version}]",
                    known.version
                ),
            )),
            _ => Ok(()),
        },
        Condition::ExternalGreaterOrEqual(version) => match current {
            Some(known) if known.version > version => Err(conflict(
                item,
                format!(
                    "current version [{}] is higher than the one provided [{version}]",
                    known.version
                ),
            )),
            _ => Ok(()),
        },
        Condition::InternalVersion(version) => match live {
            Some(live) if live.version == version => Ok(()),
            live => {
                let found = live.map_or("-1".to_owned(), |live| live.version.to_string());
                let reason = format!(
                    "current version [{found}] is different than the one provided [{version}]"
                );
                Err(conflict(item, reason))
            }
        },
    }
}

/// Returns the fault of a creation that finds the document, of the given version.
pub(crate) fn exists(item: &WriteItem, version: Version) -> WriteFault {
    conflict(
        item,
        format!("document already exists (current version [{version}])"),
    )
}

fn conflict(item: &WriteItem, reason: String) -> WriteFault {
    WriteFault::VersionConflict {
        id: item.id.clone(),
        reason,
    }
}
