//! How a copy becomes primary: it opens the term that is its own, or takes over from a node that is gone.
//!
//! Only [`Change::Open`] and [`Change::TakeOver`] are claimed here. A copy that was made primary by a
//! hand-over leads as soon as the term is its fence. Whatever the answers say, the copy leads when it
//! knows an entry that names it under a term above its fence: the outcome of a claim is the entry itself.

use gleaner_model::{Entry, Revision};

use super::{Follower, Stage};
use crate::change::Change;
use crate::event::Answer;
use crate::local::{Health, Local};
use crate::request::Request;
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

/// An attempt to become primary. While there is one, the copy gives no read right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    /// Others of the in-sync set go first, and rights given to the old primary run out.
    Waiting { not_before: Moment },
    /// The change is asked for.
    Asked(Request),
}

impl Follower {
    /// Ends a claim that an entry of that revision settles.
    pub(super) fn settle_claim(&mut self, revision: Revision) {
        let goes_on =
            matches!(&self.claim, Some(Claim::Asked(request)) if !request.is_settled_by(revision));
        if !goes_on {
            self.claim = None;
        }
    }

    /// Takes an answer that leaves the revision as it is.
    pub(crate) fn answered(&mut self, answer: &Answer, local: &Local, step: &Step) {
        if let Some(Claim::Asked(request)) = &mut self.claim
            && request.settles(answer, local, step.now)
        {
            let not_before = step.now.after(local.settings.retry_pause);
            self.claim = Some(Claim::Waiting { not_before });
        }
    }

    /// Begins a claim, asks for it when it is time, and settles one of unknown outcome.
    pub(super) fn poll_claim(&mut self, local: &mut Local, step: &mut Step) {
        if let Some(Claim::Asked(request)) = &mut self.claim {
            request.touch(local, step);
            return;
        }
        let Some(change) = self.due_change(local) else {
            self.claim = None;
            return;
        };
        let not_before = match &self.claim {
            Some(Claim::Waiting { not_before }) => *not_before,
            _ => step.now.after(turn(local, &change)),
        };
        self.claim = Some(Claim::Waiting { not_before });
        if step.now >= not_before && has_given_no_right(&change, local, step.now) {
            if local.settings.omits(Rule::TakeOverFromInSync) {
                local.pretend_in_sync();
            }
            let request = Request::ask(change, local, step);
            self.claim = request.map(Claim::Asked).or(self.claim.take());
        }
    }

    /// Returns how this copy should become primary, if it should.
    fn due_change(&self, local: &Local) -> Option<Change> {
        let entry = local.entry()?;
        let (copy, fence) = (local.id(), local.fence);
        let is_sound = local.health == Health::Sound && local.is_whole;
        let is_fit = is_sound && local.is_of(entry.history);
        if !is_fit || !entry.copies.contains_key(&copy) {
            return None;
        }
        if entry.primary == copy {
            let is_due = entry.term <= fence || entry.awaits_opening();
            return is_due.then_some(Change::Open { fence });
        }
        let is_member =
            entry.in_sync.contains(&copy) || local.settings.omits(Rule::TakeOverFromInSync);
        (is_member && self.is_deserted(entry, local)).then_some(Change::TakeOver { copy, fence })
    }

    /// Returns whether the primary's node is gone.
    fn is_deserted(&self, entry: &Entry, local: &Local) -> bool {
        if local.settings.omits(Rule::TakeOverFromAbsent) {
            return matches!(self.stage, Stage::Ready { .. }) && !self.is_connected;
        }
        !local.is_alive(entry.primary)
    }
}

/// Returns how long this copy lets others go first. Ids of copies are random, so their order spreads the
/// primaries of a node that is gone; copies that have recovered go before those that have not.
fn turn(local: &Local, change: &Change) -> std::time::Duration {
    let (Change::TakeOver { .. }, Some(entry)) = (change, local.entry()) else {
        return std::time::Duration::ZERO;
    };
    let heirs = entry.in_sync.iter().filter(|id| **id != entry.primary);
    let rank = heirs.take_while(|id| **id != local.id()).count();
    let behind = if local.visible.is_some() {
        0
    } else {
        entry.in_sync.len()
    };
    local.settings.rank_delay * u32::try_from(rank + behind).unwrap_or(u32::MAX)
}

/// Returns whether no primary can hold a read right of this copy any more. Its own term is no other's.
fn has_given_no_right(change: &Change, local: &Local, now: Moment) -> bool {
    matches!(change, Change::Open { .. })
        || local.promise.has_run_out(now)
        || local.settings.omits(Rule::TakeOverFromAbsent)
}
