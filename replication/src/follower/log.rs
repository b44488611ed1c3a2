//! What a follower does to its log: appends what the primary sends, cuts where the two part, or gives it up.

use gleaner_model::SeqNo;

use super::{Follower, Stage};
use crate::effect::{Effect, Report};
use crate::local::Local;
use crate::message::{Batch, FromFollower, Join};
use crate::step::Step;
use crate::terms::{TermEnd, TermTable};

impl Follower {
    pub(super) fn append(&mut self, batches: Vec<Batch>, local: &mut Local, step: &mut Step) {
        let mut terms = local.terms.clone();
        let follows = batches.iter().all(|batch| {
            let is_next = batch.first == terms.end() && batch.term <= local.fence;
            is_next && terms.append(batch.term, batch.next).is_ok()
        });
        if !follows {
            let end = local.terms.end();
            step.report(Report::BadBatches { end });
        } else if !batches.is_empty() {
            local.terms = terms;
            step.push(Effect::Append { batches });
        }
    }

    /// Cuts the log to where it parts from the primary's, or finds that it must not.
    pub(super) fn cut_where_logs_part(&mut self, at: TermEnd, local: &mut Local, step: &mut Step) {
        match local.terms.cut(at) {
            None => self.copy_files(local, step),
            Some(from) if from >= local.agreed => {
                self.stage = Stage::Cutting;
                cut(from, local, step);
            }
            Some(_) => self.lack_agreed(local, step),
        }
    }

    /// The primary lacks what is agreed here.
    fn lack_agreed(&mut self, local: &Local, step: &mut Step) {
        self.stage = Stage::Idle;
        let agreed = local.agreed;
        step.report(Report::PrimaryLacksAgreed { agreed });
    }

    pub(super) fn copy_files(&mut self, local: &mut Local, step: &mut Step) {
        let Some(from) = local.entry().map(|entry| entry.primary) else {
            return;
        };
        self.stage = Stage::Copying;
        local.is_whole = false;
        step.push(Effect::CopyFiles { from });
    }

    /// The log was cut.
    pub(crate) fn truncated(&mut self) {
        if self.stage == Stage::Cutting {
            self.stage = Stage::Ready { join_at: None };
        }
    }

    /// Files took the place of this copy's log.
    pub(crate) fn installed(&mut self, terms: TermTable, agreed: SeqNo, local: &mut Local) {
        local.end = terms.end();
        local.terms = terms;
        local.agreed = agreed.min(local.end);
        local.is_whole = true;
        self.announced = SeqNo(0);
        if self.stage == Stage::Copying {
            self.stage = Stage::Ready { join_at: None };
        }
    }
}

/// What the primary has to know of this log. All that is appended is durable.
pub(super) fn join(local: &Local) -> FromFollower {
    let before_agreed = local.agreed.0.checked_sub(1).map(SeqNo);
    FromFollower::Join(Join {
        history: local.history,
        term: local.fence,
        version: local.seen_version,
        end: local.end,
        last_term: local.terms.last_term(),
        agreed: local.agreed,
        agreed_term: before_agreed.and_then(|position| local.terms.at(position)),
        visible: local.visible.unwrap_or_default(),
    })
}

pub(super) fn cut(from: SeqNo, local: &mut Local, step: &mut Step) {
    local.terms.truncate(from);
    local.end = local.end.min(local.terms.end());
    step.push(Effect::Truncate { from });
}
