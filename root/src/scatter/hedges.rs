//! Second requests: when they are due, where they go.

use std::time::Duration;

use tokio::time::Instant;

use super::race::{Race, Start};
use super::slot::{Dated, Hedge};
use crate::health::SILENCE;
use crate::waterfall::AttemptKind;

/// Least delay of a second request: what is faster is not worth one.
const FLOOR: Duration = Duration::from_millis(1);

/// Longest delay of a second request, whatever the times of the copies were: those of a leaf that was
/// stopped hold the time that it stood still, and another's silence must not be waited out for them.
const LONGEST: Duration = Duration::from_secs(1);

/// A call is very late after so many times the delay of its second request. Where times end as those
/// of queues do, one in two hundred is.
const VERY_LATE: f64 = 1.5;

impl<A: Dated> Race<'_, A> {
    /// Plans further requests for slots that were just sent, where there is another copy to ask.
    pub(super) fn plan_hedges(&mut self, picks: &[(usize, usize)]) {
        let Some(book) = self.rules.book else {
            return;
        };
        let now = Instant::now();
        let longest = self.rules.gather_by.saturating_duration_since(now) / 2;
        let longest = longest.min(LONGEST);
        if longest < FLOOR {
            return;
        }
        let mut book = book.open();
        for (at, _) in picks {
            let slot = &mut self.slots[*at];
            let key = (slot.asked.shard, self.rules.phase);
            let backup = book.backup(key, &slot.copies, slot.others(self.rules.phase));
            slot.hedge = backup.map(|(_, delay)| {
                let delay = delay.clamp(FLOOR, longest);
                Hedge {
                    since: now,
                    delay,
                    due: now + delay,
                }
            });
        }
    }

    /// Returns when to look again: when the first second request is due, or the first patience over, at the
    /// latest at the end.
    pub(super) fn wake_at(&self) -> Instant {
        let waiting = self.slots.iter().filter(|slot| slot.is_waiting());
        let dues = waiting.filter_map(|slot| Some(slot.hedge?.due));
        let patience = (0..self.slots.len()).filter_map(|at| self.patience_of(at));
        dues.chain(patience)
            .fold(self.rules.gather_by, Instant::min)
    }

    /// Makes the second requests that are due; returns their calls.
    pub(super) fn hedge(&mut self) -> Vec<Start> {
        let Some(book) = self.rules.book else {
            return Vec::new();
        };
        let now = Instant::now();
        let mut picks = Vec::new();
        let mut book = book.open();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let due = slot.hedge.filter(|_| slot.is_waiting());
            // Those that would be due soon go along: one call for them all.
            let Some(hedge) = due.filter(|hedge| hedge.due <= now + hedge.delay / 2) else {
                continue;
            };
            slot.hedge = None;
            let key = (slot.asked.shard, self.rules.phase);
            let Some((copy, usual)) = book.backup(key, &slot.copies, slot.others(self.rules.phase))
            else {
                continue;
            };
            let late = now - hedge.since;
            if late < SILENCE && usual >= SILENCE {
                // What is left has turned slow, queueing or out since.
                let due = hedge.since + SILENCE;
                slot.hedge = Some(Hedge { due, ..hedge });
                continue;
            }
            let is_allowed = book.may_repeat(late >= hedge.delay.mul_f64(VERY_LATE));
            if is_allowed || (late >= SILENCE && book.must_repeat()) {
                picks.push((at, copy));
            } else {
                // The budget may allow it later.
                let due = hedge.since + (hedge.due - hedge.since).mul_f64(VERY_LATE);
                slot.hedge = Some(Hedge { due, ..hedge });
            }
        }
        drop(book);
        self.launch(&picks, AttemptKind::Hedge)
    }
}
