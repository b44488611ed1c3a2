//! Why the root could not answer.

use gleaner_coordinator::CoordinatorError;
use gleaner_model::{FaultKind, NameError};
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;
use gleaner_query::QueryError;

use crate::blocks::Block;
use crate::response::ShardFailure;

/// A failure of a whole request; failures of single shards or items are values in the answer.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The request cannot be understood or asked of this index.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A query of an index failed to resolve.
    #[error("{source}")]
    QueryOfIndex {
        /// The index.
        index: String,
        /// Its UUID.
        uuid: String,
        /// What is wrong.
        source: QueryError,
    },
    /// The answer would have more buckets than it may.
    #[error("{reason}")]
    TooManyBuckets {
        /// Buckets allowed.
        limit: usize,
        /// What it says to clients.
        reason: String,
    },
    /// A name or an id breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No index or alias of that name.
    #[error("no such index [{0}]")]
    IndexNotFound(String),
    /// An index or alias of that name exists.
    #[error("index [{name}/{uuid}] already exists")]
    IndexExists {
        /// The name.
        name: String,
        /// UUID of the index that bears it.
        uuid: String,
    },
    /// A data stream of that name exists.
    #[error("data_stream [{0}] already exists")]
    DataStreamExists(String),
    /// Another cluster that documents are copied from failed.
    #[error("remote cluster {reason}")]
    Remote {
        /// HTTP status of its answer; `None` where it gave none, or one that cannot be used.
        status: Option<u16>,
        /// Its address, and what happened.
        reason: String,
    },
    /// The index is closed.
    #[error("closed")]
    IndexClosed(String),
    /// A block forbids it.
    #[error("index [{index}] blocked by: [{block}];")]
    Blocked {
        /// The index.
        index: String,
        /// Which block.
        block: &'static Block,
    },
    /// Nothing of that name, of some other kind than an index.
    #[error("{reason}")]
    ResourceNotFound {
        /// The dialect's error type.
        kind: &'static str,
        /// What was not found.
        reason: String,
    },
    /// No alias of that name.
    #[error("aliases [{0}] missing")]
    AliasMissing(String),
    /// No shard could answer.
    #[error("all shards failed")]
    AllShardsFailed {
        /// Which phase: `query`, `fetch`, `open_pit`.
        phase: &'static str,
        /// Why, per shard.
        failures: Vec<ShardFailure>,
    },
    /// Some shards could not answer and the client does not accept partial answers.
    #[error("Partial shards failure")]
    PartialRefused {
        /// Why, per shard.
        failures: Vec<ShardFailure>,
    },
    /// A page of a scroll or a point in time lacks shards: going on without them would miss or repeat
    /// documents. The page can be asked for again.
    #[error("a page needs all shards of its scroll or point in time; ask again, nothing is lost")]
    PageIncomplete {
        /// Why, per shard; shards that were cut short are not listed.
        failures: Vec<ShardFailure>,
    },
    /// The answer covers less than the client accepts.
    #[error("the answer covers {share:.4} of the documents, min_coverage is {wanted}")]
    CoverageTooLow {
        /// Share wanted, 0 to 1.
        wanted: f64,
        /// Share seen for certain.
        share: f64,
        /// Why shards are missing; shards that were cut short are not listed.
        failures: Vec<ShardFailure>,
    },
    /// Copies that may lack acknowledged writes answered, and the client does not accept that.
    #[error(
        "{stale} of {total} shards may be old, as their primaries are away: allow_stale is false"
    )]
    StaleRefused {
        /// Shards that may be old.
        stale: u32,
        /// Shards that were asked.
        total: u32,
    },
    /// The scroll or point in time is gone or was never there.
    #[error("No search context found for id [{0}]")]
    ContextMissing(String),
    /// A scroll or point-in-time id cannot be read.
    #[error("{0}")]
    BadToken(String),
    /// A leaf failed a call that has no partial answer.
    #[error(transparent)]
    Leaf(#[from] LeafFault),
    /// A write was refused.
    #[error(transparent)]
    Write(#[from] WriteFault),
    /// Metadata could not be read or changed.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// Analysis settings cannot be used.
    #[error("{reason}")]
    Analysis {
        /// The dialect's error type.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No leaf serves the shard.
    #[error("primary shard is not active")]
    NoLeaf {
        /// The index.
        index: String,
        /// The shard.
        shard: u32,
    },
    /// A shard has fewer copies in sync than a write is to find.
    #[error("{0}")]
    TooFewCopies(String),
    /// An index is not as it has to be for what is asked.
    #[error("{0}")]
    WrongState(String),
    /// The time was up before the answer was made.
    #[error("the answer could not be made in time")]
    Late,
    /// A client asked to end it, or the process stops; says which.
    #[error("task cancelled [{0}]")]
    TaskCancelled(&'static str),
    /// A broken invariant.
    #[error("{0}")]
    Internal(String),
}

impl RootError {
    /// Returns the shards that failed, where they are why.
    pub(crate) fn failures(&self) -> &[ShardFailure] {
        match self {
            Self::AllShardsFailed { failures, .. }
            | Self::PartialRefused { failures }
            | Self::PageIncomplete { failures }
            | Self::CoverageTooLow { failures, .. } => failures,
            _ => &[],
        }
    }

    /// Returns whose fault it is and whether to try again.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::Leaf(fault) => fault.fault_kind(),
            Self::Coordinator(error) => error.fault_kind(),
            Self::AllShardsFailed { failures, .. }
            | Self::PartialRefused { failures }
            | Self::PageIncomplete { failures }
            | Self::CoverageTooLow { failures, .. } => failures
                .first()
                .map_or(FaultKind::LEAF, |failure| failure.fault.fault_kind()),
            Self::NoLeaf { .. } | Self::StaleRefused { .. } | Self::TooFewCopies(_) => {
                FaultKind::LEAF
            }
            Self::Late => FaultKind::BUSY,
            Self::Internal(_) => FaultKind::INTERNAL,
            Self::Query(_)
            | Self::QueryOfIndex { .. }
            | Self::TooManyBuckets { .. }
            | Self::Name(_)
            | Self::IndexNotFound(_)
            | Self::IndexExists { .. }
            | Self::DataStreamExists(_)
            | Self::Remote { .. }
            | Self::IndexClosed(_)
            | Self::Blocked { .. }
            | Self::WrongState(_)
            | Self::AliasMissing(_)
            | Self::ResourceNotFound { .. }
            | Self::ContextMissing(_)
            | Self::BadToken(_)
            | Self::Write(_)
            | Self::TaskCancelled(_)
            | Self::Analysis { .. } => FaultKind::CLIENT,
        }
    }
}
