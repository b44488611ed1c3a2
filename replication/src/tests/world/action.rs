//! What can happen next in a world.

use std::sync::Arc;

use gleaner_model::SeqNo;

use super::driver::PAUSE;
use super::store::StoreRequest;
use super::violation::Violation;
use super::{DiskWrite, Link, NUM_COPIES, World, copy_id, index_of, node};
use crate::{Answer, Event, FromPrimary, Moment, Outcome};

/// One thing that happens. Numbers are copies, or places among the requests to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The next message of a follower reaches its primary.
    DeliverUp(u8),
    /// The next message of a primary reaches this follower.
    DeliverDown(u8),
    /// All that the log was told becomes durable.
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
    /// A primary is told to hand over.
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
        offer(!site.disk.queued.is_empty(), Action::Sync(number));
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
    fn awaits(&self, request: &StoreRequest) -> bool {
        self.is_up(request.by) && self.sites[request.by].incarnation == request.incarnation
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

    fn alive(&self) -> [bool; NUM_COPIES] {
        self.store.alive.map(|incarnation| incarnation.is_some())
    }

    /// Does what an action says, and looks for violations.
    pub(crate) fn perform(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::DeliverUp(copy) => self.deliver_up(usize::from(copy))?,
            Action::DeliverDown(copy) => self.deliver_down(usize::from(copy))?,
            Action::Sync(copy) => self.sync(usize::from(copy))?,
            Action::Execute(place) => self.execute(usize::from(place))?,
            Action::Answer(place) => self.answer(usize::from(place), true)?,
            Action::Double(place) => {
                self.budget.doubles -= 1;
                self.answer(usize::from(place), false)?;
            }
            Action::GiveUp(place) => self.give_up(usize::from(place))?,
            Action::Hear(copy) => self.hear(usize::from(copy))?,
            Action::HearOld { copy, place } => {
                self.budget.stale_reads -= 1;
                self.hear_old(usize::from(copy), usize::from(place))?;
            }
            Action::Connect(copy) => self.connect(usize::from(copy))?,
            Action::Restart(copy) => self.open(usize::from(copy)),
            Action::Expire(copy) => Arc::make_mut(&mut self.store).alive[usize::from(copy)] = None,
            Action::Renew(copy) => self.renew(usize::from(copy)),
            Action::Write(copy) => self.write(usize::from(copy))?,
            Action::Suspect(copy) => {
                self.budget.suspicions -= 1;
                Arc::make_mut(&mut self.store).alive[usize::from(copy)] = None;
            }
            Action::Cut(copy) => {
                self.budget.cuts -= 1;
                self.cut(usize::from(copy))?;
            }
            Action::Pause(copy) => {
                self.budget.retries -= 1;
                self.handle_at(usize::from(copy), Moment(PAUSE), Event::Tick)?;
            }
            Action::Crash(copy) => {
                self.budget.crashes -= 1;
                self.crash(usize::from(copy), false)?;
            }
            Action::CrashWithLoss(copy) => {
                self.budget.crashes -= 1;
                self.budget.losses -= 1;
                self.crash(usize::from(copy), true)?;
            }
            Action::HandOver { from, to } => {
                self.budget.hand_overs -= 1;
                let to = copy_id(usize::from(to));
                self.handle(usize::from(from), Event::HandOver { to })?;
            }
        }
        if self.budget.stale_reads == 0 && !self.store.past.is_empty() {
            Arc::make_mut(&mut self.store).past.clear();
        }
        self.check()
    }

    fn deliver_up(&mut self, copy: usize) -> Result<(), Violation> {
        let Some(link) = Arc::make_mut(&mut self.links[copy]) else {
            return Ok(());
        };
        let (message, to, from) = (link.up.remove(0), link.to, copy_id(copy));
        self.handle(to, Event::FromFollower { from, message })
    }

    fn deliver_down(&mut self, copy: usize) -> Result<(), Violation> {
        let Some(link) = Arc::make_mut(&mut self.links[copy]) else {
            return Ok(());
        };
        let (message, from) = (link.down.remove(0), copy_id(link.to));
        let is_refused = matches!(message, FromPrimary::Refused { .. });
        self.handle(copy, Event::FromPrimary { from, message })?;
        // The driver connects again later.
        if is_refused { self.cut(copy) } else { Ok(()) }
    }

    fn connect(&mut self, copy: usize) -> Result<(), Violation> {
        let Some(to) = self.sites[copy].follows else {
            return Ok(());
        };
        let link = Link {
            to,
            up: Vec::new(),
            down: Vec::new(),
        };
        self.links[copy] = Arc::new(Some(link));
        self.handle(copy, Event::Connected { peer: copy_id(to) })
    }

    fn hear(&mut self, copy: usize) -> Result<(), Violation> {
        let (alive, heard) = (self.alive(), self.sites[copy].heard_alive);
        let (entry, revision) = (self.store.entry.clone(), self.store.revision);
        let site = Arc::make_mut(&mut self.sites[copy]);
        site.heard = revision;
        site.heard_alive = alive;
        for other in (0..NUM_COPIES).filter(|other| alive[*other] != heard[*other]) {
            let (node, is_alive) = (node(other), alive[other]);
            self.handle(copy, Event::Alive { node, is_alive })?;
        }
        self.handle(copy, Event::Entry { entry, revision })
    }

    fn hear_old(&mut self, copy: usize, place: usize) -> Result<(), Violation> {
        let (revision, entry) = self.store.past[place].clone();
        Arc::make_mut(&mut self.sites[copy]).heard = revision;
        self.handle(copy, Event::Entry { entry, revision })
    }

    fn renew(&mut self, copy: usize) {
        let incarnation = super::incarnation(self.sites[copy].incarnation);
        Arc::make_mut(&mut self.store).alive[copy] = Some(incarnation);
    }

    fn write(&mut self, copy: usize) -> Result<(), Violation> {
        self.budget.writes -= 1;
        let Some(term) = self.sites[copy]
            .copy
            .as_ref()
            .and_then(crate::ShardCopy::leads)
        else {
            return Ok(());
        };
        let at = self.sites[copy].disk.written().len();
        let record = self.note_ordered(at, term)?;
        let site = Arc::make_mut(&mut self.sites[copy]);
        site.disk.queued.push(DiskWrite::Append(record));
        let next = SeqNo(at as u64 + 1);
        self.handle(copy, Event::Appended { next })
    }

    fn execute(&mut self, place: usize) -> Result<(), Violation> {
        let (before, primary) = (self.store.revision, index_of(self.store.entry.primary));
        let store = Arc::make_mut(&mut self.store);
        store.execute(place);
        let request = store.requests[place].clone();
        if !self.awaits(&request) {
            Arc::make_mut(&mut self.store).requests.remove(place);
        }
        if self.store.revision == before {
            return Ok(());
        }
        self.check_change(&request.proposal, primary)
    }

    fn answer(&mut self, place: usize, is_last: bool) -> Result<(), Violation> {
        let request = self.store.requests[place].clone();
        if is_last {
            Arc::make_mut(&mut self.store).requests.remove(place);
        }
        let (Some(outcome), proposal) = (request.answer, request.proposal) else {
            return Ok(());
        };
        self.handle(request.by, Event::Answer(Answer { proposal, outcome }))
    }

    fn give_up(&mut self, place: usize) -> Result<(), Violation> {
        self.budget.unknowns -= 1;
        let request = &mut Arc::make_mut(&mut self.store).requests[place];
        request.is_given_up = true;
        let (by, proposal) = (request.by, request.proposal.clone());
        let outcome = Outcome::Unknown;
        self.handle(by, Event::Answer(Answer { proposal, outcome }))
    }
}
