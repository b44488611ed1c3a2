//! `sampler` and `diversified_sampler`.

use serde::Serialize;

use super::ValueSource;

/// `sampler` and `diversified_sampler`: the best documents, by score, of all shards together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplerAggregation {
    /// Documents taken, of all shards together; default 100, 1 to [`Self::MAX_SIZE`].
    pub size: usize,
    /// Which documents are too much alike; `None` for `sampler`.
    pub diversity: Option<Diversity>,
}

impl SamplerAggregation {
    /// Most documents that are taken. A shard sends what it has computed of each.
    pub const MAX_SIZE: u64 = 10_000;
}

/// Which documents of a sample are too much alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diversity {
    /// Values; documents without one have one in common.
    pub source: ValueSource,
    /// Documents taken of one value, the best ones; default 1.
    pub max_docs_per_value: usize,
}
