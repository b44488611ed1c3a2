//! The side that accepts.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;
use crate::connector::Trust;
use crate::error::TlsError;
use crate::stream::TlsStream;
use crate::{Alpn, provider};

/// Which certificates clients must show.
#[derive(Debug, Clone)]
pub enum ClientCertificates {
    /// None; the client is not asked.
    NotAsked,
    /// One of an authority that is trusted, or none; others are turned away.
    Offered(Trust),
    /// One of an authority that is trusted; others are turned away.
    Required(Trust),
}

/// Encrypts connections that were accepted. Clones share it.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Returns an acceptor that shows `certificates`, and takes `clients`.
    ///
    /// Sessions are resumed by tickets, whose keys are made here, change every few hours and are shared with
    /// nobody.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities to trust cannot be read.
    pub fn new(
        certificates: Arc<Certificates>,
        clients: &ClientCertificates,
        alpn: Alpn,
    ) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match clients {
            ClientCertificates::NotAsked => builder.with_no_client_auth(),
            ClientCertificates::Offered(trust) => {
                let verifier = verifier(trust)?.allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build()?)
            }
            ClientCertificates::Required(trust) => {
                builder.with_client_cert_verifier(verifier(trust)?.build()?)
            }
        };
        let mut config = builder.with_cert_resolver(certificates);
        config.alpn_protocols = alpn.protocols();
        config.ticketer = Ticketer::new()?;
        config.ignore_client_order = true;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Makes the handshake. The caller bounds how long it may take.
    ///
    /// # Errors
    /// When the client speaks no TLS, shows no certificate that is wanted, or goes away.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = self.0.accept(stream).await?;
        Ok(TlsStream::new(accepted.into()))
    }
}

fn verifier(trust: &Trust) -> Result<ClientCertVerifierBuilder, TlsError> {
    let roots = Arc::new(trust.roots()?);
    Ok(WebPkiClientVerifier::builder_with_provider(
        roots,
        provider(),
    ))
}
