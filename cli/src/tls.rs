//! TLS of a process as its settings have it: which certificates it shows, whom it believes, and that they stay fresh.

mod between;
mod own;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use gleaner_model::{PeerRole, metric};
use gleaner_proto::Handshake;
use gleaner_tls::{
    Acceptor, Alpn, CertificateFiles, Certificates, ClientCertificates, Connector, ExpectedServer,
    Trust,
};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Interval, interval};

use crate::config::Config;
use crate::signals::Hangups;
pub(crate) use between::Dialling;
pub(crate) use own::{OwnAuthority, open_authority, write, write_secret};

/// How often files that are followed are read again: certificates, and the rules of a front.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How other nodes are reached and let in.
#[derive(Clone)]
pub(crate) struct BetweenNodes {
    pub(crate) dialling: Dialling,
    pub(crate) handshake: Arc<dyn Handshake>,
}

/// The certificates of this process, and whom it believes.
#[derive(Clone)]
pub(crate) struct NodeTls {
    certificates: Arc<Certificates>,
    /// Whose certificates other nodes must show.
    peers: Option<Trust>,
    /// The authority in the data folder, where the certificates are of that.
    own: Option<Arc<OwnAuthority>>,
}

impl NodeTls {
    /// Reads the certificates that the settings name, or makes one in `folder` where they only say `secure`; `None`
    /// where connections are not encrypted.
    ///
    /// # Errors
    /// Files that cannot be read, or hold what no client would take; each in words.
    pub(crate) fn of(config: &Config, folder: &Path) -> Result<Option<Self>> {
        if !config.tls_certificate.as_os_str().is_empty() {
            let files = CertificateFiles {
                certificate: config.tls_certificate.clone(),
                key: config.tls_key.clone(),
            };
            return Self::of_files(files, Some(&config.tls_ca)).map(Some);
        }
        if !config.secure {
            return Ok(None);
        }
        let own = OwnAuthority::open(config, folder)?;
        let certificates = Certificates::load(vec![own.issue()?])?;
        Ok(Some(Self {
            certificates: Arc::new(certificates),
            peers: None,
            own: Some(Arc::new(own)),
        }))
    }

    /// Reads a certificate and its key; `ca` is the file of the authority of other nodes, where there is one.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn of_files(files: CertificateFiles, ca: Option<&PathBuf>) -> Result<Self> {
        let ca = ca.filter(|ca| !ca.as_os_str().is_empty());
        Ok(Self {
            certificates: Arc::new(Certificates::load(vec![files])?),
            peers: ca.map(|ca| Trust::Authorities(ca.clone())),
            own: None,
        })
    }

    /// Returns what encrypts connections of clients. A node shows its certificate there too, which says what it is.
    ///
    /// # Errors
    /// An authority that cannot be read.
    pub(crate) fn client_acceptor(&self) -> Result<Acceptor> {
        let clients = match &self.peers {
            Some(trust) => ClientCertificates::Offered(trust.clone()),
            None => ClientCertificates::NotAsked,
        };
        let certificates = Arc::clone(&self.certificates);
        Ok(Acceptor::new(certificates, &clients, Alpn::Http)?)
    }

    /// Returns how other nodes are reached and let in; `None` where no authority of theirs is set.
    ///
    /// # Errors
    /// An authority that cannot be read, or a certificate that names no node.
    pub(crate) fn between_nodes(&self) -> Result<Option<BetweenNodes>> {
        let Some(trust) = &self.peers else {
            return Ok(None);
        };
        let clients = ClientCertificates::Required(trust.clone());
        let own = Arc::clone(&self.certificates);
        let identity = own.identity().context(
            "`tls_certificate` does not say which node it is for: with `tls_ca` it needs a URI \
             `spiffe://CLUSTER/ROLE/NAME`, as `gleaner certs` writes it",
        )?;
        let acceptor = Acceptor::new(Arc::clone(&own), &clients, Alpn::Http2)?;
        let connect = |expected| {
            let own = Some(Arc::clone(&own));
            let connector = Connector::expecting(expected, trust, own, Alpn::Http2);
            connector.map(between::connect)
        };
        let node = |role| ExpectedServer::Node {
            role,
            cluster: Some(identity.cluster.clone()),
        };
        let dialling = Dialling {
            leaves: connect(node(PeerRole::Leaf))?,
            roots: connect(node(PeerRole::Root))?,
            etcd: connect(ExpectedServer::NoNode)?,
        };
        Ok(Some(BetweenNodes {
            dialling,
            handshake: Arc::new(between::TlsHandshake {
                acceptor,
                cluster: identity.cluster,
            }),
        }))
    }

    /// Returns the same certificates for connections between nodes, of the authority in the file `ca`.
    pub(crate) fn with_peers(&self, ca: PathBuf) -> Self {
        Self {
            peers: Some(Trust::Authorities(ca)),
            ..self.clone()
        }
    }

    /// Returns the name of the cluster that the first certificate is of; `None` where it names no node.
    pub(crate) fn cluster(&self) -> Option<String> {
        let identity = self.certificates.identity();
        identity.map(|identity| identity.cluster)
    }

    /// Returns the certificates.
    pub(crate) fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Reads the files again now and then, and at each SIGHUP, for as long as the task runs.
    pub(crate) fn keep_fresh(&self) -> JoinHandle<()> {
        let tls = self.clone();
        let hangups = Hangups::listen();
        tokio::spawn(async move {
            let mut hangups = hangups
                .inspect_err(|error| tracing::warn!("SIGHUP reads no certificates: {error:#}"))
                .ok();
            let mut looks = interval(LOOK_EVERY);
            loop {
                look_due(&mut looks, hangups.as_mut()).await;
                let tls = tls.clone();
                // A panic there has been logged, and the next look comes.
                drop(spawn_blocking(move || tls.refresh()).await);
            }
        })
    }

    fn refresh(&self) {
        if let Some(own) = &self.own
            && self.expires_within(OwnAuthority::RENEW_BEFORE)
            && let Err(error) = own.issue()
        {
            metrics::counter!(metric::TLS_RELOAD_FAILURES.name).increment(1);
            tracing::error!("the certificate cannot be renewed: {error:#}");
        }
        match self.certificates.refresh() {
            Ok(false) => {}
            Ok(true) => tracing::info!("new certificates are in use"),
            Err(error) => {
                metrics::counter!(metric::TLS_RELOAD_FAILURES.name).increment(1);
                let error = anyhow::Error::from(error);
                tracing::error!("certificates are not exchanged, those in use stay: {error:#}");
            }
        }
        let now = now_seconds();
        for expiry in self.certificates.expiries() {
            let left = expiry.not_after.saturating_sub(now);
            let gauge = metrics::gauge!(
                metric::TLS_CERTIFICATE_EXPIRES_SECONDS.name,
                "file" => expiry.file
            );
            gauge.set(left as f64);
        }
    }

    fn expires_within(&self, time: Duration) -> bool {
        let soon = now_seconds().saturating_add_unsigned(time.as_secs());
        let expiries = self.certificates.expiries();
        expiries.iter().any(|expiry| expiry.not_after < soon)
    }
}

/// Completes when files are to be read again: at the next look, or at a hangup.
async fn look_due(looks: &mut Interval, hangups: Option<&mut Hangups>) {
    let Some(hangups) = hangups else {
        looks.tick().await;
        return;
    };
    tokio::select! {
        _ = looks.tick() => {}
        () = hangups.next() => {}
    }
}

fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
