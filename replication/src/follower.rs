//! The machine of a follower: adopts terms, joins, cuts, appends, confirms.
//!
//! ```text
//! Idle ──entry──▶ Fencing ──fence durable──▶ Ready ──stream──▶ Joining ──Accept──▶ Following
//!                                              ▲                 │ │ Diverged          │
//!                                              │                 │ └──▶ Cutting ──▶ joins again
//!                                              │                 │ Trimmed
//!                                              │                 └────▶ Copying ──▶ joins again
//!                                              └── stream ends, or the join is refused ─┘
//! ```
//!
//! A new entry begins at `Fencing` again, from any stage. Taking over is in [`claim`], what is
//! done to the log in [`log`].

mod claim;
mod log;

use gleaner_model::{CopyId, PrimaryTerm, SeqNo};

use crate::effect::Effect;
use crate::local::{Health, Local};
use crate::message::{Beat, FromFollower, FromPrimary};
use crate::rights::HeldRight;
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

pub(crate) use claim::Claim;
use log::{cut, join};

/// The state of a copy that is no primary.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Follower {
    stage: Stage,
    /// Whether a stream to the primary is open.
    is_connected: bool,
    /// The agreed point that the primary announced, which may lie beyond the end here.
    announced: SeqNo,
    /// The attempt to become primary, while there is one.
    claim: Option<Claim>,
    serving: HeldRight,
    /// Number of the next beat on this stream.
    next_beat: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Stage {
    /// There is nobody to follow.
    #[default]
    Idle,
    /// The term of the entry is not durable as the fence yet.
    Fencing,
    /// There is no stream to the primary, or it refused: it is asked again at that moment.
    Ready { join_at: Option<Moment> },
    /// The primary compares the logs.
    Joining,
    /// The log is being cut.
    Cutting,
    /// Files are being copied.
    Copying,
    /// Records come.
    Following,
}

/// Whether a follower goes on as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    Follows,
    /// It leads the term of the entry from now on.
    Leads,
}

impl Follower {
    /// Returns whether searches here need no flag.
    pub(crate) fn may_serve(&self, now: Moment) -> bool {
        self.serving.holds(now)
    }

    /// Does what a new entry says.
    pub(crate) fn reconsider(&mut self, local: &mut Local, step: &mut Step) -> Verdict {
        let Some(known) = &local.known else {
            *self = Self::default();
            return Verdict::Follows;
        };
        let entry = &known.entry;
        self.settle_claim(known.revision);
        if !entry.copies.contains_key(&local.id()) {
            *self = Self::default();
        } else if !local.is_of(entry.history) {
            *self = Self::default();
            step.push(Effect::OtherHistory);
        } else if entry.primary == local.id() && entry.awaits_opening() {
            // Files of an earlier history cannot pass for those that began this one once its term is another.
            self.stage = Stage::Idle;
        } else if entry.term > local.fence {
            return self.adopt(entry.term, local, step);
        } else if entry.term < local.fence || entry.primary == local.id() {
            self.stage = Stage::Idle;
        } else if matches!(self.stage, Stage::Idle | Stage::Fencing) {
            self.follow(entry.primary, step);
        }
        Verdict::Follows
    }

    /// Makes a term the fence. Nothing is done under it before that is durable.
    fn adopt(&mut self, term: PrimaryTerm, local: &mut Local, step: &mut Step) -> Verdict {
        if term <= local.fencing && self.stage == Stage::Fencing {
            return Verdict::Follows;
        }
        local.fencing = term;
        self.stage = Stage::Fencing;
        self.serving = HeldRight::default();
        if local.settings.omits(Rule::FenceBeforeJoin) {
            return self.fenced(term, local, step);
        }
        step.push(Effect::Fence { term });
        Verdict::Follows
    }

    /// A fence is durable.
    pub(crate) fn fenced(
        &mut self,
        term: PrimaryTerm,
        local: &mut Local,
        step: &mut Step,
    ) -> Verdict {
        local.fence = local.fence.max(term);
        let Some(entry) = local.entry().filter(|entry| entry.term == local.fence) else {
            return Verdict::Follows;
        };
        let primary = entry.primary;
        if self.stage != Stage::Fencing {
            return Verdict::Follows;
        }
        if primary == local.id() {
            return Verdict::Leads;
        }
        if local.settings.omits(Rule::CutByComparison) {
            cut(local.agreed, local, step);
        }
        self.follow(primary, step);
        Verdict::Follows
    }

    fn follow(&mut self, primary: CopyId, step: &mut Step) {
        *self = Self {
            stage: Stage::Ready { join_at: None },
            claim: self.claim.take(),
            ..Self::default()
        };
        step.push(Effect::Follow { primary });
    }

    pub(crate) fn connected(&mut self, peer: CopyId, local: &Local) {
        if !self.follows(peer, local) {
            return;
        }
        self.is_connected = true;
        if let Stage::Ready { .. } = self.stage {
            self.stage = Stage::Ready { join_at: None };
        }
    }

    pub(crate) fn disconnected(&mut self, peer: CopyId, local: &Local) {
        if !self.follows(peer, local) {
            return;
        }
        self.is_connected = false;
        self.next_beat = 0;
        self.serving.forget_beats();
        if matches!(self.stage, Stage::Joining | Stage::Following) {
            self.stage = Stage::Ready { join_at: None };
        }
    }

    fn follows(&self, peer: CopyId, local: &Local) -> bool {
        let follows_someone = !matches!(self.stage, Stage::Idle | Stage::Fencing);
        follows_someone && local.entry().is_some_and(|entry| entry.primary == peer)
    }

    /// Asks for what is due: to become primary, or to follow.
    pub(crate) fn poll(&mut self, local: &mut Local, step: &mut Step) {
        self.poll_claim(local, step);
        let Stage::Ready { join_at } = self.stage else {
            return;
        };
        // What is appended is waited for, so that the primary goes on from where this log ends.
        let is_settled = local.is_whole && local.end == local.terms.end();
        let is_due = join_at.is_none_or(|at| step.now >= at);
        if self.is_connected && is_settled && is_due && local.health != Health::LogFailed {
            self.stage = Stage::Joining;
            send(join(local), local, step);
        }
    }

    /// Takes a message of the primary.
    pub(crate) fn receive(&mut self, message: FromPrimary, local: &mut Local, step: &mut Step) {
        let fence = local.fence;
        match (self.stage, message) {
            (Stage::Joining, FromPrimary::Accept { term }) if term == fence => {
                self.stage = Stage::Following;
                // What became durable or visible since it asked: nothing else might say so before the next record.
                self.confirm(local, step);
            }
            (Stage::Joining, FromPrimary::Diverged { term, at }) if term == fence => {
                self.cut_where_logs_part(at, local, step);
            }
            (Stage::Joining, FromPrimary::Trimmed { term, .. }) if term == fence => {
                self.copy_files(local, step);
            }
            (Stage::Joining, FromPrimary::Refused { .. }) => {
                let join_at = Some(step.now.after(local.settings.retry_pause));
                self.stage = Stage::Ready { join_at };
            }
            (
                Stage::Following,
                FromPrimary::Batches {
                    history,
                    term,
                    agreed,
                    batches,
                },
            ) if term == fence && local.is_of(history) => {
                self.append(batches, local, step);
                self.raise_announced(agreed, local, step);
            }
            (Stage::Following, FromPrimary::Agreed { term, agreed, .. }) if term == fence => {
                self.raise_announced(agreed, local, step);
            }
            (Stage::Following, FromPrimary::Beat(beat)) if beat.term == fence => {
                self.answer_beat(beat, local, step);
            }
            _ => {}
        }
    }

    fn raise_announced(&mut self, agreed: SeqNo, local: &mut Local, step: &mut Step) {
        self.announced = self.announced.max(agreed);
        local.raise_agreed(self.announced, step);
    }

    /// Records are durable: says so, and applies what is agreed of them.
    pub(crate) fn durable(&mut self, local: &mut Local, step: &mut Step) {
        if local.settings.omits(Rule::ApplyAgreed) {
            self.announced = local.end;
        }
        local.raise_agreed(self.announced, step);
        self.confirm(local, step);
    }

    /// Tells the primary what is durable and visible here.
    pub(crate) fn confirm(&self, local: &Local, step: &mut Step) {
        if self.stage == Stage::Following {
            let (term, end, visible) = (local.fence, local.end, local.visible.unwrap_or_default());
            send(FromFollower::Have { term, end, visible }, local, step);
        }
    }

    /// Takes the right that a beat gives, and answers it. A copy that means to take over gives none.
    fn answer_beat(&mut self, beat: Beat, local: &mut Local, step: &mut Step) {
        let length = local.settings.copy_right;
        if beat.gives_right
            && let Some(echo) = beat.echo
        {
            self.serving.answered(echo, length);
        }
        let gives_right = self.claim.is_none();
        if gives_right {
            local.promise.give(step.now, length);
        }
        self.serving.sent(self.next_beat, step.now);
        let answer = Beat {
            term: local.fence,
            number: self.next_beat,
            echo: Some(beat.number),
            gives_right,
        };
        self.next_beat += 1;
        send(FromFollower::Beat(answer), local, step);
    }

    /// Says that this copy is about to end.
    pub(crate) fn leave(&self, local: &Local, step: &mut Step) {
        if self.stage == Stage::Following {
            send(FromFollower::Leave { term: local.fence }, local, step);
        }
    }
}

fn send(message: FromFollower, local: &Local, step: &mut Step) {
    if let Some(entry) = local.entry() {
        step.send_to_primary(entry.primary, message);
    }
}
