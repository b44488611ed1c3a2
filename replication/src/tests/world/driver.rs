//! What a leaf's driver does, in the model: performs effects on the disk, the streams and the store.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::SeqNo;

use super::store::StoreRequest;
use super::violation::Violation;
use super::{Disk, DiskWrite, Link, NUM_COPIES, Record, World, copy_id, index_of};
use crate::{Batch, Effect, Event, FromPrimary, Moment};

/// Long enough for each pause, and shorter than what counts as late.
pub(super) const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

impl World {
    /// Gives an event to a copy that runs, and performs what it wants.
    pub(super) fn handle(&mut self, copy: usize, event: Event) -> Result<(), Violation> {
        self.handle_at(copy, Moment::default(), event)
    }

    pub(super) fn handle_at(
        &mut self,
        copy: usize,
        now: Moment,
        event: Event,
    ) -> Result<(), Violation> {
        let Some(machine) = &mut Arc::make_mut(&mut self.sites[copy]).copy else {
            return Ok(());
        };
        let effects = machine.handle(now, event);
        effects
            .into_iter()
            .try_for_each(|effect| self.do_effect(copy, effect))
    }

    fn do_effect(&mut self, copy: usize, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Fence { term } => self.queue(copy, DiskWrite::Fence(term)),
            Effect::Truncate { from } => self.queue(copy, DiskWrite::Truncate(from)),
            Effect::Append { batches } => {
                for batch in batches {
                    let (term, value) = (batch.term, batch.payload[0]);
                    self.queue(copy, DiskWrite::Append(Record { term, value }));
                }
            }
            Effect::Follow { primary } => {
                self.cut(copy)?;
                Arc::make_mut(&mut self.sites[copy]).follows = Some(index_of(primary));
            }
            Effect::ToPrimary { to, message } => {
                if let Some(link) = self.link_mut(copy, index_of(to)) {
                    link.up.push(message);
                }
            }
            Effect::ToFollower { to, message } => {
                if let Some(link) = self.link_mut(index_of(to), copy) {
                    link.down.push(message);
                }
            }
            Effect::Stream {
                to,
                history,
                term,
                from,
                until,
                agreed,
            } => {
                let batches = self.read(copy, from, until);
                if let Some(link) = self.link_mut(index_of(to), copy) {
                    link.down.push(FromPrimary::Batches {
                        history,
                        term,
                        agreed,
                        batches,
                    });
                }
            }
            Effect::Propose(proposal) => {
                let request = StoreRequest {
                    by: copy,
                    incarnation: self.sites[copy].incarnation,
                    proposal,
                    answer: None,
                    is_given_up: false,
                };
                Arc::make_mut(&mut self.store).requests.push(request);
            }
            Effect::Lead { term, .. } => {
                Arc::make_mut(&mut self.sites[copy]).follows = None;
                self.cut(copy)?;
                self.note_lead(copy, term)?;
            }
            Effect::Agreed { to } => self.note_agreed(copy, to)?,
            Effect::Report(report) => return Err(Violation::Reported(copy, report)),
            Effect::CopyFiles { .. } => return Err(Violation::FilesNeeded(copy)),
            Effect::OtherHistory => {
                self.crash(copy, false)?;
                self.open(copy);
            }
            Effect::StepDown | Effect::Refreshed { .. } => {}
        }
        Ok(())
    }

    fn queue(&mut self, copy: usize, write: DiskWrite) {
        Arc::make_mut(&mut self.sites[copy]).disk.queued.push(write);
    }

    /// Reads batches of one record each, also those that are not durable yet.
    fn read(&self, copy: usize, from: SeqNo, until: SeqNo) -> Vec<Batch> {
        let log = self.sites[copy].disk.written();
        let wanted = from.0..until.0;
        let batch = |at: u64| Batch {
            term: log[at as usize].term,
            first: SeqNo(at),
            next: SeqNo(at + 1),
            payload: Bytes::copy_from_slice(&[log[at as usize].value]),
        };
        wanted.map(batch).collect()
    }

    fn link_mut(&mut self, follower: usize, primary: usize) -> Option<&mut Link> {
        let is_theirs = self.links[follower]
            .as_ref()
            .as_ref()
            .is_some_and(|link| link.to == primary);
        is_theirs.then(|| Arc::make_mut(&mut self.links[follower]).as_mut())?
    }

    /// Ends the stream of a follower. Both sides hear of it.
    pub(super) fn cut(&mut self, follower: usize) -> Result<(), Violation> {
        let Some(link) = self.links[follower].as_ref().clone() else {
            return Ok(());
        };
        self.links[follower] = Arc::new(None);
        let (primary, to) = (copy_id(link.to), link.to);
        self.handle(follower, Event::Disconnected { primary })?;
        let follower = copy_id(follower);
        self.handle(to, Event::FollowerGone { follower })
    }

    /// Makes everything durable that the log was asked for.
    pub(super) fn sync(&mut self, copy: usize) -> Result<(), Violation> {
        let site = Arc::make_mut(&mut self.sites[copy]);
        if let Some(machine) = &site.copy {
            site.disk.agreed = machine.agreed();
        }
        for write in std::mem::take(&mut site.disk.queued) {
            let disk = &mut Arc::make_mut(&mut self.sites[copy]).disk;
            disk.apply(&write);
            let end = SeqNo(disk.log.len() as u64);
            let event = match write {
                DiskWrite::Append(_) => Event::Durable { end },
                DiskWrite::Fence(term) => Event::Fenced { term },
                DiskWrite::Truncate(_) => Event::Truncated,
            };
            self.handle(copy, event)?;
        }
        Ok(())
    }

    /// Ends a process. What its disk has not synced may be lost.
    pub(super) fn crash(&mut self, copy: usize, loses: bool) -> Result<(), Violation> {
        let incarnation = self.sites[copy].incarnation;
        let site = Arc::make_mut(&mut self.sites[copy]);
        site.copy = None;
        site.follows = None;
        for write in std::mem::take(&mut site.disk.queued) {
            if !loses {
                site.disk.apply(&write);
            }
        }
        let requests = &mut Arc::make_mut(&mut self.store).requests;
        let is_theirs =
            |request: &StoreRequest| request.by == copy && request.incarnation == incarnation;
        requests.retain(|request| !is_theirs(request) || request.answer.is_none());
        (0..NUM_COPIES).try_for_each(|follower| {
            let link = self.links[follower].as_ref().as_ref();
            let is_ended = link.is_some_and(|link| link.to == copy || follower == copy);
            if is_ended { self.cut(follower) } else { Ok(()) }
        })
    }
}

impl Disk {
    /// Returns the log as it is when everything queued is durable.
    pub(crate) fn written(&self) -> Vec<Record> {
        let mut disk = self.clone();
        for write in &self.queued {
            disk.apply(write);
        }
        disk.log
    }

    pub(crate) fn apply(&mut self, write: &DiskWrite) {
        match write {
            DiskWrite::Append(record) => self.log.push(*record),
            DiskWrite::Fence(term) => self.fence = self.fence.max(*term),
            DiskWrite::Truncate(from) => self.log.truncate(from.0 as usize),
        }
    }
}
