//! etcd as a client sees it: keys read, changed by transactions and watched, and leases.
//!
//! Does: make the calls on any member of an etcd, go on to the next member where one does not answer, and tell a
//! change that surely was not made from one of which nobody knows; say which user may do what, and what each member
//! says of itself. Does not: begin a watch again, renew a lease by
//! itself, know what keys mean (the crate `etcd` does). Messages of etcd stay inside this folder.
//! Read first: [`Client`].

mod client;
mod fault;
mod members;
mod status;
mod users;
mod watch;
mod wire;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use client::Client;
pub use fault::Fault;
pub use status::{Database, MemberAnswer, MemberStatus};
pub use users::{Grant, Right};
pub use watch::Watch;

/// Most operations, and most comparisons, of a transaction: the default of etcd's `--max-txn-ops`.
pub const MAX_OPERATIONS: usize = 128;

/// Most bytes of a transaction: the default of etcd's `--max-request-bytes`, 1.5 MiB, without what etcd adds.
pub const MAX_TRANSACTION_BYTES: usize = (3 << 19) - 1_024;

/// A position in the history of all keys of an etcd, ≥ 1; each transaction that changes something has the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub i64);

impl Revision {
    /// Returns the one behind it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a lease for as long as it lasts; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// A lease as it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// How long it lasts without being renewed. A member may grant more than was asked for; whole seconds.
    pub lasts: Duration,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// When it was changed last.
    pub revision: Revision,
    /// The lease that it ends with.
    pub lease: Option<LeaseId>,
}

/// Which keys to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    first: Bytes,
    /// Empty for the one key.
    end: Bytes,
    at: Option<Revision>,
    limit: u32,
}

impl Range {
    /// Reads one key.
    pub fn key(key: &str) -> Self {
        Self {
            first: Bytes::copy_from_slice(key.as_bytes()),
            end: Bytes::new(),
            at: None,
            limit: 0,
        }
    }

    /// Reads all keys that begin with `prefix`, which is not empty, in order.
    pub fn prefix(prefix: &str) -> Self {
        Self {
            end: end_of(prefix),
            ..Self::key(prefix)
        }
    }

    /// Reads what comes behind `key`.
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        Self {
            first: [key, &[0]].concat().into(),
            ..self
        }
    }

    /// Reads as it was at `revision` instead of as it is now.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self {
            at: Some(revision),
            ..self
        }
    }

    /// Reads so many keys at most, ≥ 1.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }
}

/// Returns the first key behind all that begin with `prefix`.
fn end_of(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end.into();
        }
    }
    // To etcd, a range up to this key is one up to the last key.
    Bytes::from_static(&[0])
}

/// Keys that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// When they were like this: the revision asked for, or the newest.
    pub revision: Revision,
    /// The keys, in order.
    pub pairs: Vec<KeyValue>,
    /// Whether the limit left keys out.
    pub has_more: bool,
}

/// What must hold for a transaction to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// When it was changed last; `None` where it must not be there.
    pub revision: Option<Revision>,
}

/// A change of one key, or the removal of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Gives the key a value.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
        /// The lease that the key ends with.
        lease: Option<LeaseId>,
    },
    /// Removes the key.
    Delete {
        /// The key.
        key: String,
    },
    /// Removes all keys that begin with something, which is not empty.
    DeletePrefix {
        /// What they begin with.
        prefix: String,
    },
}

/// Changes that are made together, at one revision, where all comparisons hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// What must hold; at most [`MAX_OPERATIONS`].
    pub compares: Vec<Compare>,
    /// What is changed, each key once; at most [`MAX_OPERATIONS`].
    pub operations: Vec<Operation>,
}

/// What became of a transaction that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The changes were made.
    Committed(Revision),
    /// A comparison did not hold, and nothing was changed.
    Conflict,
}

/// A change of a key that was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// When.
    pub revision: Revision,
    /// Its value from then on; `None` where it was removed.
    pub value: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_behind_the_last_key_of_its_prefix() {
        assert_eq!(end_of("/gleaner/a/"), Bytes::from_static(b"/gleaner/a0"));
        assert_eq!(end_of("a\u{7f}"), Bytes::from_static(b"a\x80"));
        assert_eq!(end_of(""), Bytes::from_static(&[0]), "of all keys");
        let page = Range::prefix("a/").after(b"a/b").limit(2);
        assert_eq!(
            (&page.first[..], &page.end[..]),
            (&b"a/b\0"[..], &b"a0"[..])
        );
    }
}
