//! Another copy, as the primary sees it: whether it has joined, what it confirmed, which rights it holds.

use std::time::Duration;

use gleaner_model::SeqNo;

use crate::patience::{Pace, Progress, Watermark};
use crate::rights::{GivenRight, HeldRight};
use crate::settings::Settings;
use crate::time::Moment;

/// Another copy of the shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) contact: Contact,
    /// The read right that it gives this primary.
    pub(crate) read: HeldRight,
    /// The serving right that this primary, or the one before, has given it.
    pub(crate) serving: GivenRight,
    /// Number of its last beat on this stream.
    pub(crate) echo: Option<u64>,
}

/// Whether a copy has joined in this term, by the stream that is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Contact {
    /// It has not joined since the term began.
    Expected { since: Moment },
    /// It follows.
    Joined(Follow),
    /// Its stream has ended, or its logs are compared anew.
    Lost { since: Moment },
    /// It said that it ends.
    Left,
}

/// What a copy that follows has said on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Follow {
    /// All records below are durable there.
    pub(crate) confirmed: SeqNo,
    /// All records below are visible there.
    pub(crate) visible: SeqNo,
    /// All records below were sent there.
    pub(crate) sent: SeqNo,
    heard: Moment,
    awaited: Watermark,
    pub(crate) pace: Pace,
}

impl Follow {
    pub(crate) fn new(confirmed: SeqNo, visible: SeqNo, now: Moment) -> Self {
        Self {
            confirmed,
            visible,
            sent: confirmed,
            heard: now,
            awaited: Watermark::default(),
            pace: Pace::default(),
        }
    }

    pub(crate) fn hear(&mut self, now: Moment) {
        self.heard = now;
    }

    /// Takes what the copy confirms, or that more was sent to it and is durable here below `end`. Returns
    /// how long the awaited position took when it is confirmed now.
    pub(crate) fn update(&mut self, end: SeqNo, now: Moment) -> Option<Duration> {
        let target = self.sent.min(end);
        let reached = self.confirmed;
        self.awaited.update(Progress { reached, target }, now)
    }

    /// Returns whether it has all that was the end a short while ago.
    pub(crate) fn is_caught_up(&self, settings: &Settings, now: Moment) -> bool {
        !self.awaited.is_late(settings.catch_up, now)
    }
}

impl Peer {
    /// Returns a copy that is expected to join. Its predecessor may have given it a serving right.
    pub(crate) fn expected(settings: &Settings, waits: bool, now: Moment) -> Self {
        let mut serving = GivenRight::default();
        if waits {
            serving.give(now, settings.serving_right());
        }
        Self {
            contact: Contact::Expected { since: now },
            read: HeldRight::default(),
            serving,
            echo: None,
        }
    }

    pub(crate) fn follow(&self) -> Option<&Follow> {
        match &self.contact {
            Contact::Joined(follow) => Some(follow),
            _ => None,
        }
    }

    pub(crate) fn follow_mut(&mut self) -> Option<&mut Follow> {
        match &mut self.contact {
            Contact::Joined(follow) => Some(follow),
            _ => None,
        }
    }

    /// Takes a copy that joins by a new stream: what was said on another counts no more.
    pub(crate) fn join(&mut self, follow: Follow) {
        self.contact = Contact::Joined(follow);
        self.read = HeldRight::default();
        self.echo = None;
    }

    /// The stream has ended, or the copy must cut and join again.
    pub(crate) fn lose(&mut self, now: Moment) {
        if let Contact::Joined(_) = self.contact {
            self.contact = Contact::Lost { since: now };
        }
    }

    /// Returns whether a member of the in-sync set is waited for no longer. `is_alive` says whether its
    /// node's `alive` key is there.
    pub(crate) fn is_late(&self, is_alive: bool, settings: &Settings, now: Moment) -> bool {
        if !is_alive {
            return true;
        }
        match &self.contact {
            Contact::Left => true,
            Contact::Expected { since } => now.is_past(*since, settings.join_patience),
            Contact::Lost { since } => now.is_past(*since, settings.reconnect_patience),
            Contact::Joined(follow) => {
                now.is_past(follow.heard, settings.beat_patience)
                    || follow.awaited.is_late(settings.sync_patience, now)
                    || follow.pace.is_slow(now)
            }
        }
    }
}
