//! Why a leaf did not answer for a shard.

use std::borrow::Cow;

use gleaner_model::{FaultKind, Party, PrimaryTerm, Retry, SeqNo, ShardKey};

/// A leaf's refusal or failure, per shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafFault {
    /// The leaf does not hold the shard.
    #[error("shard {shard} is not on this leaf")]
    NotHere {
        /// The shard asked for.
        shard: ShardKey,
    },
    /// The leaf could not be reached, or the connection broke before it answered.
    #[error("the leaf of shard {shard} cannot be reached: {reason}")]
    Unreachable {
        /// The shard asked for.
        shard: ShardKey,
        /// Why.
        reason: String,
    },
    /// The copy did not show what was wanted in time.
    #[error(
        "this copy of shard {shard} shows operations below {visible}, those below {wanted} are wanted"
    )]
    Behind {
        /// The shard asked for.
        shard: ShardKey,
        /// What the request needs to be visible.
        wanted: SeqNo,
        /// What is visible.
        visible: SeqNo,
    },
    /// The shard is being recovered from its log.
    #[error("shard {shard} is recovering: {progress}")]
    Recovering {
        /// The shard asked for.
        shard: ShardKey,
        /// How far it is, for people.
        progress: String,
    },
    /// What a write needs could not be agreed, as new fields: the cluster state cannot be changed now. Nothing was written.
    #[error("shard {shard}: {reason}")]
    NotAgreed {
        /// The shard asked for.
        shard: ShardKey,
        /// What could not be agreed, and why.
        reason: String,
    },
    /// The shard cannot be opened or has stopped; says why.
    #[error("shard {shard} has stopped: {reason}")]
    Stopped {
        /// The shard asked for.
        shard: ShardKey,
        /// Why.
        reason: String,
    },
    /// The deadline passed before there was an answer, of a search or a fetch.
    #[error("deadline passed before shard {shard} had answered")]
    DeadlinePassed {
        /// The shard asked for.
        shard: ShardKey,
    },
    /// The queue of the leaf is full.
    #[error("rejected: {}", full(queue, *capacity))]
    Rejected {
        /// Which queue.
        queue: Cow<'static, str>,
        /// Its capacity: bytes of `write`, else how many.
        capacity: usize,
    },
    /// A memory limit would be passed.
    #[error("[{account}] data too large: {wanted_bytes} bytes wanted, limit is {limit_bytes}")]
    Memory {
        /// Which account.
        account: Cow<'static, str>,
        /// Bytes in use with the request.
        wanted_bytes: u64,
        /// Limit in bytes.
        limit_bytes: u64,
    },
    /// The view is not there any more.
    #[error("No search context found for view {view} of shard {shard}")]
    ViewMissing {
        /// The shard.
        shard: ShardKey,
        /// The view.
        view: u64,
    },
    /// The request was made for another primary term.
    #[error("shard {shard} is at primary term {current}, the request was made for {asked}")]
    Fenced {
        /// The shard.
        shard: ShardKey,
        /// Term in force.
        current: PrimaryTerm,
        /// Term of the request.
        asked: PrimaryTerm,
    },
    /// The query cannot be evaluated on this index: the dialect's type and reason.
    #[error("{reason}")]
    BadQuery {
        /// The dialect's error type, for example `query_shard_exception`.
        kind: Cow<'static, str>,
        /// What is wrong.
        reason: String,
    },
    /// The disk is full: writes are refused until there is room.
    #[error("shard {shard}: the disk is full, no space left for its log")]
    DiskFull {
        /// The shard.
        shard: ShardKey,
    },
    /// The outcome of a write is unknown; send it again with the same producer sequence.
    #[error("shard {shard}: outcome of the write is unknown: {reason}")]
    Indeterminate {
        /// The shard.
        shard: ShardKey,
        /// Why.
        reason: String,
    },
    /// The leaf is of another version and does not know what was asked for.
    #[error("the leaf's version does not support it: {what}")]
    Unsupported {
        /// What it does not know.
        what: String,
    },
    /// The request or its answer is larger than a message may be.
    #[error("message too large: {reason}")]
    TooLarge {
        /// How large it is, and the limit.
        reason: String,
    },
    /// A broken invariant or an I/O failure.
    #[error("shard {shard}: {reason}")]
    Internal {
        /// The shard.
        shard: ShardKey,
        /// What happened.
        reason: String,
    },
}

impl LeafFault {
    /// Returns the fault of the leaf `node`: one that cannot be reached is named.
    #[must_use]
    pub fn of_node(self, node: &str) -> Self {
        match self {
            Self::Unreachable { shard, reason } => Self::Unreachable {
                shard,
                reason: format!("[{node}] {reason}"),
            },
            fault => fault,
        }
    }

    /// The account of one query, which no other draws on: what does not fit there never will.
    pub const QUERY_ACCOUNT: &str = "request";

    /// The queue of a search that began again too often.
    pub const RESTARTS: &str = "search restarts";

    /// Returns whether the same request is refused again however long one waits.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Memory { account, .. } if account == Self::QUERY_ACCOUNT)
    }

    /// Returns whose fault it is and whether to try again.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::NotHere { .. }
            | Self::Unreachable { .. }
            | Self::Behind { .. }
            | Self::Recovering { .. }
            | Self::Stopped { .. }
            | Self::Unsupported { .. } => FaultKind::LEAF,
            Self::DeadlinePassed { .. } | Self::Rejected { .. } | Self::Memory { .. } => {
                FaultKind::BUSY
            }
            Self::ViewMissing { .. } | Self::BadQuery { .. } | Self::TooLarge { .. } => {
                FaultKind::CLIENT
            }
            Self::Fenced { .. } | Self::NotAgreed { .. } => FaultKind::COORDINATOR,
            Self::DiskFull { .. } | Self::Indeterminate { .. } => FaultKind {
                party: Party::Leaf,
                retry: Retry::SameNode,
            },
            Self::Internal { .. } => FaultKind::INTERNAL,
        }
    }
}

/// Returns what fills a queue, by what is counted there.
fn full(queue: &str, capacity: usize) -> String {
    match queue {
        "write" => format!("writes under way take all of the {capacity} bytes there are for them"),
        "search" => format!("{capacity} searches of shards wait for a thread already"),
        LeafFault::RESTARTS => format!(
            "the search began again {capacity} times, as what its shards showed was gone each time; \
             send it again"
        ),
        "log" => "the queue of the log is full".to_owned(),
        _ => format!("there are {capacity} {queue} already"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_told_by_what_is_counted() {
        let told = |queue: &'static str, capacity| {
            let queue = queue.into();
            LeafFault::Rejected { queue, capacity }.to_string()
        };
        let bytes = "rejected: writes under way take all of the 1048576 bytes there are for them";
        assert_eq!(told("write", 1_048_576), bytes);
        let contexts = "rejected: there are 500 open contexts already";
        assert_eq!(told("open contexts", 500), contexts);
        let searches = "rejected: 2 searches of shards wait for a thread already";
        assert_eq!(told("search", 2), searches);
    }

    #[test]
    fn what_one_query_has_no_memory_for_is_refused_for_good() {
        let of = |account: &'static str| LeafFault::Memory {
            account: account.into(),
            wanted_bytes: 2,
            limit_bytes: 1,
        };
        assert!(of(LeafFault::QUERY_ACCOUNT).is_permanent());
        assert!(!of("parent").is_permanent());
    }
}
