//! One copy of a shard as a machine: events in, effects out, in the role that the entry gives it.
//!
//! ```text
//! Follower ──the entry names it, under a term that has become its fence──▶ Primary
//! Follower ◀──the entry has a higher term, or no such copy───────────────── Primary
//! ```

use gleaner_model::{CopyId, PrimaryTerm, SeqNo};

use crate::effect::Effect;
use crate::event::{Answer, Event, Outcome};
use crate::follower::{Follower, Verdict};
use crate::local::{EntryRevision, Health, Identity, Local, LogState};
use crate::message::{FromFollower, FromPrimary};
use crate::primary::Primary;
use crate::settings::Settings;
use crate::step::Step;
use crate::time::Moment;

/// A copy of a shard. Pure: what happens comes in as [`Event`]s, what is to be done goes out as
/// [`Effect`]s, time comes in with each event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShardCopy {
    pub(crate) local: Local,
    pub(crate) role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Follower(Follower),
    Primary(Primary),
}

impl ShardCopy {
    /// Opens a copy on what its log has kept. It follows nobody until an entry comes.
    pub fn open(identity: Identity, settings: Settings, log: LogState, now: Moment) -> Self {
        Self {
            local: Local::new(identity, settings, log, now),
            role: Role::Follower(Follower::default()),
        }
    }

    /// Changes the settings, which are dynamic.
    pub fn configure(&mut self, settings: Settings) {
        self.local.settings = settings;
    }

    /// Takes one event; returns what is to be done, in order. No event panics: what makes no sense in the
    /// state that the copy is in is ignored, as it may be late.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        let mut step = Step {
            now,
            effects: Vec::new(),
        };
        self.take(event, &mut step);
        match &mut self.role {
            Role::Follower(follower) => follower.poll(&mut self.local, &mut step),
            Role::Primary(primary) => primary.poll(&mut self.local, &mut step),
        }
        step.effects
    }

    fn take(&mut self, event: Event, step: &mut Step) {
        let Self { local, role } = self;
        match (event, role) {
            (Event::Entry { entry, revision }, _) => {
                self.learn(EntryRevision { entry, revision }, step);
            }
            (Event::EntryGone, _) => self.forget(step),
            (Event::Answer(answer), _) => self.take_answer(answer, step),
            (Event::Fenced { term }, Role::Follower(follower)) => {
                let verdict = follower.fenced(term, local, step);
                self.lead_if(verdict, step);
            }
            (Event::FromPrimary { from, message }, Role::Follower(_)) => {
                self.receive(from, message, step);
            }
            (Event::FromPrimary { .. }, Role::Primary(_)) => {}
            (Event::FromFollower { from, message }, Role::Primary(primary)) => {
                primary.receive(from, &message, local, step);
            }
            (Event::FromFollower { from, message }, Role::Follower(_)) => {
                if let FromFollower::Join(_) = message {
                    let (fence, version) = (local.fence, local.seen_version);
                    step.send_to_follower(from, FromPrimary::Refused { fence, version });
                }
            }
            (Event::Alive { node, is_alive }, _) => local.note_alive(node, is_alive),
            (Event::Called { is_called }, _) => local.is_called = is_called,
            (Event::Durable { end }, role) => {
                local.durable(end);
                if let Role::Follower(follower) = role {
                    follower.durable(local, step);
                }
            }
            (Event::Shown { visible }, role) => {
                local.visible = local.visible.max(Some(visible.min(local.agreed)));
                if let Role::Follower(follower) = role {
                    follower.confirm(local, step);
                }
            }
            (Event::Trimmed { first }, _) => local.terms.trim(first),
            (Event::LogFailed, _) => local.health = Health::LogFailed,
            (event, Role::Follower(follower)) => take_as_follower(follower, event, local),
            (event, Role::Primary(primary)) => take_as_primary(primary, &event, local, step),
        }
    }

    /// Takes a message of a primary, which counts only from the one that the entry names.
    fn receive(&mut self, from: gleaner_model::CopyId, message: FromPrimary, step: &mut Step) {
        if let FromPrimary::TakeOver { entry, revision } = message {
            return self.learn(EntryRevision { entry, revision }, step);
        }
        let is_primary = self
            .local
            .entry()
            .is_some_and(|entry| entry.primary == from);
        if let Role::Follower(follower) = &mut self.role
            && is_primary
        {
            follower.receive(message, &mut self.local, step);
        }
    }

    fn take_answer(&mut self, answer: Answer, step: &mut Step) {
        match (&answer.outcome, &mut self.role) {
            (Outcome::Made { revision }, _) => {
                let (entry, revision) = (answer.proposal.entry, *revision);
                return self.learn(EntryRevision { entry, revision }, step);
            }
            (_, Role::Follower(follower)) => follower.answered(&answer, &self.local, step),
            (_, Role::Primary(primary)) => primary.answered(&answer, &self.local, step.now),
        }
        if let Outcome::Refused { entry, revision } = answer.outcome {
            self.learn(EntryRevision { entry, revision }, step);
        }
    }

    /// Takes an entry: the role may change with it.
    fn learn(&mut self, known: EntryRevision, step: &mut Step) {
        if !self.local.learn(known, step) {
            return;
        }
        if let Role::Primary(primary) = &mut self.role {
            let entry = self.local.entry();
            let still = entry.is_some_and(|entry| entry.term == primary.term);
            if still && self.local.is_primary() {
                return primary.take_entry(&self.local, step.now);
            }
            self.step_down(step);
        }
        if let Role::Follower(follower) = &mut self.role {
            let verdict = follower.reconsider(&mut self.local, step);
            self.lead_if(verdict, step);
        }
    }

    /// The shard was deleted.
    fn forget(&mut self, step: &mut Step) {
        if let Role::Primary(_) = self.role {
            self.step_down(step);
        }
        self.local.known = None;
        self.role = Role::Follower(Follower::default());
    }

    /// Ends the reign. The heir gets the entry directly, where this copy gave the role away.
    fn step_down(&mut self, step: &mut Step) {
        if let (Role::Primary(primary), Some(known)) = (&self.role, &self.local.known)
            && primary.heir() == Some(known.entry.primary)
        {
            let (entry, revision) = (known.entry.clone(), known.revision);
            step.send_to_follower(entry.primary, FromPrimary::TakeOver { entry, revision });
        }
        #[cfg(test)]
        if let Role::Primary(primary) = &self.role {
            primary.remember_peers(&mut self.local);
        }
        step.push(Effect::StepDown);
        self.role = Role::Follower(Follower::default());
    }

    fn lead_if(&mut self, verdict: Verdict, step: &mut Step) {
        if verdict == Verdict::Leads {
            self.role = Role::Primary(Primary::new(&self.local, step));
        }
    }
}

fn take_as_follower(follower: &mut Follower, event: Event, local: &mut Local) {
    match event {
        Event::Connected { primary } => follower.connected(primary, local),
        Event::Disconnected { primary } => follower.disconnected(primary, local),
        Event::Truncated => follower.truncated(),
        Event::Installed { terms, agreed } => follower.installed(terms, agreed, local),
        _ => {}
    }
}

fn take_as_primary(primary: &mut Primary, event: &Event, local: &mut Local, step: &mut Step) {
    match event {
        Event::Appended { next } => primary.appended(*next, local, step),
        Event::HandOver { to } => primary.hand_over(*to, local, step.now),
        Event::Withdraw { copies } => primary.withdraw(copies),
        Event::Refresh { position } => primary.refresh(*position),
        Event::FollowerGone { follower } => primary.lose(*follower, local, step.now),
        Event::BeatDue { follower, number } => primary.beat(*follower, *number, local, step),
        _ => {}
    }
}

/// What a driver asks between events.
impl ShardCopy {
    /// Returns the term that this copy leads; `None` where it is no primary.
    pub fn leads(&self) -> Option<PrimaryTerm> {
        match &self.role {
            Role::Primary(primary) => Some(primary.term),
            Role::Follower(_) => None,
        }
    }

    /// Returns whether new records may be ordered here now.
    pub fn may_order(&self) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.may_order(&self.local),
            Role::Follower(_) => false,
        }
    }

    /// Returns whether this copy may answer real-time reads, conflicts, and whatever else tells a
    /// document's state without an agreed record of its own. Ask it *after* the state was read, and after
    /// all that the answer says is agreed.
    pub fn may_read(&self, now: Moment) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.may_read(&self.local, now),
            Role::Follower(_) => false,
        }
    }

    /// Returns whether searches on this copy need no flag. To be asked after the search.
    pub fn may_serve(&self, now: Moment) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.may_serve(&self.local, now),
            Role::Follower(follower) => follower.may_serve(now),
        }
    }

    /// Returns whether a copy may still answer searches without a flag by a right of this primary, or of one before it. While
    /// it may it must not be removed from the entry: a primary that leads later would not wait for it.
    pub fn may_have_right(&self, copy: CopyId, now: Moment) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.may_have_right(copy, now),
            Role::Follower(_) => true,
        }
    }

    /// Returns the greatest term adopted, durably: the one under which a follower appends.
    pub fn fence(&self) -> PrimaryTerm {
        self.local.fence
    }

    /// Returns the agreed point: all records below stay.
    pub fn agreed(&self) -> SeqNo {
        self.local.agreed
    }

    /// Returns the term of the record before the agreed point; `None` where the log does not tell.
    pub fn agreed_term(&self) -> Option<PrimaryTerm> {
        let before = self.local.agreed.0.checked_sub(1)?;
        self.local.terms.at(SeqNo(before))
    }

    /// Returns the message that tells the primary not to wait for this copy, which is about to end.
    pub fn leave(&self, now: Moment) -> Vec<Effect> {
        let mut step = Step {
            now,
            effects: Vec::new(),
        };
        if let Role::Follower(follower) = &self.role {
            follower.leave(&self.local, &mut step);
        }
        step.effects
    }
}
