//! An authority in the data folder, and the certificate of this node that it issues.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_tls::{Authority, CertificateFiles, CertificateRequest};

use crate::config::Config;
use crate::node::membership::host_of;
use crate::serve::address::LISTEN;
use gleaner_machine::{durable, private};

/// How long a certificate is valid, in days.
const DAYS: u32 = 90;

/// An authority and where it lies.
pub(crate) struct OwnAuthority {
    authority: Authority,
    folder: PathBuf,
    hosts: Vec<String>,
}

impl OwnAuthority {
    /// How long before its end a certificate is renewed.
    pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);

    /// Reads the authority in `data`, or makes one.
    ///
    /// # Errors
    /// What the disk says, or files that hold no authority.
    pub(crate) fn open(config: &Config, data: &Path) -> Result<Self> {
        let folder = data.join("tls");
        Ok(Self {
            authority: open_authority(&folder, &config.cluster_name)?,
            folder,
            hosts: hosts(config)?,
        })
    }

    /// Makes a certificate and its key for this node.
    ///
    /// # Errors
    /// A name that no certificate can hold, or what the disk says.
    pub(crate) fn issue(&self) -> Result<CertificateFiles> {
        let issued = self.authority.issue(&CertificateRequest {
            common_name: "gleaner".to_owned(),
            hosts: self.hosts.clone(),
            identity: None,
            days: DAYS,
        })?;
        let files = CertificateFiles {
            certificate: self.folder.join("server.pem"),
            key: self.folder.join("server.key"),
        };
        write_secret(&files.key, &issued.key_pem)?;
        write(&files.certificate, &issued.certificate_pem)?;
        Ok(files)
    }
}

/// Reads the authority `ca.pem` and `ca.key` of a folder, or makes one called after the cluster.
///
/// # Errors
/// What the disk says, or files that hold no authority.
pub(crate) fn open_authority(folder: &Path, cluster: &str) -> Result<Authority> {
    private::create_folder(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    if key.exists() {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let authority = Authority::from_pem(&read(&certificate)?, &read(&key)?);
        return authority.with_context(|| format!("no authority lies in `{}`", folder.display()));
    }
    let authority = Authority::generate(&format!("Gleaner authority of {cluster}"))?;
    // The key comes last: where it is, the certificate is too.
    write(&certificate, authority.certificate_pem())?;
    write_secret(&key, &authority.key_pem())?;
    Ok(authority)
}

/// Writes a file that is no secret.
///
/// # Errors
/// What the disk says.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written = durable::replace(path, text.as_bytes());
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes a file that nobody else may read.
///
/// # Errors
/// What the disk says.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let written = durable::replace_secret(path, text.as_bytes());
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Returns the names by which clients may call this node.
fn hosts(config: &Config) -> Result<Vec<String>> {
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let listen = LISTEN.complete(&config.listen)?;
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    let named = [
        machine.trim(),
        &config.node_name,
        host_of(&listen),
        host_of(&config.publish_address),
    ];
    let allowed = config.allowed_hosts.split(',').map(str::trim);
    for name in named.into_iter().chain(allowed) {
        let is_any = matches!(name, "" | "*" | "0.0.0.0" | "::");
        if !is_any && !hosts.iter().any(|host| host == name) {
            hosts.push(name.to_owned());
        }
    }
    Ok(hosts)
}
