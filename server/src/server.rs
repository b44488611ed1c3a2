//! The HTTP server: a thread that accepts connections and answers probes, and the runtime that answers the rest.
//!
//! The thread is the *edge*. A connection stays there until it has sent its first bytes, so silent ones never
//! reach the runtime, and the probes that it begins with are answered there, so work on the runtime cannot hold
//! them up. Every other connection moves to the runtime once, and its requests cost nothing more than before.

mod connection;
mod edge;
mod probing;
mod response;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use gleaner_listener::{Bounds, Connection, Listener, OpenConnection, Place, Protocol, open};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower::Service;

use crate::guard::Guard;
use crate::leftover::Leftover;
use crate::options::ApiOptions;
use connection::{Drive, Limits};
use edge::Edge;
use probing::{LastReady, Scope};

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
/// [`ApiOptions::shutdown_grace`].
///
/// HTTP/2 is spoken to clients that begin with it (prior knowledge). Requests that [`ApiOptions::guard`] does not
/// let pass are refused before `service` sees them. A connection whose first request is a probe is answered
/// on a thread of its own; that request must need nothing but this thread, except `/_health/ready`, which
/// is asked of the runtime and answered with what was known last when that does not answer soon.
///
/// # Errors
/// When the thread cannot be started. What goes wrong on one connection ends that connection and is logged.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    options: &ApiOptions,
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

/// Serves the probes of `service`, and nothing else, on a listener and a thread of their own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_probes<S>(
    listener: TcpListener,
    service: S,
    options: &ApiOptions,
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
struct Server<S> {
    service: S,
    scope: Scope,
    guard: Arc<Guard>,
    limits: Limits,
    grace: std::time::Duration,
    /// Where requests are answered.
    runtime: Handle,
    /// True once the server stops; followed by every open connection.
    stop: watch::Sender<bool>,
    last_ready: LastReady,
}

impl<S> Server<S>
where
    S: Answers,
{
    fn new(service: S, options: &ApiOptions, scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            service,
            scope,
            guard: Arc::clone(&options.guard),
            limits: Limits::of(options),
            grace: options.shutdown_grace,
            runtime: Handle::current(),
            stop: watch::Sender::new(false),
            last_ready: LastReady::default(),
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
            tokio::spawn(Arc::clone(&self).admit(stream, place));
        }
    }

    /// Waits for the first bytes of a connection, and has it answered where they say.
    async fn admit(self: Arc<Self>, stream: TcpStream, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let opened = match open(stream, place, self.limits.opening).await {
            Ok(opened) => opened,
            Err(error) => return tracing::debug!(%error, "a connection ended before a request"),
        };
        let OpenConnection {
            protocol,
            first,
            stream,
            place,
        } = opened;
        let drive = Drive {
            protocol,
            limits: self.limits,
            port: self.scope.name(),
            stop: self.stop.subscribe(),
        };
        let is_probe = protocol == Protocol::Http1 && probing::is_probe(&first);
        if is_probe || self.scope == Scope::Probes {
            let answer = move |request| Arc::clone(&self).answer_at_edge(request);
            return drive
                .run(Connection::new(stream, first, place), answer)
                .await;
        }
        let runtime = self.runtime.clone();
        let moved = stream.into_std();
        drop(runtime.spawn(async move {
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => {
                    let answer = move |request| Arc::clone(&self).answer(request);
                    drive
                        .run(Connection::new(stream, first, place), answer)
                        .await;
                }
                Err(error) => tracing::warn!(%error, "a connection could not be moved"),
            }
        }));
    }

    /// Answers a request that the guard lets pass, and refuses others.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let passed = match self.guard.check(&request) {
            Ok(passed) => passed,
            Err(mut refused) => {
                let mut request = request.map(Body::new);
                let leftover = Leftover::of(&mut request);
                drop(request);
                leftover.settle(&mut refused).await;
                return *refused;
            }
        };
        let mut service = self.service.clone();
        let Ok(mut response) = service.call(request).await;
        passed.mark(&mut response);
        response
    }
}

#[cfg(test)]
mod tests;
