//! One connection: its requests are answered until it ends, is overdue, or the server stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gleaner_listener::{Activity, Connection, Protocol, count_closed};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::accessed::Answered;
use crate::client::Client;
use crate::frames::Counted;
use crate::options::ServerOptions;
use crate::response::{PacedBody, Unread};

/// Requests of one HTTP/2 connection that may be open at once.
const MAX_STREAMS: u32 = 100;

/// Bytes of an HTTP/2 answer that wait in the connection for the client to take them.
const SEND_BUFFER: usize = 64 << 10;

/// Bytes of a body that an HTTP/2 client may send before they are read.
const STREAM_WINDOW: u32 = 256 << 10;

/// The same of all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Streams that an HTTP/2 client may have us reset by its own mistakes before its connection is closed
/// (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 64;

/// Pause after which an HTTP/2 client is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(20);

/// How long it has to say so.
const PING_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection that is ended in order may take for it.
const GOODBYE: Duration = Duration::from_secs(5);

/// Longest pause between two looks at a connection.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// Shortest pause between two looks at a connection.
const SHORTEST_LOOK: Duration = Duration::from_millis(5);

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For its first bytes.
    pub(crate) opening: Duration,
    /// For the head of a request, from its first byte on.
    head: Duration,
    /// Without a request.
    idle: Duration,
    /// To take some of an answer, and behind 64 KiB a second with all of it.
    write: Duration,
}

impl Limits {
    pub(crate) fn of(options: &ServerOptions) -> Self {
        Self {
            opening: options.head_read_timeout,
            head: options.head_read_timeout,
            idle: options.idle_timeout,
            write: options.write_timeout,
        }
    }
}

/// How the requests of a connection are answered.
pub(crate) struct Drive {
    pub(crate) protocol: Protocol,
    /// Who asks.
    pub(crate) client: Client,
    pub(crate) limits: Limits,
    /// Name of its listener in metrics.
    pub(crate) port: &'static str,
    /// True once the server stops.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Drive {
    /// Has `answer` answer the requests of `connection` until that ends.
    pub(crate) async fn run<S, A, F>(self, connection: Connection<S>, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        A: Fn(Request<Incoming>) -> F,
        F: Future<Output = Answered> + Send + 'static,
    {
        let (is_http2, client) = (self.protocol == Protocol::Http2, self.client.clone());
        let (activity, unread) = (Arc::clone(connection.activity()), Arc::<Unread>::default());
        let watch = Watch {
            activity: Arc::clone(&activity),
            unread: Arc::clone(&unread),
            drive: self,
        };
        let service = service_fn(move |mut request: Request<Incoming>| {
            let open = activity.open_request();
            client.describe(request.extensions_mut());
            let unread = is_http2.then(|| Arc::clone(&unread));
            let answering = answer(request);
            async move { Ok::<_, Infallible>(PacedBody::of(answering.await, open, unread)) }
        });
        if is_http2 {
            let io = TokioIo::new(Counted::new(connection, watch.drive.port));
            watch.over(http2().serve_connection(io, service)).await;
        } else {
            let io = TokioIo::new(connection);
            watch.over(http1().serve_connection(io, service)).await;
        }
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // `Watch` has the time of heads, without a timer that is set for each request.
    builder.header_read_timeout(None);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_WITHIN);
    builder
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server stops.
    Stop,
    /// Another connection needs the place.
    Room,
    /// It was idle for too long.
    Idle,
    /// The head of a request took too long.
    Slow,
    /// An answer was not taken.
    Unread,
}

impl End {
    /// Is what is open answered first?
    fn is_orderly(self) -> bool {
        matches!(self, Self::Stop | Self::Idle)
    }

    /// Returns its name in metrics; those that make room are counted elsewhere.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Stop | Self::Room => None,
            Self::Idle => Some("idle"),
            Self::Slow => Some("slow"),
            Self::Unread => Some("unread"),
        }
    }
}

/// Looks at a connection now and then.
struct Watch {
    activity: Arc<Activity>,
    unread: Arc<Unread>,
    drive: Drive,
}

impl Watch {
    /// Lets the connection go on until it ends, or must.
    async fn over<C>(self, connection: C)
    where
        C: GracefulConnection,
        C::Error: std::fmt::Display,
    {
        let mut connection = pin!(connection);
        let mut stop = self.drive.stop.clone();
        let mut is_ending = false;
        loop {
            let end = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended with an error");
                    }
                    return;
                }
                end = self.overdue(is_ending) => end,
                () = self.activity.closed() => End::Room,
                _ = stop.wait_for(|is_asked| *is_asked), if !is_ending => End::Stop,
            };
            if let Some(reason) = end.reason().filter(|_| !is_ending) {
                count_closed(self.drive.port, reason);
            }
            if is_ending || !end.is_orderly() {
                tracing::debug!(?end, "a connection was cut off");
                return;
            }
            connection.as_mut().graceful_shutdown();
            is_ending = true;
        }
    }

    async fn overdue(&self, is_ending: bool) -> End {
        loop {
            match self.look(is_ending) {
                Ok(pause) => tokio::time::sleep(pause).await,
                Err(end) => return end,
            }
        }
    }

    /// Returns when to look again, or why the connection must end.
    fn look(&self, is_ending: bool) -> Result<Duration, End> {
        let limits = self.drive.limits;
        let goodbye = if is_ending { GOODBYE } else { Duration::ZERO };
        let idle = limits.idle.saturating_add(goodbye);
        // Over HTTP/2 other frames than heads come in too.
        let coming = match self.drive.protocol {
            Protocol::Http1 => self.activity.head_for(),
            Protocol::Http2 => None,
        };
        let now_ms = self.activity.now_ms();
        let mut next = LONGEST_LOOK.min(limits.head).min(idle).min(limits.write);
        for (time, limit, end) in [
            (self.activity.unread_for(), limits.write, End::Unread),
            (Some(self.activity.behind()), limits.write, End::Unread),
            (self.unread.longest(now_ms), limits.write, End::Unread),
            (Some(self.unread.behind(now_ms)), limits.write, End::Unread),
            (coming, limits.head, End::Slow),
            (self.activity.quiet_for(), idle, End::Idle),
        ] {
            let Some(time) = time else { continue };
            if time >= limit {
                return Err(end);
            }
            next = next.min(limit - time);
        }
        Ok(next.max(SHORTEST_LOOK))
    }
}
