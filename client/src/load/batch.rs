//! Operations gathered into requests, in the order in which they were read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::record::{Place, Record};

/// How large a request may become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Operations, ≥ 1.
    pub num_records: usize,
    /// Bytes of the body, ≥ 1; one operation may be longer and then travels alone.
    pub num_bytes: usize,
}

/// A document that will not be indexed, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) place: Place,
    /// In words, as the reader or the server put it.
    pub(crate) reason: String,
    /// What was refused.
    pub(crate) what: RefusedSource,
}

/// What a document was when it was refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RefusedSource {
    /// An operation, ready to be sent.
    Record(Record),
    /// A text that is no document, where it is known. The reason says where it stands.
    Text(Option<String>),
}

/// How far an input has been read at the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputPosition {
    pub(crate) input: usize,
    /// Documents read, refused ones included.
    pub(crate) position: u64,
    /// Is there nothing left in it?
    pub(crate) is_whole: bool,
}

/// What one request will carry.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// From 0, without gaps: the order in which a checkpoint takes batches.
    pub(crate) number: u64,
    pub(crate) records: Vec<Record>,
    /// Documents that could not be read, between the others.
    pub(crate) unreadable: Vec<Refusal>,
    /// The inputs that this batch has moved on.
    pub(crate) reached: Vec<InputPosition>,
}

/// How long an operation waits for others to fill its batch: what comes by a pipe comes when it likes.
pub(crate) const FILLED_WITHIN: Duration = Duration::from_secs(1);

/// Nobody takes batches any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoadStopped;

/// Fills batches and hands them over; waits while the other side has enough.
#[derive(Debug)]
pub(crate) struct Batcher {
    limits: Limits,
    /// `None` once all was read.
    sender: Option<mpsc::Sender<Batch>>,
    current: Batch,
    num_bytes: usize,
    /// When the first operation of the batch came.
    begun: Option<Instant>,
}

/// Batches that a thread fills, and that another one may send before they are full.
#[derive(Debug, Clone)]
pub(crate) struct SharedBatcher(Arc<Mutex<Batcher>>);

impl SharedBatcher {
    /// Starts with an empty batch.
    pub(crate) fn new(limits: Limits, sender: mpsc::Sender<Batch>) -> Self {
        Self(Arc::new(Mutex::new(Batcher::new(limits, sender))))
    }

    /// Returns it for a moment. Its thread holds it while it waits for room.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Batcher> {
        // A batch that a panic left has all that was put into it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a batch whose first operation came [`FILLED_WITHIN`] before `now`, where there is room for it at once.
    pub(crate) fn send_waiting(&self, now: Instant) {
        if let Ok(mut batcher) = self.0.try_lock() {
            batcher.send_waiting(now);
        }
    }
}

impl Batcher {
    /// Starts with an empty batch.
    pub(crate) fn new(limits: Limits, sender: mpsc::Sender<Batch>) -> Self {
        Self {
            limits,
            sender: Some(sender),
            current: Batch::default(),
            num_bytes: 0,
            begun: None,
        }
    }

    /// Takes the next operation, or the fault in its place.
    pub(crate) fn push(&mut self, next: Result<Record, Refusal>) -> Result<(), LoadStopped> {
        let num_bytes = next.as_ref().map_or(0, Record::num_bytes);
        let num_taken = self.current.records.len() + self.current.unreadable.len();
        let is_full = num_taken >= self.limits.num_records
            || self.num_bytes + num_bytes > self.limits.num_bytes;
        if is_full && num_taken > 0 {
            self.send()?;
        }
        self.num_bytes += num_bytes;
        self.begun.get_or_insert_with(Instant::now);
        let place = match &next {
            Ok(record) => record.place,
            Err(refusal) => refusal.place,
        };
        match next {
            Ok(record) => self.current.records.push(record),
            Err(refusal) => self.current.unreadable.push(refusal),
        }
        let position = place.position + 1;
        self.reach(InputPosition {
            input: place.input,
            position,
            is_whole: false,
        });
        Ok(())
    }

    /// Notes that an input has been read to its end.
    pub(crate) fn end_input(&mut self, input: usize, position: u64) {
        self.reach(InputPosition {
            input,
            position,
            is_whole: true,
        });
    }

    /// Hands over what is left: nothing comes behind it.
    pub(crate) fn finish(&mut self) -> Result<(), LoadStopped> {
        let sent = if self.current.reached.is_empty() {
            Ok(())
        } else {
            self.send()
        };
        self.sender = None;
        sent
    }

    fn send_waiting(&mut self, now: Instant) {
        let has_waited = |begun| now.saturating_duration_since(begun) >= FILLED_WITHIN;
        let Some(sender) = self
            .sender
            .clone()
            .filter(|_| self.begun.is_some_and(has_waited))
        else {
            return;
        };
        // Where there is no room, the batch goes on to fill.
        if let Ok(place) = sender.try_reserve() {
            place.send(self.take());
        }
    }

    fn reach(&mut self, reached: InputPosition) {
        match self.current.reached.last_mut() {
            Some(last) if last.input == reached.input => *last = reached,
            _ => self.current.reached.push(reached),
        }
    }

    fn send(&mut self) -> Result<(), LoadStopped> {
        let full = self.take();
        let sender = self.sender.as_ref().ok_or(LoadStopped)?;
        sender.blocking_send(full).map_err(|_| LoadStopped)
    }

    /// Takes the batch, and begins the next one.
    fn take(&mut self) -> Batch {
        let next = Batch {
            number: self.current.number + 1,
            ..Batch::default()
        };
        self.num_bytes = 0;
        self.begun = None;
        std::mem::replace(&mut self.current, next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(input: usize, position: u64, num_bytes: usize) -> Result<Record, Refusal> {
        Ok(Record {
            place: Place { input, position },
            action: "x".repeat(num_bytes - 1),
            source: None,
            has_derived_id: false,
        })
    }

    fn batches_of(limits: Limits, sizes: &[usize]) -> Vec<Batch> {
        let (sender, mut receiver) = mpsc::channel(sizes.len() + 1);
        let mut batcher = Batcher::new(limits, sender);
        for (position, size) in (0..).zip(sizes) {
            batcher
                .push(record(0, position, *size))
                .expect("a receiver");
        }
        batcher.end_input(0, sizes.len() as u64);
        batcher.finish().expect("a receiver");
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    proptest! {
        #[test]
        fn batches_keep_order_number_and_limits(
            sizes in prop::collection::vec(1_usize..50, 0..60),
            num_records in 1_usize..8,
            num_bytes in 1_usize..100,
        ) {
            let batches = batches_of(Limits { num_records, num_bytes }, &sizes);
            let mut expected = 0;
            for (number, batch) in batches.iter().enumerate() {
                prop_assert_eq!(batch.number, number as u64);
                prop_assert!(batch.records.len() <= num_records);
                let sum: usize = batch.records.iter().map(Record::num_bytes).sum();
                prop_assert!(sum <= num_bytes || batch.records.len() == 1);
                for record in &batch.records {
                    prop_assert_eq!(record.place.position, expected);
                    expected += 1;
                }
                prop_assert_eq!(batch.reached[0].position, expected);
            }
            prop_assert_eq!(expected, sizes.len() as u64);
            prop_assert!(batches.last().is_none_or(|last| last.reached[0].is_whole));
        }
    }

    #[test]
    fn a_batch_spans_small_inputs() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut batcher = Batcher::new(
            Limits {
                num_records: 9,
                num_bytes: 99,
            },
            sender,
        );
        batcher.push(record(0, 5, 1)).expect("a receiver");
        batcher.end_input(0, 6);
        batcher.end_input(1, 0);
        batcher.push(record(2, 0, 1)).expect("a receiver");
        batcher.finish().expect("a receiver");
        let reached = receiver.try_recv().expect("one batch").reached;
        let told: Vec<_> = reached
            .iter()
            .map(|r| (r.input, r.position, r.is_whole))
            .collect();
        assert_eq!(told, [(0, 6, true), (1, 0, true), (2, 1, false)]);
    }

    #[test]
    fn what_has_waited_for_others_goes_without_them() {
        let (sender, mut receiver) = mpsc::channel(1);
        let limits = Limits {
            num_records: 9,
            num_bytes: 99,
        };
        let batcher = SharedBatcher::new(limits, sender);
        let later = || Instant::now() + FILLED_WITHIN;
        batcher.send_waiting(later());
        assert!(receiver.try_recv().is_err(), "nothing has come");
        batcher.lock().push(record(0, 0, 1)).expect("a receiver");
        batcher.send_waiting(Instant::now());
        assert!(receiver.try_recv().is_err(), "it waits");
        batcher.send_waiting(later());
        batcher.lock().push(record(0, 1, 1)).expect("a receiver");
        // There is no room: it stays, and neither is lost.
        batcher.send_waiting(later());
        let first = receiver.try_recv().expect("it has waited");
        assert_eq!((first.number, first.records.len()), (0, 1));
        batcher.lock().finish().expect("a receiver");
        let second = receiver.try_recv().expect("the rest");
        assert_eq!((second.number, second.reached[0].position), (1, 2));
        let ended = receiver.try_recv();
        assert_eq!(ended.err(), Some(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn a_batcher_stops_when_nobody_listens() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let mut batcher = Batcher::new(
            Limits {
                num_records: 1,
                num_bytes: 1,
            },
            sender,
        );
        batcher.push(record(0, 0, 1)).expect("still room");
        assert_eq!(batcher.push(record(0, 1, 1)), Err(LoadStopped));
    }
}
