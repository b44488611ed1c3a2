//! The servers of an ambassador, which of them hold a key, and what their commands do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::metric;
use parking_lot::RwLock;

use super::RedisOptions;
use super::budget::Budget;
use super::commands::Commands;
use super::connection::{Connection, Lost, ServerError};
use super::request::Request;
use super::ring::Ring;
use super::server::Server;

/// The servers behind an ambassador.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) servers: Vec<Server>,
    ring: Ring,
    /// Servers that hold each key, ≥ 1.
    pub(crate) copies: usize,
    /// Time that a server has to take a connection and to answer `PING`.
    pub(crate) timeout: Duration,
    /// Memory for requests and answers.
    pub(crate) budget: Arc<Budget>,
    commands: RwLock<Arc<Commands>>,
}

impl Pool {
    /// Makes a pool whose servers are all out still.
    pub(crate) fn new(options: &RedisOptions) -> Self {
        let server = |name: &String| Server::new(name.clone(), options.server_password.clone());
        Self {
            servers: options.servers.iter().map(server).collect(),
            ring: Ring::new(&options.servers),
            copies: options.copies,
            timeout: options.timeout,
            budget: Budget::new(options.memory_bytes),
            commands: RwLock::default(),
        }
    }

    /// Returns the servers that hold `key`, the one that is asked first at the head.
    pub(crate) fn holders(&self, key: &[u8]) -> Vec<usize> {
        self.ring.holders(key, self.copies)
    }

    /// Returns the connection of a server that holds `key` beside `server` and is in.
    pub(crate) fn other_holder(&self, key: &[u8], server: &Server) -> Option<Connection> {
        self.holders(key)
            .into_iter()
            .map(|at| &self.servers[at])
            .filter(|other| other.name != server.name)
            .find_map(|other| other.connection().ok())
    }

    /// Returns a server that is in, for what does not depend on keys.
    pub(crate) fn any(&self) -> Option<Connection> {
        self.servers
            .iter()
            .find_map(|server| server.connection().ok())
    }

    /// Returns what commands do; none are known before the first server has been reached.
    pub(crate) fn commands(&self) -> Arc<Commands> {
        Arc::clone(&self.commands.read())
    }

    /// Asks a server for its commands, if none are known.
    pub(crate) async fn learn_commands(&self, server: &Connection) -> Result<(), ServerError> {
        if !self.commands().is_empty() {
            return Ok(());
        }
        let answer = server.ask(&Request::of(["COMMAND"])).await;
        let commands = Commands::read(&answer.map_err(|Lost| ServerError::Lost)?.frame());
        if commands.is_empty() {
            return Err(ServerError::Refused("nothing of use to COMMAND".to_owned()));
        }
        *self.commands.write() = Arc::new(commands);
        Ok(())
    }

    /// Notes that a server may have missed a write of `keys`.
    pub(crate) fn note_missed(&self, at: usize, keys: &[Bytes], why: &str) {
        if self.copies > 1 {
            self.servers[at].has_missed(keys, why);
        } else {
            self.servers[at].take_out(why);
        }
        self.gauge();
    }

    /// Sets the gauges of servers that are in.
    pub(crate) fn gauge(&self) {
        for server in &self.servers {
            let is_in = if server.is_in() { 1.0 } else { 0.0 };
            metrics::gauge!(metric::AMBASSADOR_SERVER_IN.name, "server" => server.name.clone())
                .set(is_in);
        }
    }
}
