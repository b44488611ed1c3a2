//! Streams whose messages are late: order is kept, and a direction that is cut holds messages back.

use std::collections::BTreeSet;

use rand::Rng;

use super::super::world::copy_id;
use super::Run;
use crate::{Event, FromFollower, FromPrimary};

/// A message under way.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    due_ms: u64,
    from: usize,
    to: usize,
    /// Number of the stream, greater than that of each stream before.
    stream: u64,
    content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Up(FromFollower),
    Down(FromPrimary),
}

/// Messages under way, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Network {
    packets: Vec<Packet>,
    cuts: BTreeSet<(usize, usize)>,
}

impl Network {
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Cuts one direction, or both.
    pub(super) fn cut(&mut self, from: usize, to: usize, both: bool) {
        self.cuts.insert((from, to));
        if both {
            self.cuts.insert((to, from));
        }
    }

    /// Takes the messages that arrive: none overtakes another of its direction.
    fn arrivals(&mut self, now_ms: u64, can_receive: impl Fn(usize) -> bool) -> Vec<Packet> {
        let mut blocked = self.cuts.clone();
        let mut arrived = Vec::new();
        self.packets.retain(|packet| {
            let direction = (packet.from, packet.to);
            if packet.due_ms > now_ms || !can_receive(packet.to) || blocked.contains(&direction) {
                blocked.insert(direction);
                return true;
            }
            arrived.push(packet.clone());
            false
        });
        arrived
    }
}

impl Run {
    pub(super) fn send(&mut self, from: usize, to: usize, stream: u64, content: Content) {
        let delay = match self.random.random_range(0..100) {
            0..40 => 2,
            40..75 => 10,
            75..97 => 40,
            _ => self.random.random_range(100..2_500),
        };
        let due_ms = self.now_ms + delay;
        self.network.packets.push(Packet {
            due_ms,
            from,
            to,
            stream,
            content,
        });
    }

    /// Delivers what arrives, by streams that are open at its receiver.
    pub(super) fn move_messages(&mut self) {
        let (now_ms, leaves) = (self.now_ms, &self.leaves);
        let can_receive = |copy: usize| {
            let leaf: &super::Leaf = &leaves[copy];
            leaf.copy.is_some() && !leaf.is_paused(now_ms)
        };
        for packet in self.network.arrivals(now_ms, can_receive) {
            let Packet {
                from,
                to,
                stream,
                content,
                ..
            } = packet;
            match content {
                Content::Up(message) => {
                    if self.take_stream(to, from, stream) {
                        let from = copy_id(from);
                        self.handle(to, Event::FromFollower { from, message });
                    }
                }
                Content::Down(message) => {
                    let own = &mut self.leaves[to].stream;
                    if own.number == Some(stream) {
                        own.heard_ms = now_ms;
                        let from = copy_id(from);
                        self.handle(to, Event::FromPrimary { from, message });
                    }
                }
            }
        }
    }

    /// Notes that a message came by a follower's stream. Returns whether that is the newest one and open.
    fn take_stream(&mut self, copy: usize, follower: usize, stream: u64) -> bool {
        let now_ms = self.now_ms;
        let known = self.leaves[copy].followers[follower];
        if stream < known.newest || (stream == known.newest && known.number.is_none()) {
            return false;
        }
        if known.number.is_some_and(|number| number != stream) {
            let follower = copy_id(follower);
            self.handle(copy, Event::FollowerGone { follower });
        }
        let known = &mut self.leaves[copy].followers[follower];
        known.number = Some(stream);
        known.newest = stream;
        known.heard_ms = now_ms;
        true
    }
}
