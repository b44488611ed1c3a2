//! Who a process is: a URI in its certificate, `spiffe://CLUSTER/ROLE/NAME`.
//!
//! The form is SPIFFE's (<https://spiffe.io/docs/latest/spiffe-about/spiffe-concepts/>), so that other makers of
//! certificates can write it too.

use std::fmt;

use gleaner_model::PeerRole;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Name of the cluster.
    pub cluster: String,
    /// What the process does.
    pub role: PeerRole,
    /// Name of the node, or of the operator.
    pub name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            role,
            name,
        } = self;
        write!(f, "spiffe://{cluster}/{role}/{name}")
    }
}

impl Identity {
    /// Reads the URI of a certificate; `None` for any other.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let mut parts = uri.strip_prefix("spiffe://")?.splitn(3, '/');
        let (cluster, role, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = !cluster.is_empty() && !name.is_empty() && !name.contains('/');
        is_whole.then_some(Self {
            cluster: cluster.to_owned(),
            role: role.parse().ok()?,
            name: name.to_owned(),
        })
    }

    /// Reads it from a certificate that was checked before; `None` when that has none, or more than one.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
        let first = uris.next()?;
        uris.next().is_none().then(|| Self::parse(first))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_uri_and_nothing_else_is_one() {
        let identity = Identity {
            cluster: "gleaner".to_owned(),
            role: PeerRole::Leaf,
            name: "leaf-1".to_owned(),
        };
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        for other in [
            "https://gleaner/leaf/leaf-1",
            "spiffe://gleaner/leaf",
            "spiffe:///leaf/x",
            "spiffe://gleaner/king/x",
            "spiffe://gleaner/leaf/",
            "spiffe://gleaner/leaf/a/b",
        ] {
            assert_eq!(Identity::parse(other), None, "{other}");
        }
    }
}
