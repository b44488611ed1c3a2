//! `gleaner keys reset`: a new key that may do everything, for who owns the data of a cluster and has no such key any more.
//!
//! Does: change the cluster state where it lies, in the folder of a server that is stopped or in an etcd, with the
//! certificates of a node. Does not: ask a server, or end other keys. Called by [`super::run`].
//! Read first: [`run`].

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_api::security::reset;
use gleaner_coordinator::{Coordinator, Embedded};
use gleaner_model::ClusterState;
use gleaner_tls::CertificateFiles;

use crate::config::{Config, Flags};
use crate::node::membership::ClusterFile;
use crate::node::owner::Owner;
use crate::node::state::{Calls, Participant, StateSource};
use crate::serve::folder::DataFolder;
use crate::serve::node::now_ms;
use crate::terminal;
use crate::tls::NodeTls;

/// How long an etcd is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Make a key that may do everything, where nobody has one any more, and print it: it is never shown again.
///
/// No server is asked: who may write to the data folder, or shows the certificate of a root to etcd, owns the cluster.
/// Keys that were there stay; `gleaner keys revoke` ends them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ResetArguments {
    /// Folder of a `gleaner serve` that is stopped, or of a `gleaner cluster up` that runs
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File of settings and members of a root, with its certificates: the cluster state lies in etcd
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A folder that a server works in, a cluster without keys, and what disk and etcd say.
pub(super) async fn run(arguments: ResetArguments) -> Result<()> {
    let ResetArguments { data, config } = arguments;
    let local_root = data.as_ref().map(|data| data.join("root-1.toml"));
    let config = config.or_else(|| local_root.filter(|file| file.exists()));
    let made = match (config, data) {
        (Some(config), _) => {
            let coordinator = in_etcd(&config).await?;
            reset(&*coordinator, now_ms()).await
        }
        (None, Some(data)) => {
            let folder = taken(&data)?;
            let opened = Embedded::open(folder.path(), ClusterState::default());
            let coordinator = opened.context("cannot open the cluster state")?;
            reset(&coordinator, now_ms()).await
        }
        (None, None) => anyhow::bail!("name `--data` or `--config`"),
    };
    let made = made.context("cannot change the cluster state")?;
    let key = made.context(
        "this cluster requires no keys, so there is none to replace: start it with `--secure`, which makes the first one",
    )?;
    terminal::say(&format!(
        "key {} (admin) is made and may do everything; keep what follows, it is not shown again",
        key.id()
    ));
    writeln!(stdout(), "{}", key.encoded())?;
    Ok(())
}

/// Takes the folder of a server in one process, which must be stopped.
fn taken(data: &Path) -> Result<DataFolder> {
    let shown = data.display();
    if let Some(owner) = Owner::of(data)? {
        anyhow::bail!(
            "data folder `{shown}` is that of node `{}` of a cluster, whose keys lie in its etcd: name the file of a root \
             with --config",
            owner.node
        );
    }
    ensure!(
        data.join("cluster.json").exists(),
        "data folder `{shown}` holds no cluster state: name the folder of a server with --data"
    );
    let folder = DataFolder::take(data)?;
    folder.check_of_one_process()?;
    Ok(folder)
}

/// Follows the cluster state in the etcd that a node's file names, with the node's certificates.
async fn in_etcd(file: &Path) -> Result<Arc<dyn Coordinator>> {
    let (config, membership) = Config::resolve_member(&Flags::default(), file)?;
    membership.check()?;
    let cluster = ClusterFile {
        cluster_name: config.cluster_name.clone(),
        membership,
    };
    let source = StateSource::of(&cluster, &calls(&config)?)?;
    let opened = tokio::time::timeout(PATIENCE, source.open(Participant::Reader)).await;
    opened.with_context(|| {
        format!("the etcd of the cluster did not tell its state within {PATIENCE:?}")
    })?
}

/// Returns how a node with these settings calls others.
fn calls(config: &Config) -> Result<Calls> {
    if config.tls_certificate.as_os_str().is_empty() {
        return Ok(Calls::default());
    }
    let files = CertificateFiles {
        certificate: config.tls_certificate.clone(),
        key: config.tls_key.clone(),
    };
    let between = NodeTls::of_files(files, Some(&config.tls_ca))?.between_nodes()?;
    Ok(between.map_or_else(Calls::default, |nodes| Calls {
        dialling: nodes.dialling,
        is_encrypted: true,
    }))
}

#[cfg(test)]
mod tests {
    use gleaner_api::security::secure;

    use super::*;

    fn arguments(data: &Path) -> ResetArguments {
        ResetArguments {
            data: Some(data.to_path_buf()),
            config: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_owns_the_folder_gets_a_key_that_may_do_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path();
        let refused = run(arguments(data)).await.expect_err("nothing is there");
        assert!(
            refused.to_string().contains("holds no cluster state"),
            "{refused}"
        );
        assert!(!data.join("gleaner.lock").exists(), "nothing was made");
        let open = || Embedded::open(data, ClusterState::default()).expect("opens");
        let coordinator = open();
        gleaner_coordinator::update::<gleaner_coordinator::CoordinatorError, _>(
            &coordinator,
            |state| Ok(Some(state.clone())),
        )
        .await
        .expect("kept");
        let refused = run(arguments(data))
            .await
            .expect_err("no keys are asked for");
        assert!(
            refused.to_string().contains("requires no keys"),
            "{refused}"
        );
        let coordinator = open();
        secure(&coordinator, 0).await.expect("secured");
        let held = DataFolder::take(data).expect("free");
        let refused = run(arguments(data))
            .await
            .expect_err("a server works there");
        assert!(refused.to_string().contains("in use"), "{refused}");
        drop(held);
        run(arguments(data)).await.expect("made");
        let state = open().state();
        let keys = &state.security.as_ref().expect("keys").api_keys;
        assert_eq!(keys.len(), 2, "the one before stays");
        let all = gleaner_model::Rights::all();
        assert!(keys.values().all(|key| key.rights == all));
    }
}
