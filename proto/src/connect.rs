//! How connections between nodes are made: over TCP, or over what the caller puts around it.
//!
//! The streams are of any kind: the wiring of a node decides whether they are encrypted, and nothing here knows how.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gleaner_model::PeerRole;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::{BadAddress, Peer, over_tcp};

/// A stream of bytes, of whatever kind.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Makes a stream to the address that it is given.
type Dial = dyn Fn(&str) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> + Send + Sync;

/// How other nodes are reached; by default over TCP. Clones share it.
#[derive(Clone, Default)]
pub struct Connect(Option<Arc<Dial>>);

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Connect(by the caller)"
        } else {
            "Connect(TCP)"
        })
    }
}

impl Connect {
    /// Reaches nodes by streams that `dial` makes to an address, `host:port`.
    ///
    /// It is called as [`Peer::over`] says, with as little time: a handshake is part of it.
    pub fn by<D, F, S>(dial: D) -> Self
    where
        D: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: ByteStream + 'static,
    {
        Self(Some(Arc::new(move |address: &str| {
            let dialled = dial(address.to_owned());
            let boxed = async move { dialled.await.map(|stream| Box::new(stream) as _) };
            boxed.boxed()
        })))
    }

    /// Returns the node at `address` (`host:port`); nothing is sent yet.
    ///
    /// # Errors
    /// [`BadAddress`] for any other text.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn peer(&self, address: &str) -> Result<Peer, BadAddress> {
        let Some(dial) = self.0.clone() else {
            return Peer::new(address);
        };
        let target = address.to_owned();
        Peer::over(address, move || dial(&target))
    }

    /// As [`Connect::peer`], for a server that is no node.
    pub(crate) fn quiet_peer(&self, address: &str) -> Result<Peer, BadAddress> {
        let Some(dial) = self.0.clone() else {
            return Peer::quiet_over(address, over_tcp(address));
        };
        let target = address.to_owned();
        Peer::quiet_over(address, move || dial(&target))
    }
}

/// Who is at the other end of a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody asked, as the connection is plain: all calls pass.
    Unchecked,
    /// Nobody that a service answers, [`crate::node`] apart: it proved who it is, and that is no role.
    Unknown,
    /// A process of this role, which it has proved.
    Role(PeerRole),
}

/// A connection over which a handshake was made.
pub struct SecuredStream {
    /// What goes over it.
    pub stream: Box<dyn ByteStream>,
    /// Who is at the other end.
    pub caller: Caller,
}

/// Makes the handshakes of connections that were accepted.
#[async_trait]
pub trait Handshake: Send + Sync {
    /// Makes the handshake over `stream`. What came first is `first`, one byte or more, and is read from `stream`
    /// again: where both kinds of connections are taken, it tells them apart.
    ///
    /// The caller bounds how long it may take, and drops it when that is over.
    ///
    /// # Errors
    /// Ends the connection; the others go on.
    async fn accept(&self, first: &[u8], stream: Box<dyn ByteStream>) -> io::Result<SecuredStream>;
}

/// How many connections of other nodes there may be, and what they must begin with.
#[derive(Clone)]
pub struct Admission {
    /// Connections at once, and half as many of one address; ≥ 1.
    pub max_connections: usize,
    /// What must be done before a call; `None` where connections are plain.
    pub handshake: Option<Arc<dyn Handshake>>,
}

impl Admission {
    /// Returns one for so many plain connections.
    #[must_use]
    pub fn plain(max_connections: usize) -> Self {
        Self {
            max_connections,
            handshake: None,
        }
    }
}
