//! Memory that requests and answers of all clients and servers share.
//!
//! Does: count bytes before they are held, have who needs more wait for who gives some back, refuse it after a while.
//! Does not: count what every connection has anyway (some 32 KiB). Read first: [`Budget::take`], [`Lease::hold`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that a buffer has without being counted, and the largest piece that is read at once.
pub(crate) const PIECE: usize = 16 << 10;

/// How long memory is waited for, before what needs it is refused.
const WAITED_FOR: Duration = Duration::from_secs(3);

/// How long a peer may stand still while others wait for the memory that it holds.
pub(crate) const STANDS_STILL_FOR: Duration = Duration::from_secs(1);

/// A number of bytes that all share.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// There is no memory for it, after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is under way for the memory of the ambassador; try again")]
pub(crate) struct Short;

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// Does anybody wait for memory?
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns a lease on no bytes.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        Lease {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Takes some bytes, after a wait where others have them.
    ///
    /// # Errors
    /// Nobody gave enough back.
    pub(crate) async fn take(self: &Arc<Self>, bytes: usize) -> Result<Lease, Short> {
        let mut lease = self.lease();
        lease.grow_to(bytes).await?;
        Ok(lease)
    }

    fn try_add(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        let added = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        added.is_ok()
    }

    async fn add(&self, bytes: usize) {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Before the look: what is given back behind it wakes this one.
            freed.as_mut().enable();
            if self.try_add(bytes) {
                return;
            }
            freed.await;
        }
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        if self.is_short() {
            self.freed.notify_waiters();
        }
    }
}

/// Counts who waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(budget: &'a Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::AcqRel);
        Self(&budget.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Bytes of a budget that are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

impl Lease {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Makes it so large, if it is smaller.
    ///
    /// # Errors
    /// Nobody gave enough back.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), Short> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && !self.budget.try_add(more) {
            if bytes > self.budget.max {
                return Err(Short);
            }
            let _waiting = Waiting::of(&self.budget);
            let added = timeout(WAITED_FOR, self.budget.add(more)).await;
            added.map_err(|_| Short)?;
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives back what is beyond so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.bytes -= less;
            self.budget.give_back(less);
        }
    }

    /// Returns a lease on up to so many of its bytes, and keeps the others.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            budget: Arc::clone(&self.budget),
            bytes,
        }
    }

    /// Returns `bytes` such that the lease is held for as long as any part of them is.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held {
            bytes,
            _lease: self,
        })
    }
}

struct Held {
    bytes: Bytes,
    _lease: Lease,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes room for a further piece in `buffer`. `wanted` are the bytes that it will have to hold in the end, as far as
/// that is known; `beside` are bytes that its reader holds about it. All of that is in `lease`.
///
/// # Errors
/// There is no memory for it.
pub(crate) async fn make_room(
    buffer: &mut BytesMut,
    lease: &mut Lease,
    wanted: usize,
    beside: usize,
) -> Result<(), Short> {
    let enough = buffer.len() + PIECE;
    if enough <= 2 * PIECE {
        if beside > 0 {
            lease.grow_to(buffer.capacity() + beside).await?;
        }
        buffer.reserve(PIECE);
        return Ok(());
    }
    if buffer.capacity() >= enough {
        return lease.grow_to(buffer.capacity() + beside).await;
    }
    // Larger by a part of itself, as each step copies what is there.
    let capacity = match wanted > enough {
        true => wanted.min(2 * enough),
        false => enough + enough / 2,
    };
    // Both are there for a moment.
    lease.grow_to(buffer.capacity() + capacity + beside).await?;
    let mut larger = BytesMut::with_capacity(capacity);
    larger.extend_from_slice(buffer);
    *buffer = larger;
    lease.shrink_to(capacity + beside);
    Ok(())
}

/// Takes the first bytes off `buffer`, such that what stays there does not keep them in memory.
pub(crate) fn take_front(buffer: &mut BytesMut, count: usize) -> Bytes {
    let front = buffer.split_to(count);
    if count > PIECE {
        let mut rest = BytesMut::with_capacity(buffer.len().max(PIECE));
        rest.extend_from_slice(buffer);
        *buffer = rest;
    }
    front.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_counted_until_its_last_part_is_gone() {
        let budget = Budget::new(100);
        let lease = budget.take(60).await.expect("there is room");
        let whole = lease.hold(Bytes::from(vec![7; 60]));
        let part = whole.slice(3..4);
        drop(whole);
        assert_eq!(budget.take(50).await.err(), Some(Short), "a part is held");
        let (waited, ()) = tokio::join!(budget.take(50), async {
            tokio::task::yield_now().await;
            assert!(budget.is_short());
            drop(part);
        });
        assert!(waited.is_ok(), "it was given back meanwhile");
        assert!(!budget.is_short());
        assert_eq!(budget.take(101).await.err(), Some(Short), "never");
    }

    #[tokio::test(start_paused = true)]
    async fn a_buffer_of_unknown_length_is_copied_few_times() {
        let budget = Budget::new(64 << 20);
        let (mut buffer, mut lease) = (BytesMut::new(), budget.lease());
        let mut capacities = std::collections::HashSet::new();
        while buffer.len() < 8 << 20 {
            make_room(&mut buffer, &mut lease, 0, 0)
                .await
                .expect("there is room");
            capacities.insert(buffer.capacity());
            buffer.extend_from_slice(&[1; PIECE]);
        }
        assert!(capacities.len() < 30, "{}", capacities.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_buffer_grows_within_what_is_counted() {
        let budget = Budget::new(4 << 20);
        let (mut buffer, mut lease) = (BytesMut::new(), budget.lease());
        let mut grown = Ok(());
        while grown.is_ok() {
            assert!(buffer.len() <= 4 << 20);
            let room = buffer.capacity() - buffer.len();
            buffer.extend_from_slice(&vec![1; room.min(PIECE)]);
            grown = make_room(&mut buffer, &mut lease, 64 << 20, 0).await;
            assert!(buffer.capacity() <= lease.bytes.max(2 * PIECE));
        }
        assert!(buffer.len() >= 1 << 20, "{}", buffer.len());
    }
}
