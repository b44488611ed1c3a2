//! How far a client is behind the slowest rate at which it may take what it is sent.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::activity::NEVER;

/// Bytes that a client must take in a second. An answer of 250 MB, as large as memory allows, is held for an hour
/// then, and not for days.
const BYTES_PER_SECOND: u64 = 64 << 10;

/// The time by which a client is behind 64 KiB a second. Only time in which something waits for it counts, and a
/// client that is faster earns nothing for later.
///
/// One task writes it at a time. Moments are milliseconds since the connection was accepted.
#[derive(Debug)]
pub struct Lag {
    behind_ms: AtomicU64,
    /// Since when something has waited for the client.
    since: AtomicU64,
}

impl Default for Lag {
    fn default() -> Self {
        Self {
            behind_ms: AtomicU64::new(0),
            since: AtomicU64::new(NEVER),
        }
    }
}

impl Lag {
    /// Returns how far the client is behind.
    pub fn time(&self, now_ms: u64) -> Duration {
        let since = self.since.load(Relaxed);
        let waited = if since == NEVER {
            0
        } else {
            now_ms.saturating_sub(since)
        };
        Duration::from_millis(self.behind_ms.load(Relaxed) + waited)
    }

    /// Notes that something waits for the client.
    pub fn note_unread(&self, now_ms: u64) {
        if self.since.load(Relaxed) == NEVER {
            self.since.store(now_ms, Relaxed);
        }
    }

    /// Notes that the client took so many bytes, and that the rest still waits if anything did.
    pub fn note_taken(&self, num_bytes: usize, now_ms: u64) {
        let earned = num_bytes as u64 * 1_000 / BYTES_PER_SECOND;
        let behind = self.time(now_ms).as_millis() as u64;
        self.behind_ms.store(behind.saturating_sub(earned), Relaxed);
        if self.since.load(Relaxed) != NEVER {
            self.since.store(now_ms, Relaxed);
        }
    }

    /// Notes that nothing waits any more; the client stays as far behind as it is.
    pub fn note_flushed(&self, now_ms: u64) {
        self.note_taken(0, now_ms);
        self.since.store(NEVER, Relaxed);
    }

    /// Forgets how far the client was behind: another answer begins.
    pub fn clear(&self) {
        self.behind_ms.store(0, Relaxed);
        self.since.store(NEVER, Relaxed);
    }

    /// Does nothing wait, and is the client not behind?
    pub(crate) fn is_clear(&self) -> bool {
        self.since.load(Relaxed) == NEVER && self.behind_ms.load(Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    #[test]
    fn a_client_is_behind_by_the_time_it_waits_beyond_what_it_takes() {
        let lag = Lag::default();
        lag.note_unread(SECOND);
        assert_eq!(lag.time(11 * SECOND), Duration::from_secs(10));
        lag.note_taken(4 * BYTES_PER_SECOND as usize, 11 * SECOND);
        assert_eq!(lag.time(12 * SECOND), Duration::from_secs(7));
        lag.note_taken(BYTES_PER_SECOND as usize, 12 * SECOND);
        assert_eq!(lag.time(12 * SECOND), Duration::from_secs(6));
    }

    #[test]
    fn time_in_which_nothing_waits_does_not_count() {
        let lag = Lag::default();
        lag.note_unread(0);
        lag.note_flushed(2 * SECOND);
        assert_eq!(lag.time(60 * SECOND), Duration::from_secs(2));
        lag.note_taken(BYTES_PER_SECOND as usize, 60 * SECOND);
        lag.note_unread(61 * SECOND);
        assert_eq!(lag.time(62 * SECOND), Duration::from_secs(2));
        lag.clear();
        assert!(lag.is_clear());
        assert_eq!(lag.time(90 * SECOND), Duration::ZERO);
    }

    #[test]
    fn a_fast_client_earns_nothing_for_later() {
        let lag = Lag::default();
        lag.note_unread(0);
        lag.note_taken(usize::MAX >> 16, SECOND);
        assert_eq!(lag.time(3 * SECOND), Duration::from_secs(2));
    }
}
