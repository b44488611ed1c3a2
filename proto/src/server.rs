//! The server of a node: its leaf and itself, to other nodes.

mod accepted;
pub(crate) mod incoming;
mod leaf;
mod leases;
mod life;
mod line;
mod node;
mod replication;
mod role;
mod traced;
mod version;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use gleaner_leases::Grantor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Request, Status};
use tower::layer::util::{Identity, Stack};

use crate::connect::Admission;
use crate::node::NodeClient;
use crate::wire::v1::leaf_server::LeafServer;
use crate::wire::v1::leases_server::LeasesServer;
use crate::wire::v1::node_server::NodeServer;
use crate::wire::v1::replication_server::ReplicationServer;
use crate::wire::{CONNECTION_WINDOW, DecodeError, MAX_MESSAGE_BYTES, STREAM_WINDOW, Wire};
use crate::{LeafClient, ReplicationClient};
use accepted::IncomingStream;
use life::{Life, Stage};
use role::Access;
use traced::Traced;

/// Calls at the same time on one connection, and on one line; more wait at the caller.
const MAX_CALLS: u32 = 4_096;

/// How often a silent connection is tried with a ping.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to a ping may take before the connection is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long calls may go on after the stop before they are cut off.
const DRAIN: Duration = Duration::from_secs(5);

/// What a node answers to other nodes; what is absent is refused as not supported.
#[derive(Clone)]
pub struct Services {
    /// Who it is.
    pub node: Arc<dyn NodeClient>,
    /// Its leaf.
    pub leaf: Option<Arc<dyn LeafClient>>,
    /// What its leaf answers to leaves that copy its shards.
    pub replication: Option<Arc<dyn ReplicationClient>>,
    /// Leases that it grants on what shards show.
    pub leases: Option<Arc<dyn Grantor>>,
}

/// Why a server ended before it was stopped.
#[derive(Debug, thiserror::Error)]
#[error("the server for other nodes failed")]
pub struct ServeError(#[source] tonic::transport::Error);

/// Time for the first bytes of a connection.
const OPENING: Duration = Duration::from_secs(10);

/// Connections of other nodes at once, where nothing else is said: each node has a few to each other.
pub const MAX_CONNECTIONS: usize = 1_024;

/// Answers calls on `listener` until `stop` is done and the calls in flight have ended.
///
/// After `stop`, no call is accepted, streams and waits end at once, and what is
/// still running after five seconds is dropped. The handler of a call that its caller gives up is
/// dropped too; a panic in one fails that call alone.
///
/// There are [`MAX_CONNECTIONS`] at most, and half as many of one address. One that does not begin as HTTP/2
/// does within ten seconds is closed, and one that has made no call of a wire version that we speak makes room for
/// others.
///
/// # Errors
/// [`ServeError`] when the server itself fails.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let admission = Admission::plain(MAX_CONNECTIONS);
    serve_admitted(listener, admission, services, stop).await
}

/// As [`serve`], with another bound on connections, and with handshakes where `admission` has one.
///
/// After a handshake each service answers only callers of the roles that it is for: the leaf's roots and admins, its
/// log other leaves, leases roots and fronts. Others are refused.
///
/// # Errors
/// [`ServeError`] when the server itself fails.
pub async fn serve_admitted(
    listener: TcpListener,
    admission: Admission,
    services: Services,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let most = admission.max_connections;
    match admission.handshake {
        None => {
            let incoming = incoming::plain(listener, most, OPENING);
            serve_on_draining(incoming, services, stop, DRAIN).await
        }
        Some(handshake) => {
            let incoming = incoming::secured(listener, most, handshake);
            serve_on_draining(incoming, services, stop, DRAIN).await
        }
    }
}

/// As [`serve`], on connections that come from elsewhere than a TCP listener: a network that is
/// simulated, or lies in one process. An error among them is one connection that failed; the server
/// ends when there are no more and those it has are closed.
///
/// # Errors
/// [`ServeError`] when the server itself fails.
pub async fn serve_on<S>(
    incoming: impl Stream<Item = io::Result<S>>,
    services: Services,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let incoming = incoming.map(|stream| stream.map(IncomingStream::new));
    serve_on_draining(incoming, services, stop, DRAIN).await
}

/// As [`serve`], with another time for calls to end in.
#[cfg(test)]
pub(crate) async fn serve_draining(
    listener: TcpListener,
    services: Services,
    stop: impl Future<Output = ()> + Send,
    drain: Duration,
) -> Result<(), ServeError> {
    let incoming = incoming::plain(listener, MAX_CONNECTIONS, OPENING);
    serve_on_draining(incoming, services, stop, drain).await
}

async fn serve_on_draining<S>(
    incoming: impl Stream<Item = io::Result<IncomingStream<S>>>,
    services: Services,
    stop: impl Future<Output = ()> + Send,
    drain: Duration,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stages, life) = life::begin();
    let stopping = async {
        stop.await;
        stages.send_replace(Stage::Draining);
    };
    let server = router(services, &life).serve_with_incoming_shutdown(incoming, stopping);
    let cut_off = async {
        life.draining().await;
        tokio::time::sleep(drain).await;
        stages.send_replace(Stage::Over);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server => ended.map_err(ServeError),
        () = cut_off => unreachable!("it pends for ever"),
    }
}

fn router(services: Services, life: &Life) -> Router<Stack<Traced, Identity>> {
    let Services {
        node,
        leaf,
        replication,
        leases,
    } = services;
    let leaf = leaf.map(|leaf| {
        let service = LeafServer::new(leaf::Service::new(leaf, life.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        InterceptedService::new(service, noting(Arc::clone(&node), Access::Leaf))
    });
    let replication = replication.map(|leaf| {
        let service = ReplicationServer::new(replication::Service::new(leaf, life.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        InterceptedService::new(service, answering(Access::Replication))
    });
    let leases = leases.map(|grantor| {
        let service = LeasesServer::new(leases::Service::new(grantor, life.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        InterceptedService::new(service, noting(Arc::clone(&node), Access::Leases))
    });
    Server::builder()
        .layer(Traced)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_concurrent_streams(MAX_CALLS)
        // A root that hedges cancels calls in bursts; the default (20) takes it for an attack and
        // closes the connection with all other calls on it.
        .http2_max_pending_accept_reset_streams(Some(MAX_CALLS as usize))
        .add_service(NodeServer::new(node::Service::new(node, life.clone())))
        .add_optional_service(leaf)
        .add_optional_service(replication)
        .add_optional_service(leases)
}

/// Returns what every call of a service passes first.
fn answering(access: Access) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |request| {
        access.check(&request)?;
        version::check(request)
    }
}

/// As [`answering`], for services whose calls the node hears of.
fn noting(
    node: Arc<dyn NodeClient>,
    access: Access,
) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    let pass = answering(access);
    move |request| {
        let passed = pass(request)?;
        node.note_call();
        Ok(passed)
    }
}

/// Reads the call that a request carries.
fn read<D: Wire>(request: Request<D::Message>) -> Result<D, Status> {
    of_message(request.into_inner())
}

fn of_message<D: Wire>(message: D::Message) -> Result<D, Status> {
    D::from_message(message).map_err(|error| refused(&error))
}

/// Returns the status of a call that cannot be read.
fn refused(error: &DecodeError) -> Status {
    match error {
        DecodeError::Unknown { .. } => Status::unimplemented(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}
