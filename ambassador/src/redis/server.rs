//! One Redis server as the ambassador sees it: in, with a connection, or out, with what it misses.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::budget::Budget;
use super::connection::{Connection, ServerError};
use super::received::{Answers, Reader};
use super::request::{MAX_REQUEST_BYTES, Request};

/// Most keys that are remembered for a server that misses writes; about 64 MiB with keys of ordinary length.
const MAX_MISSED: usize = 1 << 19;

/// Most bytes of these keys.
const MAX_MISSED_BYTES: usize = 64 << 20;

/// Which answers a server may give: one as large as the largest request.
const ANSWERS: Answers = Answers::Any {
    max_bytes: MAX_REQUEST_BYTES,
};

/// A server and whether it is used.
#[derive(Debug)]
pub(crate) struct Server {
    /// `HOST:PORT`.
    pub(crate) name: String,
    password: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: Option<Connection>,
    why_out: String,
    /// Keys of which it may have missed a write.
    missed: HashSet<Bytes>,
    /// Bytes of these keys.
    missed_bytes: usize,
    /// It missed more than is remembered, so it can only come back empty.
    missed_too_much: bool,
    was_in: bool,
    /// Held by each write that is under way at it, until it is known what came of it.
    under_way: Arc<()>,
    /// As before it went out: those that somebody still holds.
    unsettled: Vec<Arc<()>>,
}

/// A write at a server: what came of it is not known until this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    _of: Arc<()>,
}

/// What is left of what a server missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// These keys, taken off the list.
    Keys(Vec<Bytes>),
    /// More than is remembered.
    TooMuch,
}

impl Server {
    /// Makes a server that is out until it has been reached.
    pub(crate) fn new(name: String, password: Option<String>) -> Self {
        let state = State {
            connection: None,
            why_out: "it has not been reached yet".to_owned(),
            missed: HashSet::new(),
            missed_bytes: 0,
            missed_too_much: false,
            was_in: false,
            under_way: Arc::new(()),
            unsettled: Vec::new(),
        };
        Self {
            name,
            password,
            state: Mutex::new(state),
        }
    }

    /// Opens a connection to it, whether it is in or out.
    pub(crate) async fn connect(
        &self,
        budget: &Arc<Budget>,
        within: Duration,
    ) -> Result<Connection, ServerError> {
        let password = self.password.as_deref();
        Connection::open(&self.name, password, Reader::new(ANSWERS, budget), within).await
    }

    /// Returns its connection while it is in.
    ///
    /// # Errors
    /// Why it is out.
    pub(crate) fn connection(&self) -> Result<Connection, String> {
        let state = self.state.lock();
        state
            .connection
            .clone()
            .ok_or_else(|| state.why_out.clone())
    }

    /// As [`Self::connection`], for a write.
    ///
    /// # Errors
    /// Why it is out.
    pub(crate) fn connection_for_write(&self) -> Result<(Connection, UnderWay), String> {
        let state = self.state.lock();
        state.for_write().ok_or_else(|| state.why_out.clone())
    }

    /// Returns its connection for a write of `keys`; where it is out, notes that it misses that write.
    pub(crate) fn connection_or_missed(&self, keys: &[Bytes]) -> Option<(Connection, UnderWay)> {
        let mut state = self.state.lock();
        if state.connection.is_none() {
            state.miss(keys);
        }
        state.for_write()
    }

    /// Is it known what came of all writes that were under way when it went out?
    pub(crate) fn has_settled(&self) -> bool {
        let mut state = self.state.lock();
        state.unsettled.retain(|held| Arc::strong_count(held) > 1);
        state.unsettled.is_empty()
    }

    /// Notes that it may not have done a write of `keys`, and takes it out until that is mended.
    pub(crate) fn has_missed(&self, keys: &[Bytes], why: &str) {
        let mut state = self.state.lock();
        state.miss(keys);
        self.leave(&mut state, why);
    }

    /// Takes it out, if it is in.
    pub(crate) fn take_out(&self, why: &str) {
        self.leave(&mut self.state.lock(), why);
    }

    fn leave(&self, state: &mut State, why: &str) {
        if let Some(connection) = state.connection.take() {
            // What is under way there would wait for as long as the server is silent.
            connection.close();
            let before = std::mem::take(&mut state.under_way);
            state.unsettled.push(before);
            tracing::warn!(server = %self.name, why, "a Redis server is out");
        }
        why.clone_into(&mut state.why_out);
    }

    /// Puts it in with this connection, unless it missed something that is not mended yet.
    pub(crate) fn bring_in(&self, connection: &Connection) -> bool {
        let mut state = self.state.lock();
        if state.missed_too_much || !state.missed.is_empty() {
            return false;
        }
        if state.connection.replace(connection.clone()).is_none() {
            tracing::info!(server = %self.name, "a Redis server is in");
        }
        state.was_in = true;
        true
    }

    /// Was it in before?
    pub(crate) fn was_in(&self) -> bool {
        self.state.lock().was_in
    }

    /// Is it in?
    pub(crate) fn is_in(&self) -> bool {
        self.state.lock().connection.is_some()
    }

    /// Takes up to `count` of the keys that it missed writes of.
    pub(crate) fn take_missed(&self, count: usize) -> Missed {
        let mut state = self.state.lock();
        if state.missed_too_much {
            return Missed::TooMuch;
        }
        let keys: Vec<Bytes> = state.missed.iter().take(count).cloned().collect();
        for key in &keys {
            state.missed.remove(key);
            state.missed_bytes -= key.len();
        }
        Missed::Keys(keys)
    }

    /// Puts keys back that could not be mended.
    pub(crate) fn miss(&self, keys: &[Bytes]) {
        self.state.lock().miss(keys);
    }

    /// Forgets what it missed, as it holds nothing that could be old.
    pub(crate) fn forget_missed(&self) {
        let mut state = self.state.lock();
        state.missed.clear();
        state.missed_bytes = 0;
        state.missed_too_much = false;
    }

    /// Asks whether it answers, over a connection that carries nothing else.
    pub(crate) async fn ping(connection: &Connection, within: Duration) -> Result<(), ServerError> {
        let ping = Request::of(["PING"]);
        let answer = tokio::time::timeout(within, connection.ask(&ping)).await;
        let answer = answer
            .map_err(|_| ServerError::Silent(within))?
            .map_err(|_| ServerError::Lost)?;
        if answer.is_error() {
            return Err(ServerError::Refused(answer.text()));
        }
        Ok(())
    }
}

impl State {
    fn for_write(&self) -> Option<(Connection, UnderWay)> {
        let under_way = UnderWay {
            _of: Arc::clone(&self.under_way),
        };
        Some((self.connection.clone()?, under_way))
    }

    fn miss(&mut self, keys: &[Bytes]) {
        if self.missed_too_much {
            return;
        }
        for key in keys {
            // Its bytes are copied: a slice would keep the whole request.
            if self.missed.insert(Bytes::copy_from_slice(key)) {
                self.missed_bytes += key.len();
            }
            if self.missed.len() > MAX_MISSED || self.missed_bytes > MAX_MISSED_BYTES {
                self.missed_too_much = true;
                self.missed = HashSet::new();
                self.missed_bytes = 0;
                return;
            }
        }
    }
}
