//! `gleaner leaf` and `gleaner root`: one role of a cluster in a process.

pub(crate) mod leaf;
pub(crate) mod membership;
mod metadata;
pub(crate) mod owner;
mod reach;
mod registration;
mod root;
pub(crate) mod state;

use std::{
    io::{Write, stdout},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result};
use gleaner_model::{NodeId, Role};
use gleaner_proto::{Admission, Handshake};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    config::{Config, Flags},
    descriptors,
    exit::Exit,
    exposure::{Door, Opening},
    logging,
    serve::{
        address::{Bound, RPC_LISTEN, listen},
        folder::DataFolder,
    },
    signals,
    telemetry::Telemetry,
    tls::{Dialling, NodeTls},
};
use membership::{ClusterFile, Member, Membership};
use state::{Calls, StateSource};

/// Hold shard copies and answer roots, as a member of a cluster.
///
/// The file names the members of the cluster in its table `[cluster]`; settings come from flags, over
/// the environment, over the file, over defaults. It answers `/_health/live`, `/_health/ready` and
/// `/metrics` on the address that it listens on, and roots and leaves on the address of its entry.
#[derive(Debug, clap::Args)]
pub(crate) struct LeafArguments {
    #[command(flatten)]
    node: NodeArguments,
}

/// Answer clients by asking leaves, as a member of a cluster.
///
/// The file names the members of the cluster in its table `[cluster]`; settings come from flags, over
/// the environment, over the file, over defaults. Any number of roots can answer.
#[derive(Debug, clap::Args)]
pub(crate) struct RootArguments {
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Debug, clap::Args)]
struct NodeArguments {
    /// File of settings and members, in TOML
    #[arg(long, value_name = "FILE", env = "GLEANER_CONFIG")]
    config: PathBuf,
    /// Address to listen on for other nodes [default: that of its entry]
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_RPC_LISTEN")]
    rpc_listen: Option<String>,
    /// Print the settings in force, as such a file, and end
    #[arg(long)]
    print_config: bool,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    stop_with_input: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs `gleaner leaf`.
pub(crate) async fn run_leaf(arguments: LeafArguments, verbosity: u8) -> Result<Exit> {
    let Some(begun) = Setup::read(&arguments.node, Role::Leaf, verbosity).await? else {
        return Ok(Exit::Success);
    };
    leaf::run(begun, stop_asked(arguments.node.stop_with_input)?).await
}

/// Runs `gleaner root`.
pub(crate) async fn run_root(arguments: RootArguments, verbosity: u8) -> Result<Exit> {
    let Some(begun) = Setup::read(&arguments.node, Role::Root, verbosity).await? else {
        return Ok(Exit::Success);
    };
    root::run(begun, stop_asked(arguments.node.stop_with_input)?).await
}

/// What a node has before it does anything.
struct Setup {
    config: Config,
    membership: Membership,
    /// Its entry among the members.
    member: Member,
    folder: DataFolder,
    /// How other nodes are reached.
    dialling: Dialling,
    /// What other nodes must do before a call; `None` where connections are plain.
    handshake: Option<Arc<dyn Handshake>>,
    /// `None` where connections of clients are plain.
    tls: Option<NodeTls>,
    /// The logs and spans of requests.
    telemetry: Telemetry,
    /// Where the cluster state lies, once that is asked for.
    source: OnceLock<StateSource>,
}

/// The addresses that a node has taken.
struct Addresses {
    /// Where clients, or those who look after it, call it.
    http: TcpListener,
    /// Where other nodes call it, once it can answer them.
    rpc: Bound,
}

impl Setup {
    /// Reads the configuration, takes the folder and the addresses; `None` when all that was wanted is
    /// the configuration.
    async fn read(
        arguments: &NodeArguments,
        role: Role,
        verbosity: u8,
    ) -> Result<Option<(Self, Addresses)>> {
        let (config, membership) = Config::resolve_member(&arguments.flags, &arguments.config)?;
        membership.check()?;
        let member = membership.member(&config.node_name, role)?.clone();
        if arguments.print_config {
            let text = format!(
                "{}\n[cluster]\n{}",
                config.to_toml()?,
                toml::to_string(&membership)?.replace("[[nodes]]", "[[cluster.nodes]]")
            );
            stdout().write_all(text.as_bytes())?;
            return Ok(None);
        }
        let filter = if verbosity > 0 {
            logging::filter_of(verbosity + 1)
        } else {
            &config.log
        };
        let telemetry = Telemetry::of(&config, name_of(role), filter)?;
        descriptors::raise();
        let folder = DataFolder::take(&config.data)?;
        if config.holds_secrets() {
            folder.close();
        }
        let http = listen(&config.listen).await?;
        let rpc = arguments.rpc_listen.as_ref().unwrap_or(&member.address);
        let rpc = Bound::take(rpc, RPC_LISTEN).await?;
        let tls = NodeTls::of(&config, folder.path())?;
        let between = tls
            .as_ref()
            .map(NodeTls::between_nodes)
            .transpose()?
            .flatten();
        Opening {
            door: Door::Node,
            is_encrypted: tls.is_some(),
            leaves_out_keys: config.no_keys,
            is_meant: config.insecure,
        }
        .check(http.local_addr()?)?;
        Opening {
            door: Door::Between,
            is_encrypted: between.is_some(),
            leaves_out_keys: false,
            is_meant: config.insecure,
        }
        .check(rpc.local_addr()?)?;
        let setup = Self {
            config,
            membership,
            member,
            folder,
            dialling: between
                .as_ref()
                .map(|nodes| nodes.dialling.clone())
                .unwrap_or_default(),
            handshake: between.map(|nodes| nodes.handshake),
            tls,
            telemetry,
            source: OnceLock::new(),
        };
        Ok(Some((setup, Addresses { http, rpc })))
    }

    fn node_id(&self) -> NodeId {
        NodeId(Arc::from(self.member.name.as_str()))
    }

    /// Returns how other nodes are let in.
    fn admission(&self) -> Admission {
        let most = self.config.max_rpc_connections;
        Admission {
            max_connections: descriptors::node_connections(most),
            handshake: self.handshake.clone(),
        }
    }

    /// Returns what the file says of the cluster, its name as the settings in force have it.
    fn cluster_file(&self) -> ClusterFile {
        ClusterFile {
            cluster_name: self.config.cluster_name.clone(),
            membership: self.membership.clone(),
        }
    }

    /// Returns where the cluster state lies. All of this process share its connections: what one finds slow the others leave.
    ///
    /// # Errors
    /// As [`StateSource::of`].
    fn state_source(&self) -> Result<&StateSource> {
        if let Some(source) = self.source.get() {
            return Ok(source);
        }
        let source = StateSource::of(&self.cluster_file(), &self.calls())?;
        Ok(self.source.get_or_init(|| source))
    }

    fn calls(&self) -> Calls {
        Calls {
            dialling: self.dialling.clone(),
            is_encrypted: self.handshake.is_some(),
        }
    }
}

/// Returns what a node is called that has this role.
fn name_of(role: Role) -> &'static str {
    match role {
        Role::Leaf => "leaf",
        Role::Root => "root",
    }
}

/// Returns what turns true at the first signal to stop, and when `with_input`, at the end of standard
/// input.
pub(crate) fn stop_asked(with_input: bool) -> Result<watch::Receiver<bool>> {
    let signal = signals::server_stop_asked().context("cannot be stopped")?;
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            () = signal => {}
            () = input_ended(), if with_input => {}
        }
        tell.send_replace(true);
    });
    Ok(stop)
}

/// Completes once `stop` is true.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that whoever would say so is gone: the process ends.
    drop(stop.wait_for(|is_asked| *is_asked).await);
}

/// Completes when standard input ends. A thread of its own reads it: the process may end while that
/// one waits.
async fn input_ended() {
    let (tell, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tell.send(copied)
    });
    // An error to read it is an end too.
    drop(ended.await);
}
