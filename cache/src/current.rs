//! What is current: the seam to those who know what shards show.

use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::Edition;
use gleaner_query::canonical::edition::Targets;

/// What is known of the current edition without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// An answer that is evaluated now has this edition.
    Edition(Edition),
    /// Nobody can tell.
    Unknown,
    /// Other nodes can tell: [`Generations::ask`].
    Elsewhere,
}

/// Knows the edition that an answer would have if it were evaluated now.
///
/// What was acknowledged to a client as visible before a call must be in the edition that is returned, or none may be.
/// A call counts as a read of the shards, so that those that rest while nobody reads them are refreshed again.
#[async_trait]
pub trait Generations: Send + Sync {
    /// Returns what is known of the current edition of `targets`. Implementations answer from memory, at once: it is
    /// asked twice for each request.
    fn current(&self, targets: &Targets) -> Current;

    /// Asks those who know for the current edition of `targets`, for `patience` at most; `None` where nobody can tell.
    /// It is called where [`Generations::current`] says so.
    async fn ask(&self, _targets: &Targets, _patience: Duration) -> Option<Edition> {
        None
    }
}
