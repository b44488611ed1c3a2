//! `gleaner cluster up`: a root and its leaves on this machine, each a process of its own.

mod folders;
mod map;
mod process;

use std::{
    io::{Write, stderr, stdout},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt as _, stream::FuturesUnordered};
use gleaner_coordinator::Coordinator;
use gleaner_keeper::Follower;
use gleaner_model::Role;
use gleaner_proto::{GrpcMetadata, Peer};
use toml::Table;

use crate::{
    exit::Exit,
    node::membership::{Member, Membership},
    serve::{
        self,
        folder::{DataFolder, PROCESSES},
    },
    signals,
    terminal::say,
};
use map::{Entry, Map};
use process::Process;

/// Longest time a node is asked whether it is ready before it is asked again.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// A local cluster of several processes.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArguments {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    Up(UpArguments),
}

/// Start a root and leaves on this machine, and stop them in order at SIGINT or SIGTERM.
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
    /// Address to listen on for clients; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9200", value_name = "HOST:PORT")]
    listen: String,
    /// Folder of everything that is kept; made when absent
    #[arg(long, default_value = "gleaner-cluster", value_name = "DIR")]
    data: PathBuf,
}

/// Runs the command.
pub(crate) async fn run(arguments: ClusterArguments) -> Result<Exit> {
    let ClusterCommand::Up(arguments) = arguments.command;
    ensure!(
        arguments.copies <= arguments.leaves,
        "{} copies need as many leaves, there are to be {}",
        arguments.copies,
        arguments.leaves
    );
    up(&arguments).await
}

async fn up(arguments: &UpArguments) -> Result<Exit> {
    let stop = signals::stop_asked()?;
    let folder = DataFolder::take(&arguments.data)?;
    folder.check_of_processes()?;
    folders::check_count(&arguments.data, arguments.leaves)?;
    let (listen, taken) = take_address(&arguments.listen).await?;
    let data = std::path::absolute(&arguments.data)?;
    let mut plan = Plan::of(arguments, listen)?;
    plan.missing = folders::missing(&data, arguments.leaves);
    tell_missing(&data, &plan.missing);
    drop(taken);
    let mut processes = plan.start(&data)?;
    folder.remove_old_processes()?;
    let outcome = tokio::select! {
        outcome = supervise(&plan, &data, &mut processes) => outcome,
        () = stop => Ok(()),
    };
    // The root first: what it has taken it can still carry out.
    let mut broken_off = Vec::new();
    for process in &mut processes {
        if !process.stop().await {
            broken_off.push(process.name.clone());
        }
    }
    say(&farewell(&arguments.data, arguments.leaves, &broken_off));
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

/// Runs until the root has ended, which is a failure.
async fn supervise(plan: &Plan, data: &Path, processes: &mut [Process]) -> Result<()> {
    let client = reqwest::Client::builder()
        .timeout(ASKED_FOR)
        .no_proxy()
        .build()?;
    process::all_ready(processes, &client).await?;
    let keeper = GrpcMetadata::new(Peer::new(plan.membership.keeper_address())?);
    let follower = Follower::start(Arc::new(keeper)).await;
    let mut states = follower.watch();
    let path = data.join(PROCESSES);
    let mut map = plan.map(processes);
    map.place(&states.borrow_and_update().clone());
    map.write(&path)?;
    tell(&plan.listen, arguments_of(plan), &path);
    let mut ended: FuturesUnordered<_> = processes.iter_mut().map(outcome).collect();
    loop {
        tokio::select! {
            changed = states.changed() => {
                changed.context("the cluster state is not followed any more")?;
                map.place(&states.borrow_and_update().clone());
                map.write(&path)?;
            }
            Some((name, role, how)) = ended.next() => {
                tracing::warn!(node = name, how, "a node ended");
                for node in map.nodes.iter_mut().filter(|node| node.name == name) {
                    node.pid = 0;
                }
                map.write(&path)?;
                if role == Role::Root {
                    bail!("node `{name}` ended: {how}; its log is in `{}`", data.display());
                }
            }
        }
    }
}

/// Says what became of the data.
fn farewell(data: &Path, leaves: u32, broken_off: &[String]) -> String {
    let what = match broken_off {
        [] => "everything is committed".to_owned(),
        names => format!(
            "{} did not end in order; acknowledged writes are in the log, which the next start replays",
            names.join(", ")
        ),
    };
    let data = data.display();
    format!(
        "stopped; {what}. The data is in `{data}`: `gleaner cluster up --data {data} --leaves {leaves}` \
         serves it again"
    )
}

async fn outcome(process: &mut Process) -> (String, Role, String) {
    let how = process.ended().await;
    (process.name.clone(), process.role, how)
}

fn arguments_of(plan: &Plan) -> (usize, u32) {
    (plan.membership.nodes.len() - 1, plan.copies)
}

fn tell(listen: &str, (num_leaves, copies): (usize, u32), map: &Path) {
    let text = format!(
        "A root and {num_leaves} leaves, {copies} copies of each shard. Try:

  curl 'http://{listen}/_cat/nodes?v'
  gleaner index --url http://{listen} --index notes FILE.ndjson
  curl 'http://{listen}/_cat/shards?v'

Its processes and shards: {}
",
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
            "The data folder of `{name}` is missing: `{}`. The cluster comes up without it: its shards are \
             searched on their replicas and take no writes, and those without a replica are not there \
             (red). Put the folder back and start again; when it is gone for good, remove `{}` to have \
             the leaf start empty, and see \"a lost folder\" in docs/cluster.md.\n",
            folder.display(),
            config.display()
        );
        // A courtesy: the state of the cluster tells it too.
        drop(stderr().write_all(text.as_bytes()));
    }
}

/// The nodes that are to be, with their addresses.
struct Plan {
    membership: Membership,
    /// Leaves whose folders are not there: they do not start.
    missing: Vec<String>,
    listen: String,
    copies: u32,
}

impl Plan {
    /// Names the nodes and finds free ports for those that clients do not call.
    fn of(arguments: &UpArguments, listen: String) -> Result<Self> {
        // All at once, so that no port is found twice.
        let wanted = 1 + 2 * arguments.leaves as usize;
        let free: Vec<TcpListener> = (0..wanted)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()
            .context("cannot find free ports")?;
        let mut addresses = free.iter().map(TcpListener::local_addr);
        let mut next = || -> Result<String> {
            let address = addresses.next().context("too few ports were asked for")?;
            Ok(address?.to_string())
        };
        let root = Member {
            name: "root-1".to_owned(),
            role: Role::Root,
            address: next()?,
            http_address: Some(listen.clone()),
            weight: 1.0,
            zone: None,
        };
        let mut nodes = vec![root];
        for number in 1..=arguments.leaves {
            nodes.push(Member {
                name: format!("leaf-{number}"),
                role: Role::Leaf,
                address: next()?,
                http_address: Some(next()?),
                weight: 1.0,
                zone: None,
            });
        }
        Ok(Self {
            membership: Membership {
                keeper: "root-1".to_owned(),
                nodes,
            },
            missing: Vec::new(),
            listen,
            copies: arguments.copies,
        })
    }

    /// Writes each node's configuration and starts it.
    fn start(&self, data: &Path) -> Result<Vec<Process>> {
        let start = |member: &Member| {
            let config = data.join(format!("{}.toml", member.name));
            std::fs::write(&config, self.config(member, data)?)
                .with_context(|| format!("cannot write `{}`", config.display()))?;
            let log = data.join(format!("{}.log", member.name));
            let http_address = member.http_address.as_deref().unwrap_or_default();
            let node = (&*member.name, member.role);
            let mut process = Process::start(node, &config, &log, http_address)?;
            process.is_degraded = member.role == Role::Root && !self.missing.is_empty();
            Ok(process)
        };
        let is_there = |member: &&Member| !self.missing.contains(&member.name);
        self.membership
            .nodes
            .iter()
            .filter(is_there)
            .map(start)
            .collect()
    }

    fn config(&self, member: &Member, data: &Path) -> Result<String> {
        let mut table = Table::new();
        let mut set = |name: &str, value: &str| table.insert(name.to_owned(), value.into());
        set("node_name", &member.name);
        set("data", &data.join(&member.name).to_string_lossy());
        set("listen", member.http_address.as_deref().unwrap_or_default());
        let replicas = i64::from(self.copies) - 1;
        table.insert("default_replicas".to_owned(), replicas.into());
        let cluster = Table::try_from(&self.membership)?;
        table.insert("cluster".to_owned(), cluster.into());
        Ok(toml::to_string(&table)?)
    }

    fn map(&self, processes: &[Process]) -> Map {
        let entry = |member: &Member| {
            let http_address = member.http_address.clone().unwrap_or_default();
            let process = processes.iter().find(|process| process.name == member.name);
            Entry {
                name: member.name.clone(),
                role: member.role,
                pid: process.map_or(0, Process::pid),
                address: match member.role {
                    Role::Root => http_address.clone(),
                    Role::Leaf => member.address.clone(),
                },
                http_address,
                shards: Vec::new(),
            }
        };
        Map {
            url: format!("http://{}", self.listen),
            nodes: self.membership.nodes.iter().map(entry).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_became_of_the_data() {
        let whole = farewell(Path::new("d"), 3, &[]);
        assert!(
            whole.starts_with("stopped; everything is committed."),
            "{whole}"
        );
        assert!(
            whole.contains("`gleaner cluster up --data d --leaves 3`"),
            "{whole}"
        );
        let broken = farewell(Path::new("d"), 3, &["leaf-2".to_owned()]);
        assert!(
            !broken.contains("everything") && broken.contains("leaf-2 did not"),
            "{broken}"
        );
    }

    #[tokio::test]
    async fn the_root_is_told_a_port_at_which_it_can_be_asked() {
        let (address, taken) = take_address("127.0.0.1:0").await.expect("a free port");
        let chosen = taken.local_addr().expect("an address").to_string();
        assert_eq!(address, chosen);
    }
}
