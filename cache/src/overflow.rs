//! What falls out of memory, kept outside of the process for a while: sealed, and held against the current edition as
//! everything that is kept.
//!
//! ```text
//! memory is full     entry -> queue -> sealed -> put beyond, for an hour at most
//! nobody has it      get beyond, 25 ms at most -> opened -> of the current edition? -> in memory again, and served
//! ```
//!
//! A place beyond that is slow, away or wrong costs the time of a look-up and an evaluation, nothing else; after three
//! failures in a row it is left alone for a while. Whoever holds that place can forget answers and bring old ones back,
//! which are of an old edition then; he can neither read them nor make any.
//!
//! Does: queue, seal, check. Does not: know what is current (the cache does), or speak to the place ([`Beyond`] does).
//! Read first: [`Overflow::get`].

mod rest;
mod value;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{AnswerKey, ClusterState, metric};
use gleaner_tls::SealingKey;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::timeout;

use crate::entry::Entry;
use rest::Rest;
use value::{Kept, name_of, opened, sealed};

/// Longest wait for an answer that may lie beyond: an evaluation does not take much longer.
const LOOKS_FOR: Duration = Duration::from_millis(25);

/// Longest wait until an answer lies beyond.
const PUTS_FOR: Duration = Duration::from_secs(1);

/// How long an answer lies beyond.
const LIES_FOR: Duration = Duration::from_secs(3_600);

/// Answers that wait to be put beyond; more are dropped.
const QUEUE: usize = 1_024;

/// Largest value that is opened where it arrives: a larger one would hold up others on that thread.
const OPENED_AT_ONCE: usize = 16 << 10;

/// Largest body that [`body_of`] returns.
const MOST_SHOWN: usize = 1 << 20;

/// Bytes of answers that wait.
const QUEUE_BYTES: usize = 16 << 20;

/// Why a place beyond did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BeyondError(pub String);

/// A place outside of the process that keeps values by name, and may forget them.
///
/// Nothing of it is believed: values are sealed. A call that is dropped may have been done.
#[async_trait]
pub trait Beyond: Send + Sync {
    /// Returns the value of a name, where there is one.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BeyondError>;

    /// Keeps a value for as long, in place of an older one.
    async fn put(&self, name: &str, value: Bytes, lies_for: Duration) -> Result<(), BeyondError>;

    /// Is it on this machine alone?
    fn is_local(&self) -> bool;
}

/// Returns what answers are sealed with; `None` where they may not leave this machine. The secret is the one of the
/// cluster's keys. A cluster without keys has none that others do not know, so its answers stay on this machine.
fn secret_of(state: &ClusterState, is_local: bool) -> Option<[u8; 32]> {
    match &state.security {
        Some(security) => Some(blake3::derive_key(
            "gleaner 2026-11 answers beyond memory",
            &security.seal.0,
        )),
        None if is_local => Some(blake3::derive_key(
            "gleaner 2026-11 answers beyond memory, of a cluster without keys",
            state.cluster_uuid.as_bytes(),
        )),
        None => None,
    }
}

/// Knows the state of the cluster; `None` before it is known.
pub type KnowsState = Arc<dyn Fn() -> Option<Arc<ClusterState>> + Send + Sync>;

/// Where answers go that fall out of memory.
#[derive(Clone)]
pub struct OverflowOptions {
    /// The place.
    pub beyond: Arc<dyn Beyond>,
    /// What answers are sealed by.
    pub state: KnowsState,
}

impl fmt::Debug for OverflowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OverflowOptions")
    }
}

/// Answers beyond memory.
pub(crate) struct Overflow {
    options: OverflowOptions,
    clock: fn() -> i64,
    rest: Arc<Rest>,
    /// Largest body that is taken back.
    most_bytes: usize,
    writing: AbortHandle,
    #[cfg(test)]
    pub(crate) falling: Falling,
}

impl Drop for Overflow {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

/// Takes entries that fall out of memory. It never waits.
#[derive(Clone)]
pub(crate) struct Falling {
    queue: mpsc::Sender<(AnswerKey, Arc<Entry>)>,
    num_bytes: Arc<AtomicUsize>,
}

impl Falling {
    /// Takes an entry, or drops it where too many wait.
    pub(crate) fn take(&self, key: AnswerKey, entry: &Arc<Entry>) {
        let num_bytes = entry.num_bytes();
        let waiting = self.num_bytes.fetch_add(num_bytes, Ordering::Relaxed) + num_bytes;
        let is_taken =
            waiting <= QUEUE_BYTES && self.queue.try_send((key, Arc::clone(entry))).is_ok();
        if !is_taken {
            self.num_bytes.fetch_sub(num_bytes, Ordering::Relaxed);
            note("dropped");
        }
    }
}

impl Overflow {
    /// Begins to put away what falls out of memory.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn start(
        options: OverflowOptions,
        clock: fn() -> i64,
        most_bytes: u64,
    ) -> (Self, Falling) {
        let (queue, fallen) = mpsc::channel(QUEUE);
        let falling = Falling {
            queue,
            num_bytes: Arc::default(),
        };
        let rest = Arc::new(Rest::default());
        let writer = Writer {
            options: options.clone(),
            clock,
            rest: Arc::clone(&rest),
            num_bytes: Arc::clone(&falling.num_bytes),
        };
        let writing = tokio::spawn(writer.run(fallen)).abort_handle();
        let overflow = Self {
            options,
            clock,
            rest,
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            writing,
            #[cfg(test)]
            falling: falling.clone(),
        };
        (overflow, falling)
    }

    /// Returns the answer to `key` that lies beyond, of whichever edition; it is looked for during a quarter of `patience`
    /// at most.
    pub(crate) async fn get(&self, key: &AnswerKey, patience: Duration) -> Option<Arc<Entry>> {
        let secret = secret(&self.options)?;
        if self.rest.is_resting() {
            note("miss");
            return None;
        }
        let name = name_of(&secret, key);
        let patience = LOOKS_FOR.min(patience / 4);
        let got = timeout(patience, self.options.beyond.get(&name)).await;
        let Some(value) = self.rest.noted(got)? else {
            note("miss");
            return None;
        };
        let about = Kept {
            key: *key,
            now_ms: (self.clock)(),
        };
        let (size, most_bytes) = (value.len(), self.most_bytes);
        let open = move || opened(&SealingKey::new(&secret)?, about, &value, most_bytes);
        let entry = match size <= OPENED_AT_ONCE {
            true => open(),
            false => spawn_blocking(open).await.ok().flatten(),
        };
        if entry.is_none() {
            note("failed");
        }
        entry.map(Arc::new)
    }
}

fn secret(options: &OverflowOptions) -> Option<[u8; 32]> {
    secret_of(&*(options.state)()?, options.beyond.is_local())
}

/// Returns the body of the answer to `key` that `value` is, as it came back from beyond memory; `None` for what was not
/// sealed with `secret` for that key, and for what is no answer under the seal.
pub fn body_of(secret: &[u8; 32], key: AnswerKey, value: &[u8]) -> Option<Bytes> {
    let about = Kept { key, now_ms: 0 };
    let entry = opened(&SealingKey::new(secret)?, about, value, MOST_SHOWN)?;
    Some(entry.body)
}

/// Puts entries beyond, one after another.
struct Writer {
    options: OverflowOptions,
    clock: fn() -> i64,
    rest: Arc<Rest>,
    num_bytes: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(self, mut fallen: mpsc::Receiver<(AnswerKey, Arc<Entry>)>) {
        while let Some((key, entry)) = fallen.recv().await {
            self.num_bytes
                .fetch_sub(entry.num_bytes(), Ordering::Relaxed);
            self.put(key, entry).await;
        }
    }

    async fn put(&self, key: AnswerKey, entry: Arc<Entry>) {
        let Some(secret) = secret(&self.options) else {
            return note("dropped");
        };
        if self.rest.is_resting() {
            return note("dropped");
        }
        let about = Kept {
            key,
            now_ms: (self.clock)(),
        };
        // It packs too: no thread is held up that others need.
        let seal = move || sealed(&SealingKey::new(&secret)?, about, &entry);
        let Some(value) = spawn_blocking(seal).await.ok().flatten() else {
            return note("dropped");
        };
        let name = name_of(&secret, &key);
        let put = self.options.beyond.put(&name, value.into(), LIES_FOR);
        let put = timeout(PUTS_FOR, put).await;
        if self.rest.noted(put).is_some() {
            note("written");
        }
    }
}

/// Counts what became of an answer.
pub(crate) fn note(outcome: &'static str) {
    metrics::counter!(metric::CACHE_OVERFLOW.name, "outcome" => outcome).increment(1);
}

#[cfg(test)]
pub(crate) mod tests;
