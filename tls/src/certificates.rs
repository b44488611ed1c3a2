//! The certificates of a process, exchanged while its connections go on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::TlsError;
use crate::files::{CertificateDetails, CertificateFiles, FileContents};
use crate::identity::Identity;

/// Certificates that were read from files, by the names that they are for.
///
/// A new connection is answered with what was read last; those that are open keep what they began with.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    current: ArcSwap<Vec<Loaded>>,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// File of the certificate.
    pub file: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

struct Loaded {
    contents: FileContents,
    key: Arc<CertifiedKey>,
    details: CertificateDetails,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificates").field(&self.files).finish()
    }
}

impl Certificates {
    /// Reads and checks the certificates of `files`; the first is for clients that ask for no name, or for one that
    /// none is for.
    ///
    /// # Errors
    /// [`TlsError`] that names the file.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Self, TlsError> {
        if files.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let loaded = files.iter().map(|files| load(files, files.read()?));
        let loaded = loaded.collect::<Result<_, _>>()?;
        Ok(Self {
            files,
            current: ArcSwap::from_pointee(loaded),
        })
    }

    /// Reads the files again and takes what they hold, all or nothing; returns whether that is something new.
    ///
    /// # Errors
    /// [`TlsError`] that names the file; the certificates in use stay.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let contents = self.files.iter().map(CertificateFiles::read);
        let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
        let current = self.current.load();
        let is_same = current.iter().map(|loaded| &loaded.contents);
        if is_same.eq(contents.iter()) {
            return Ok(false);
        }
        let loaded = self.files.iter().zip(contents);
        let loaded = loaded.map(|(files, contents)| load(files, contents));
        let loaded = loaded.collect::<Result<Vec<_>, _>>()?;
        self.current.store(Arc::new(loaded));
        Ok(true)
    }

    /// Returns who this process is, as its first certificate says; `None` where that names nobody.
    pub fn identity(&self) -> Option<Identity> {
        let current = self.current.load();
        current.first()?.details.identity.clone()
    }

    /// Returns when each certificate ends.
    pub fn expiries(&self) -> Vec<Expiry> {
        let current = self.current.load();
        let expiry = |(files, loaded): (&CertificateFiles, &Loaded)| Expiry {
            file: files.certificate.display().to_string(),
            not_after: loaded.details.not_after,
        };
        self.files.iter().zip(current.iter()).map(expiry).collect()
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.load();
        let named = name.and_then(|name| {
            let is_for =
                |loaded: &&Loaded| loaded.details.names.iter().any(|own| covers(own, name));
            current.iter().find(is_for)
        });
        named
            .or(current.first())
            .map(|loaded| Arc::clone(&loaded.key))
    }
}

fn load(files: &CertificateFiles, contents: FileContents) -> Result<Loaded, TlsError> {
    let (key, details) = files.check(&contents)?;
    Ok(Loaded {
        contents,
        key: Arc::new(key),
        details,
    })
}

/// Is the name `own` of a certificate one for the host `name`? A wildcard stands for one label (RFC 6125, 6.4.3).
fn covers(own: &str, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    match own.strip_prefix("*.") {
        None => own.eq_ignore_ascii_case(name),
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(parent)),
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

impl ResolvesClientCert for Certificates {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.find(None)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("*.example.org", "a.example.org"));
        assert!(covers("example.org", "EXAMPLE.org."));
        for other in ["example.org", "a.b.example.org", ".example.org"] {
            assert!(!covers("*.example.org", other), "{other}");
        }
    }
}
