//! A certificate and its key in files, read and checked.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::TlsError;
use crate::identity::Identity;
use crate::provider;

/// Where a certificate and its key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those between it and an authority that clients know, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM (PKCS #8, SEC 1 or PKCS #1).
    pub key: PathBuf,
}

/// What the files hold, before it is looked into.
#[derive(PartialEq, Eq)]
pub(crate) struct FileContents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What a certificate says of itself.
pub(crate) struct CertificateDetails {
    /// Names of hosts, in lower case; addresses are not among them, as no client sends one to choose by.
    pub(crate) names: Vec<String>,
    /// Whose it is.
    pub(crate) identity: Option<Identity>,
    /// Seconds since 1970 at which it ends.
    pub(crate) not_after: i64,
}

impl CertificateFiles {
    /// Reads the bytes of both files.
    pub(crate) fn read(&self) -> Result<FileContents, TlsError> {
        Ok(FileContents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        })
    }

    /// Makes what the files hold ready to be used; refuses what no client would take.
    pub(crate) fn check(
        &self,
        contents: &FileContents,
    ) -> Result<(CertifiedKey, CertificateDetails), TlsError> {
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let details = self.details(&chain[0])?;
        let no_key = |_| TlsError::NoPem {
            path: self.key.clone(),
            wanted: "private key",
        };
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(no_key)?;
        let certified = CertifiedKey::from_der(chain, key, &provider());
        let certified = certified.map_err(|source| TlsError::Mismatch {
            key: self.key.clone(),
            certificate: self.certificate.clone(),
            source,
        })?;
        Ok((certified, details))
    }

    fn details(&self, certificate: &CertificateDer<'_>) -> Result<CertificateDetails, TlsError> {
        let identity = Identity::of(certificate);
        let path = self.certificate.clone();
        let malformed = |reason: String| TlsError::Malformed {
            path: path.clone(),
            reason,
        };
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|e| malformed(e.to_string()))?;
        let validity = certificate.validity();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let (from, until) = (validity.not_before, validity.not_after);
        if !(from.timestamp()..=until.timestamp()).contains(&now) {
            return Err(TlsError::NotValidNow {
                path,
                from: from.to_string(),
                until: until.to_string(),
            });
        }
        let names = certificate.subject_alternative_name();
        let names = names.map_err(|e| malformed(e.to_string()))?;
        let names = names.map(|names| &names.value.general_names);
        let is_host = |name: &&GeneralName<'_>| {
            matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))
        };
        let hosts: Vec<_> = names.into_iter().flatten().filter(is_host).collect();
        if hosts.is_empty() {
            return Err(TlsError::NoNames { path });
        }
        let of_host = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        };
        Ok(CertificateDetails {
            identity,
            names: hosts.into_iter().filter_map(of_host).collect(),
            not_after: until.timestamp(),
        })
    }
}

/// Returns the certificates of a file, at least one.
pub(crate) fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::NoPem {
            path: path.to_owned(),
            wanted: "certificate",
        }),
    }
}

/// Returns the bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}
