//! The simulated network under the real wire.

use std::io;

use futures::Stream;
use gleaner_proto::Peer;
use turmoil::net::{TcpListener, TcpStream};

use crate::schedule::{PORT, host};

/// Returns the connections that are made to `port` of this host.
pub(crate) async fn listen(port: u16) -> io::Result<impl Stream<Item = io::Result<TcpStream>>> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    let accept = |listener: TcpListener| async move {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, _)| stream), listener))
    };
    Ok(futures::stream::unfold(listener, accept))
}

/// Returns a leaf as seen from this host.
pub(crate) fn peer(leaf: usize) -> Peer {
    let connect = move || TcpStream::connect((host(leaf), PORT));
    let peer = Peer::simulated(&format!("{}:{PORT}", host(leaf)), connect);
    peer.expect("hosts have names")
}
