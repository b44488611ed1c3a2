//! Terms that patterns stand for, as shards are asked for them.

use gleaner_model::FieldPath;
use serde::{Deserialize, Serialize};

use super::Pattern;

/// Asks for the terms a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpansionRequest {
    /// Field.
    pub field: FieldPath,
    /// Which terms.
    pub pattern: Pattern,
    /// How many at most, ≥ 1.
    pub limit: usize,
}

/// A term that a pattern stands for. Candidates are ordered by distance, then term.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpansionCandidate {
    /// Edits from the pattern's term; 0 for patterns that have none.
    pub distance: u8,
    /// The term.
    pub term: String,
    /// Live documents of the shard that hold it, ≥ 1.
    pub documents: u64,
}
