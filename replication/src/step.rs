//! One step of a machine: the moment at which it happens, and the effects gathered so far.

use gleaner_model::CopyId;

use crate::effect::{Effect, Report};
use crate::message::{FromFollower, FromPrimary};
use crate::time::Moment;

/// A step under way.
#[derive(Debug)]
pub(crate) struct Step {
    /// When it happens.
    pub(crate) now: Moment,
    /// What is to be done, in order.
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.push(Effect::Report(report));
    }

    pub(crate) fn send_to_primary(&mut self, to: CopyId, message: FromFollower) {
        self.push(Effect::ToPrimary { to, message });
    }

    pub(crate) fn send_to_follower(&mut self, to: CopyId, message: FromPrimary) {
        self.push(Effect::ToFollower { to, message });
    }
}
