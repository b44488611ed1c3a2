//! Memory of answers: what was fetched for one, and the bytes it is sent as, until they are written.
//!
//! Each request has an account under the node's, which queries draw on too: one request holds at most
//! `memory_per_query`, all together `query_memory`. Where the leaf is in the same process, what it finds and reads for a
//! request counts in the same account. What is reserved is given back on drop, so it goes where the bytes go.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Ledger, MemoryAccount, Reservation};
use gleaner_proto::LeafFault;

use crate::RootError;
use crate::cluster::ClusterView;

/// What the answer to one request may hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AnswerMemory(Arc<MemoryAccount>);

/// Bytes that are held for an answer; given back on drop.
#[derive(Debug)]
pub struct HeldMemory {
    reserved: Reservation,
    account: Arc<MemoryAccount>,
}

/// The memory that answers are charged to.
pub struct Accounts {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) memory: Arc<MemoryAccount>,
}

impl Accounts {
    /// Opens the account of a request's answer: the one that there is already, where this process works for the request.
    pub fn answer_memory(&self) -> AnswerMemory {
        let limit = self.cluster.options.memory_per_query_bytes;
        let open = || self.memory.child(LeafFault::QUERY_ACCOUNT, limit);
        let account = gleaner_telemetry::in_common(open);
        // In a process of several nodes another one may have been first.
        let is_own = account.is_child_of(&self.memory);
        AnswerMemory(if is_own { account } else { open() })
    }
}

impl AnswerMemory {
    /// Reserves `bytes`.
    ///
    /// # Errors
    /// [`RootError::Leaf`] with [`LeafFault::Memory`] when that is more than the request or the node may
    /// hold; nothing is reserved then.
    pub fn reserve(&self, bytes: usize) -> Result<HeldMemory, RootError> {
        let account = Arc::clone(&self.0);
        match account.reserve(bytes as u64) {
            Ok(reserved) => Ok(HeldMemory { reserved, account }),
            Err(error) => Err(no_room(&error).into()),
        }
    }

    /// Opens a ledger, for many small things.
    ///
    /// # Errors
    /// As [`AnswerMemory::reserve`].
    pub(crate) fn ledger(&self) -> Result<Arc<Ledger>, RootError> {
        let opened = Ledger::open(&self.0);
        opened.map(Arc::new).map_err(|error| no_room(&error).into())
    }

    /// Returns the bytes that are held now.
    pub fn held_bytes(&self) -> u64 {
        self.0.held_bytes()
    }
}

impl HeldMemory {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// As [`AnswerMemory::reserve`]; what was reserved before stays.
    pub fn grow(&mut self, bytes: usize) -> Result<(), RootError> {
        let grown = self.reserved.grow(bytes as u64);
        grown.map_err(|error| no_room(&error).into())
    }

    /// Gives back what is held beyond `bytes`. What is left is reserved before the rest is given back, as
    /// memory holds both while bytes are copied; where there is no room for both, all of it stays held.
    pub fn shrink_to(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes >= self.reserved.bytes() {
            return;
        }
        if let Ok(left) = self.account.reserve(bytes) {
            self.reserved = left;
        }
    }

    /// Returns `bytes`, no more than those reserved, so that they count until the last of them is dropped.
    pub fn keep(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(ReservedBytes { bytes, _held: self })
    }
}

/// Bytes with what is reserved for them.
struct ReservedBytes<T> {
    bytes: T,
    _held: HeldMemory,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for ReservedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// Returns the fault of what found no room in an account.
pub(crate) fn no_room(error: &EvaluationError) -> LeafFault {
    match error {
        EvaluationError::CircuitBreaking {
            what,
            wanted,
            limit,
        } => LeafFault::Memory {
            account: (*what).into(),
            wanted_bytes: *wanted,
            limit_bytes: *limit,
        },
        other => LeafFault::Memory {
            account: other.to_string().into(),
            wanted_bytes: 0,
            limit_bytes: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_shrinks_where_there_is_room_for_what_is_left() {
        let node = MemoryAccount::root("node", 100);
        let memory = AnswerMemory(node.child("query", 100));
        let mut held = memory.reserve(60).expect("room");
        held.shrink_to(70);
        assert_eq!(memory.held_bytes(), 60, "it does not grow");
        held.shrink_to(50);
        assert_eq!(memory.held_bytes(), 60, "there is no room for both");
        held.shrink_to(40);
        assert_eq!(memory.held_bytes(), 40);
        drop(held);
        assert_eq!(node.held_bytes(), 0);
    }
}
