//! The nouns every room shares: identities, documents, mappings, operations, cluster state, fault kinds.
//!
//! Does: name things once, validate them at the border ([`IndexName::parse`], [`DocumentId::parse`]),
//! and freeze what must never change (routing and tie-break hashes, the record codec).
//! Does not: read a clock, touch files or sockets, know any other room.
//! Called by every room. Read [`id`] first, then [`mapping`] and [`state`].

pub mod active_shards;
pub mod cluster_settings;
pub mod edition;
pub mod entry;
pub mod fault;
pub mod hash;
pub mod id;
pub mod lifecycle;
pub mod mapping;
pub mod metric;
pub mod names;
pub mod node_stats;
pub mod operation;
pub mod peer;
pub mod security;
pub mod settings;
pub mod slow_log;
pub mod state;
pub mod template;

pub use active_shards::ActiveShards;
pub use cluster_settings::ClusterSettings;
pub use edition::{AnswerKey, Edition};
pub use entry::{CopyMeta, Entry, EntryError};
pub use fault::{FaultKind, Party, Retry};
pub use id::{
    CopyId, DocumentId, Generation, HistoryId, Incarnation, IndexName, IndexUuid, MappingVersion,
    NameError, NodeId, NodeUuid, PrimaryTerm, Revision, SeqNo, ShardKey, ShardNumber, Version,
    is_unseen,
};
pub use lifecycle::{LifecyclePolicy, Lifecycles, PhaseMove, PolicyScope, StreamLifecycle};
pub use mapping::{
    ChosenTemplates, DateFormat, Dynamic, DynamicTemplate, Field, FieldKind, FieldPath, Mapping,
    NumberKind,
};
pub use operation::{Operation, OperationKind, RecordError};
pub use peer::{PeerRole, UnknownRole};
pub use security::{ApiKey, ClusterPrivilege, IndexPrivilege, Rights, Security};
pub use settings::{Blocks, IndexSettings, ROUTING_SLOTS};
pub use slow_log::{SlowLevel, SlowLog, Thresholds};
pub use state::{Alias, ClusterState, DataStream, IndexMeta, MAX_DELETED, NodeMeta, Role};
pub use template::Templates;
