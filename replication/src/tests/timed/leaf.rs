//! A leaf in time: its clock, its streams, its driver.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{Incarnation, SeqNo};

use super::super::world::{Disk, DiskWrite, NUM_COPIES, Record, copy_id, index_of, node};
use super::Run;
use super::network::Content;
use crate::{Batch, Effect, Event, FromPrimary, Identity, LogState, Moment, ShardCopy, TermTable};

/// A stream from one side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stream {
    /// `None` while it is closed here.
    pub(super) number: Option<u64>,
    /// The greatest number seen.
    pub(super) newest: u64,
    pub(super) heard_ms: u64,
}

/// A leaf with its copy.
pub(super) struct Leaf {
    rate: f64,
    offset_s: f64,
    pub(super) copy: Option<ShardCopy>,
    pub(super) incarnation: u8,
    pub(super) paused_until_ms: u64,
    down_until_ms: u64,
    pub(super) disk: Disk,
    /// All records below are shown here.
    pub(super) visible: u64,
    /// Until then, on its own clock, it has promised roots to show nothing newer.
    pub(super) promised_until: Option<Moment>,
    pub(super) follows: Option<usize>,
    /// The stream to the primary.
    pub(super) stream: Stream,
    /// Streams of followers, by follower.
    pub(super) followers: [Stream; NUM_COPIES],
    pub(super) beats: u64,
    pub(super) beaten_ms: u64,
}

impl Leaf {
    pub(super) fn new(rate: f64, offset_s: f64) -> Self {
        Self {
            rate,
            offset_s,
            copy: None,
            incarnation: 0,
            paused_until_ms: 0,
            down_until_ms: 0,
            disk: Disk::default(),
            visible: 0,
            promised_until: None,
            follows: None,
            stream: Stream::default(),
            followers: [Stream::default(); NUM_COPIES],
            beats: 0,
            beaten_ms: 0,
        }
    }

    /// Returns the moment on its own clock.
    pub(super) fn clock(&self, now_ms: u64) -> Moment {
        Moment(Duration::from_secs_f64(
            self.offset_s + self.rate * now_ms as f64 / 1_000.0,
        ))
    }

    /// Returns whether it may show something newer.
    pub(super) fn may_show(&self, now_ms: u64) -> bool {
        let now = self.clock(now_ms);
        self.promised_until.is_none_or(|until| now >= until)
    }

    pub(super) fn is_paused(&self, now_ms: u64) -> bool {
        now_ms < self.paused_until_ms
    }

    pub(super) fn is_down(&self, now_ms: u64) -> bool {
        self.copy.is_none() && now_ms < self.down_until_ms
    }
}

impl Run {
    /// Starts a process on what the disk holds.
    pub(super) fn start(&mut self, copy: usize) {
        let leaf = &mut self.leaves[copy];
        leaf.incarnation = leaf.incarnation.wrapping_add(1);
        let mut terms = TermTable::default();
        for (next, record) in (1..).zip(&leaf.disk.log) {
            terms
                .append(record.term, SeqNo(next))
                .expect("a log is in order");
        }
        let incarnation = Incarnation([leaf.incarnation; 16]);
        let identity = Identity {
            copy: copy_id(copy),
            node: node(copy),
            incarnation,
        };
        let (fence, agreed) = (leaf.disk.fence, leaf.disk.agreed);
        let log = LogState {
            history: gleaner_model::HistoryId::FIRST,
            fence,
            terms,
            agreed,
            seen_version: 0,
        };
        let now = leaf.clock(self.now_ms);
        leaf.copy = Some(ShardCopy::open(identity, self.settings, log, now));
        leaf.visible = 0;
    }

    /// Ends a process. Its disk keeps everything here: losses are the explorer's.
    pub(super) fn stop(&mut self, copy: usize, down_ms: u64) {
        self.sync(copy);
        let now_ms = self.now_ms;
        let leaf = &mut self.leaves[copy];
        leaf.copy = None;
        leaf.down_until_ms = now_ms + down_ms;
        leaf.paused_until_ms = 0;
        leaf.follows = None;
        leaf.stream.number = None;
        for follower in &mut leaf.followers {
            follower.number = None;
        }
        for other in 0..NUM_COPIES {
            if self.leaves[other].follows == Some(copy) {
                self.close(other);
            }
        }
    }

    pub(super) fn handle(&mut self, copy: usize, event: Event) {
        let now_ms = self.now_ms;
        let leaf = &mut self.leaves[copy];
        let now = leaf.clock(now_ms);
        let Some(machine) = &mut leaf.copy else {
            return;
        };
        for effect in machine.handle(now, event) {
            self.perform(copy, effect);
        }
    }

    fn perform(&mut self, copy: usize, effect: Effect) {
        let queued = &mut self.leaves[copy].disk.queued;
        match effect {
            Effect::Fence { term } => queued.push(DiskWrite::Fence(term)),
            Effect::Truncate { from } => queued.push(DiskWrite::Truncate(from)),
            Effect::Append { batches } => queued.extend(batches.iter().map(|batch| {
                let (term, value) = (batch.term, batch.payload[0]);
                DiskWrite::Append(Record { term, value })
            })),
            Effect::Follow { primary } => {
                self.close(copy);
                self.leaves[copy].follows = Some(index_of(primary));
            }
            Effect::ToPrimary { to, message } => {
                if let Some(stream) = self.leaves[copy].stream.number {
                    self.send(copy, index_of(to), stream, Content::Up(message));
                }
            }
            Effect::ToFollower { to, message } => self.send_down(copy, index_of(to), message),
            Effect::Stream {
                to,
                history,
                term,
                from,
                until,
                agreed,
            } => {
                let batches = self.read(copy, from, until);
                let message = FromPrimary::Batches {
                    history,
                    term,
                    agreed,
                    batches,
                };
                self.send_down(copy, index_of(to), message);
            }
            Effect::Propose(proposal) => self.propose(copy, proposal),
            Effect::Agreed { to } => {
                let leads = self.leaves[copy].copy.as_ref().and_then(ShardCopy::leads);
                if leads.is_some() && to.0 > self.acknowledged {
                    self.acknowledged = to.0;
                    self.tally.num_acknowledged += 1;
                }
            }
            Effect::Refreshed { position } => {
                self.refreshed = self.refreshed.max(position.0);
                self.tally.num_refreshes += 1;
            }
            Effect::Lead { .. } => {
                self.tally.num_terms += 1;
                self.close(copy);
                self.leaves[copy].follows = None;
            }
            Effect::StepDown
            | Effect::CopyFiles { .. }
            | Effect::OtherHistory
            | Effect::Report(_) => {}
        }
    }

    fn send_down(&mut self, copy: usize, to: usize, message: FromPrimary) {
        if let Some(stream) = self.leaves[copy].followers[to].number {
            self.send(copy, to, stream, Content::Down(message));
        }
    }

    fn read(&self, copy: usize, from: SeqNo, until: SeqNo) -> Vec<Batch> {
        let log = self.leaves[copy].disk.written();
        let batch = |at: u64| Batch {
            term: log[at as usize].term,
            first: SeqNo(at),
            next: SeqNo(at + 1),
            payload: Bytes::copy_from_slice(&[log[at as usize].value]),
        };
        (from.0..until.0).map(batch).collect()
    }

    /// Closes the stream to the primary on this side.
    pub(super) fn close(&mut self, copy: usize) {
        let Some(primary) = self.leaves[copy].follows else {
            return;
        };
        if self.leaves[copy].stream.number.take().is_some() {
            let primary = copy_id(primary);
            self.handle(copy, Event::Disconnected { primary });
        }
    }

    pub(super) fn sync(&mut self, copy: usize) {
        if let Some(machine) = &self.leaves[copy].copy {
            self.leaves[copy].disk.agreed = machine.agreed();
        }
        for write in std::mem::take(&mut self.leaves[copy].disk.queued) {
            let disk = &mut self.leaves[copy].disk;
            disk.apply(&write);
            let end = SeqNo(disk.log.len() as u64);
            let event = match write {
                DiskWrite::Append(_) => Event::Durable { end },
                DiskWrite::Fence(term) => Event::Fenced { term },
                DiskWrite::Truncate(_) => Event::Truncated,
            };
            self.handle(copy, event);
        }
    }
}
