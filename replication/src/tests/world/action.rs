//! What can happen next in a world.

use super::driver::PAUSE;
use super::store::StoreRequest;
use super::{NUM_COPIES, World};
use crate::Moment;

/// One thing that happens. Numbers are copies, or places among the requests to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The next message of a follower reaches its primary.
    DeliverUp(u8),
    /// The next message of a primary reaches this follower.
    DeliverDown(u8),
    /// All that the log was asked for becomes durable.
    Sync(u8),
    /// The store runs a transaction.
    Execute(u8),
    /// An answer arrives.
    Answer(u8),
    /// A process hears what the store holds.
    Hear(u8),
    /// A follower opens a stream to its primary.
    Connect(u8),
    /// A process starts again.
    Restart(u8),
    /// The lease of a process that is down ends.
    Expire(u8),
    /// A living node has a lease again.
    Renew(u8),
    /// A client writes.
    Write(u8),
    /// The asker gives an answer up; it may still come.
    GiveUp(u8),
    /// An answer arrives, and will arrive again.
    Double(u8),
    /// The lease of a living node ends.
    Suspect(u8),
    /// The stream of a follower ends.
    Cut(u8),
    /// A short pause passes for a process.
    Pause(u8),
    /// A process hears an entry of the past, by its place there, that is news to it.
    HearOld {
        /// The copy.
        copy: u8,
        /// The place.
        place: u8,
    },
    /// A process ends; its disk keeps everything.
    Crash(u8),
    /// A process ends, and its disk loses what is not synced.
    CrashWithLoss(u8),
    /// A log cannot make anything durable any more.
    FailLog(u8),
    /// An operator makes a copy primary, whatever it holds.
    Force {
        /// The copy.
        copy: u8,
        /// Whether the store was restored before, as it was in the beginning.
        restored: bool,
    },
    /// An operator asks a primary to hand over.
    HandOver {
        /// The primary.
        from: u8,
        /// The heir.
        to: u8,
    },
}

impl Action {
    /// Returns whether something goes wrong, or is asked for from outside.
    pub(crate) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Write(_)
                | Self::GiveUp(_)
                | Self::Double(_)
                | Self::Suspect(_)
                | Self::Cut(_)
                | Self::Pause(_)
                | Self::HearOld { .. }
                | Self::Crash(_)
                | Self::CrashWithLoss(_)
                | Self::FailLog(_)
                | Self::Force { .. }
                | Self::HandOver { .. }
        )
    }
}

impl World {
    /// Returns all that can happen now: first what needs no fault.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::with_capacity(24);
        for copy in 0..NUM_COPIES {
            self.free_actions(copy, &mut actions);
        }
        for (place, request) in (0..).zip(&self.store.requests) {
            self.request_actions(place, request, &mut actions);
        }
        for copy in 0..NUM_COPIES {
            self.forces(copy as u8, &mut actions);
            self.faults(copy, &mut actions);
        }
        actions
    }

    fn free_actions(&self, copy: usize, actions: &mut Vec<Action>) {
        let (site, number) = (&self.sites[copy], copy as u8);
        let mut offer = |is_possible: bool, action: Action| {
            if is_possible {
                actions.push(action);
            }
        };
        let Some(_) = &site.copy else {
            offer(true, Action::Restart(number));
            offer(self.store.alive[copy].is_some(), Action::Expire(number));
            return;
        };
        let link = self.links[copy].as_ref().as_ref();
        offer(
            link.is_some_and(|link| !link.up.is_empty()),
            Action::DeliverUp(number),
        );
        offer(
            link.is_some_and(|link| !link.down.is_empty()),
            Action::DeliverDown(number),
        );
        let can_sync = !site.disk.queued.is_empty() && !site.has_failed;
        offer(can_sync, Action::Sync(number));
        let is_news = site.heard != self.store.revision || site.heard_alive != self.alive();
        offer(is_news, Action::Hear(number));
        let can_connect = link.is_none() && site.follows.is_some_and(|primary| self.is_up(primary));
        offer(can_connect, Action::Connect(number));
        offer(self.store.alive[copy].is_none(), Action::Renew(number));
    }

    fn request_actions(&self, place: u8, request: &StoreRequest, actions: &mut Vec<Action>) {
        let awaits = self.awaits(request);
        match &request.answer {
            None => actions.push(Action::Execute(place)),
            Some(_) if awaits => {
                actions.push(Action::Answer(place));
                if self.budget.doubles > 0 {
                    actions.push(Action::Double(place));
                }
            }
            Some(_) => {}
        }
        if awaits && !request.is_given_up && self.budget.unknowns > 0 {
            actions.push(Action::GiveUp(place));
        }
    }

    /// Returns whether the process that asked still runs.
    pub(super) fn awaits(&self, request: &StoreRequest) -> bool {
        self.is_up(request.by) && self.sites[request.by].incarnation == request.incarnation
    }

    fn forces(&self, copy: u8, actions: &mut Vec<Action>) {
        if self.budget.forces > 0 {
            actions.extend([false, true].map(|restored| Action::Force { copy, restored }));
        }
    }

    fn faults(&self, copy: usize, actions: &mut Vec<Action>) {
        let Some(machine) = &self.sites[copy].copy else {
            return;
        };
        let (budget, number) = (&self.budget, copy as u8);
        let mut offer = |is_possible: bool, action: Action| {
            if is_possible {
                actions.push(action);
            }
        };
        offer(
            budget.writes > 0 && machine.may_order(),
            Action::Write(number),
        );
        offer(
            budget.suspicions > 0 && self.store.alive[copy].is_some(),
            Action::Suspect(number),
        );
        offer(
            budget.cuts > 0 && self.links[copy].is_some(),
            Action::Cut(number),
        );
        offer(
            budget.retries > 0 && !machine.is_idle_at(Moment(PAUSE)),
            Action::Pause(number),
        );
        for (place, (revision, _)) in (0..).zip(&self.store.past) {
            let is_news = *revision > self.sites[copy].heard;
            offer(
                budget.stale_reads > 0 && is_news,
                Action::HearOld {
                    copy: number,
                    place,
                },
            );
        }
        offer(budget.crashes > 0, Action::Crash(number));
        let can_fail = budget.log_failures > 0 && !self.sites[copy].has_failed;
        offer(can_fail, Action::FailLog(number));
        let loses = budget.crashes > 0 && budget.losses > 0;
        let has_unsynced = !self.sites[copy].disk.queued.is_empty();
        offer(loses && has_unsynced, Action::CrashWithLoss(number));
        if budget.hand_overs > 0 && machine.leads().is_some() {
            for to in (0..NUM_COPIES).filter(|to| *to != copy) {
                offer(
                    true,
                    Action::HandOver {
                        from: number,
                        to: to as u8,
                    },
                );
            }
        }
    }

    pub(super) fn alive(&self) -> [bool; NUM_COPIES] {
        self.store.alive.map(|incarnation| incarnation.is_some())
    }
}
