//! One Redis endpoint over several servers.
//!
//! A key lies on the server that rendezvous hashing of its name says, or on `copies` of them. Requests of all clients
//! share one connection to each server and keep their order. Which arguments are keys the servers say themselves
//! (`COMMAND`). A server that does not answer is out until it does: without copies only its own keys fail; with
//! copies the others answer, and what it missed is copied to it before it is in again.
//!
//! Read first: `route.rs`, then `answer.rs`, `health.rs`.

mod answer;
mod budget;
mod client;
mod commands;
mod connection;
mod health;
mod keep;
mod pool;
mod received;
mod reply;
mod request;
mod ring;
mod route;
mod server;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use budget::Budget;
pub use commands::key_positions;
pub(crate) use connection::Connection;
pub use connection::ServerError;
pub use keep::{BadRedisUrl, RedisKeep, RedisUrl};
pub(crate) use received::{Answers, Reader};
pub(crate) use request::Request;

use crate::accepting::Accepting;
use client::Lock;
use pool::Pool;

/// What an ambassador of Redis servers does.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The servers, `HOST:PORT` each; where a key lies depends on these names and not on their order.
    pub servers: Vec<String>,
    /// Servers that hold each key: 1 to 3, and no more than there are servers.
    pub copies: usize,
    /// Time that a server has to take a connection and to answer `PING`.
    pub timeout: Duration,
    /// What clients must show with `AUTH`; nothing where it is `None`.
    pub password: Option<String>,
    /// What the ambassador shows to servers.
    pub server_password: Option<String>,
    /// Clients at once; further ones wait.
    pub max_clients: usize,
    /// Bytes that requests and answers of all clients and servers have together; each connection has some 50 KB beside
    /// them.
    pub memory_bytes: usize,
}

/// One Redis endpoint over several servers.
#[derive(Debug)]
pub struct RedisAmbassador {
    pool: Arc<Pool>,
    lock: Lock,
    max_clients: usize,
}

impl RedisAmbassador {
    /// Makes an ambassador that has not reached a server yet.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        let pool = Pool::new(&options);
        pool.gauge();
        Self {
            pool: Arc::new(pool),
            lock: Lock(options.password.map(Arc::from)),
            max_clients: options.max_clients,
        }
    }

    /// Is a server in?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.pool.servers.iter().any(server::Server::is_in)
    }

    /// Returns the servers that are in, by their names.
    #[must_use]
    pub fn servers_in(&self) -> Vec<String> {
        let servers = self.pool.servers.iter().filter(|server| server.is_in());
        servers.map(|server| server.name.clone()).collect()
    }

    /// Serves clients of `listener` until `stop` completes; requests that are under way then have `grace` to end.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let mut watching = JoinSet::new();
        for at in 0..self.pool.servers.len() {
            watching.spawn(health::watch(Arc::clone(&self.pool), at));
        }
        let accepting = Accepting {
            listener,
            max: self.max_clients,
            grace,
        };
        accepting
            .each(stop, |stream| {
                let (pool, lock) = (Arc::clone(&self.pool), self.lock.clone());
                async move {
                    if let Err(error) = client::serve(stream, pool, lock).await {
                        tracing::debug!(%error, "a client's connection ended");
                    }
                }
            })
            .await;
    }
}
