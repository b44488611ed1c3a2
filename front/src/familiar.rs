//! Requests whose like a backend answered a moment ago, and outlived.
//!
//! A backend whose connection breaks may have died of the request. One like those that it answered within the last minute it
//! did not die of, as far as anyone can tell: it was under way beside the one that did. Such a request may go to another
//! backend.
//!
//! Does: remember, by a hash and for [`FOR`]. Does not: say what is alike. Read first: [`Familiar`].

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer counts: what a request costs depends on data, which change.
const FOR: Duration = Duration::from_secs(60);

/// Hashes that are kept, 8 bytes each; another one with the same lowest bits takes the place of one.
const PLACES: usize = 1 << 14;

/// The bits of a place that say when, in seconds; the others are of the hash.
const SECONDS: u64 = (1 << 24) - 1;

/// What requests are alike by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Likeness(u64);

/// Requests that were answered lately.
#[derive(Debug)]
pub(crate) struct Familiar {
    began: Instant,
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

impl Default for Familiar {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Familiar {
    /// Returns the likeness of requests of which `parts` are the same.
    pub(crate) fn likeness(&self, parts: impl Hash) -> Likeness {
        Likeness(self.hasher.hash_one(parts))
    }

    /// Notes that a request was answered.
    pub(crate) fn note(&self, Likeness(hash): Likeness) {
        self.place(hash)
            .store(hash & !SECONDS | self.now(), Relaxed);
    }

    /// Returns whether one like it was answered lately.
    pub(crate) fn knows(&self, Likeness(hash): Likeness) -> bool {
        let noted = self.place(hash).load(Relaxed);
        let age = self.now().saturating_sub(noted & SECONDS);
        noted & !SECONDS == hash & !SECONDS && age < FOR.as_secs()
    }

    /// Forgets what is like a request.
    pub(crate) fn forget(&self, Likeness(hash): Likeness) {
        self.place(hash).store(0, Relaxed);
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[hash as usize % PLACES]
    }

    /// Seconds since it began, and one: what is empty is older than anything.
    fn now(&self) -> u64 {
        (self.began.elapsed().as_secs() + 1 + FOR.as_secs()) & SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_is_known_for_a_minute_or_until_it_is_forgotten() {
        let familiar = Familiar::default();
        let [one, other] = ["one", "other"].map(|path| familiar.likeness(("GET", path)));
        assert!(!familiar.knows(one) && !familiar.knows(other));
        familiar.note(one);
        familiar.note(other);
        familiar.forget(other);
        assert!(familiar.knows(one) && !familiar.knows(other));
        tokio::time::advance(FOR - Duration::from_secs(1)).await;
        assert!(familiar.knows(one));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!familiar.knows(one));
    }
}
