//! `gleaner cluster up`: fronts, roots, leaves and an etcd on this machine, each a process of its own.

mod accept_loss;
mod consent;
mod etcd;
mod folders;
mod map;
mod plan;
mod process;
mod recover;
mod status;
mod users;

use std::{
    cmp::Reverse,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt as _, stream::FuturesUnordered};
use gleaner_client::http::http_client;
use gleaner_model::PeerRole;

use crate::{
    exit::Exit,
    exposure::{Door, Opening},
    node::state::Participant,
    serve::{
        self,
        folder::{DataFolder, PROCESSES},
    },
    signals,
    terminal::say,
};
use accept_loss::AcceptLossArguments;
use plan::Plan;
use process::{Part, Process};
use recover::RecoverArguments;
use status::StatusArguments;
use users::UsersArguments;

/// Longest time a node is asked whether it is ready before it is asked again.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// A local cluster of several processes, and the state of any cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArguments {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    Up(UpArguments),
    Status(StatusArguments),
    EtcdUsers(UsersArguments),
    AcceptLoss(AcceptLossArguments),
    Recover(RecoverArguments),
}

/// Start roots, leaves and fronts on this machine, and stop them in order at SIGINT or SIGTERM.
///
/// The cluster state is in an etcd of three members, which is started too: it must be installed.
///
/// Everything lies in the data folder: a folder, a configuration and a log for each node, and
/// `processes.json`, which says what process each of them is and which shards it holds. Started again
/// on the same folder, the cluster has the same documents.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArguments {
    /// How many leaves hold shards
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    leaves: u32,
    /// On how many leaves each shard lies, where an index does not say otherwise
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    copies: u32,
    /// How many roots answer
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    roots: u32,
    /// How many fronts stand ahead of the roots
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=16))]
    fronts: u32,
    /// Encrypt all connections and require API keys of clients: certificates are made in the data folder, clients trust
    /// its `ca.pem`, and the first key lies in `root-1/admin.key`, or in the folder of another root
    #[arg(long)]
    secure: bool,
    /// Leave the API keys out of what --secure asks for: who reaches the address may read and write all documents
    #[arg(long, requires = "secure")]
    no_keys: bool,
    /// `--secure` asks for keys: kept for command lines of the version before
    #[arg(long, hide = true, requires = "secure", conflicts_with = "no_keys")]
    keys: bool,
    /// Listen on an address that other machines reach without encrypting connections, or without API keys
    #[arg(long)]
    insecure: bool,
    /// Every cluster is on etcd: kept for command lines of the version before
    #[arg(long, hide = true)]
    etcd: bool,
    /// Write what clients ask to `NAME.access.jsonl` in the folder, for each front and root
    #[arg(long)]
    access_logs: bool,
    /// Collector that the spans of all requests are sent to, as OTLP over HTTP
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Address to listen on for clients, of the first front or else the first root; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9200", value_name = "HOST:PORT")]
    listen: String,
    /// Folder of everything that is kept; made when absent
    #[arg(long, default_value = "gleaner-cluster", value_name = "DIR")]
    data: PathBuf,
}

/// Runs the command.
pub(crate) async fn run(arguments: ClusterArguments) -> Result<Exit> {
    let arguments = match arguments.command {
        ClusterCommand::Up(arguments) => arguments,
        ClusterCommand::Status(arguments) => return status::run(&arguments).await,
        ClusterCommand::EtcdUsers(arguments) => return users::run(&arguments).await,
        ClusterCommand::AcceptLoss(arguments) => return accept_loss::run(&arguments).await,
        ClusterCommand::Recover(arguments) => return recover::run(&arguments).await,
    };
    ensure!(
        arguments.copies <= arguments.leaves,
        "{} copies need as many leaves, there are to be {}",
        arguments.copies,
        arguments.leaves
    );
    ensure!(
        !(arguments.insecure && arguments.secure) || arguments.no_keys,
        "`--insecure` cannot be used with `--secure`, which encrypts connections and asks for API keys"
    );
    up(&arguments).await
}

async fn up(arguments: &UpArguments) -> Result<Exit> {
    let stop = signals::server_stop_asked()?;
    let folder = DataFolder::take(&arguments.data)?;
    if arguments.secure {
        folder.close();
    }
    folder.check_of_processes()?;
    folders::check_count(&arguments.data, arguments.leaves)?;
    etcd::check_folder(&arguments.data)?;
    plan::check_encryption(arguments)?;
    let (listen, taken) = take_address(&arguments.listen).await?;
    Opening {
        door: Door::Cluster,
        is_encrypted: arguments.secure,
        leaves_out_keys: arguments.no_keys,
        is_meant: arguments.insecure,
    }
    .check(taken.local_addr()?)?;
    let data = std::path::absolute(&arguments.data)?;
    let missing = folders::missing(&data, arguments.leaves);
    tell_missing(&data, &missing);
    let plan = Plan::of(arguments, listen, missing)?;
    let mut processes = plan.start_etcd()?;
    folder.remove_old_processes()?;
    let serving = async {
        plan.guard_etcd(&mut processes).await?;
        drop(taken);
        processes.extend(plan.start_nodes()?);
        supervise(&plan, &data, &mut processes).await
    };
    let outcome = tokio::select! {
        outcome = serving => outcome,
        () = stop => Ok(()),
    };
    // Fronts and roots first: what they have taken they can still carry out.
    processes.sort_by_key(|process| Reverse(process.part));
    let mut broken_off = Vec::new();
    for process in &mut processes {
        if !process.stop().await {
            broken_off.push(process.name.clone());
        }
    }
    say(&farewell(arguments, &broken_off));
    outcome.map(|()| Exit::Success)
}

/// Takes the address of the root until the other nodes have theirs; returns it with its port, chosen here
/// where it is to be 0.
///
/// A node that cannot have the port would say so only in its log, and another server there would be taken
/// for it.
async fn take_address(listen: &str) -> Result<(String, tokio::net::TcpListener)> {
    let listener = serve::address::listen(listen).await?;
    let named = serve::address::LISTEN.complete(listen)?;
    let address = if named.ends_with(":0") {
        listener.local_addr()?.to_string()
    } else {
        named
    };
    Ok((address, listener))
}

/// Runs until all fronts, all roots or all members of the etcd have ended, which is a failure.
async fn supervise(plan: &Plan, data: &Path, processes: &mut [Process]) -> Result<()> {
    let ca = plan.ca();
    let client = http_client(ca.is_some(), ca.as_deref())?
        .timeout(ASKED_FOR)
        .no_proxy();
    let client = client.build()?;
    process::all_ready(processes, &client).await?;
    let coordinator = plan.state_source()?.open(Participant::Reader).await?;
    let mut states = coordinator.watch();
    let path = data.join(PROCESSES);
    let mut map = plan.map(processes);
    map.place(&states.borrow_and_update().clone());
    map.write(&path)?;
    tell(plan, &path);
    let mut ended: FuturesUnordered<_> = processes.iter_mut().map(outcome).collect();
    loop {
        tokio::select! {
            changed = states.changed() => {
                changed.context("the cluster state is not followed any more")?;
                map.place(&states.borrow_and_update().clone());
                map.write(&path)?;
            }
            Some((name, part, how)) = ended.next() => {
                tracing::warn!(node = name, how, "a node ended");
                for node in map.nodes.iter_mut().filter(|node| node.name == name) {
                    node.pid = 0;
                }
                map.write(&path)?;
                let is_last = !map.nodes.iter().any(|node| node.role == part && node.pid != 0);
                if part != Part::Node(PeerRole::Leaf) && is_last {
                    bail!("node `{name}` ended: {how}; its log is in `{}`", data.display());
                }
            }
        }
    }
}

/// Says what became of the data.
fn farewell(arguments: &UpArguments, broken_off: &[String]) -> String {
    let what = match broken_off {
        [] => "everything is committed".to_owned(),
        names => format!(
            "{} did not end in order; acknowledged writes are in the log, which the next start replays",
            names.join(", ")
        ),
    };
    let data = arguments.data.display();
    let mut again = format!(
        "gleaner cluster up --data {data} --leaves {}",
        arguments.leaves
    );
    if arguments.roots != 1 {
        again += &format!(" --roots {}", arguments.roots);
    }
    if arguments.fronts != 0 {
        again += &format!(" --fronts {}", arguments.fronts);
    }
    if arguments.secure {
        again += " --secure";
    }
    if arguments.no_keys {
        again += " --no-keys";
    }
    if arguments.insecure {
        again += " --insecure";
    }
    if arguments.access_logs {
        again += " --access-logs";
    }
    if let Some(endpoint) = &arguments.otlp_endpoint {
        again += &format!(" --otlp-endpoint {endpoint}");
    }
    format!("stopped; {what}. The data is in `{data}`: `{again}` serves it again")
}

async fn outcome(process: &mut Process) -> (String, Part, String) {
    let how = process.ended().await;
    (process.name.clone(), process.part, how)
}

fn tell(plan: &Plan, map: &Path) {
    let count = |role| plan.num_of(role);
    let url = plan.url();
    let trust = match plan.ca() {
        Some(ca) => format!(" --cacert {}", ca.display()),
        None => String::new(),
    };
    let fronts = match count(PeerRole::Front) {
        0 => String::new(),
        number => format!("{number} fronts, "),
    };
    let keys = match plan.requires_keys() {
        true => format!(
            "  export GLEANER_API_KEY=$(cat {}/root-*/admin.key)\n",
            plan.data().display()
        ),
        false => String::new(),
    };
    let trust_and_key = match plan.requires_keys() {
        true => format!("{trust} -H \"Authorization: ApiKey $GLEANER_API_KEY\""),
        false => trust.clone(),
    };
    let text = format!(
        "{fronts}{} roots and {} leaves, {} copies of each shard. Try:

{keys}  curl{trust_and_key} '{url}/_cat/nodes?v'
  gleaner index{trust} --url {url} --index notes FILE.ndjson
  curl{trust_and_key} '{url}/_cat/shards?v'
  gleaner top{trust} --url {url} --cluster {}

When a leaf is lost, other copies of its shards take over.
Its processes and shards: {}
",
        count(PeerRole::Root),
        count(PeerRole::Leaf),
        plan.copies(),
        plan.members_file().display(),
        map.display()
    );
    // A courtesy: nobody has to read it.
    drop(stdout().write_all(text.as_bytes()));
}

/// Says which leaves do not start because their folders are not there.
fn tell_missing(data: &Path, missing: &[String]) {
    for name in missing {
        let (folder, config) = (data.join(name), data.join(format!("{name}.toml")));
        let text = format!(
            "The data folder of `{name}` is missing: `{}`. The cluster comes up without it: other copies of its \
             shards take over, and shards without another copy in sync are not there (red). Put the folder back and start again; when it is gone for good, remove `{}` to have \
             the leaf start empty, and see \"a lost folder\" in docs/cluster.md.\n",
            folder.display(),
            config.display()
        );
        // A courtesy: the state of the cluster tells it too.
        drop(stderr().write_all(text.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_became_of_the_data() {
        let mut arguments = UpArguments {
            leaves: 3,
            copies: 1,
            roots: 1,
            fronts: 0,
            secure: false,
            no_keys: false,
            keys: false,
            insecure: false,
            etcd: false,
            access_logs: false,
            otlp_endpoint: None,
            listen: String::new(),
            data: "d".into(),
        };
        let whole = farewell(&arguments, &[]);
        assert!(
            whole.starts_with("stopped; everything is committed."),
            "{whole}"
        );
        assert!(
            whole.contains("`gleaner cluster up --data d --leaves 3`"),
            "{whole}"
        );
        (arguments.roots, arguments.fronts) = (2, 3);
        (arguments.secure, arguments.access_logs) = (true, true);
        arguments.otlp_endpoint = Some("http://c:4318".to_owned());
        let broken = farewell(&arguments, &["leaf-2".to_owned()]);
        assert!(
            broken.contains(
                "--leaves 3 --roots 2 --fronts 3 --secure --access-logs --otlp-endpoint http://c:4318`"
            ),
            "{broken}"
        );
        assert!(
            !broken.contains("everything") && broken.contains("leaf-2 did not"),
            "{broken}"
        );
        arguments.no_keys = true;
        let without_keys = farewell(&arguments, &[]);
        assert!(
            without_keys.contains("--fronts 3 --secure --no-keys --access-logs"),
            "{without_keys}"
        );
        arguments.no_keys = false;
        (arguments.secure, arguments.insecure) = (false, true);
        let open = farewell(&arguments, &[]);
        assert!(
            open.contains("--fronts 3 --insecure --access-logs"),
            "{open}"
        );
    }

    #[tokio::test]
    async fn the_root_is_told_a_port_at_which_it_can_be_asked() {
        let (address, taken) = take_address("127.0.0.1:0").await.expect("a free port");
        let chosen = taken.local_addr().expect("an address").to_string();
        assert_eq!(address, chosen);
    }
}
