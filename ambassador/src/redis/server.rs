//! One Redis server as the ambassador sees it: in, with a connection, or out, with what it misses.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis_protocol::resp2::types::Resp2Frame;

use super::connection::{Answers, Connection, ServerError};
use super::request::Request;

/// Most keys that are remembered for a server that misses writes; about 64 MiB with keys of ordinary length.
const MAX_MISSED: usize = 1 << 19;

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
    /// It missed more than is remembered, so it can only come back empty.
    missed_too_much: bool,
    was_in: bool,
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
            missed_too_much: false,
            was_in: false,
        };
        Self {
            name,
            password,
            state: Mutex::new(state),
        }
    }

    /// Opens a connection to it, whether it is in or out.
    pub(crate) async fn connect(&self, within: Duration) -> Result<Connection, ServerError> {
        Connection::open(&self.name, self.password.as_deref(), Answers::Any, within).await
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

    /// Returns its connection for a write of `keys`; where it is out, notes that it misses that write.
    pub(crate) fn connection_for_write(&self, keys: &[Bytes]) -> Option<Connection> {
        let mut state = self.state.lock();
        if state.connection.is_none() {
            state.miss(keys);
        }
        state.connection.clone()
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
            let said = answer.frame.as_str().unwrap_or_default();
            return Err(ServerError::Refused(said.to_owned()));
        }
        Ok(())
    }
}

impl State {
    fn miss(&mut self, keys: &[Bytes]) {
        if self.missed_too_much {
            return;
        }
        // Their bytes are copied: a slice would keep the whole request.
        let copies = keys.iter().map(|key| Bytes::copy_from_slice(key));
        self.missed.extend(copies);
        if self.missed.len() > MAX_MISSED {
            self.missed_too_much = true;
            self.missed = HashSet::new();
        }
    }
}
