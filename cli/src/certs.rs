//! `gleaner certs`: an authority and a certificate for each node of a cluster, made in one command.

use std::collections::BTreeSet;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gleaner_etcd::Users;
use gleaner_machine::private;
use gleaner_model::PeerRole;
use gleaner_tls::{Authority, CertificateRequest, Identity};

use crate::exit::Exit;
use crate::node::membership::{ClusterFile, Membership, host_of};
use crate::tls::{open_authority, write, write_secret};

/// Name of a cluster that says none.
pub(crate) const NAME: &str = "gleaner";

/// How long certificates are valid where nothing else is said.
pub(crate) const DAYS: u32 = 90;

/// A machine as it calls itself.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Make certificates for the nodes of a cluster.
///
/// Writes an authority (`ca.pem`, and `ca.key`, which is no node's business), a certificate and a key for each node
/// and each front of the file, and one for who operates the cluster (`admin`). Where the file names members of an etcd
/// by `https`, each of their hosts gets one too, in the folder `etcd`. Run again it keeps the authority and makes new
/// certificates: nodes take them without a restart once they lie in place of the old ones.
#[derive(Debug, clap::Args)]
pub(crate) struct CertsArguments {
    /// File with the table `[cluster]` that names the members
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// Folder to write to; made when absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the cluster, which stands in each certificate
    #[arg(long, value_name = "NAME", default_value = NAME)]
    name: String,
    /// A further name or address of the hosts on which clients call fronts and roots; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// How long the certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
}

/// Runs the command.
pub(crate) fn run(arguments: &CertsArguments) -> Result<Exit> {
    let membership = ClusterFile::read(&arguments.cluster)?.membership;
    let certificates = ClusterCertificates {
        membership: &membership,
        folder: &arguments.out,
        cluster: &arguments.name,
        hosts: &arguments.hosts,
        days: arguments.days,
    };
    let made = certificates.make()?;
    let folder = arguments.out.display();
    writeln!(
        stdout(),
        "`{folder}` holds the certificates of {}. Give each node its own two files and `ca.pem`; keep `ca.key` \
         elsewhere.",
        made.join(", ")
    )?;
    Ok(Exit::Success)
}

/// Who operates the nodes, by whose certificate tools call etcd. `admin.key` is an API key.
pub(crate) const OPERATOR: &str = "operator";

/// The certificates of a cluster, to be made.
pub(crate) struct ClusterCertificates<'a> {
    pub(crate) membership: &'a Membership,
    /// Where they lie.
    pub(crate) folder: &'a Path,
    /// Name of the cluster.
    pub(crate) cluster: &'a str,
    /// Further hosts on which clients call fronts and roots.
    pub(crate) hosts: &'a [String],
    /// How long they are valid.
    pub(crate) days: u32,
}

impl ClusterCertificates<'_> {
    /// Makes them, and the authority where there is none; returns the names that they are for.
    ///
    /// # Errors
    /// A name that no certificate can hold, or what the disk says.
    pub(crate) fn make(&self) -> Result<Vec<String>> {
        let authority = open_authority(self.folder, self.cluster)?;
        // Etcd knows its users by the common names of their certificates.
        let users = Users::of(self.cluster);
        let mut made = Vec::new();
        for (identity, hosts) in self.wanted() {
            let files = identity.name.clone();
            let common_name = users.name(identity.role);
            self.issue(
                &authority,
                &files,
                &CertificateRequest {
                    common_name,
                    hosts: hosts.into_iter().collect(),
                    identity: Some(identity),
                    days: self.days,
                },
            )?;
            made.push(files);
        }
        for host in self.etcd_hosts() {
            let files = format!("etcd/{host}");
            private::create_folder(&self.folder.join("etcd"))
                .context("cannot make the folder `etcd`")?;
            let hosts = BTreeSet::from_iter(HERE.map(String::from).into_iter().chain([host]));
            self.issue(
                &authority,
                &files,
                &CertificateRequest {
                    common_name: users.of_members(),
                    hosts: hosts.into_iter().collect(),
                    identity: None,
                    days: self.days,
                },
            )?;
            made.push(files);
        }
        Ok(made)
    }

    /// Writes a certificate and its key as files called `name`.
    fn issue(&self, authority: &Authority, name: &str, request: &CertificateRequest) -> Result<()> {
        let issued = authority.issue(request)?;
        let path = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        write_secret(&path("key"), &issued.key_pem)?;
        write(&path("pem"), &issued.certificate_pem)
    }

    /// Returns the hosts of the etcd's members, where those are called over TLS.
    fn etcd_hosts(&self) -> BTreeSet<String> {
        let etcd = self.membership.etcd_addresses();
        let etcd = etcd.filter(|etcd| etcd.is_encrypted);
        let addresses = etcd.iter().flat_map(|etcd| &etcd.addresses);
        addresses
            .map(|address| host_of(address).to_owned())
            .collect()
    }

    /// Returns who needs a certificate, and for which hosts.
    fn wanted(&self) -> Vec<(Identity, BTreeSet<String>)> {
        let identity = |role, name: &str| Identity {
            cluster: self.cluster.to_owned(),
            role,
            name: name.to_owned(),
        };
        let here = HERE.map(String::from);
        let mut wanted = Vec::new();
        for member in &self.membership.nodes {
            let role = PeerRole::from(member.role);
            let addresses = [Some(&member.address), member.http_address.as_ref()];
            let addresses = addresses.into_iter().flatten();
            let mut hosts: BTreeSet<_> = addresses
                .map(|address| host_of(address).to_owned())
                .collect();
            if role == PeerRole::Root {
                hosts.extend(self.hosts.iter().chain(&here).cloned());
            }
            wanted.push((identity(role, &member.name), hosts));
        }
        for front in &self.membership.fronts {
            let mut hosts = BTreeSet::from([host_of(&front.http_address).to_owned()]);
            hosts.extend(self.hosts.iter().chain(&here).cloned());
            wanted.push((identity(PeerRole::Front, &front.name), hosts));
        }
        wanted.push((identity(PeerRole::Admin, OPERATOR), BTreeSet::from(here)));
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_gets_a_certificate_and_the_authority_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let cluster = folder.path().join("cluster.toml");
        let text = "default_replicas = 1\n[cluster]\netcd = ['https://e.internal:2379']\n\
            [[cluster.nodes]]\nname = 'r'\nrole = 'root'\naddress = 'root.internal:9300'\n\
            [[cluster.nodes]]\nname = 'l'\nrole = 'leaf'\naddress = '[::1]:9300'\n\
            [[cluster.fronts]]\nname = 'f'\nhttp_address = 'f.internal:443'\n";
        std::fs::write(&cluster, text).expect("written");
        let arguments = CertsArguments {
            cluster,
            out: folder.path().join("certs"),
            name: "test".to_owned(),
            hosts: vec!["search.example".to_owned()],
            days: 2,
        };
        run(&arguments).expect("made");
        let read = |name: &str| std::fs::read_to_string(arguments.out.join(name)).expect(name);
        let (ca, front) = (read("ca.pem"), read("f.pem"));
        run(&arguments).expect("made again");
        assert_eq!(read("ca.pem"), ca);
        assert_ne!(read("f.pem"), front);
        for name in [
            "r.pem",
            "r.key",
            "l.pem",
            "l.key",
            "f.key",
            "operator.pem",
            "operator.key",
            "etcd/e.internal.pem",
            "etcd/e.internal.key",
        ] {
            read(name);
        }
        let membership = ClusterFile::read(&arguments.cluster)
            .expect("read")
            .membership;
        let wanted = ClusterCertificates {
            membership: &membership,
            folder: &arguments.out,
            cluster: &arguments.name,
            hosts: &arguments.hosts,
            days: arguments.days,
        }
        .wanted();
        let uris: Vec<String> = wanted
            .iter()
            .map(|(identity, _)| identity.to_string())
            .collect();
        assert_eq!(
            uris,
            [
                "spiffe://test/root/r",
                "spiffe://test/leaf/l",
                "spiffe://test/front/f",
                "spiffe://test/admin/operator"
            ]
        );
        assert!(wanted[1].1.contains("::1") && wanted[2].1.contains("search.example"));
    }
}
