//! What followers say: that they join, what they have, that they leave. Logs are compared by their terms.

use gleaner_model::{CopyId, SeqNo};

use super::Primary;
use super::peer::{Contact, Follow, Peer};
use crate::effect::Report;
use crate::local::{Health, Local};
use crate::message::{FromFollower, FromPrimary, Join};
use crate::settings::Rule;
use crate::step::Step;
use crate::terms::Comparison;
use crate::time::Moment;

impl Primary {
    /// Takes a message of a follower.
    pub(crate) fn receive(
        &mut self,
        from: CopyId,
        message: &FromFollower,
        local: &mut Local,
        step: &mut Step,
    ) {
        match message {
            FromFollower::Join(join) => self.join(from, *join, local, step),
            FromFollower::Have { term, end, visible } if *term == self.term => {
                if let Some(follow) = self.follow_mut(from, step.now) {
                    follow.confirmed = follow.confirmed.max((*end).min(local.terms.end()));
                    follow.visible = follow.visible.max(*visible);
                }
                self.pace(from, local, step.now);
            }
            FromFollower::Leave { term } if *term == self.term => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.contact = Contact::Left;
                }
            }
            FromFollower::Beat(beat) if beat.term == self.term => {
                self.take_beat(from, *beat, local, step.now);
            }
            _ => {}
        }
    }

    /// Returns a copy that follows and has said something now.
    pub(super) fn follow_mut(&mut self, copy: CopyId, now: Moment) -> Option<&mut Follow> {
        let follow = self.peers.get_mut(&copy)?.follow_mut()?;
        follow.hear(now);
        Some(follow)
    }

    /// Notes how long a copy took to confirm, beside the others.
    fn pace(&mut self, copy: CopyId, local: &Local, now: Moment) {
        let others = self.peers.iter().filter(|(other, _)| **other != copy);
        let follows = others.filter_map(|(_, peer)| peer.follow());
        let mut paces: Vec<_> = follows.filter_map(|follow| follow.pace.last).collect();
        if let Some(follow) = self.peers.get_mut(&copy).and_then(Peer::follow_mut)
            && let Some(took) = follow.update(local.end, now)
        {
            follow.pace.confirmed(took, &mut paces, now);
        }
    }

    /// The stream of a follower has ended.
    pub(crate) fn lose(&mut self, follower: CopyId, local: &Local, now: Moment) {
        if let Some(peer) = self.peers.get_mut(&follower)
            && !local.settings.omits(Rule::JoinedInThisStream)
        {
            peer.lose(now);
        }
    }

    fn join(&mut self, from: CopyId, join: Join, local: &mut Local, step: &mut Step) {
        let (term, now) = (self.term, step.now);
        let is_copy = local
            .entry()
            .is_some_and(|entry| entry.copies.contains_key(&from));
        if join.term != term || !is_copy || !local.is_of(join.history) {
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
                if local.raise_agreed(join.agreed, step) {
                    self.announce_agreed(local, step);
                } else if join.agreed < local.agreed {
                    self.send_agreed(from, local, step);
                }
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

/// Returns whether a record that the follower knows to be agreed is not in this log.
fn lacks_agreed(join: &Join, local: &Local) -> bool {
    let (Some(theirs), Some(before)) = (join.agreed_term, join.agreed.0.checked_sub(1)) else {
        return false;
    };
    let is_trimmed = join.agreed < local.terms.first();
    !is_trimmed && local.terms.at(SeqNo(before)) != Some(theirs)
}
