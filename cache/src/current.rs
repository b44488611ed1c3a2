//! What is current: the seam to those who know what shards show.

use gleaner_model::Edition;
use gleaner_query::canonical::edition::Targets;

/// Knows the edition that an answer would have if it were evaluated now.
///
/// Implementations answer from memory, at once: it is asked twice for each request. What was acknowledged to a client
/// as visible before the call must be in the edition that is returned, or none may be. A call counts as a read of the
/// shards, so that those that rest while nobody reads them are refreshed again.
pub trait Generations: Send + Sync {
    /// Returns the current edition of `targets`; `None` where nobody can tell.
    fn current(&self, targets: &Targets) -> Option<Edition>;
}
