//! Whose fault a failure is and whether to try again: two small enums behind every error.

use serde::{Deserialize, Serialize};

/// Who caused a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Party {
    /// The request is wrong or in conflict; sending it again changes nothing.
    Client,
    /// A leaf, its disk or its log.
    Leaf,
    /// The coordinator: metadata or ownership.
    Coordinator,
    /// A broken invariant of ours.
    Internal,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// After a pause, to the same node.
    SameNode,
    /// At once, to another copy.
    OtherNode,
}

/// The kind of a failure; HTTP and gRPC codes are derived from it in one table each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FaultKind {
    /// Who caused it.
    pub party: Party,
    /// May it be tried again.
    pub retry: Retry,
}

impl FaultKind {
    /// The client's own mistake.
    pub const CLIENT: Self = Self {
        party: Party::Client,
        retry: Retry::Never,
    };
    /// A leaf that is busy: wait and try the same one.
    pub const BUSY: Self = Self {
        party: Party::Leaf,
        retry: Retry::SameNode,
    };
    /// A leaf that cannot serve: ask another copy.
    pub const LEAF: Self = Self {
        party: Party::Leaf,
        retry: Retry::OtherNode,
    };
    /// Metadata could not be read or changed.
    pub const COORDINATOR: Self = Self {
        party: Party::Coordinator,
        retry: Retry::SameNode,
    };
    /// A broken invariant.
    pub const INTERNAL: Self = Self {
        party: Party::Internal,
        retry: Retry::Never,
    };
}
