//! How a primary takes a follower: it compares the two logs by their terms.

use gleaner_model::{CopyId, PrimaryTerm, SeqNo};

use super::Primary;
use super::peer::Follow;
use crate::event::Report;
use crate::local::{Health, Local};
use crate::message::{FromPrimary, Join};
use crate::step::Step;
use crate::terms::Comparison;

impl Primary {
    pub(super) fn join(&mut self, from: CopyId, join: Join, local: &mut Local, step: &mut Step) {
        let (term, now) = (self.term, step.now);
        if join.term != term || !self.peers.contains_key(&from) {
            let (fence, version) = (local.fence, local.seen_version);
            return step.send_to_follower(from, FromPrimary::Refused { fence, version });
        }
        if lacks_agreed(&join, local) {
            let (follower, agreed) = (from, join.agreed);
            step.report(Report::LacksAgreed { follower, agreed });
            local.health = Health::LacksAgreed { follower, agreed };
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.lose(now);
        match local.terms.compare(join.end, join.last_term) {
            Comparison::Match => {
                peer.join(Follow::new(join.end, join.visible, now));
                step.send_to_follower(from, FromPrimary::Accept { term });
                local.raise_agreed(join.agreed, step);
            }
            Comparison::Diverged(at) => {
                step.send_to_follower(from, FromPrimary::Diverged { term, at });
            }
            Comparison::Trimmed => {
                let first = local.terms.first();
                step.send_to_follower(from, FromPrimary::Trimmed { term, first });
            }
        }
    }
}

/// Returns whether a record that the follower knows to be agreed is not in this log. Where an operator
/// forced a term since, that is what was accepted then.
fn lacks_agreed(join: &Join, local: &Local) -> bool {
    let (Some(theirs), Some(before)) = (join.agreed_term, join.agreed.0.checked_sub(1)) else {
        return false;
    };
    let is_forced = |forced: &PrimaryTerm| *forced > join.last_term;
    if local
        .entry()
        .is_some_and(|entry| entry.forced.iter().any(is_forced))
    {
        return false;
    }
    let is_trimmed = join.agreed < local.terms.first();
    !is_trimmed && local.terms.at(SeqNo(before)) != Some(theirs)
}
