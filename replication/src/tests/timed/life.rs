//! What a leaf and its clients do all the time.

use gleaner_model::SeqNo;
use rand::Rng;

use super::super::world::{DiskWrite, NUM_COPIES, Record, copy_id};
use super::Run;
use super::leaf::Stream;
use crate::Event;

/// Milliseconds without a word after which a side closes a stream.
const SILENCE_MS: u64 = 1_000;
/// Milliseconds between two beats.
const BEAT_MS: u64 = 250;

impl Run {
    /// What a process does in a step.
    pub(super) fn run_leaf(&mut self, copy: usize) {
        if !self.store.is_cut(copy) && self.random.random_bool(0.3) {
            self.watch(copy);
        }
        if self.random.random_bool(0.7) {
            self.sync(copy);
        }
        if self.random.random_bool(0.2) {
            self.handle(copy, Event::Tick);
        }
        self.tend_streams(copy);
        self.show(copy);
        self.use_primary(copy);
    }

    /// Opens and closes streams, and sends beats.
    fn tend_streams(&mut self, copy: usize) {
        let now_ms = self.now_ms;
        let is_silent =
            |stream: Stream| stream.number.is_some() && now_ms > stream.heard_ms + SILENCE_MS;
        if is_silent(self.leaves[copy].stream) {
            self.close(copy);
        }
        let leaf = &mut self.leaves[copy];
        if let (Some(primary), None) = (leaf.follows, leaf.stream.number) {
            leaf.stream.newest = leaf.stream.newest.max(now_ms) + 1;
            leaf.stream.number = Some(leaf.stream.newest);
            leaf.stream.heard_ms = now_ms;
            let primary = copy_id(primary);
            self.handle(copy, Event::Connected { primary });
        }
        let is_due = now_ms >= self.leaves[copy].beaten_ms + BEAT_MS;
        if is_due {
            self.leaves[copy].beaten_ms = now_ms;
        }
        for other in 0..NUM_COPIES {
            let follower = copy_id(other);
            if is_silent(self.leaves[copy].followers[other]) {
                self.leaves[copy].followers[other].number = None;
                self.handle(copy, Event::FollowerGone { follower });
            } else if is_due && self.leaves[copy].followers[other].number.is_some() {
                self.leaves[copy].beats += 1;
                let number = self.leaves[copy].beats;
                self.handle(copy, Event::BeatDue { follower, number });
            }
        }
    }

    /// The engine shows what is agreed, some time later.
    fn show(&mut self, copy: usize) {
        let may_show = self.leaves[copy].may_show(self.now_ms);
        let leaf = &mut self.leaves[copy];
        let Some(agreed) = leaf.copy.as_ref().map(|machine| machine.agreed().0) else {
            return;
        };
        if leaf.visible < agreed && self.random.random_bool(0.3) && may_show {
            leaf.visible = agreed;
            let visible = SeqNo(agreed);
            self.handle(copy, Event::Shown { visible });
        }
    }

    /// Clients write and refresh; an operator hands over.
    fn use_primary(&mut self, copy: usize) {
        let Some(machine) = &self.leaves[copy].copy else {
            return;
        };
        let Some(term) = machine.leads() else {
            return;
        };
        let (may_order, agreed) = (machine.may_order(), machine.agreed());
        if may_order && self.random.random_bool(0.1) {
            let value = self.random.random();
            let disk = &mut self.leaves[copy].disk;
            disk.queued.push(DiskWrite::Append(Record { term, value }));
            let next = SeqNo(disk.written().len() as u64);
            self.handle(copy, Event::Appended { next });
        }
        if self.random.random_bool(0.1) {
            self.handle(copy, Event::Refresh { position: agreed });
        }
        if self.random.random_bool(0.003) {
            let to = (copy + self.random.random_range(1..NUM_COPIES)) % NUM_COPIES;
            self.handle(copy, Event::HandOver { to: copy_id(to) });
        }
    }
}
