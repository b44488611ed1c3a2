//! Values of ours that lie in a Redis server, or in several behind an ambassador, for a while.
//!
//! Does: keep one connection, ask for a value by its name, put one there. Does not: believe what comes back, wait for a
//! server that is away. Read first: [`RedisKeep`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis_protocol::resp2::types::BytesFrame;
use tokio::task::AbortHandle;

use super::budget::Budget;
use super::connection::{Connection, ServerError};
use super::received::{Answer, Answers, Reader};
use super::request::Request;

/// Port of a server whose address names none.
const PORT: u16 = 6_379;

/// Time for a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);

/// Rest before another try to connect.
const TRIES_EVERY: Duration = Duration::from_secs(1);

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Most bytes of answers that nobody has taken yet.
const MAX_HELD_BYTES: usize = 64 << 20;

/// Calls in a row that nobody waited for to the end, after which the connection is made anew: the server may be gone.
const MAX_UNANSWERED: u32 = 16;

/// Address of a Redis server: `redis://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// `HOST:PORT`.
    address: String,
    host: String,
}

/// The text is no address of a Redis server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wanted redis://HOST:PORT, without a password or a database")]
pub struct BadRedisUrl;

impl FromStr for RedisUrl {
    type Err = BadRedisUrl;

    fn from_str(text: &str) -> Result<Self, BadRedisUrl> {
        let rest = text.strip_prefix("redis://").ok_or(BadRedisUrl)?;
        let place = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an address of version 6 are inside of its brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| BadRedisUrl)?)
            }
            _ => (place, PORT),
        };
        let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        is_host
            .then(|| Self {
                address: format!("{host}:{port}"),
                host: host.trim_matches(['[', ']']).to_owned(),
            })
            .ok_or(BadRedisUrl)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis://{}", self.address)
    }
}

impl RedisUrl {
    /// Is the server on this machine, by its address?
    pub fn is_local(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// Values that lie in a Redis server for a while.
pub struct RedisKeep {
    shared: Arc<Shared>,
    connecting: AbortHandle,
}

struct Shared {
    url: RedisUrl,
    password: Option<String>,
    connection: Mutex<Option<Connection>>,
    num_unanswered: AtomicU32,
}

impl Drop for RedisKeep {
    fn drop(&mut self) {
        self.connecting.abort();
    }
}

impl RedisKeep {
    /// Begins to connect, and to log in where there is a password.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(url: RedisUrl, password: Option<String>) -> Self {
        let shared = Arc::new(Shared {
            url,
            password,
            connection: Mutex::default(),
            num_unanswered: AtomicU32::new(0),
        });
        let connecting = tokio::spawn(Arc::clone(&shared).connect()).abort_handle();
        Self { shared, connecting }
    }

    /// Returns the value of `name`, where there is one.
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, ServerError> {
        let answer = self.shared.ask(&Request::of(["GET", name])).await?;
        match answer.frame() {
            BytesFrame::BulkString(value) => Ok(Some(value)),
            BytesFrame::Null => Ok(None),
            other => Err(refused(&other)),
        }
    }

    /// Keeps `value` under `name` for as long.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn put(
        &self,
        name: &str,
        value: &[u8],
        lies_for: Duration,
    ) -> Result<(), ServerError> {
        let lies_for = lies_for.as_millis().to_string();
        let arguments: [&[u8]; 5] = [b"SET", name.as_bytes(), value, b"PX", lies_for.as_bytes()];
        let answer = self.shared.ask(&Request::of(arguments)).await?;
        match answer.frame() {
            BytesFrame::SimpleString(_) => Ok(()),
            other => Err(refused(&other)),
        }
    }

    /// Is the server on this machine, by its address?
    pub fn is_local(&self) -> bool {
        self.shared.url.is_local()
    }
}

fn refused(frame: &BytesFrame) -> ServerError {
    match frame {
        BytesFrame::Error(message) => ServerError::Refused(message.to_string()),
        _ => ServerError::Refused("something else than was asked for".to_owned()),
    }
}

impl Shared {
    /// Keeps a connection.
    async fn connect(self: Arc<Self>) {
        let answers = Answers::Flat {
            max_bytes: MAX_ANSWER_BYTES,
        };
        let budget = Budget::new(MAX_HELD_BYTES);
        loop {
            let (address, password) = (&self.url.address, self.password.as_deref());
            let opened = Connection::open(
                address,
                password,
                Reader::new(answers, &budget),
                CONNECTS_WITHIN,
            );
            match opened.await {
                Ok(connection) => {
                    self.num_unanswered.store(0, Ordering::Relaxed);
                    *self.connection.lock() = Some(connection.clone());
                    connection.ended().await;
                    *self.connection.lock() = None;
                }
                Err(error) => tracing::debug!(server = %self.url, %error, "no connection"),
            }
            tokio::time::sleep(TRIES_EVERY).await;
        }
    }

    async fn ask(&self, request: &Request) -> Result<Answer, ServerError> {
        let connection = self.connection.lock().clone().ok_or(ServerError::Lost)?;
        if self.num_unanswered.load(Ordering::Relaxed) >= MAX_UNANSWERED {
            connection.close();
            return Err(ServerError::Lost);
        }
        let mut waiting = Waiting {
            num_unanswered: &self.num_unanswered,
            is_answered: false,
        };
        let answer = connection.ask(request).await;
        waiting.is_answered = true;
        self.num_unanswered.store(0, Ordering::Relaxed);
        answer.map_err(|_| ServerError::Lost)
    }
}

/// Counts a call that nobody waits for any more.
struct Waiting<'a> {
    num_unanswered: &'a AtomicU32,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.num_unanswered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_others_refused() {
        for (url, shown, is_local) in [
            ("redis://10.0.0.1", "redis://10.0.0.1:6379", false),
            ("redis://localhost:7001/", "redis://localhost:7001", true),
            ("redis://[::1]:7001", "redis://[::1]:7001", true),
            ("redis://cache.example", "redis://cache.example:6379", false),
            ("redis://[fd00::1]", "redis://[fd00::1]:6379", false),
        ] {
            let read: RedisUrl = url.parse().expect(url);
            let seen = (read.to_string(), read.is_local());
            assert_eq!(seen, (shown.to_owned(), is_local));
        }
        for bad in [
            "",
            "10.0.0.1:6379",
            "rediss://h",
            "redis://",
            "redis://h:port",
            "redis://user:x@h",
            "redis://:x@h",
            "redis://h/0",
        ] {
            assert_eq!(bad.parse::<RedisUrl>(), Err(BadRedisUrl), "{bad}");
        }
    }
}
