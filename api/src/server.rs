//! Connections: HTTP/1.1 and HTTP/2 on one port, ended gracefully.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use crate::options::ApiOptions;

/// Pause after a connection could not be accepted: mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Requests of one HTTP/2 connection that may be open at once.
const MAX_STREAMS: u32 = 256;

/// Serves `service` on `listener` until `shutdown` is done, then ends open requests for at most
/// [`ApiOptions::shutdown_grace`].
///
/// HTTP/2 is spoken to clients that begin with it (prior knowledge). While there are
/// [`ApiOptions::max_connections`], others wait until one has ended.
///
/// # Errors
/// None for now: what goes wrong on one connection ends that connection and is logged.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    options: &ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let builder = builder(options);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(
        options.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok(accepted) => connect(accepted, service.clone(), &builder, &graceful),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = tokio::time::timeout(options.shutdown_grace, graceful.shutdown()).await;
    if ended.is_err() {
        tracing::warn!(grace = ?options.shutdown_grace, "requests were cut off at shutdown");
    }
    Ok(())
}

/// A connection, and its place among those that there may be.
type Accepted = (TcpStream, OwnedSemaphorePermit);

/// Accepts a connection once there is room for it.
///
/// # Cancel safety
/// Nothing is lost: the place is given back, and who connects is accepted by the next call.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(room).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

fn builder(options: &ApiOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_read_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

fn connect<S>(
    (stream, place): Accepted,
    service: S,
    builder: &Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let connection = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = &*error, "a connection ended with an error");
        }
        drop(place);
    });
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn beyond_the_bound_who_connects_waits_for_another_to_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let room = Arc::new(Semaphore::new(1));
        let _first = TcpStream::connect(address).await.expect("taken");
        let _second = TcpStream::connect(address)
            .await
            .expect("waits in the backlog");
        let (_stream, place) = accept(&listener, &room).await.expect("room");
        let mut waiting = pin!(accept(&listener, &room));
        assert!(poll!(waiting.as_mut()).is_pending());
        drop(place);
        assert!(waiting.await.is_ok());
    }
}
