//! A certificate authority of one's own, and the certificates that it issues.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::error::TlsError;
use crate::identity::Identity;

/// How long an authority is valid, in days.
const AUTHORITY_DAYS: i64 = 3_650;

/// How far clocks may be apart when a certificate is used as soon as it is made.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A certificate authority: its certificate is what clients trust, its key makes more certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

/// What a certificate is to say. Its key is ECDSA P-256, made with it; it serves for servers and for clients.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    /// Name for people.
    pub common_name: String,
    /// Names and addresses of the host, at least one.
    pub hosts: Vec<String>,
    /// Who the process is.
    pub identity: Option<Identity>,
    /// How long it is valid, in days.
    pub days: u32,
}

/// A certificate and its key, in PEM.
pub struct IssuedCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key (PKCS #8). It is a secret.
    pub key_pem: String,
}

impl Authority {
    /// Makes an authority called `name`, valid for ten years.
    ///
    /// # Errors
    /// [`TlsError::Make`] when the system gives no random numbers.
    pub fn generate(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        // It signs certificates of processes, no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (not_before, not_after) = validity(AUTHORITY_DAYS);
        (params.not_before, params.not_after) = (not_before, not_after);
        let key = KeyPair::generate()?;
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem,
        })
    }

    /// Reads an authority that was made before.
    ///
    /// # Errors
    /// [`TlsError::Make`] when one of the texts is none, or the certificate is no authority's.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(key_pem)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(certificate_pem, key)?,
            certificate_pem: certificate_pem.to_owned(),
        })
    }

    /// Returns its certificate in PEM: what clients trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns its key in PEM. It is the secret on which all its certificates stand.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes a certificate and its key.
    ///
    /// # Errors
    /// [`TlsError::NoCertificate`] without hosts, [`TlsError::BadHost`] for a host that is no name and no
    /// address.
    pub fn issue(&self, request: &CertificateRequest) -> Result<IssuedCertificate, TlsError> {
        if request.hosts.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let mut params = CertificateParams::default();
        for host in &request.hosts {
            params.subject_alt_names.push(host_name(host)?);
        }
        if let Some(identity) = &request.identity {
            let uri = identity.to_string();
            let bad = |_| TlsError::BadHost { name: uri.clone() };
            let uri = uri.as_str().try_into().map_err(bad)?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let name = request.common_name.as_str();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        (params.not_before, params.not_after) = validity(i64::from(request.days));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

fn validity(days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - CLOCK_SKEW, now + Duration::days(days))
}

fn host_name(host: &str) -> Result<SanType, TlsError> {
    if let Ok(address) = host.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || TlsError::BadHost {
        name: host.to_owned(),
    };
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.split('.').enumerate().all(|(at, label)| {
            let is_wild = at == 0 && label == "*";
            let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            is_wild || (!label.is_empty() && label.len() <= 63 && label.chars().all(is_label))
        });
    if !is_name {
        return Err(bad());
    }
    host.try_into().map(SanType::DnsName).map_err(|_| bad())
}
