//! What a request is told of the connection that it came over, by its extensions.

use std::net::SocketAddr;
use std::sync::Arc;

use gleaner_tls::Identity;
use http::Extensions;

/// Where the connection of a request comes from: its other end, or what a trusted proxy said there.
///
/// An extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// That the connection of a request is encrypted, and what its handshake told.
///
/// An extension of requests over TLS, and of no others: the scheme of a request's URI is what its sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The name that the client asked for (SNI). A request for another authority may belong to another server
    /// (421); that is for the service to decide.
    pub server_name: Option<Arc<str>>,
    /// Who the client is, by a certificate that was checked.
    pub identity: Option<Arc<Identity>>,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: PeerAddress,
    pub(crate) encryption: Option<Encryption>,
}

impl Client {
    /// Tells a request of the connection.
    pub(crate) fn describe(&self, extensions: &mut Extensions) {
        extensions.insert(self.address);
        if let Some(encryption) = &self.encryption {
            extensions.insert(encryption.clone());
        }
    }
}
