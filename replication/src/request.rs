//! A change under way: asked for, answered or not, and settled when the entry's revision has moved.
//!
//! An answer may be lost, late, or come twice. A change of unknown outcome may still be made later, so
//! reading the entry settles nothing. The asker *touches* the entry until its revision is another one:
//! then the change was made, or it can never be.

use std::sync::Arc;

use gleaner_model::Revision;

use crate::change::Change;
use crate::effect::{Effect, Guard, Proposal};
use crate::event::{Answer, Outcome};
use crate::local::Local;
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

/// A change that is asked for and not settled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    /// The change.
    pub(crate) change: Change,
    /// The revision that it compares.
    expected: Revision,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// The answer to this proposal is awaited.
    Asked { number: u64 },
    /// No answer came. The entry is touched from this moment on.
    Unknown { touch_at: Moment },
    /// The answer to this proposal of a touch is awaited.
    Touching { number: u64 },
}

impl Request {
    /// Asks for `change` of the entry as the copy knows it. `None` where that entry does not allow it.
    pub(crate) fn ask(change: Change, local: &mut Local, step: &mut Step) -> Option<Self> {
        let expected = local.known.as_ref()?.revision;
        let number = propose(&change, local, step)?;
        Some(Self {
            change,
            expected,
            phase: Phase::Asked { number },
        })
    }

    /// Touches the entry when the outcome is unknown and it is time to.
    pub(crate) fn touch(&mut self, local: &mut Local, step: &mut Step) {
        if let Phase::Unknown { touch_at } = self.phase
            && step.now >= touch_at
            && let Some(number) = propose(&Change::Touch, local, step)
        {
            self.phase = Phase::Touching { number };
        }
    }

    /// Takes an answer that leaves the revision as it is. Returns whether the request is settled: the
    /// change was not made and never will be.
    pub(crate) fn settles(&mut self, answer: &Answer, local: &Local, now: Moment) -> bool {
        match (self.phase, &answer.outcome) {
            (Phase::Asked { number }, Outcome::Refused { revision, .. }) => {
                number == answer.proposal.number && *revision == self.expected
            }
            (Phase::Asked { number } | Phase::Touching { number }, Outcome::Unknown)
                if number == answer.proposal.number =>
            {
                let touch_at = now.after(local.settings.retry_pause);
                self.phase = Phase::Unknown { touch_at };
                local.settings.omits(Rule::TouchUnknown)
            }
            _ => false,
        }
    }

    /// Returns whether an entry of that revision settles the request.
    pub(crate) fn is_settled_by(&self, revision: Revision) -> bool {
        revision > self.expected
    }
}

/// Proposes `change` of the known entry; returns the number of the proposal.
fn propose(change: &Change, local: &mut Local, step: &mut Step) -> Option<u64> {
    let known = local.known.as_ref()?;
    let entry = change.apply(Some(&known.entry), local.settings.min_in_sync);
    let guard = change.absent_node(&known.entry).map(|absent| Guard {
        absent,
        node: local.identity.node,
        incarnation: local.identity.incarnation,
    });
    let is_looked_at = !local.settings.omits(Rule::TakeOverFromAbsent);
    let proposal = Proposal {
        number: local.num_proposals,
        change: change.clone(),
        expected: known.revision,
        entry: Arc::new(entry.ok()??),
        guard: guard.filter(|_| is_looked_at),
    };
    local.num_proposals += 1;
    step.push(Effect::Propose(proposal));
    Some(local.num_proposals - 1)
}
