//! What a machine wants done: effects on the log, the streams, the entry and those who watch the copy.

use std::collections::VecDeque;
use std::sync::Arc;

use gleaner_coordinator::entries::{EntryChange, EntryOutcome, TakeOverGuard};
use gleaner_log::{Agreement, ProducerSequence, RecordBatch};
use gleaner_model::{CopyId, Revision, SeqNo};
use gleaner_proto::replicate::{BatchRecords, FollowerMessage, PrimaryMessage};
use gleaner_replication::{
    Answer, Batch, Change, Effect, Event, FromFollower, FromPrimary, Outcome, Proposal, Report,
};

use super::{CopyDriver, DriverEnd, EndedReign, Machine, Reign};
use crate::agree::downstream::Out;
use crate::agree::log_lane::LogWork;
use crate::agree::rules::Rule;

/// What a batch counts for beside its bytes while it waits.
const BATCH_OVERHEAD: u64 = 1 << 10;

impl CopyDriver {
    /// Gives the machine an event, and does what it wants. What an effect brings about at once is given to it next.
    pub(super) fn run(&self, machine: &mut Machine, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if machine.lane.is_none() {
                return;
            }
            for effect in machine.copy.handle(self.hub.now(), event) {
                self.perform(machine, effect, &mut events);
            }
        }
        machine.told.agreed = machine.copy.agreed();
        machine.told.may_order = machine.copy.may_order();
        self.publish(machine);
    }

    /// Does what a machine that was only asked wants.
    pub(super) fn perform_all(&self, machine: &mut Machine, effects: Vec<Effect>) {
        let mut events = VecDeque::new();
        for effect in effects {
            self.perform(machine, effect, &mut events);
        }
    }

    fn perform(&self, machine: &mut Machine, effect: Effect, events: &mut VecDeque<Event>) {
        match effect {
            Effect::Fence { term } => machine.await_log(LogWork::Fence(term)),
            Effect::Truncate { from } => machine.await_log(LogWork::Truncate(from)),
            Effect::Append { batches } => self.append(machine, batches),
            Effect::CopyFiles { .. } => {
                machine.told.end.get_or_insert(DriverEnd::Files);
            }
            Effect::OtherHistory => {
                machine.told.end.get_or_insert(DriverEnd::OtherHistory);
            }
            Effect::Follow { primary } => events.extend(self.follow(machine, primary)),
            Effect::ToPrimary { to, message } => self.send_to_primary(machine, to, message),
            Effect::ToFollower { to, message } => self.send_to_follower(machine, to, message),
            Effect::Stream {
                to,
                history,
                term,
                from,
                until,
                agreed,
            } => {
                let records = Out::Records {
                    shard: self.shard,
                    from: self.copy,
                    to,
                    history,
                    term,
                    first: from,
                    until,
                    agreed,
                };
                if let Some(stream) = machine.streams.get(&to) {
                    stream.push(records);
                }
            }
            Effect::Propose(proposal) => self.propose(proposal),
            Effect::Agreed { to } => {
                let agreement = Agreement {
                    point: to,
                    entry_version: 0,
                };
                self.hub.log.note_agreement(self.shard, agreement);
            }
            Effect::Lead { term, start } => {
                self.leave_upstream(machine);
                machine.told.reign = Some(Reign { term, start });
                tracing::info!(shard = %self.shard, %term, %start, "copy leads its shard");
            }
            Effect::StepDown => {
                machine.end_reign();
                machine.streams.clear();
                tracing::info!(shard = %self.shard, "copy leads its shard no longer");
            }
            Effect::Refreshed { position } => machine.told.refreshed = position,
            Effect::Report(report) => self.report(machine, report),
        }
    }

    /// Has the log take batches of the primary. One that cannot be read leaves it other than the machine knows it: the
    /// copy is opened again.
    fn append(&self, machine: &mut Machine, batches: Vec<Batch>) {
        let under = machine.copy.fence();
        for batch in batches {
            let bytes = batch.payload.len() as u64 + BATCH_OVERHEAD;
            match record_batch(batch) {
                Ok(batch) => {
                    self.backlog.send_modify(|held| *held += bytes);
                    machine.await_log(LogWork::Copy {
                        batch,
                        under,
                        bytes,
                    });
                }
                Err(reason) => {
                    let reason = reason.as_str().into();
                    machine.told.end.get_or_insert(DriverEnd::LogFailed(reason));
                    return;
                }
            }
        }
    }

    fn follow(&self, machine: &mut Machine, primary: CopyId) -> Option<Event> {
        self.leave_upstream(machine);
        let node = machine.entry.as_ref()?.node_of(primary)?;
        let driver = self.me.upgrade()?;
        let upstream = self.hub.upstream(node);
        let is_open = upstream.join(primary, &driver);
        machine.upstream = Some((primary, upstream));
        is_open.then_some(Event::Connected { primary })
    }

    fn leave_upstream(&self, machine: &mut Machine) {
        if let Some((_, upstream)) = machine.upstream.take() {
            upstream.leave(self.shard);
        }
    }

    fn send_to_primary(&self, machine: &Machine, to: CopyId, message: FromFollower) {
        if let Some((primary, upstream)) = &machine.upstream
            && *primary == to
        {
            upstream.push(FollowerMessage {
                shard: self.shard,
                from: self.copy,
                to,
                message,
            });
        }
    }

    fn send_to_follower(&self, machine: &Machine, to: CopyId, message: FromPrimary) {
        if let Some(stream) = machine.streams.get(&to) {
            stream.push(Out::Message(PrimaryMessage {
                shard: self.shard,
                from: self.copy,
                to,
                message,
            }));
        }
    }

    /// Asks for a change of the entry.
    fn propose(&self, proposal: Proposal) {
        let (me, entries) = (self.me.clone(), Arc::clone(&self.hub.entries));
        let change = EntryChange {
            shard: self.shard,
            expected: proposal.expected,
            entry: Arc::clone(&proposal.entry),
            guard: proposal.guard.map(|guard| TakeOverGuard {
                absent: guard.absent,
                node: guard.node,
                incarnation: guard.incarnation,
            }),
        };
        if matches!(proposal.change, Change::Shrink { .. }) && self.omits(Rule::ShrinkByStore) {
            return self.pretend_made(proposal);
        }
        tokio::spawn(async move {
            let shard = change.shard;
            let outcome = match entries.change(change).await {
                EntryOutcome::Made { revision } => {
                    let change = &proposal.change;
                    tracing::info!(%shard, ?change, "the shard's entry was changed");
                    Some(Outcome::Made { revision })
                }
                EntryOutcome::Refused(stored) => Some(Outcome::Refused {
                    entry: stored.entry,
                    revision: stored.revision,
                }),
                EntryOutcome::Gone => None,
                EntryOutcome::Unknown { reason } => {
                    let change = &proposal.change;
                    tracing::warn!(%shard, ?change, reason, "what became of a change is not known");
                    Some(Outcome::Unknown)
                }
            };
            if let Some(driver) = me.upgrade() {
                driver.handle(match outcome {
                    Some(outcome) => Event::Answer(Answer { proposal, outcome }),
                    None => Event::EntryGone,
                });
            }
        });
    }

    /// Takes a change as made without asking for it, which only a planted error does.
    fn pretend_made(&self, proposal: Proposal) {
        let (me, revision) = (self.me.clone(), proposal.expected);
        let outcome = Outcome::Made {
            revision: Revision(revision.0 + 1),
        };
        tokio::spawn(async move {
            if let Some(driver) = me.upgrade() {
                driver.handle(Event::Answer(Answer { proposal, outcome }));
            }
        });
    }

    fn report(&self, machine: &Machine, report: Report) {
        let shard = self.shard;
        match report {
            Report::BadBatches { end } => {
                tracing::error!(%shard, %end, "what came does not follow the log's end; the stream is closed");
                if let Some((_, upstream)) = &machine.upstream {
                    upstream.close();
                }
            }
            Report::OldEntry { seen, version } => tracing::error!(
                %shard,
                seen,
                version,
                "the shard's entry is older than what this copy has seen: was a backup of etcd restored? It is not followed"
            ),
            Report::PrimaryLacksAgreed { agreed } => tracing::error!(
                %shard,
                %agreed,
                "the primary lacks records that are agreed here; they are kept, and it is not followed"
            ),
            Report::LacksAgreed { follower, agreed } => tracing::error!(
                %shard,
                %follower,
                %agreed,
                "this primary's log has lost agreed records, which a follower holds: it gives its role to that one"
            ),
        }
    }
}

impl Machine {
    /// Notes that the copy leads no longer, and what was agreed until then.
    pub(super) fn end_reign(&mut self) {
        if let Some(Reign { term, .. }) = self.told.reign.take() {
            let agreed = self.copy.agreed();
            self.told.ended = Some(EndedReign { term, agreed });
        }
    }

    pub(super) fn await_log(&mut self, work: LogWork) {
        if let Some(lane) = &self.lane {
            // An error means that the lane has ended, and with it the copy.
            drop(lane.send(work));
        }
    }
}

fn record_batch(batch: Batch) -> Result<RecordBatch, String> {
    let Batch {
        term,
        first,
        next,
        payload,
    } = batch;
    let BatchRecords { producer, payloads } = BatchRecords::decode(payload)?;
    let found = SeqNo(first.0.saturating_add(payloads.len() as u64));
    if found != next || payloads.is_empty() {
        return Err(format!(
            "a batch from {first} to {next} holds {} records",
            payloads.len()
        ));
    }
    Ok(RecordBatch {
        first,
        term,
        producer: producer.map(|(id, sequence)| ProducerSequence { id, sequence }),
        payloads,
    })
}
