//! Which process a server must be, beside being the host that was dialled.
//!
//! One authority serves all processes of a cluster, and many may be on one host: a certificate for the host alone lets
//! any of them take the place of another. Checked within the handshake, before anything is sent.

use std::fmt;
use std::sync::Arc;

use gleaner_model::PeerRole;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use crate::identity::Identity;

/// Which process a server must be: what its certificate says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedServer {
    /// A process of this role.
    Node {
        /// What it does.
        role: PeerRole,
        /// Name of its cluster; `None` where that is not known.
        cluster: Option<String>,
    },
    /// None of a cluster's nodes and fronts, as their certificates say who they are: a member of an etcd.
    NoNode,
    /// One that clients call: a root, a front, or a server whose certificate names no process of a cluster.
    ForClients,
}

impl ExpectedServer {
    /// Checks who a server is.
    fn check(&self, identity: Option<&Identity>) -> Result<(), NotExpected> {
        let is_expected = match (self, identity) {
            (Self::Node { .. }, None) => false,
            (Self::Node { role, cluster }, Some(identity)) => {
                let is_of_cluster = cluster
                    .as_ref()
                    .is_none_or(|name| *name == identity.cluster);
                identity.role == *role && is_of_cluster
            }
            (Self::NoNode | Self::ForClients, None) => true,
            (Self::NoNode, Some(_)) => false,
            (Self::ForClients, Some(identity)) => {
                matches!(identity.role, PeerRole::Root | PeerRole::Front)
            }
        };
        match is_expected {
            true => Ok(()),
            false => Err(NotExpected {
                expected: self.clone(),
                found: identity.cloned(),
            }),
        }
    }
}

impl fmt::Display for ExpectedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node {
                role,
                cluster: Some(cluster),
            } => write!(f, "`spiffe://{cluster}/{role}/NAME`"),
            Self::Node {
                role,
                cluster: None,
            } => write!(f, "that of a {role}"),
            Self::NoNode => f.write_str("one that names no node, such as that of an etcd"),
            Self::ForClients => f.write_str("that of a root or a front, or one that names no node"),
        }
    }
}

/// A server is the host that was dialled, and another process than is wanted there.
struct NotExpected {
    expected: ExpectedServer,
    found: Option<Identity>,
}

impl fmt::Display for NotExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found } = self;
        match found {
            Some(found) => write!(f, "the server's certificate is that of `{found}`")?,
            None => f.write_str("the server's certificate does not say which process it is for")?,
        }
        write!(f, ", wanted {expected}")
    }
}

// What a fault of a handshake says of its cause is this.
impl fmt::Debug for NotExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotExpected {}

/// Believes a certificate that the authorities and the host allow, and that is of the expected process.
#[derive(Debug)]
pub(crate) struct RoleVerifier {
    pub(crate) of_host: Arc<WebPkiServerVerifier>,
    pub(crate) expected: ExpectedServer,
}

impl ServerCertVerifier for RoleVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .of_host
            .verify_server_cert(certificate, between, name, ocsp, now)?;
        let identity = Identity::of(certificate);
        let checked = self.expected.check(identity.as_ref());
        checked.map_err(|error| {
            let error = CertificateError::Other(OtherError(Arc::new(error)));
            Error::InvalidCertificate(error)
        })?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_host
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.of_host
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.of_host.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster: &str, role: PeerRole) -> Option<Identity> {
        Some(Identity {
            cluster: cluster.to_owned(),
            role,
            name: "x".to_owned(),
        })
    }

    #[test]
    fn a_server_must_be_what_it_is_called_as() {
        for role in PeerRole::ALL {
            let other = PeerRole::ALL.into_iter().filter(|other| *other != role);
            let node = |cluster: Option<&str>| ExpectedServer::Node {
                role,
                cluster: cluster.map(str::to_owned),
            };
            let (own, any) = (node(Some("own")), node(None));
            assert!(own.check(identity("own", role).as_ref()).is_ok());
            assert!(own.check(identity("theirs", role).as_ref()).is_err());
            assert!(any.check(identity("theirs", role).as_ref()).is_ok());
            for wanted in [&own, &any] {
                assert!(wanted.check(None).is_err());
                for other in other.clone() {
                    assert!(wanted.check(identity("own", other).as_ref()).is_err());
                }
            }
            let no_node = ExpectedServer::NoNode.check(identity("own", role).as_ref());
            assert!(no_node.is_err(), "{role}");
            let for_clients = ExpectedServer::ForClients.check(identity("own", role).as_ref());
            let is_for_clients = matches!(role, PeerRole::Root | PeerRole::Front);
            assert_eq!(for_clients.is_ok(), is_for_clients, "{role}");
        }
        for wanted in [ExpectedServer::NoNode, ExpectedServer::ForClients] {
            assert!(wanted.check(None).is_ok());
        }
    }
}
