//! How what happens changes a world.

use std::sync::Arc;

use gleaner_model::{HistoryId, PrimaryTerm, SeqNo};

use super::driver::PAUSE;
use super::violation::Violation;
use super::{Action, DiskWrite, Link, NUM_COPIES, World, copy_id, node};
use crate::settings::Rule;
use crate::{Answer, Change, Event, FromPrimary, Moment, Outcome};

impl World {
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
                self.pause(usize::from(copy))?;
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
            Action::FailLog(copy) => {
                self.budget.log_failures -= 1;
                Arc::make_mut(&mut self.sites[usize::from(copy)]).has_failed = true;
                self.handle(usize::from(copy), Event::LogFailed)?;
            }
            Action::Force { copy, restored } => {
                self.budget.forces -= 1;
                self.force(usize::from(copy), restored);
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

    /// A short pause passes for a process.
    pub(super) fn pause(&mut self, copy: usize) -> Result<(), Violation> {
        self.handle_at(copy, Moment(PAUSE), Event::Tick)
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
        let primary = copy_id(to);
        self.handle(copy, Event::Connected { primary })
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
        let disk = &self.sites[copy].disk;
        let (history, at) = (disk.history, disk.written().len());
        let record = self.note_ordered(history, at, term)?;
        let site = Arc::make_mut(&mut self.sites[copy]);
        site.disk.queued.push(DiskWrite::Append(record));
        let next = SeqNo(at as u64 + 1);
        self.handle(copy, Event::Appended { next })
    }

    fn execute(&mut self, place: usize) -> Result<(), Violation> {
        let (before, entry) = (self.store.revision, self.store.entry.clone());
        let store = Arc::make_mut(&mut self.store);
        store.execute(place);
        let request = store.requests[place].clone();
        if !self.awaits(&request) {
            Arc::make_mut(&mut self.store).requests.remove(place);
        }
        if self.store.revision == before {
            return Ok(());
        }
        self.check_change(&request.proposal, &entry)
    }

    fn force(&mut self, copy: usize, restored: bool) {
        let store = Arc::make_mut(&mut self.store);
        let mut entry = (*store.entry).clone();
        if restored {
            (entry.term, entry.forced) = (PrimaryTerm(1), Vec::new());
        }
        let change = Change::Force {
            copy: copy_id(copy),
            history: HistoryId([entry.history.0[0] + 1; 16]),
        };
        let forced = change.apply(Some(&entry), self.settings.min_in_sync);
        store.replace(Arc::new(forced.expect("a copy").expect("an entry")));
        Arc::make_mut(&mut self.ghost).begin_history(Vec::new());
        if self.settings.omits(Rule::HistoryIsCompared) {
            self.begin_history(copy);
        }
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
