//! Requests that are evaluated once for all who ask the same at the same time.
//!
//! ```text
//! state       on                                                     next
//! (none)      a request comes, at an edition or without one          under way, it brings the evaluation
//! under way   an equal one comes at the same edition, or at any      under way, one more waits
//!             where the flight has none
//!             the last of those who wait has gone                    (none), the evaluation is dropped
//!             an answer comes of the edition that one saw            ended: shared
//!             an answer comes of another edition                     ended: each looks again
//!             an answer comes that is for one alone                  ended: each by itself, the key apart for a while
//! ```
//!
//! A flight belongs to a key *and* an edition. A request that comes after a write was acknowledged sees another edition
//! than the flight that began before it, and does not join it: it would be answered from before the write.
//!
//! Where other nodes would have to be asked for the edition, the first request of a key begins a flight without one
//! ([`Flights::begin`]). Those that come later do ask, and may join it: at its end each compares the edition that it
//! saw with that of the answer, and looks again where they differ.
//!
//! The request that brings the evaluation carries it out itself, on its own task: no other thread is woken for it. When it
//! goes away while others wait, a task of its own goes on with it.
//!
//! Does: seats, waits, endings. Does not: keep answers, look up editions. Read first: [`Flights::join`].

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use gleaner_model::{AnswerKey, Edition};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::entry::Answer;
use crate::rules::{Rule, Rules};

/// Requests that may wait for one evaluation.
const MAX_WAITING: usize = 10_000;

/// How long requests of a key go apart after one had an answer that is for it alone.
const APART_FOR: Duration = Duration::from_secs(10);

/// Keys that go apart at once; beyond it those are forgotten that came first.
const MAX_APART: u64 = 10_000;

/// The evaluations under way.
pub(crate) struct Flights {
    open: Arc<Mutex<OpenFlights>>,
    /// Keys whose answers were for one alone.
    apart: moka::sync::Cache<AnswerKey, ()>,
    next_number: AtomicU64,
    pub(crate) rules: Rules,
}

/// What a flight is of. No edition: nobody had asked which one is current when it began.
type Of = (AnswerKey, Option<Edition>);

type OpenFlights = HashMap<Of, Flight>;

/// An evaluation under way.
struct Flight {
    /// Tells it from those before it of the same key and edition.
    number: u64,
    /// How it ended; `None` until then.
    ended: watch::Sender<Option<Outcome>>,
    num_waiting: usize,
    /// The task of an evaluation that the request which brought it has left to the others.
    work: Option<AbortHandle>,
}

/// How an evaluation ended.
#[derive(Clone)]
enum Outcome {
    /// With an answer.
    Answered(Answer),
    /// It panicked.
    Lost,
}

/// How a flight ended for one who waited.
pub(crate) enum Ending {
    /// The evaluation that this request brought has its answer.
    Own(Answer),
    /// The evaluation of an equal request has one that is its answer too.
    Shared(Answer),
    /// The answer is of another edition than the one that this request saw: look again.
    Another,
    /// This request goes by itself.
    Alone,
    /// The evaluation that this request brought panicked.
    Lost,
}

/// One who waits. When the last of a flight is dropped, the evaluation ends.
pub(crate) struct Seat {
    /// Whether the flight begins with this request, which brings the evaluation.
    pub(crate) is_first: bool,
    open: Arc<Mutex<OpenFlights>>,
    apart: moka::sync::Cache<AnswerKey, ()>,
    of: Of,
    /// The edition that was current when this request had come; `None` for one that has not asked.
    seen: Option<Edition>,
    number: u64,
    ended: watch::Receiver<Option<Outcome>>,
    /// The evaluation, while this request carries it out.
    work: Option<BoxFuture<'static, ()>>,
    rules: Rules,
}

impl Default for Flights {
    fn default() -> Self {
        let apart = moka::sync::Cache::builder()
            .max_capacity(MAX_APART)
            .time_to_live(APART_FOR)
            .build();
        Self {
            open: Arc::default(),
            apart,
            next_number: AtomicU64::new(0),
            rules: Rules::default(),
        }
    }
}

impl Flights {
    /// Returns whether requests of `key` go apart for now.
    pub(crate) fn goes_apart(&self, key: &AnswerKey) -> bool {
        self.apart.contains_key(key)
    }

    /// Begins the flight of `key` for a request that has not asked which edition is current. Returns `None` where one
    /// has begun so already: who wants to join it has to ask.
    pub(crate) fn begin(&self, key: AnswerKey) -> Option<Seat> {
        let mut open = self.open.lock();
        let is_under_way = open.contains_key(&(key, None));
        (!is_under_way).then(|| self.first(&mut open, (key, None)))
    }

    /// Takes a place in the flight of `key` at `edition`, the one that is current now, or in one that began without
    /// an edition; begins one where there is none. Returns `None` for a key that goes apart, and where too many wait
    /// already.
    pub(crate) fn join(&self, key: AnswerKey, edition: Edition) -> Option<Seat> {
        if self.goes_apart(&key) {
            return None;
        }
        let mut open = self.open.lock();
        let shared = Some(edition);
        #[cfg(test)]
        let shared = match self.rules.have(Rule::ShareSameEdition) {
            true => shared,
            false => open.keys().find(|of| of.0 == key).and_then(|of| of.1),
        };
        for of in [(key, shared), (key, None)] {
            let Some(flight) = open.get_mut(&of) else {
                continue;
            };
            if flight.num_waiting >= MAX_WAITING {
                return None;
            }
            flight.num_waiting += 1;
            let mut seat = self.seat(of, flight);
            seat.seen = Some(edition);
            return Some(seat);
        }
        Some(self.first(&mut open, (key, Some(edition))))
    }

    /// Opens a flight and takes its first seat.
    fn first(&self, open: &mut OpenFlights, of: Of) -> Seat {
        let flight = Flight {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            ended: watch::Sender::new(None),
            num_waiting: 1,
            work: None,
        };
        let mut seat = self.seat(of, &flight);
        seat.is_first = true;
        open.insert(of, flight);
        seat
    }

    fn seat(&self, of: Of, flight: &Flight) -> Seat {
        Seat {
            is_first: false,
            open: Arc::clone(&self.open),
            apart: self.apart.clone(),
            of,
            seen: of.1,
            number: flight.number,
            ended: flight.ended.subscribe(),
            work: None,
            rules: self.rules,
        }
    }
}

impl Seat {
    /// Takes the evaluation, which [`Self::ending`] carries out.
    pub(crate) fn begin(&mut self, work: impl Future<Output = Answer> + Send + 'static) {
        let mut landing = Landing {
            open: Arc::clone(&self.open),
            of: self.of,
            number: self.number,
            outcome: Outcome::Lost,
        };
        let work = async move {
            landing.outcome = Outcome::Answered(work.await);
            drop(landing);
        };
        self.work = Some(Box::pin(work.in_current_span()));
    }

    /// Carries out the evaluation that this request has brought, or waits for the end of the flight, for `patience` at
    /// most.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the evaluation to those who wait for it too; without any it ends.
    pub(crate) async fn ending(mut self, patience: Duration) -> Ending {
        let is_own = self.is_first;
        if let Some(work) = &mut self.work {
            // One that panics has landed, without an answer.
            drop(AssertUnwindSafe(work).catch_unwind().await);
            self.work = None;
        }
        let ended = self.ended.wait_for(Option::is_some);
        let outcome = if is_own {
            ended.await.ok().and_then(|outcome| outcome.clone())
        } else {
            match tokio::time::timeout(patience, ended).await {
                Ok(ended) => ended.ok().and_then(|outcome| outcome.clone()),
                Err(_) => return Ending::Alone,
            }
        };
        match outcome {
            Some(Outcome::Answered(answer)) if is_own => {
                if !answer.may_be_shared() {
                    self.apart.insert(self.of.0, ());
                }
                Ending::Own(answer)
            }
            Some(Outcome::Answered(answer)) => self.shared(answer),
            Some(Outcome::Lost) | None if is_own => Ending::Lost,
            Some(Outcome::Lost) | None => Ending::Alone,
        }
    }

    /// Returns what another's answer is to this request.
    fn shared(&self, answer: Answer) -> Ending {
        match answer.edition {
            _ if !answer.may_be_shared() => {
                self.apart.insert(self.of.0, ());
                Ending::Alone
            }
            Some(edition)
                if Some(edition) != self.seen && self.rules.have(Rule::ShareSameEdition) =>
            {
                Ending::Another
            }
            Some(_) | None => Ending::Shared(answer),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // What is left of it ends after the lock is free again: its landing takes that.
        let mut work = self.work.take();
        let mut open = self.open.lock();
        let Some(flight) = open
            .get_mut(&self.of)
            .filter(|flight| flight.number == self.number)
        else {
            return;
        };
        flight.num_waiting -= 1;
        if flight.num_waiting > 0 {
            // Without a runtime the process ends, and nobody waits any more.
            if let (Some(work), Ok(runtime)) = (work.take(), Handle::try_current()) {
                flight.work = Some(runtime.spawn(work).abort_handle());
            }
        } else if let Some(flight) = open.remove(&self.of)
            && let Some(work) = flight.work
        {
            work.abort();
        }
        drop(open);
        drop(work);
    }
}

/// Ends the flight when the evaluation does, however that is.
struct Landing {
    open: Arc<Mutex<OpenFlights>>,
    of: Of,
    number: u64,
    outcome: Outcome,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Lost);
        let mut open = self.open.lock();
        // One that was dropped ends late: another may be under way in its place.
        let is_own = open
            .get(&self.of)
            .is_some_and(|flight| flight.number == self.number);
        if is_own && let Some(flight) = open.remove(&self.of) {
            flight.ended.send_replace(Some(outcome));
        }
    }
}
