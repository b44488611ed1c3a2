//! How a primary changes the entry: copies out of the in-sync set and into it, its own role to another.
//!
//! One change at a time. A sick primary asks for none of its set: it must not declare the healthy ones
//! stale (Kafka's KIP-501, OpenSearch 803).

use std::time::Duration;

use gleaner_model::{CopyId, SeqNo};

use super::Primary;
use super::peer::Contact;
use crate::change::Change;
use crate::event::Answer;
use crate::local::{Health, Local};
use crate::request::Request;
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

/// How long the own log may take to sync before the primary counts as sick.
const SYNC_PATIENCE: Duration = Duration::from_secs(1);

/// How long it may take before the primary gives its role away: longer than a follower is waited for, as a fail-over costs
/// more than a follower that joins again.
const STUCK_PATIENCE: Duration = Duration::from_secs(4);

/// A hand-over that holds writes back until all of them are agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    to: CopyId,
    since: Moment,
}

impl Primary {
    /// Begins to hand over to a member of the in-sync set that follows. Does nothing while another hand-over holds writes
    /// back, or while any change of the entry that was asked for is not settled.
    pub(crate) fn hand_over(&mut self, to: CopyId, local: &Local, now: Moment) {
        let is_member = local
            .entry()
            .is_some_and(|entry| entry.in_sync.contains(&to));
        // A hold that waits for another change to be settled would have no limit.
        let is_free = self.hold.is_none() && self.request.is_none();
        if is_member && self.confirmed(to).is_some() && is_free {
            self.hold = Some(Hold { to, since: now });
        }
    }

    /// Takes an answer that leaves the revision as it is.
    pub(crate) fn answered(&mut self, answer: &Answer, local: &Local, now: Moment) {
        if let Some(request) = &mut self.request
            && request.settles(answer, local, now)
        {
            self.request = None;
            self.hold = None;
            self.require(local);
        }
    }

    /// Returns the copy that a change under way makes primary.
    pub(crate) fn heir(&self) -> Option<CopyId> {
        match self.request.as_ref()?.change {
            Change::HandOver { to } | Change::Resign { to } => Some(to),
            _ => None,
        }
    }

    /// Asks for the change that is due, and settles one of unknown outcome.
    pub(super) fn poll_sets(&mut self, local: &mut Local, step: &mut Step) {
        if let Some(request) = &mut self.request {
            return request.touch(local, step);
        }
        if let Some(change) = self.due_change(local, step.now) {
            self.request = Request::ask(change, local, step);
            self.require(local);
        }
    }

    fn due_change(&mut self, local: &Local, now: Moment) -> Option<Change> {
        if local.health != Health::Sound {
            return Some(Change::Resign {
                to: self.successor(local)?,
            });
        }
        if self.unsynced.is_late(STUCK_PATIENCE, now)
            && let Some(to) = self.successor(local)
            && self.confirmed(to).is_some()
        {
            return Some(Change::Resign { to });
        }
        if let Some(hold) = self.hold {
            if self.is_ready(hold.to, local) {
                return Some(Change::HandOver { to: hold.to });
            }
            if now.is_past(hold.since, local.settings.hand_over_patience) {
                self.hold = None;
            }
            return None;
        }
        let is_stuck = self.unsynced.is_late(SYNC_PATIENCE, now);
        if is_stuck && !local.settings.omits(Rule::ShrinkWithSoundLog) {
            return None;
        }
        let late = self.late_member(local, now);
        let late = late.map(|copy| Change::Shrink { copy });
        late.or_else(|| {
            Some(Change::Grow {
                copy: self.caught_up(local, now)?,
            })
        })
    }

    /// Returns whether the copy has all that was ordered here, and it is agreed.
    fn is_ready(&self, to: CopyId, local: &Local) -> bool {
        let end = local.terms.end();
        local.agreed == end && self.confirmed(to) == Some(end)
    }

    /// Returns the copy that leads when this one cannot: the one that has shown to have more, else that of the
    /// in-sync set that is alive and has confirmed most.
    fn successor(&self, local: &Local) -> Option<CopyId> {
        let entry = local.entry()?;
        let is_fit = |copy: &CopyId| {
            *copy != local.id() && entry.in_sync.contains(copy) && local.is_alive(*copy)
        };
        if let Health::LacksAgreed { follower, .. } = local.health {
            return Some(follower).filter(is_fit);
        }
        let fit = entry.in_sync.iter().copied().filter(is_fit);
        fit.max_by_key(|copy| self.confirmed(*copy))
    }

    /// Returns a member of the in-sync set that is waited for no longer, unless the set is at its bound.
    fn late_member(&self, local: &Local, now: Moment) -> Option<CopyId> {
        let entry = local.entry()?;
        if entry.in_sync.len() <= local.settings.min_in_sync {
            return None;
        }
        let mut others = entry
            .in_sync
            .iter()
            .copied()
            .filter(|copy| *copy != local.id());
        // Whom nobody calls has no writes to go on with, and may be the only one that others cannot reach: it then leaves a
        // member that holds everything, which takes over when the node of this copy loses its lease.
        others.find(|copy| {
            (local.is_called || !local.is_alive(*copy) || self.has_left(*copy))
                && self.is_late(*copy, local, now)
        })
    }

    /// Returns whether a copy said that it ends.
    fn has_left(&self, copy: CopyId) -> bool {
        let peer = self.peers.get(&copy);
        peer.is_some_and(|peer| peer.contact == Contact::Left)
    }

    /// Returns whether a copy is waited for no longer.
    fn is_late(&self, copy: CopyId, local: &Local, now: Moment) -> bool {
        let is_alive = local.is_alive(copy);
        let peer = self.peers.get(&copy);
        peer.is_some_and(|peer| peer.is_late(is_alive, &local.settings, now))
    }

    /// Returns a copy that may join the in-sync set. It has joined in this term and stream, and holds what
    /// is agreed, here or by the primary before: that is below the term start.
    fn caught_up(&self, local: &Local, now: Moment) -> Option<CopyId> {
        let entry = local.entry()?;
        let has_start = |confirmed: SeqNo| {
            confirmed >= self.start || local.settings.omits(Rule::GrowFromTermStart)
        };
        let candidates = entry.copies.iter().filter(|(_, meta)| !meta.learner);
        // One that is late would be taken out again at once.
        let mut outside = candidates
            .filter(|(copy, _)| !entry.in_sync.contains(copy) && !self.is_late(**copy, local, now));
        let caught_up = outside.find(|(copy, _)| {
            let peer = self.peers.get(copy);
            peer.and_then(super::Peer::follow).is_some_and(|follow| {
                follow.confirmed >= local.agreed
                    && has_start(follow.confirmed)
                    && follow.is_caught_up(&local.settings, now)
            })
        });
        caught_up.map(|(copy, _)| *copy)
    }
}
