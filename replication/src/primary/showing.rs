//! What may be answered and shown: read rights, serving rights, refreshes.

use std::collections::BTreeSet;

use gleaner_model::{CopyId, SeqNo};

use super::Primary;
use crate::effect::Effect;
use crate::local::Local;
use crate::message::{Beat, FromPrimary};
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

impl Primary {
    /// Returns whether this copy may tell the state of a document without an agreed record of its own.
    ///
    /// It holds the read right of all of R. What the primary before acknowledged is below the term start,
    /// and may be not agreed here yet: until then this copy answers nothing.
    pub(crate) fn may_read(&self, local: &Local, now: Moment) -> bool {
        if local.settings.omits(Rule::ReadByRight) {
            return true;
        }
        let mut others = self.required.iter().filter(|copy| **copy != local.id());
        let holds = |copy: &CopyId| {
            let peer = self.peers.get(copy);
            peer.is_some_and(|peer| peer.read.holds(now))
        };
        let is_mine = !self.gives_role_away() && !local.lacks_agreed();
        is_mine && local.agreed >= self.start && others.all(holds)
    }

    /// Returns whether searches on this copy need no flag: it holds the read right, and shows what this
    /// primary or the one before has acknowledged as visible.
    pub(crate) fn may_serve(&self, local: &Local, now: Moment) -> bool {
        let needed = self.start.max(self.refreshed);
        let shows = local.visible.is_some_and(|visible| visible >= needed);
        shows && self.may_read(local, now)
    }

    /// Takes a follower's beat: it answers one of this primary's.
    pub(super) fn take_beat(&mut self, from: CopyId, beat: Beat, local: &Local, now: Moment) {
        if self.follow_mut(from, now).is_none() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.echo = Some(beat.number);
            if beat.gives_right
                && let Some(echo) = beat.echo
            {
                peer.read.answered(echo, local.settings.copy_right);
            }
        }
    }

    /// Sends a beat on the stream with a follower; gives a serving right to one that shows what it must.
    pub(crate) fn beat(&mut self, to: CopyId, number: u64, local: &Local, step: &mut Step) {
        let settings = &local.settings;
        let may_give = self.may_read(local, step.now) || settings.omits(Rule::ServeUnderReadRight);
        let needed = self.start.max(self.refreshing).max(self.refreshed);
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        let Some(visible) = peer.follow().map(|follow| follow.visible) else {
            return;
        };
        let shows = visible >= needed || settings.omits(Rule::ServeWhatIsRefreshed);
        // Without an echo the right would have no beginning.
        let may_have = peer.echo.is_some() && !self.withdrawn.contains(&to);
        let gives_right = may_give && shows && may_have;
        if gives_right {
            peer.serving.give(step.now, settings.serving_right());
        }
        peer.read.sent(number, step.now);
        let (term, echo) = (self.term, peer.echo);
        let beat = Beat {
            term,
            number,
            echo,
            gives_right,
        };
        step.send_to_follower(to, FromPrimary::Beat(beat));
    }

    /// Gives these copies no serving right any more: they are to be removed.
    pub(crate) fn withdraw(&mut self, copies: &BTreeSet<CopyId>) {
        self.withdrawn.clone_from(copies);
    }

    /// Returns whether a copy may still hold a serving right, of this primary or the one before.
    pub(crate) fn may_have_right(&self, copy: CopyId, now: Moment) -> bool {
        let peer = self.peers.get(&copy);
        !self.withdrawn.contains(&copy) || peer.is_some_and(|peer| !peer.serving.has_run_out(now))
    }

    /// Begins to wait until all records below `position` are visible everywhere.
    pub(crate) fn refresh(&mut self, position: SeqNo) {
        self.refreshing = self.refreshing.max(position);
    }

    /// Says that a refresh is shown: here, and on every copy that may hold a serving right.
    pub(super) fn poll_refresh(&mut self, local: &Local, step: &mut Step) {
        let position = self.refreshing;
        let is_shown_here = local.visible.is_some_and(|visible| visible >= position);
        if position <= self.refreshed || local.agreed < position || !is_shown_here {
            return;
        }
        if self
            .peers
            .values()
            .all(|peer| shows(peer, position, step.now))
        {
            self.refreshed = position;
            step.push(Effect::Refreshed { position });
        }
    }
}

fn shows(peer: &super::Peer, position: SeqNo, now: Moment) -> bool {
    let visible = peer.follow().map(|follow| follow.visible);
    visible.is_some_and(|visible| visible >= position) || peer.serving.has_run_out(now)
}
