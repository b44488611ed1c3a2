//! TLS: certificates are made, read and exchanged while connections go on; streams are encrypted and peers known.
//!
//! Does: make an [`Authority`] and certificates of it, read [`Certificates`] from files and check them before they
//! take the place of the ones in use, encrypt what was accepted ([`Acceptor`]) and what was dialled
//! ([`Connector`]), say who a peer is ([`Identity`]).
//! Does not: know HTTP, gRPC or configuration files; decide what a peer may do; watch files by itself.
//! The only crate that names rustls and rcgen: `docs/decisions/0039-tls.md` says why these.
//!
//! TLS 1.3 and 1.2, with ciphers that give forward secrecy and authenticate what they encrypt. No early data: a
//! request that can be replayed is one that its sender did not make.

mod acceptor;
mod authority;
mod certificates;
mod connector;
mod error;
mod expected;
mod files;
mod identity;
mod sealing;
mod stream;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use acceptor::{Acceptor, ClientCertificates};
pub use authority::{Authority, CertificateRequest, IssuedCertificate};
pub use certificates::{Certificates, Expiry};
pub use connector::{Connector, Trust};
pub use error::TlsError;
pub use expected::ExpectedServer;
pub use files::CertificateFiles;
pub use identity::Identity;
pub use sealing::SealingKey;
pub use stream::TlsStream;

/// What is spoken over the encrypted connection, as ALPN names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 where the other side speaks it, else HTTP/1.1.
    Http,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone, as gRPC needs it.
    Http2,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// The cryptography in use; handed to each configuration, so that no global one has to be installed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
