//! `gleaner cluster etcd-users`: the etcd of a cluster tells its processes apart.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_etcd::Users;
use gleaner_tls::CertificateFiles;

use crate::exit::Exit;
use crate::node::membership::ClusterFile;
use crate::node::state::{Calls, StateSource};
use crate::tls::NodeTls;

/// How long the etcd may take until it answers: its members may have just been started.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// Have the etcd of a cluster know roots, leaves, fronts and the operator by their certificates, and refuse what each has
/// no right to: fronts read, leaves and roots write what is theirs.
///
/// Run it once the etcd serves, before the nodes start or later, and again after a new version. All certificates must be
/// those that `gleaner certs` makes, or have a common name `CLUSTER-ROLE`. The members of the etcd need
/// `--client-cert-auth`. `gleaner cluster up --secure` does all of this itself.
#[derive(Debug, clap::Args)]
pub(super) struct UsersArguments {
    /// File with the table `[cluster]` that names the members of the etcd, by `https`
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// The operator's certificate: `operator.pem`
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its key: `operator.key`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Authority of the certificates
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
}

/// Runs the command.
pub(super) async fn run(arguments: &UsersArguments) -> Result<Exit> {
    let file = ClusterFile::read(&arguments.cluster)?;
    let addresses = file.membership.etcd_addresses();
    ensure!(
        addresses.is_some_and(|etcd| etcd.is_encrypted),
        "the etcd in `{}` is called by `http`: it would know nobody, and refuse everyone. Its members need certificates \
         and addresses of `https`",
        arguments.cluster.display()
    );
    let files = CertificateFiles {
        certificate: arguments.cert.clone(),
        key: arguments.key.clone(),
    };
    let tls = NodeTls::of_files(files, Some(&arguments.ca))?;
    let between = tls.between_nodes()?.context("an authority is given")?;
    let cluster = tls.cluster().context("the certificate names a process")?;
    let calls = Calls {
        dialling: between.dialling,
        is_encrypted: true,
    };
    let (source, users) = (StateSource::of(&file, &calls)?, Users::of(&cluster));
    let required = tokio::time::timeout(ANSWERS_WITHIN, source.require_users(&users));
    required.await.context("etcd does not answer")??;
    writeln!(
        stdout(),
        "The etcd knows the processes of the cluster by their certificates, and refuses what they have no right to"
    )?;
    Ok(Exit::Success)
}
