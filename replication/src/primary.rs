//! The machine of a primary: agrees on positions, keeps the in-sync set, gives and holds rights.
//!
//! The *required set* R is the in-sync set S of the entry, and each copy that a change under way may add to
//! it. The *agreed point* is what every member of R has durable. R ⊇ S at any time, whatever the store does
//! with a change and whenever it does it, so no copy that may become primary lacks what was agreed.
//!
//! [`peer`] is another copy as the primary sees it, [`followers`] takes what they say and compares
//! logs, [`sets`] grows and shrinks the in-sync set and gives the role away, [`showing`] has rights and
//! refreshes.

mod followers;
mod peer;
mod sets;
mod showing;

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{CopyId, PrimaryTerm, SeqNo};

use crate::effect::{Effect, Report};
use crate::local::{Health, Local};
use crate::message::FromPrimary;
use crate::patience::{Progress, Watermark};
use crate::request::Request;
use crate::settings::Rule;
use crate::step::Step;
use crate::time::Moment;

pub(crate) use peer::Peer;
use sets::Hold;

/// The state of a copy that is primary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Primary {
    pub(crate) term: PrimaryTerm,
    /// The end of the log when the term was fenced.
    start: SeqNo,
    /// R.
    required: BTreeSet<CopyId>,
    /// All other copies.
    peers: BTreeMap<CopyId, Peer>,
    /// The change under way.
    request: Option<Request>,
    /// The hand-over that holds writes back.
    hold: Option<Hold>,
    /// Copies that are to be removed: they get no serving right.
    withdrawn: BTreeSet<CopyId>,
    /// What its own log has still to make durable.
    unsynced: Watermark,
    /// The position that a refresh waits for, and the last one that was acknowledged.
    refreshing: SeqNo,
    refreshed: SeqNo,
    /// All records below, every member of the in-sync set has.
    keep_from: SeqNo,
}

impl Primary {
    /// Begins to lead the term of the entry, which is the fence.
    pub(crate) fn new(local: &Local, step: &mut Step) -> Self {
        let mut primary = Self {
            term: local.fence,
            start: local.terms.end(),
            required: BTreeSet::new(),
            peers: BTreeMap::new(),
            request: None,
            hold: None,
            withdrawn: BTreeSet::new(),
            unsynced: Watermark::default(),
            refreshing: SeqNo(0),
            refreshed: SeqNo(0),
            keep_from: local.terms.first(),
        };
        #[cfg(test)]
        primary.peers.extend(local.former.clone());
        primary.take_entry(local, step.now);
        let (term, start) = (primary.term, primary.start);
        step.push(Effect::Lead { term, start });
        primary
    }

    /// Takes a new entry of its own term: what was asked for is settled, R is S.
    pub(crate) fn take_entry(&mut self, local: &Local, now: Moment) {
        let Some(known) = &local.known else {
            return;
        };
        let is_settled = |request: &Request| request.is_settled_by(known.revision);
        if self.request.as_ref().is_some_and(is_settled) {
            // A hand-over that was not made: writes go on.
            self.hold = None;
            self.request = None;
        }
        let copies = &known.entry.copies;
        // A copy that was removed may serve until it hears of that, or its right has run out.
        self.peers.retain(|copy, peer| {
            let is_copy = copies.contains_key(copy);
            if !is_copy {
                peer.lose(now);
            }
            is_copy || !peer.serving.has_run_out(now)
        });
        let waits = !local.settings.omits(Rule::WaitForEarlierRights);
        for copy in copies.keys().filter(|copy| **copy != local.id()) {
            let expected = || Peer::expected(&local.settings, waits, now);
            self.peers.entry(*copy).or_insert_with(expected);
        }
        self.require(local);
    }

    /// Sets R: S, and the copy that a change under way may add.
    fn require(&mut self, local: &Local) {
        let Some(entry) = local.entry() else {
            return;
        };
        self.required.clone_from(&entry.in_sync);
        match self.request.as_ref().map(|request| &request.change) {
            Some(crate::Change::Grow { copy })
                if !local.settings.omits(Rule::RequireBeforeGrow) =>
            {
                self.required.insert(*copy);
            }
            Some(crate::Change::Shrink { copy })
                if local.settings.omits(Rule::ShrinkAfterAnswer) =>
            {
                self.required.remove(copy);
            }
            _ => {}
        }
    }

    /// Returns R.
    #[cfg(test)]
    pub(crate) fn required(&self) -> &BTreeSet<CopyId> {
        &self.required
    }

    /// Returns whether new records may be ordered.
    pub(crate) fn may_order(&self, local: &Local) -> bool {
        self.hold.is_none() && !self.gives_role_away() && local.health == Health::Sound
    }

    /// Returns whether the role may be another's already.
    fn gives_role_away(&self) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|request| request.change.gives_role_away())
    }

    /// Records are queued in the own log.
    pub(crate) fn appended(&mut self, next: SeqNo, local: &mut Local, step: &mut Step) {
        if local.terms.append(self.term, next).is_err() {
            let end = local.terms.end();
            step.report(Report::BadBatches { end });
        }
    }

    /// Ends the reign.
    #[cfg(test)]
    pub(crate) fn remember_peers(&self, local: &mut Local) {
        if local.settings.omits(Rule::JoinedInThisStream) {
            local.former.clone_from(&self.peers);
        }
    }

    /// Does what is due: agrees, sends, changes the in-sync set, shows.
    pub(crate) fn poll(&mut self, local: &mut Local, step: &mut Step) {
        let (reached, target) = (local.end, local.terms.end());
        self.unsynced.update(Progress { reached, target }, step.now);
        self.agree(local, step);
        self.send_records(local, step);
        self.poll_sets(local, step);
        self.poll_refresh(local, step);
    }

    /// Raises the agreed point to what every member of R has durable.
    fn agree(&mut self, local: &mut Local, step: &mut Step) {
        let in_sync = local.entry().map_or(0, |entry| entry.in_sync.len());
        if in_sync < local.settings.min_in_sync || local.lacks_agreed() {
            return;
        }
        let Some(agreed) = self.end_of_all(local) else {
            return;
        };
        if local.raise_agreed(agreed, step) {
            self.announce_agreed(local, step);
        }
    }

    /// Tells all followers that more is agreed.
    fn announce_agreed(&mut self, local: &Local, step: &mut Step) {
        self.keep_from = self.keep_from.max(self.needed_from(local));
        for (copy, peer) in &self.peers {
            if peer.follow().is_some() {
                self.send_agreed(*copy, local, step);
            }
        }
    }

    /// Tells a follower what is agreed, and what it must keep.
    fn send_agreed(&self, to: CopyId, local: &Local, step: &mut Step) {
        let (term, agreed, keep_from) = (self.term, local.agreed, self.keep_from);
        let message = FromPrimary::Agreed {
            term,
            agreed,
            keep_from,
        };
        step.send_to_follower(to, message);
    }

    /// Returns what every member of R has durable; `None` while one has not joined.
    fn end_of_all(&self, local: &Local) -> Option<SeqNo> {
        let mut ends = local.end;
        if local.settings.omits(Rule::AgreeByAll) {
            return Some(ends);
        }
        for copy in self.required.iter().filter(|copy| **copy != local.id()) {
            ends = ends.min(self.confirmed(*copy)?);
        }
        Some(ends)
    }

    /// Returns what a copy has said, in this term and by the stream that is open, that it has durable.
    fn confirmed(&self, copy: CopyId) -> Option<SeqNo> {
        let follow = self.peers.get(&copy)?.follow()?;
        Some(follow.confirmed)
    }

    /// Returns from where on some member of the in-sync set may need records of another.
    fn needed_from(&self, local: &Local) -> SeqNo {
        let members = local.entry().into_iter().flat_map(|entry| &entry.in_sync);
        let others = members.filter(|copy| **copy != local.id());
        let confirmed = others.map(|copy| self.confirmed(*copy).unwrap_or(self.keep_from));
        confirmed
            .min()
            .map_or(local.agreed, |least| least.min(local.agreed))
    }

    /// Sends each follower what it has not been sent.
    fn send_records(&mut self, local: &Local, step: &mut Step) {
        let until = if local.settings.sends_before_sync {
            local.terms.end()
        } else {
            local.end
        };
        let (history, term, agreed) = (local.history, self.term, local.agreed);
        for (copy, peer) in &mut self.peers {
            if let Some(follow) = peer.follow_mut()
                && follow.sent < until
            {
                let (to, from) = (*copy, follow.sent);
                step.push(Effect::Stream {
                    to,
                    history,
                    term,
                    from,
                    until,
                    agreed,
                });
                follow.sent = until;
                follow.update(local.end, step.now);
            }
        }
    }
}
