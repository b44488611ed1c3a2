//! The members of an etcd, of which one is called until it fails.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::Status;
use tonic::transport::Channel;

use super::Fault;
use crate::Peer;

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
    current: AtomicUsize,
}

impl Members {
    pub(super) fn new(peers: Vec<Peer>) -> Self {
        Self {
            peers,
            current: AtomicUsize::new(0),
        }
    }

    /// Returns the number of the member in use.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Uses the next member from now on, where `failed` is still the one in use.
    pub(super) fn leave(&self, failed: usize) {
        let next = (failed + 1) % self.peers.len();
        let left =
            self.current
                .compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
        if left.is_ok() {
            let (failed, next) = (self.peers[failed].address(), self.peers[next].address());
            tracing::debug!(failed, next, "another member of etcd is in use");
        }
    }

    /// Returns the connection to the member `number`.
    pub(super) fn channel(&self, number: usize) -> Channel {
        self.peers[number].channel()
    }

    /// Makes a call on the member in use, and on each other one while that is safe; each has `patience` for its
    /// answer.
    pub(super) async fn ask<T, F>(
        &self,
        repeat: Repeat,
        patience: Duration,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        let first = self.current();
        let mut last = Fault::late();
        for step in 0..self.peers.len() {
            let number = (first + step) % self.peers.len();
            let answer = tokio::time::timeout(patience, call(self.channel(number)));
            let fault = match answer.await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => Fault::of(&status),
                Err(_elapsed) => Fault::late(),
            };
            match fault {
                Fault::Unreachable { .. } => self.leave(number),
                Fault::Unknown { .. } => {
                    self.leave(number);
                    if repeat == Repeat::Unsafe {
                        return Err(fault);
                    }
                }
                answered => return Err(answered),
            }
            last = fault;
        }
        Err(last)
    }
}
