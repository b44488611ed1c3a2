//! What a connection is doing: shared by its stream, the task that drives it, and who looks for room.
//!
//! All of it is counters and moments, written where something happens and read by timers that look now and
//! then: a request costs a few atomic stores and no timer of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lag::Lag;

/// No such moment.
pub(crate) const NEVER: u64 = u64::MAX;

/// Bytes that must be written until a connection that could not be written to counts as one again that can:
/// who reads one byte now and then makes no progress.
const PROGRESS_BYTES: u64 = 16 << 10;

/// What becomes of a connection when places are wanted. The first change is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    /// It may be closed while it is quiet.
    Yields,
    /// It stays.
    Kept,
    /// It was closed.
    Closed,
}

/// What a connection is doing. Moments are milliseconds since it was accepted.
#[derive(Debug)]
pub struct Activity {
    accepted: Instant,
    /// Requests that have been read and not been answered whole.
    open: AtomicUsize,
    /// Has it sent a request yet?
    has_begun: AtomicBool,
    /// A [`Fate`].
    fate: AtomicU8,
    /// When its last request ended, or the last of an answer was taken; when it was accepted, before the first.
    quiet_since: AtomicU64,
    /// When the first byte came that belongs to no request yet.
    head_since: AtomicU64,
    /// Since when what it is sent has not been taken.
    unread_since: AtomicU64,
    /// Bytes taken since then.
    taken: AtomicU64,
    lag: Lag,
    closed: Notify,
}

impl Activity {
    pub(crate) fn begin() -> Self {
        Self {
            accepted: Instant::now(),
            open: AtomicUsize::new(0),
            has_begun: AtomicBool::new(false),
            fate: AtomicU8::new(Fate::Yields as u8),
            quiet_since: AtomicU64::new(0),
            head_since: AtomicU64::new(NEVER),
            unread_since: AtomicU64::new(NEVER),
            taken: AtomicU64::new(0),
            lag: Lag::default(),
            closed: Notify::new(),
        }
    }

    /// Returns the milliseconds since the connection was accepted.
    pub fn now_ms(&self) -> u64 {
        self.accepted.elapsed().as_millis() as u64
    }

    /// Notes that a request begins; it is open until what is returned is dropped.
    pub fn open_request(self: &Arc<Self>) -> OpenRequest {
        self.open.fetch_add(1, Relaxed);
        self.has_begun.store(true, Relaxed);
        self.head_since.store(NEVER, Relaxed);
        if !self.is_unread() {
            self.lag.clear();
        }
        OpenRequest(Arc::clone(self))
    }

    /// Keeps the connection whatever happens, unless it was closed before: another node's, which begins its
    /// calls when it likes.
    pub fn keep(&self) {
        self.decide(Fate::Kept);
    }

    /// Is the connection kept whatever happens?
    pub fn is_kept(&self) -> bool {
        self.fate.load(Relaxed) == Fate::Kept as u8
    }

    /// Returns for how long the connection has had no open request and no answer that waits to be taken; `None`
    /// while it has one.
    pub fn quiet_for(&self) -> Option<Duration> {
        if self.is_busy() {
            return None;
        }
        self.since(&self.quiet_since)
    }

    /// Returns for how long the head of a request has been coming in.
    pub fn head_for(&self) -> Option<Duration> {
        self.since(&self.head_since)
    }

    /// Returns for how long the other end has taken less than 16 KiB of what waits for it.
    pub fn unread_for(&self) -> Option<Duration> {
        self.since(&self.unread_since)
    }

    /// Returns how far the other end is behind 64 KiB a second with what it is sent.
    pub fn behind(&self) -> Duration {
        self.lag.time(self.now_ms())
    }

    /// Completes when the connection must be closed to make room for another.
    pub async fn closed(&self) {
        if self.fate.load(Relaxed) != Fate::Closed as u8 {
            self.closed.notified().await;
        }
    }

    /// Has it a request that is not answered whole, or an answer that is not taken whole?
    ///
    /// What waits before the first request is no answer: it keeps no place.
    fn is_busy(&self) -> bool {
        self.open.load(Acquire) > 0 || (self.has_begun() && self.is_unread())
    }

    fn is_unread(&self) -> bool {
        self.unread_since.load(Acquire) != NEVER
    }

    /// Settles what becomes of the connection; returns whether that was still open.
    fn decide(&self, fate: Fate) -> bool {
        let undecided = Fate::Yields as u8;
        self.fate
            .compare_exchange(undecided, fate as u8, Relaxed, Relaxed)
            .is_ok()
    }

    fn since(&self, moment: &AtomicU64) -> Option<Duration> {
        let since = moment.load(Relaxed);
        (since != NEVER).then(|| Duration::from_millis(self.now_ms().saturating_sub(since)))
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Relaxed)
    }

    pub(crate) fn may_yield(&self) -> bool {
        self.fate.load(Relaxed) == Fate::Yields as u8
    }

    /// Has the connection closed; returns whether it may be.
    pub(crate) fn close(&self) -> bool {
        let is_closing = self.decide(Fate::Closed);
        if is_closing {
            self.closed.notify_one();
        }
        is_closing
    }

    /// Notes that bytes have come in.
    pub(crate) fn note_read(&self) {
        if !self.is_busy() && self.head_since.load(Relaxed) == NEVER {
            self.head_since.store(self.now_ms(), Relaxed);
        }
    }

    /// Notes that so many bytes were taken.
    pub(crate) fn note_written(&self, num_bytes: usize) {
        if !self.lag.is_clear() {
            self.lag.note_taken(num_bytes, self.now_ms());
        }
        if !self.is_unread() {
            return;
        }
        let before = self.taken.fetch_add(num_bytes as u64, Relaxed);
        if before + num_bytes as u64 >= PROGRESS_BYTES {
            self.taken.store(0, Relaxed);
            self.unread_since.store(self.now_ms(), Relaxed);
        }
    }

    /// Notes that something waits for the other end to take it.
    pub(crate) fn note_unread(&self) {
        if !self.is_unread() {
            let now_ms = self.now_ms();
            self.lag.note_unread(now_ms);
            self.taken.store(0, Relaxed);
            self.unread_since.store(now_ms, Relaxed);
        }
    }

    /// Notes that nothing waits any more.
    pub(crate) fn note_flushed(&self) {
        if !self.is_unread() {
            return;
        }
        let now_ms = self.now_ms();
        self.lag.note_flushed(now_ms);
        if self.has_begun() {
            self.quiet_since.store(now_ms, Relaxed);
        }
        // Released, so that who sees that nothing waits sees since when, too.
        self.unread_since.store(NEVER, Release);
    }
}

/// A request that is not answered whole yet.
#[derive(Debug)]
pub struct OpenRequest(Arc<Activity>);

impl OpenRequest {
    /// Returns what its connection is doing.
    pub fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.quiet_since.store(activity.now_ms(), Relaxed);
        activity.open.fetch_sub(1, Release);
    }
}
