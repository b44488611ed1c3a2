//! Connections of a listener, from their first bytes until they speak HTTP/2.
//!
//! They are waited for side by side, so that none holds up another, and those that say nothing never reach the
//! server.

use std::future::{Future, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use gleaner_listener::{Beginning, Bounds, Connection, Listener, Place, Protocol, Replay};
use tokio::io::AsyncRead;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::accepted::IncomingStream;
use crate::connect::{ByteStream, Caller, Handshake};

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A connection that the server is given.
type Incoming<S> = IncomingStream<Connection<S>>;

/// Returns the connections of `listener` that have begun as HTTP/2 does.
pub(crate) fn plain(
    listener: TcpListener,
    max_connections: usize,
    opening: Duration,
) -> impl Stream<Item = io::Result<Incoming<TcpStream>>> {
    opened(listener, max_connections, move |begun| async move {
        speaking_http2(begun, Caller::Unchecked, opening).await
    })
}

/// Returns the connections of `listener` over which `handshake` was made.
pub(crate) fn secured(
    listener: TcpListener,
    max_connections: usize,
    handshake: Arc<dyn Handshake>,
) -> impl Stream<Item = io::Result<Incoming<Box<dyn ByteStream>>>> {
    opened(listener, max_connections, move |begun| {
        let handshake = Arc::clone(&handshake);
        async move {
            let (begun, caller) = secure(begun, &*handshake).await?;
            speaking_http2(begun, caller, super::OPENING).await
        }
    })
}

fn opened<O, F, T>(
    listener: TcpListener,
    max_connections: usize,
    open: O,
) -> impl Stream<Item = io::Result<T>>
where
    O: Fn(Beginning<TcpStream>) -> F,
    F: Future<Output = io::Result<T>>,
{
    let bounds = Bounds {
        total: max_connections,
        per_address: (max_connections / 2).max(1),
    };
    let listener = Listener::new(listener, bounds, "nodes");
    let accepted = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        Some((accepted, listener))
    });
    let opened = accepted.map(move |(stream, place)| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        open(Beginning::new(stream, place))
    });
    let opened = opened.buffer_unordered(max_connections.max(1));
    opened.filter_map(|opened| {
        let opened = opened.inspect_err(|error| {
            tracing::debug!(%error, "a connection of another node did not begin");
        });
        ready(opened.ok().map(Ok))
    })
}

/// Waits until a connection has begun as HTTP/2 does.
async fn speaking_http2<S: AsyncRead + Unpin>(
    begun: Beginning<S>,
    caller: Caller,
    within: Duration,
) -> io::Result<Incoming<S>> {
    let opened = begun.open(within).await?;
    if opened.protocol != Protocol::Http2 {
        let reason = "another node speaks HTTP/2";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let connection = Connection::new(opened.stream, opened.first, opened.place);
    let activity = Arc::clone(connection.activity());
    Ok(IncomingStream::yielding(connection, caller, activity))
}

/// Makes the handshake of a connection, which fails when that takes too long or another needs the place.
async fn secure(
    mut begun: Beginning<TcpStream>,
    handshake: &dyn Handshake,
) -> io::Result<(Beginning<Box<dyn ByteStream>>, Caller)> {
    begun.read(super::OPENING, |_| Ok(Some(()))).await?;
    let Beginning {
        stream,
        first,
        place,
    } = begun;
    let first = first.freeze();
    let stream = Box::new(Replay::new(stream, first.clone()));
    let made = timeout(HANDSHAKE, handshake.accept(&first, stream));
    let secured = tokio::select! {
        made = made => made.unwrap_or_else(|late| Err(late.into())),
        () = place.activity().closed() => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let secured = secured.inspect_err(|error| note_failure(&place, error))?;
    Ok((Beginning::new(secured.stream, place), secured.caller))
}

fn note_failure(place: &Place, error: &io::Error) {
    place.count("handshake");
    let peer = place.peer();
    tracing::warn!(%peer, %error, "another node's connection was refused: its handshake failed");
}
