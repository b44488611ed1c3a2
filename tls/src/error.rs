//! What is wrong with certificates, keys and files of them.

use std::io;
use std::path::PathBuf;

/// Why certificates cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM, or holds nothing of what is wanted.
    #[error("`{}` holds no {wanted} in PEM", path.display())]
    NoPem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// A certificate cannot be read.
    #[error("the certificate in `{}` cannot be read: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate is not valid yet, or any more.
    #[error("the certificate in `{}` is not valid now: from {from} to {until}", path.display())]
    NotValidNow {
        /// The file.
        path: PathBuf,
        /// Its first moment.
        from: String,
        /// Its last.
        until: String,
    },
    /// A certificate names no host, so no client would take it.
    #[error("the certificate in `{}` names no host (subjectAltName)", path.display())]
    NoNames {
        /// The file.
        path: PathBuf,
    },
    /// A key is not the one of its certificate, or of a kind that is not known.
    #[error("the key in `{}` does not fit the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// File of the key.
        key: PathBuf,
        /// File of the certificate.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No certificate was given.
    #[error("TLS needs a certificate and a key")]
    NoCertificate,
    /// The system has no certificates of authorities that can be read.
    #[error("the system's certificates of authorities cannot be read: {reason}")]
    NoSystemTrust {
        /// Why.
        reason: String,
    },
    /// A name is none that a certificate can hold.
    #[error("`{name}` is no name of a host and no address")]
    BadHost {
        /// The text.
        name: String,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// The settings do not fit together.
    #[error("TLS cannot be set up")]
    SetUp(#[from] rustls::Error),
    /// Certificates of clients cannot be checked.
    #[error("certificates of clients cannot be checked")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}
