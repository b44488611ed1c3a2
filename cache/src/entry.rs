//! An answer, as it is handed on and as it is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_model::Edition;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Headers that are kept with an answer; all others are of one request.
pub(crate) const KEPT_HEADERS: [http::HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::WARNING,
    // Clients of the dialect go by it; a front keeps answers that have it already.
    http::HeaderName::from_static("x-elastic-product"),
];

/// Bytes that an entry takes beside its content, roughly.
const OVERHEAD_BYTES: usize = 256;

/// An answer whose body is there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, not packed.
    pub body: Bytes,
    /// The state that it was evaluated on; `None` where it is good for the one who asked alone.
    pub edition: Option<Edition>,
}

impl Answer {
    /// Returns whether those who wait for it may have it too: it is whole, or says that there is no room, which is
    /// so for all of them.
    pub(crate) fn may_be_shared(&self) -> bool {
        let is_busy = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        is_busy || (self.status == StatusCode::OK && self.edition.is_some())
    }
}

/// An answer that is kept.
#[derive(Debug)]
pub struct Entry {
    /// The state that it was evaluated on.
    pub edition: Edition,
    /// Type of its body, and warnings.
    pub headers: HeaderMap,
    /// Its body, not packed.
    pub body: Bytes,
    made: Instant,
    /// Milliseconds after `made` at which it was last known to be current.
    current_ms: AtomicU64,
}

impl Entry {
    /// Returns `answer` as it is kept. Its bytes are copied: those of the answer count as memory of its request.
    pub(crate) fn of(answer: &Answer, edition: Edition) -> Self {
        let mut headers = HeaderMap::new();
        for name in KEPT_HEADERS {
            for value in answer.headers.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Self {
            edition,
            headers,
            body: Bytes::copy_from_slice(&answer.body),
            made: made(&answer.headers),
            current_ms: AtomicU64::new(made(&answer.headers).elapsed().as_millis() as u64),
        }
    }

    /// Returns an entry that was evaluated so long ago, and is not known to have been current since.
    pub(crate) fn aged(edition: Edition, headers: HeaderMap, body: Bytes, age: Duration) -> Self {
        let now = Instant::now();
        Self {
            edition,
            headers,
            body,
            made: now.checked_sub(age).unwrap_or(now),
            current_ms: AtomicU64::new(0),
        }
    }

    /// Returns it as the answer to a request that fetched it.
    pub(crate) fn to_answer(&self) -> Answer {
        let mut headers = self.headers.clone();
        headers.insert(header::AGE, HeaderValue::from(self.age().as_secs()));
        Answer {
            status: StatusCode::OK,
            headers,
            body: self.body.clone(),
            edition: Some(self.edition),
        }
    }

    /// Returns how long ago it was evaluated, also by a node behind this one.
    pub fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// Notes that it is current now.
    pub(crate) fn note_current(&self) {
        let now = self.made.elapsed().as_millis() as u64;
        self.current_ms.fetch_max(now, Ordering::Relaxed);
    }

    /// Returns for how long it has not been known to be current.
    pub(crate) fn since_current(&self) -> Duration {
        let current = Duration::from_millis(self.current_ms.load(Ordering::Relaxed));
        self.made.elapsed().saturating_sub(current)
    }

    /// Returns the bytes that it takes, roughly.
    pub(crate) fn num_bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
        self.body.len() + headers.sum::<usize>() + OVERHEAD_BYTES
    }
}

/// Returns when an answer was evaluated.
fn made(headers: &HeaderMap) -> Instant {
    let now = Instant::now();
    now.checked_sub(age_in(headers)).unwrap_or(now)
}

/// Returns how old an answer came: one that was kept by the node that sent it says so.
pub(crate) fn age_in(headers: &HeaderMap) -> Duration {
    let age = headers.get(header::AGE);
    let age = age.and_then(|age| age.to_str().ok()?.parse().ok());
    Duration::from_secs(age.unwrap_or_default())
}
