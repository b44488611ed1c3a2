//! Answers that count only where no other copy gives a better one.
//!
//! A search takes the answer of any copy: one that may lack acknowledged writes says so, and the next search may go
//! elsewhere. A view that is pinned stays what it is, so the other copies are asked before such a view is taken.

use std::time::Duration;

use tokio::time::Instant;

use super::race::{Pick, Race};
use super::slot::{Answer, Dated};

/// Longest wait for a better answer, within half of the time left: a primary that rests refreshes first, and one that is
/// away says nothing at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer that is kept until the other copies have been asked.
pub(super) struct LastResort<A> {
    answer: Answer<A>,
    /// Until when those are waited for.
    pub(super) patience: Instant,
}

impl<A: Dated> Race<'_, A> {
    /// Keeps an answer of a slot that waits for a better one; returns the copy to ask next, if one is to be asked now.
    /// Where none is left and none is under way, the first that was kept counts.
    pub(super) fn keep_last_resort(&mut self, at: usize, answer: Answer<A>) -> Option<Pick> {
        let now = Instant::now();
        let left = self.rules.gather_by.saturating_duration_since(now);
        let patience = now + PATIENCE.min(left / 2);
        let slot = &mut self.slots[at];
        slot.last_resort
            .get_or_insert(LastResort { answer, patience });
        let is_alone = slot.num_open == 0;
        let next = self.next_copy(at);
        if next.is_none() && is_alone {
            self.take_last_resort(at);
        }
        next
    }

    /// Settles a slot with the answer that was kept of it; returns whether there was one.
    pub(super) fn take_last_resort(&mut self, at: usize) -> bool {
        let Some(kept) = self.slots[at].last_resort.take() else {
            return false;
        };
        self.settle(at, Ok(kept.answer));
        true
    }
}
