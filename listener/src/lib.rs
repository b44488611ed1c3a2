//! Connections: how many there may be, how many from one address, and how long one may be silent.
//!
//! Does: accept connections within [`Bounds`], make room by closing those that have been quiet for the longest,
//! wait for the first bytes of a connection with a deadline and tell HTTP/1.1 from HTTP/2 by them, and note on
//! each connection's [`Activity`] when it last sent a byte, began a request, or could not be written to.
//! Does not: read requests, know TLS, decide what a request may do.
//! Called by `server` (clients and probes) and `proto` (other nodes). Read [`Listener`] first, then
//! `docs/decisions/0031-edge.md`.

mod activity;
mod connection;
mod lag;
mod opening;
mod places;
mod replay;

use std::io;
use std::time::Duration;

use gleaner_model::metric;
use tokio::net::{TcpListener, TcpStream};

pub use activity::{Activity, OpenRequest};
pub use connection::Connection;
pub use lag::Lag;
pub use opening::{Beginning, OpenConnection, Protocol, open};
pub use places::{Bounds, Place, Places, TooMany};
pub use replay::Replay;

/// Pause after a connection could not be accepted: mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for a place before the quiet connections are looked at again.
const ROOM_LOOK: Duration = Duration::from_millis(100);

/// What is sent to a client whose address has too many connections, before its connection is closed.
const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: application/json\r\ncontent-length: 197\r\n\r\n\
    {\"error\":{\"type\":\"circuit_breaking_exception\",\"reason\":\"too many connections are open from this \
    address; close some, or raise `max_connections_per_address`\",\"durability\":\"TRANSIENT\"},\"status\":429}\n";

/// A TCP listener whose connections have places.
pub struct Listener {
    listener: TcpListener,
    places: Places,
}

impl Listener {
    /// Returns `listener` with room for as many connections as `bounds` say; `port` is its name in metrics.
    pub fn new(listener: TcpListener, bounds: Bounds, port: &'static str) -> Self {
        Self {
            listener,
            places: Places::new(bounds, port),
        }
    }

    /// Accepts the next connection that there is a place for.
    ///
    /// A connection of an address that has its share already is answered with 429 and closed, unless one of
    /// its own has long been quiet: that one is closed instead. When all places are taken, the connections that
    /// have been quiet for the longest are closed; when none is quiet, this waits for one to end.
    ///
    /// # Cancel safety
    /// A connection that waits for a place is closed.
    pub async fn accept(&self) -> (TcpStream, Place) {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Some(place) = self.place(peer).await {
                return (stream, place);
            }
            self.refuse(&stream, peer);
        }
    }

    async fn place(&self, peer: std::net::SocketAddr) -> Option<Place> {
        loop {
            let freed = self.places.freed();
            match self.places.take(peer) {
                Ok(place) => return Some(place),
                Err(places::Full::Address) => return None,
                Err(places::Full::All) => {
                    // Time alone makes others quiet.
                    drop(tokio::time::timeout(ROOM_LOOK, freed).await);
                }
            }
        }
    }

    fn refuse(&self, stream: &TcpStream, peer: std::net::SocketAddr) {
        count_closed(self.places.port(), "address");
        tracing::debug!(%peer, "a connection was refused: its address has too many");
        // A courtesy: the connection is closed either way.
        drop(stream.try_write(REFUSAL));
    }
}

/// Counts that a connection of the listener `port` is closed by us, and why.
pub fn count_closed(port: &'static str, reason: &'static str) {
    let labels = [("port", port), ("reason", reason)];
    metrics::counter!(metric::CONNECTIONS_CLOSED.name, &labels).increment(1);
}

/// Ends waiting for the first bytes of a connection.
pub(crate) fn late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the connection sent too little to begin with",
    )
}

#[cfg(test)]
mod tests;
