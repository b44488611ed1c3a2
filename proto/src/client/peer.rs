//! One connection to one node.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use gleaner_telemetry::TRACEPARENT_KEY;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::version::Versions;
use crate::wire::{CONNECTION_WINDOW, MAX_MESSAGE_BYTES, STREAM_WINDOW, WIRE_HEADER};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after a failed attempt none is made, at most: calls that waited for that attempt fail with
/// it, instead of waiting for an attempt each, one after the other. It is no longer than the attempt
/// took: a refusal that comes at once is cheap to ask for again, and the peer may be back.
const HOLD_OFF: Duration = Duration::from_millis(200);

/// How often a connection is tried with a ping.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to a ping may take before the connection counts as broken.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancelled calls whose late frames are still recognised. Hedging cancels all the time.
const MAX_CANCELLED: usize = 1_024;

/// The text is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an address, `host:port` is wanted")]
pub struct BadAddress {
    /// The text.
    pub address: String,
}

/// A node to call: one HTTP/2 connection, made with the first call and again after it broke.
///
/// Clones share the connection. Calls on it run at the same time and do not wait for each other.
#[derive(Clone)]
pub struct Peer {
    channel: Channel,
    versions: AsciiMetadataValue,
    dialler: Arc<Dialler>,
}

impl Peer {
    /// Returns the node at `address` (`host:port`); nothing is sent yet.
    ///
    /// # Errors
    /// [`BadAddress`] for any other text.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(address: &str) -> Result<Self, BadAddress> {
        Self::speaking(address, Versions::OURS)
    }

    /// Returns the node at `address` (`host:port`), reached by streams of bytes that `connect` makes
    /// instead of TCP: for networks that are simulated, or lie in one process.
    ///
    /// Each connection is one stream. `connect` is called as a TCP connection would be made: with the
    /// first call and after one broke, with the same time to take and the same pause after a failure.
    ///
    /// # Errors
    /// [`BadAddress`] as [`Peer::new`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn over<C, F, S>(address: &str, connect: C) -> Result<Self, BadAddress>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::made(Target::node(address), connect)
    }

    /// As [`Peer::over`], for networks whose time is simulated. h2 forgets a cancelled call a second after, by the clock of the
    /// machine, and answers its late frames from then on: what is sent would depend on how fast the machine is. Such a connection
    /// forgets them at once.
    ///
    /// # Errors
    /// As [`Peer::over`].
    ///
    /// # Panics
    /// As [`Peer::over`].
    pub fn simulated<C, F, S>(address: &str, connect: C) -> Result<Self, BadAddress>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let target = Target {
            max_cancelled: 0,
            ..Target::node(address)
        };
        Self::made(target, connect)
    }

    /// Returns the node at `address` for a caller that speaks `versions`.
    pub(crate) fn speaking(address: &str, versions: Versions) -> Result<Self, BadAddress> {
        let target = Target {
            versions,
            ..Target::node(address)
        };
        Self::made(target, over_tcp(address))
    }

    /// As [`Peer::over`], for a server that takes pings between calls for an attack.
    pub(crate) fn quiet_over<C, F, S>(address: &str, connect: C) -> Result<Self, BadAddress>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let target = Target {
            pings_while_idle: false,
            ..Target::node(address)
        };
        Self::made(target, connect)
    }

    fn made<C, F, S>(target: Target<'_>, connect: C) -> Result<Self, BadAddress>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Target {
            address,
            versions,
            pings_while_idle,
            max_cancelled,
        } = target;
        let bad = || BadAddress {
            address: address.to_owned(),
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| bad())?;
        let authority = endpoint.uri().authority().ok_or_else(bad)?;
        if authority.as_str() != address || authority.port_u16().is_none() || address.contains('@')
        {
            return Err(bad());
        }
        let dialler = Arc::new(Dialler {
            address: address.to_owned(),
            last_failure: Mutex::new(None),
            num_connections: AtomicU64::new(0),
        });
        let channel = endpoint
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(pings_while_idle)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .http2_max_concurrent_reset_streams(max_cancelled)
            // Frames that cross a cancellation are no attack, however many there are in a life.
            .http2_max_local_error_reset_streams(None)
            .connect_with_connector_lazy(connector(Arc::clone(&dialler), connect));
        let versions = versions.to_string().parse();
        Ok(Self {
            channel,
            versions: versions.map_err(|_| bad())?,
            dialler,
        })
    }

    /// Returns the node's address.
    pub fn address(&self) -> &str {
        &self.dialler.address
    }

    /// Returns the connection.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Returns a request with `message` that says which versions we speak; refuses a message that
    /// the peer would refuse.
    pub(crate) fn request<M: Message>(&self, message: M) -> Result<Request<M>, Status> {
        let num_bytes = message.encoded_len();
        if num_bytes > MAX_MESSAGE_BYTES {
            return Err(super::too_large(num_bytes));
        }
        Ok(self.speaking_of(message))
    }

    /// Returns a request with `message`, or a stream of them, that says which versions we speak.
    pub(super) fn speaking_of<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let versions = self.versions.clone();
        request.metadata_mut().insert(WIRE_HEADER, versions);
        if let Some(Ok(trace)) = super::trace_text().map(|text| text.parse()) {
            request.metadata_mut().insert(TRACEPARENT_KEY, trace);
        }
        request
    }

    /// Returns how many connections were made.
    #[cfg(test)]
    pub(crate) fn num_connections(&self) -> u64 {
        self.dialler.num_connections.load(Ordering::Relaxed)
    }
}

/// Who is called, and how.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// `host:port`.
    address: &'a str,
    /// What the caller speaks.
    versions: Versions,
    /// Whether a connection is tried while no call is made on it.
    pings_while_idle: bool,
    /// Cancelled calls whose late frames are still recognised.
    max_cancelled: usize,
}

impl<'a> Target<'a> {
    /// A node like this one.
    fn node(address: &'a str) -> Self {
        Self {
            address,
            versions: Versions::OURS,
            pings_while_idle: true,
            max_cancelled: MAX_CANCELLED,
        }
    }
}

/// Returns what makes connections to `address` over TCP.
pub(crate) fn over_tcp(address: &str) -> impl Fn() -> TcpDial + Send + Sync + 'static {
    let address: Arc<str> = address.into();
    move || {
        let address = Arc::clone(&address);
        async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true).map(|()| stream)
        }
        .boxed()
    }
}

/// A connection over TCP that is being made.
type TcpDial = BoxFuture<'static, io::Result<TcpStream>>;

/// Makes connections.
struct Dialler {
    address: String,
    /// Until when no other attempt is made, and why the last one failed; `None` after a success.
    last_failure: Mutex<Option<(Instant, String)>>,
    num_connections: AtomicU64,
}

/// Returns the service by which a channel makes its connections.
fn connector<C, F, S>(
    dialler: Arc<Dialler>,
    connect: C,
) -> impl tower::Service<http::Uri, Response = TokioIo<S>, Error = io::Error, Future: Send>
+ Send
+ 'static
where
    C: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connect = Arc::new(connect);
    tower::service_fn(move |_: http::Uri| {
        let (dialler, connect) = (Arc::clone(&dialler), Arc::clone(&connect));
        async move { dialler.dial(&*connect).await.map(TokioIo::new) }
    })
}

impl Dialler {
    async fn dial<C, F, S>(&self, connect: &C) -> io::Result<S>
    where
        C: Fn() -> F,
        F: Future<Output = io::Result<S>>,
    {
        if let Some((until, reason)) = &*self.last_failure.lock()
            && Instant::now() < *until
        {
            return Err(io::Error::other(reason.clone()));
        }
        let begun = Instant::now();
        let connected = match timeout(CONNECT_TIMEOUT, connect()).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        };
        match connected {
            Ok(stream) => {
                *self.last_failure.lock() = None;
                self.num_connections.fetch_add(1, Ordering::Relaxed);
                Ok(stream)
            }
            Err(error) => {
                let reason = format!("{}: {error}", self.address);
                let until = Instant::now() + begun.elapsed().min(HOLD_OFF);
                *self.last_failure.lock() = Some((until, reason.clone()));
                Err(io::Error::new(error.kind(), reason))
            }
        }
    }
}
