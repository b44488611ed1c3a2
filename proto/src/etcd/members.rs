//! The members of an etcd, of which one is called until it fails or another one is faster.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;
use tonic::transport::Channel;

use super::{Fault, status};
use crate::Peer;

/// How long the member in use is waited for before another one is called too, or asked whether this one stands still.
/// An election takes one to two seconds; a member that runs answers within milliseconds.
const HEDGE_AFTER: Duration = Duration::from_millis(500);

/// Whether a call may be made again on another member where nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only reads, or does the same twice.
    Safe,
    /// It changes something.
    Unsafe,
}

/// All members, the one in use among them.
pub(super) struct Members {
    /// At least one.
    peers: Vec<Peer>,
    current: watch::Sender<usize>,
    /// The newest term that a member has told of: an election begins a new one.
    term: AtomicU64,
}

impl Members {
    pub(super) fn new(peers: Vec<Peer>) -> Self {
        Self {
            peers,
            current: watch::Sender::new(0),
            term: AtomicU64::new(0),
        }
    }

    /// Returns how many there are.
    pub(super) fn num(&self) -> usize {
        self.peers.len()
    }

    /// Returns the number of the member in use, as that changes.
    pub(super) fn in_use(&self) -> watch::Receiver<usize> {
        self.current.subscribe()
    }

    fn current(&self) -> usize {
        *self.current.borrow()
    }

    /// Uses the next member from now on, where `failed` is still the one in use.
    pub(super) fn leave(&self, failed: usize) {
        self.replace(failed, self.after(failed, 1));
    }

    /// Uses `other` from now on, where `slow` is still the one in use.
    fn replace(&self, slow: usize, other: usize) {
        let is_left = self.current.send_if_modified(|current| {
            let is_in_use = *current == slow && slow != other;
            if is_in_use {
                *current = other;
            }
            is_in_use
        });
        if is_left {
            let (left, used) = (self.address(slow), self.address(other));
            tracing::debug!(left, used, "another member of etcd is in use");
        }
    }

    fn after(&self, number: usize, step: usize) -> usize {
        (number + step) % self.peers.len()
    }

    /// Returns where the member `number` is called.
    pub(super) fn address(&self, number: usize) -> &str {
        self.peers[number].address()
    }

    /// Notes a term of which a member has told.
    pub(super) fn note_term(&self, term: u64) {
        self.term.fetch_max(term, Ordering::Relaxed);
    }

    fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// Returns the connection to the member `number`.
    pub(super) fn channel(&self, number: usize) -> Channel {
        self.peers[number].channel()
    }

    /// Makes a call on the member in use, and on others as far as that is safe; each has `patience` for its answer.
    pub(super) async fn ask<T, F>(
        &self,
        repeat: Repeat,
        patience: Duration,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        match repeat {
            Repeat::Safe => self.ask_several(patience, call).await,
            Repeat::Unsafe => self.ask_in_turn(patience, call).await,
        }
    }

    /// Makes a call on one member after the other, on the next one too where one is slow; takes the first answer. One that
    /// fails is called again while another one is waited for, until `patience` is over: there may be an election.
    async fn ask_several<T, F>(
        &self,
        patience: Duration,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        let first = self.current();
        let mut next: VecDeque<_> = (0..self.num())
            .map(|step| self.after(first, step))
            .collect();
        let mut failed = Vec::new();
        let until = Instant::now() + patience;
        let mut under_way = FuturesUnordered::new();
        let mut last = Fault::late();
        loop {
            if let Some(number) = next.pop_front() {
                let answer = timeout(patience, call(self.channel(number)));
                under_way.push(async move { (number, answer.await) });
            }
            let hedge_after = HEDGE_AFTER.min(patience / 2);
            let Ok(answered) = timeout(hedge_after, under_way.next()).await else {
                if Instant::now() < until {
                    next.extend(failed.drain(..));
                }
                continue;
            };
            let Some((number, answer)) = answered else {
                return Err(last);
            };
            last = match fault_of(answer) {
                Ok(answer) => {
                    self.replace(first, number);
                    return Ok(answer);
                }
                Err(fault @ (Fault::Unreachable { .. } | Fault::Unknown { .. })) => {
                    self.leave(number);
                    failed.push(number);
                    fault
                }
                Err(answered) => return Err(answered),
            };
        }
    }

    /// Makes a call on one member, and on the next one only where it surely was not carried out. Where the member stands
    /// still, or a leader was lost with what it was given, nobody waits: what became of the call is unknown.
    async fn ask_in_turn<T, F>(
        &self,
        patience: Duration,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        let first = self.current();
        let mut last = Fault::late();
        for step in 0..self.num() {
            let number = self.after(first, step);
            let term = self.term();
            let answer = timeout(patience, call(self.channel(number)));
            let answer = tokio::select! {
                answer = answer => fault_of(answer),
                running = self.until_lost(number, term) => {
                    self.replace(number, running);
                    return Err(Fault::late());
                }
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(fault @ Fault::Unreachable { .. }) => {
                    self.leave(number);
                    last = fault;
                }
                Err(fault @ Fault::Unknown { .. }) => {
                    self.leave(number);
                    return Err(fault);
                }
                Err(answered) => return Err(answered),
            }
        }
        Err(last)
    }

    /// Completes once the member `number` says nothing at all while another one does, or members have begun another term
    /// than `term`: a follower passes calls on to its leader, and waits 7 s for one that was lost with it. Where etcd is
    /// only slow, members still say how they are. Returns one that does.
    async fn until_lost(&self, number: usize, mut term: u64) -> usize {
        loop {
            sleep(HEDGE_AFTER).await;
            let all = (0..self.num()).map(|step| self.answers(self.after(number, step)));
            let answered = join_all(all).await;
            let Some(step) = answered.iter().position(|is_answered| *is_answered) else {
                continue;
            };
            // The first term that is heard of may be an old one.
            let known = if term == 0 { self.term() } else { term };
            if step > 0 || self.term() > known {
                return self.after(number, step);
            }
            term = known;
        }
    }

    /// Returns whether a member says how it is, in time.
    async fn answers(&self, number: usize) -> bool {
        let status = self.status(number, HEDGE_AFTER).await;
        status::is_answered(&status)
    }
}

/// Reads what became of a call that had its time.
fn fault_of<T>(answer: Result<Result<T, Status>, tokio::time::error::Elapsed>) -> Result<T, Fault> {
    match answer {
        Ok(answer) => answer.map_err(|status| Fault::of(&status)),
        Err(_elapsed) => Err(Fault::late()),
    }
}
