//! The server: accepts connections, has each identify itself, and has its requests answered where that says.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::FutureExt as _;
use gleaner_listener::{Beginning, Bounds, Connection, Listener, Place, Protocol};
use gleaner_tls::TlsStream;
use http::{Request, Response};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower::{Service, ServiceExt as _};

use crate::client::{Client, Encryption, PeerAddress};
use crate::connection::{Drive, Limits};
use crate::edge::Edge;
use crate::encryption::{self, FirstRecord, Handshakes, HelloStream};
use crate::options::ServerOptions;
use crate::panic::answer_to_panic;
use crate::probing::{self, LastReady, Scope};
use crate::proxy;

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

/// Serves the probes of `service`, and nothing else, on a listener and a thread of their own.
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
    answers_probes: bool,
    limits: Limits,
    grace: Duration,
    /// Where requests are answered.
    pub(crate) runtime: Handle,
    /// True once the server stops; followed by every open connection.
    stop: watch::Sender<bool>,
    pub(crate) last_ready: LastReady,
    /// What encrypts connections, if they are.
    handshakes: Option<Handshakes>,
    /// Whose connections begin with a PROXY header.
    proxies: Vec<IpNet>,
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
            handshakes: options.tls.clone().map(Handshakes::new),
            proxies: options.proxy_protocol.clone(),
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

    /// Waits for the first bytes of a connection, and has it answered where they say.
    async fn admit(self: Arc<Self>, stream: TcpStream, place: Place) -> io::Result<()> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let mut begun = Beginning::new(stream, place);
        if proxy::is_trusted(&self.proxies, begun.place.peer()) {
            proxy::take_header(&mut begun).await?;
        }
        match self.handshakes {
            None => self.admit_plain(begun).await,
            Some(_) => self.admit_encrypted(begun).await,
        }
    }

    async fn admit_plain(self: Arc<Self>, mut begun: Beginning<TcpStream>) -> io::Result<()> {
        let tell = |first: &[u8]| Ok(Protocol::of(first));
        let protocol = begun.read(self.limits.opening, tell).await?;
        let is_probe =
            self.answers_probes && protocol == Protocol::Http1 && probing::is_probe(&begun.first);
        if is_probe || self.scope == Scope::Probes {
            let drive = self.drive(protocol, &begun.place, None);
            self.answer_probes(drive, begun).await;
            return Ok(());
        }
        self.hand_over(begun)
    }

    async fn admit_encrypted(self: Arc<Self>, mut begun: Beginning<TcpStream>) -> io::Result<()> {
        let tell = encryption::first_record;
        match begun.read(self.limits.opening, tell).await? {
            FirstRecord::Handshake => self.hand_over(begun),
            FirstRecord::Plain => {
                begun.place.count("plain");
                encryption::refuse_plain(begun.stream).await
            }
        }
    }

    /// Has the runtime go on with a connection.
    fn hand_over(self: Arc<Self>, begun: Beginning<TcpStream>) -> io::Result<()> {
        let Beginning {
            stream,
            first,
            place,
        } = begun;
        let stream = stream.into_std()?;
        let runtime = self.runtime.clone();
        drop(runtime.spawn(async move {
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be moved"),
            };
            let begun = Beginning {
                stream,
                first,
                place,
            };
            if let Err(error) = self.take_over(begun).await {
                tracing::debug!(%error, "a connection ended before a request");
            }
        }));
        Ok(())
    }

    /// Answers the requests of a connection, on the runtime.
    async fn take_over(self: Arc<Self>, begun: Beginning<TcpStream>) -> io::Result<()> {
        let Some(handshakes) = &self.handshakes else {
            let protocol = Protocol::of(&begun.first).unwrap_or(Protocol::Http1);
            let drive = self.drive(protocol, &begun.place, None);
            self.answer_requests(drive, begun).await;
            return Ok(());
        };
        let mut stop = self.stop.subscribe();
        let begun = tokio::select! {
            begun = self.encrypt(handshakes, begun) => begun?,
            _ = stop.wait_for(|is_asked| *is_asked) => return Ok(()),
        };
        let protocol = match begun.stream.is_http2() {
            true => Protocol::Http2,
            false => Protocol::Http1,
        };
        let told = encryption::told_by(&begun.stream);
        let drive = self.drive(protocol, &begun.place, Some(told));
        match self.scope {
            Scope::Clients => self.answer_requests(drive, begun).await,
            Scope::Probes => self.answer_probes(drive, begun).await,
        }
        Ok(())
    }

    /// Makes the handshake of a connection, and waits for the first bytes that it sends over it.
    async fn encrypt(
        &self,
        handshakes: &Handshakes,
        begun: Beginning<TcpStream>,
    ) -> io::Result<Beginning<EncryptedStream>> {
        let Beginning {
            stream,
            first,
            place,
        } = begun;
        let made = tokio::select! {
            made = handshakes.make(stream, first.freeze()) => made,
            () = place.activity().closed() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let stream = made.inspect_err(|_| place.count("handshake"))?;
        let mut begun = Beginning::new(stream, place);
        begun.read(self.limits.opening, |_| Ok(Some(()))).await?;
        Ok(begun)
    }

    fn drive(&self, protocol: Protocol, place: &Place, encryption: Option<Encryption>) -> Drive {
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

    async fn answer_requests<T>(self: Arc<Self>, drive: Drive, begun: Beginning<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let answer = move |request| Arc::clone(&self).answer(request);
        drive.run(connection(begun), answer).await;
    }

    async fn answer_probes<T>(self: Arc<Self>, drive: Drive, begun: Beginning<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let answer = move |request| Arc::clone(&self).answer_at_edge(request);
        drive.run(connection(begun), answer).await;
    }

    /// Answers a request, with 500 where the service panics.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let answering = self.service.clone().oneshot(request);
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(panic) => answer_to_panic(panic),
        }
    }
}

/// A stream whose handshake was made.
type EncryptedStream = TlsStream<HelloStream<TcpStream>>;

fn connection<T>(begun: Beginning<T>) -> Connection<T> {
    Connection::new(begun.stream, begun.first.freeze(), begun.place)
}
