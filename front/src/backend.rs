//! A backend: where it is, how it is, how busy it is with requests of this front.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper_util::client::legacy::Client;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connect::Connect;
use crate::health::Health;
use crate::mean::MeanTime;
use crate::options::BackendUrl;

/// Makes connections, and keeps them where it is set up to.
pub(crate) type Connections = Client<Connect, Body>;

/// A backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) url: BackendUrl,
    /// Its address as text, for sessions and messages.
    pub(crate) name: Arc<str>,
    num_open: AtomicUsize,
    /// Connections that are kept; `None` before the first, and where one of them broke.
    kept: Mutex<Option<Arc<Connections>>>,
    /// Told when a connection breaks.
    broken: Notify,
    mean: Mutex<MeanTime>,
    health: Mutex<Health>,
}

impl Backend {
    pub(crate) fn new(url: BackendUrl) -> Self {
        Self {
            name: url.to_string().into(),
            url,
            num_open: AtomicUsize::new(0),
            kept: Mutex::default(),
            broken: Notify::new(),
            mean: Mutex::default(),
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

    /// Returns what keeps connections to it, made by `make` where there is none.
    pub(crate) fn kept(&self, make: impl FnOnce() -> Connections) -> Arc<Connections> {
        let mut kept = self.kept.lock();
        Arc::clone(kept.get_or_insert_with(|| Arc::new(make())))
    }

    /// Notes that a connection broke which had a request. A process that has ended takes all its connections with it, and a
    /// request that is sent over another one is lost too: those that are kept are given up, and it is looked at right away.
    /// Requests that are under way go on.
    pub(crate) fn note_break(&self) {
        *self.kept.lock() = None;
        self.health.lock().note_break(Instant::now());
        self.broken.notify_one();
    }

    /// Waits until a connection has broken.
    pub(crate) async fn break_of_connection(&self) {
        self.broken.notified().await;
    }

    /// Returns whether a connection broke, and nothing was heard of it since: it may be about to end.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.health.lock().is_in_doubt()
    }

    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.health.lock().is_available(now)
    }

    /// Returns how long a further request would take here, as a number to compare: requests that are open times the
    /// mean time of an answer, more for a backend that has just come back.
    pub(crate) fn load(&self, now: Instant) -> f64 {
        let mean = self.mean.lock();
        let num_open = self.num_open();
        if num_open == 0 && !mean.is_known() {
            // One request finds out. By a guess alone it would not be asked beside a backend that is known to be faster.
            return 0.0;
        }
        (num_open as f64 + 1.0) * mean.seconds(now) / self.health.lock().warmth(now)
    }

    /// Notes what a probe found that began at `began`.
    pub(crate) fn note_probe(&self, found: Result<(), &str>, began: Instant) {
        let mut health = self.health.lock();
        let has_changed = health.note_probe(found.is_ok(), began, Instant::now());
        drop(health);
        match found {
            _ if !has_changed => {}
            Ok(()) => tracing::info!(backend = &*self.name, "a backend is ready"),
            Err(reason) => tracing::warn!(backend = &*self.name, reason, "a backend is not ready"),
        }
    }

    /// Notes an answer whose head took so long.
    pub(crate) fn note_success(&self, took: Duration) {
        let now = Instant::now();
        self.mean.lock().note(took, now);
        self.health.lock().note_success(now);
    }

    /// Notes a connection that failed or an answer that says so.
    pub(crate) fn note_failure(&self) {
        let left_out = self.health.lock().note_failure(Instant::now());
        if let Some(time) = left_out {
            tracing::warn!(
                backend = &*self.name,
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
