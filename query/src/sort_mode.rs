//! Which of a document's values it is sorted by, or a function reads.

use serde::{Deserialize, Serialize};

/// Which of several values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SortMode {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// Their median.
    Median,
}
