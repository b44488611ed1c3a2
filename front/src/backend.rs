//! A backend: where it is, how it is, how busy it is with requests of this front.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::health::Health;
use crate::options::BackendUrl;

/// How much of the mean time the last answer makes.
const NEWEST: f64 = 0.1;

/// Time of an answer while none has been seen.
const FIRST_GUESS: Duration = Duration::from_millis(5);

/// A backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) url: BackendUrl,
    /// Its address as text, for sessions and messages.
    pub(crate) name: String,
    num_open: AtomicUsize,
    /// Bits of the mean time of an answer's head, in seconds.
    mean: AtomicU64,
    health: Mutex<Health>,
}

impl Backend {
    pub(crate) fn new(url: BackendUrl) -> Self {
        Self {
            name: url.to_string(),
            url,
            num_open: AtomicUsize::new(0),
            mean: AtomicU64::new(FIRST_GUESS.as_secs_f64().to_bits()),
            health: Mutex::default(),
        }
    }

    /// Counts a request as open until what is returned is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenForward {
        self.num_open.fetch_add(1, Ordering::Relaxed);
        OpenForward(Arc::clone(self))
    }

    /// Returns how many requests are open.
    pub(crate) fn num_open(&self) -> usize {
        self.num_open.load(Ordering::Relaxed)
    }

    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.health.lock().is_available(now)
    }

    /// Returns how long a further request would take here, as a number to compare: requests that are open times the
    /// mean time of an answer, more for a backend that has just come back.
    pub(crate) fn load(&self, now: Instant) -> f64 {
        let mean = f64::from_bits(self.mean.load(Ordering::Relaxed));
        let num_open = self.num_open() as f64 + 1.0;
        num_open * mean.max(1e-6) / self.health.lock().warmth(now)
    }

    /// Notes what a probe found.
    pub(crate) fn note_probe(&self, found: Result<(), &str>) {
        let has_changed = self.health.lock().note_probe(found.is_ok(), Instant::now());
        match found {
            _ if !has_changed => {}
            Ok(()) => tracing::info!(backend = self.name, "a backend is ready"),
            Err(reason) => tracing::warn!(backend = self.name, reason, "a backend is not ready"),
        }
    }

    /// Notes an answer whose head took so long.
    pub(crate) fn note_success(&self, took: Duration) {
        let newest = |mean: f64| mean + NEWEST * (took.as_secs_f64() - mean);
        // One of two that are noted at once may be lost: it is a mean.
        let mean = newest(f64::from_bits(self.mean.load(Ordering::Relaxed)));
        self.mean.store(mean.to_bits(), Ordering::Relaxed);
        self.health.lock().note_success(Instant::now());
    }

    /// Notes a connection that failed or an answer that says so.
    pub(crate) fn note_failure(&self) {
        let left_out = self.health.lock().note_failure(Instant::now());
        if let Some(time) = left_out {
            tracing::warn!(
                backend = self.name,
                ?time,
                "a backend fails and is left out"
            );
        }
    }
}

/// A request that is open on a backend.
#[derive(Debug)]
pub(crate) struct OpenForward(Arc<Backend>);

impl Drop for OpenForward {
    fn drop(&mut self) {
        self.0.num_open.fetch_sub(1, Ordering::Relaxed);
    }
}
