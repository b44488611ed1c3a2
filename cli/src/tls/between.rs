//! Connections between nodes, encrypted on both sides.

use std::io;

use async_trait::async_trait;
use gleaner_proto::{ByteStream, Caller, Connect, Handshake, SecuredStream};
use gleaner_tls::{Acceptor, Connector};
use tokio::net::TcpStream;

use crate::node::membership::host_of;

/// How other processes of a cluster are reached, by what they are called as; by default over TCP.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialling {
    pub(crate) leaves: Connect,
    pub(crate) roots: Connect,
    pub(crate) etcd: Connect,
}

/// Returns how processes are reached over TLS: each must show a certificate for the host that it is called by, and be
/// what `connector` expects.
pub(super) fn connect(connector: Connector) -> Connect {
    Connect::by(move |address| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            connector.connect(host_of(&address), stream).await
        }
    })
}

/// Takes connections of other nodes: each must show a certificate of the cluster's authority, and one of this cluster
/// to have a role.
pub(super) struct TlsHandshake {
    pub(super) acceptor: Acceptor,
    /// Name of the cluster. Its authority may serve others too.
    pub(super) cluster: String,
}

#[async_trait]
impl Handshake for TlsHandshake {
    async fn accept(&self, _: &[u8], stream: Box<dyn ByteStream>) -> io::Result<SecuredStream> {
        let stream = self.acceptor.accept(stream).await?;
        let caller = match stream.identity() {
            Some(identity) if identity.cluster == self.cluster => Caller::Role(identity.role),
            Some(_) | None => Caller::Unknown,
        };
        Ok(SecuredStream {
            stream: Box::new(stream),
            caller,
        })
    }
}
