//! The side that dials.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::certificates::Certificates;
use crate::error::TlsError;
use crate::expected::{ExpectedServer, RoleVerifier};
use crate::files;
use crate::stream::TlsStream;
use crate::{Alpn, provider};

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// None: for clients that never encrypt.
    Nobody,
    /// Those of the authorities that this system knows.
    System,
    /// Those of the authorities in this file, in PEM.
    Authorities(PathBuf),
}

impl Trust {
    pub(crate) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Nobody => {}
            Self::Authorities(path) => {
                for certificate in files::certificates(path, &files::read(path)?)? {
                    roots
                        .add(certificate)
                        .map_err(|error| TlsError::Malformed {
                            path: path.clone(),
                            reason: error.to_string(),
                        })?;
                }
            }
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                // Some systems hold certificates that rustls does not take; the others do.
                let (num_added, _) = roots.add_parsable_certificates(found.certs);
                if num_added == 0 {
                    let reason = found.errors.first().map(ToString::to_string);
                    return Err(TlsError::NoSystemTrust {
                        reason: reason.unwrap_or_else(|| "there are none".to_owned()),
                    });
                }
            }
        }
        Ok(roots)
    }
}

/// Encrypts connections that were dialled, and checks whom they reach. Clones share it.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// Returns a connector that believes `trust`, and shows `own` to servers that ask. Whatever is the host that is
    /// dialled will do: see [`Connector::expecting`].
    ///
    /// # Errors
    /// [`TlsError`] when the authorities to trust cannot be read.
    pub fn new(
        trust: &Trust,
        own: Option<Arc<Certificates>>,
        alpn: Alpn,
    ) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(trust.roots()?);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(own),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.protocols();
        Ok(Self(Arc::new(config)))
    }

    /// As [`Connector::new`], for servers that must be what `expected` says. Sessions are resumed with those alone that
    /// this connector has checked, so one is made for each kind of server.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities to trust cannot be read, or there are none.
    pub fn expecting(
        expected: ExpectedServer,
        trust: &Trust,
        own: Option<Arc<Certificates>>,
        alpn: Alpn,
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(trust.roots()?);
        let of_host = WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(RoleVerifier { of_host, expected });
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(own),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.protocols();
        Ok(Self(Arc::new(config)))
    }

    /// Makes the handshake with the server `host`, a name or an address without a port. The caller bounds how long
    /// it may take.
    ///
    /// # Errors
    /// When `host` is neither, the server's certificate is not for it, not of a trusted authority or not of the process
    /// that is expected, the server wants a certificate that we do not have, or it goes away.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let connected = connector.connect(name, stream).await?;
        Ok(TlsStream::new(connected.into()))
    }

    /// Returns the configuration for HTTP clients that make their connections themselves.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        (*self.0).clone()
    }
}
