//! What happens to a copy: entries and nodes, messages, the passing of time.

use std::sync::Arc;

use gleaner_coordinator::entries::{EntryTable, StoredEntry};
use gleaner_log::Agreement;
use gleaner_model::{CopyId, NodeId, SeqNo};
use gleaner_proto::replicate::{FollowerMessage, PrimaryMessage};
use gleaner_replication::{Event, FromFollower, FromPrimary};

use super::{CopyDriver, DriverEnd, Machine};
use crate::agree::downstream::FollowerStream;
use crate::agree::rules::Rule;

impl CopyDriver {
    /// Tells the machine of the entry and of the nodes of its copies.
    pub(in crate::agree) fn feed(&self, table: &EntryTable, stored: Option<&StoredEntry>) {
        let mut machine = self.machine.lock();
        let machine = &mut *machine;
        let news = stored.filter(|stored| Some(stored.revision) > machine.revision);
        if let Some(StoredEntry { entry, revision }) = news {
            machine.revision = Some(*revision);
            machine.entry = Some(Arc::clone(entry));
            let agreement = Agreement {
                point: SeqNo(0),
                entry_version: entry.version,
            };
            self.hub.log.note_agreement(self.shard, agreement);
            let own = self.hub.own_copy(entry);
            if own.is_some_and(|own| own != self.copy) {
                machine.told.end.get_or_insert(DriverEnd::Replaced);
            }
        }
        self.configure(machine);
        let copies = machine.entry.iter().flat_map(|entry| entry.copies.values());
        let nodes: Vec<_> = copies.map(|meta| meta.node).collect();
        for node in nodes {
            let is_alive = table.alive.contains_key(&node);
            if machine.alive.insert(node, is_alive) != Some(is_alive) {
                self.run(machine, Event::Alive { node, is_alive });
            }
        }
        if let Some(StoredEntry { entry, revision }) = news.cloned() {
            self.run(machine, Event::Entry { entry, revision });
        }
    }

    /// Sets how many members the in-sync set keeps, by the index's setting and the number of copies.
    fn configure(&self, machine: &mut Machine) {
        let num_copies = machine.entry.as_ref().map_or(1, |entry| entry.copies.len());
        let min_in_sync = self.hub.min_in_sync(self.shard, num_copies);
        if machine.min_in_sync != min_in_sync {
            machine.min_in_sync = min_in_sync;
            machine.copy.configure(self.hub.settings(min_in_sync));
        }
    }

    /// Time has passed: the index's settings may be others, and roots may call this leaf or not.
    pub(in crate::agree) fn tick(&self, is_called: bool) {
        let mut machine = self.machine.lock();
        self.configure(&mut machine);
        if machine.is_called != is_called {
            machine.is_called = is_called;
            self.run(&mut machine, Event::Called { is_called });
        }
        self.run(&mut machine, Event::Tick);
    }

    /// It is time for a beat on each stream with a follower.
    pub(in crate::agree) fn beat(&self) {
        let mut machine = self.machine.lock();
        let followers: Vec<CopyId> = machine.streams.keys().copied().collect();
        for follower in followers {
            let Some(stream) = machine.streams.get_mut(&follower) else {
                continue;
            };
            stream.beats += 1;
            let number = stream.beats;
            self.run(&mut machine, Event::BeatDue { follower, number });
        }
    }

    /// Takes a message that came by `stream`. What comes by another one than the follower has joined by counts for
    /// nothing, but for a join.
    pub(in crate::agree) fn hear_follower(&self, said: FollowerMessage, stream: &FollowerStream) {
        let FollowerMessage { from, message, .. } = said;
        let mut machine = self.machine.lock();
        let is_current = |machine: &Machine| {
            let known = machine.streams.get(&from);
            known.map(|known| known.number == stream.number)
        };
        match (&message, is_current(&machine)) {
            (_, Some(true)) => {}
            (_, Some(false)) if self.omits(Rule::HearJoinedStream) => {}
            (FromFollower::Join(_), known) => {
                if known.is_some() {
                    self.run(&mut machine, Event::FollowerGone { follower: from });
                }
                machine.streams.insert(from, stream.clone());
            }
            _ => return,
        }
        if let FromFollower::Have { end, .. } = &message {
            self.keep_log_for(&machine, from, *end);
        }
        self.run(&mut machine, Event::FromFollower { from, message });
    }

    /// A stream has ended: a follower that had joined by it is gone.
    pub(in crate::agree) fn lose_follower(&self, follower: CopyId, stream: u64) {
        let mut machine = self.machine.lock();
        let known = machine.streams.get(&follower);
        if known.is_some_and(|known| known.number == stream) {
            machine.streams.remove(&follower);
            self.run(&mut machine, Event::FollowerGone { follower });
        }
    }

    fn keep_log_for(&self, machine: &Machine, follower: CopyId, end: SeqNo) {
        let node = machine
            .entry
            .as_ref()
            .and_then(|entry| entry.node_of(follower));
        let table = self.hub.table();
        let name = node.and_then(|node| table.name_of(node)).cloned();
        let name = name.unwrap_or_else(|| NodeId(follower.to_string().into()));
        let now = tokio::time::Instant::now().into_std();
        self.followers.heard(&name, end, now);
    }

    /// Takes a message of the primary.
    pub(in crate::agree) fn hear_primary(&self, said: PrimaryMessage) {
        let PrimaryMessage { from, message, .. } = said;
        let mut machine = self.machine.lock();
        let announced = match &message {
            FromPrimary::Batches { agreed, .. } => Some(*agreed),
            FromPrimary::Agreed {
                agreed, keep_from, ..
            } => {
                let followed = machine.upstream.as_ref().map(|(primary, _)| *primary);
                if followed == Some(from) {
                    machine.told.keep_from = *keep_from;
                }
                Some(*agreed)
            }
            // A primary that knows of more says so next.
            FromPrimary::Beat(_) => Some(machine.told.agreed),
            _ => None,
        };
        if machine.told.goal.is_none() {
            machine.told.goal = announced;
        }
        self.run(&mut machine, Event::FromPrimary { from, message });
    }
}
