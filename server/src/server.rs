//! The server: accepts connections, and answers the requests of those that were admitted.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::FutureExt as _;
use gleaner_listener::{Beginning, Bounds, Connection, Listener, Place, Protocol};
use gleaner_telemetry::AccessLog;
use http::{Request, Response};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower::{Service, ServiceExt as _};

use crate::accessed::{Accessed, Answered};
use crate::client::{Client, Encryption, PeerAddress};
use crate::connection::{Drive, Limits};
use crate::edge::Edge;
use crate::encryption::Handshakes;
use crate::options::ServerOptions;
use crate::panic::answer_to_panic;
use crate::probing::{LastReady, Scope, is_of_probe};

/// Connections of probes at once: more than any number of those who look after a node needs.
const PROBE_CONNECTIONS: usize = 256;

/// A service of HTTP requests that can be shared by connections.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves `service` on `listener` until `shutdown` is done, then ends open requests for at most
/// [`ServerOptions::shutdown_grace`].
///
/// HTTP/2 is spoken to clients that begin with it (prior knowledge) or choose it (ALPN). A connection whose first
/// request is a probe is answered on a thread of its own, where [`ServerOptions::answers_probes`] says so; that
/// request must need nothing but this thread, except `/_health/ready`, which is asked of the runtime and answered
/// with what was known last when that does not answer soon. A panic of `service` is answered with 500.
///
/// # Errors
/// When the thread cannot be started. What goes wrong on one connection ends that connection and is logged.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    options: &ServerOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Answers,
{
    let bounds = Bounds {
        total: options.max_connections,
        per_address: options.per_address(),
    };
    let server = Server::new(service, options, Scope::Clients);
    server.run(listener, bounds, shutdown).await
}

/// Serves the probes of `service`, and nothing else, on a listener and a thread of their own. No PROXY header is read
/// there.
///
/// # Errors
/// As [`serve`].
pub async fn serve_probes<S>(
    listener: TcpListener,
    service: S,
    options: &ServerOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Answers,
{
    let bounds = Bounds {
        total: PROBE_CONNECTIONS,
        per_address: PROBE_CONNECTIONS,
    };
    let server = Server::new(service, options, Scope::Probes);
    server.run(listener, bounds, shutdown).await
}

/// What the connections of a listener share.
pub(crate) struct Server<S> {
    service: S,
    pub(crate) scope: Scope,
    pub(crate) answers_probes: bool,
    pub(crate) limits: Limits,
    grace: Duration,
    /// Where requests are answered.
    pub(crate) runtime: Handle,
    /// True once the server stops; followed by every open connection.
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) last_ready: LastReady,
    access_log: Option<AccessLog>,
    /// What encrypts connections, if they are.
    pub(crate) handshakes: Option<Arc<Handshakes>>,
    /// Whose connections begin with a PROXY header.
    pub(crate) proxies: Vec<IpNet>,
}

impl<S> Server<S>
where
    S: Answers,
{
    fn new(service: S, options: &ServerOptions, scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            service,
            scope,
            answers_probes: scope == Scope::Probes || options.answers_probes,
            limits: Limits::of(options),
            grace: options.shutdown_grace,
            runtime: Handle::current(),
            stop: watch::Sender::new(false),
            last_ready: LastReady::default(),
            access_log: options.access_log.clone(),
            handshakes: options.tls.clone().map(Handshakes::new).map(Arc::new),
            // Those who look after a node come to the listener of probes themselves.
            proxies: match scope {
                Scope::Clients => options.proxy_protocol.clone(),
                Scope::Probes => Vec::new(),
            },
        })
    }

    async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        bounds: Bounds,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = listener.into_std()?;
        let edge = Edge::start(self.scope.name())?;
        let accepting = edge.spawn(Arc::clone(&self).accept(listener, bounds));
        shutdown.await;
        accepting.abort();
        // Whether it was ended or had failed: nobody can connect any more.
        drop(accepting.await);
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(self.grace, self.stop.closed()).await;
        if ended.is_err() {
            tracing::warn!(grace = ?self.grace, "requests were cut off at shutdown");
        }
        Ok(())
    }

    /// Accepts connections, on the edge.
    async fn accept(self: Arc<Self>, listener: std::net::TcpListener, bounds: Bounds) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => Listener::new(listener, bounds, self.scope.name()),
            Err(error) => return tracing::error!(%error, "nobody can connect"),
        };
        loop {
            let (stream, place) = listener.accept().await;
            let admitting = Arc::clone(&self).admit(stream, place);
            tokio::spawn(async move {
                if let Err(error) = admitting.await {
                    tracing::debug!(%error, "a connection ended before a request");
                }
            });
        }
    }

    pub(crate) fn drive(
        &self,
        protocol: Protocol,
        place: &Place,
        encryption: Option<Encryption>,
    ) -> Drive {
        Drive {
            protocol,
            client: Client {
                address: PeerAddress(place.peer()),
                encryption,
            },
            limits: self.limits,
            port: self.scope.name(),
            stop: self.stop.subscribe(),
        }
    }

    pub(crate) async fn answer_requests<T>(self: Arc<Self>, drive: Drive, begun: Beginning<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let answer = move |request| Arc::clone(&self).answer(request);
        drive.run(connection(begun), answer).await;
    }

    pub(crate) async fn answer_probes<T>(self: Arc<Self>, drive: Drive, begun: Beginning<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let answer = move |request| Arc::clone(&self).answer_at_edge(request);
        drive.run(connection(begun), answer).await;
    }

    /// Answers a request, with a record where it is no probe.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        let log = self.access_log.as_ref();
        let Some(log) = log.filter(|_| !is_of_probe(request.uri().path())) else {
            return self.ask_service(request).await.into();
        };
        let accessed = Accessed::begin(log, request);
        accessed.answer(|request| self.ask_service(request)).await
    }

    /// Has the service answer a request, with 500 where it panics.
    async fn ask_service(&self, request: Request<Incoming>) -> Response<Body> {
        let answering = self.service.clone().oneshot(request);
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(panic) => answer_to_panic(panic),
        }
    }
}

fn connection<T>(begun: Beginning<T>) -> Connection<T> {
    Connection::new(begun.stream, begun.first.freeze(), begun.place)
}
