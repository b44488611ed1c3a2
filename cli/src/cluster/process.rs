//! The processes of a local cluster: started, awaited, stopped in order. Read first: [`Process`].

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use gleaner_model::PeerRole;
use rustix::process::Signal;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::etcd::EtcdMember;
use crate::node::leaf::has_only_failed;

/// How long a node may take until it is ready: a restart replays its logs.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How often the command says which node it waits for.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// Pause between two looks at a process.
const POLL: Duration = Duration::from_millis(20);
/// How long a node may take until it has stopped in order.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// What a process of a local cluster does; each waits for those of the parts before its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Part {
    /// Keeps the cluster state, with other members of its etcd.
    #[serde(rename = "etcd")]
    Etcd,
    /// A node.
    #[serde(untagged)]
    Node(PeerRole),
}

/// What a node is started with.
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) role: PeerRole,
    /// What follows the name of the command.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) log: PathBuf,
    pub(crate) url: String,
}

/// A node in a process of its own. It stops in order when this one is gone: its standard input ends
/// then.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) part: Part,
    /// Where it answers probes, with `http://` or `https://`.
    pub(crate) url: String,
    /// A root of a cluster that lacks leaves: it may lack shards, so that it runs is enough.
    pub(crate) is_degraded: bool,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a node; its output is added to its log.
    ///
    /// # Errors
    /// When there is no such program, or the log cannot be written.
    pub(crate) fn start(node: Launch) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .args([node.role.name(), "--stop-with-input"])
            .args(&node.arguments);
        let child = spawn(command, &node.name, &node.log)?;
        Ok(Self {
            name: node.name,
            part: Part::Node(node.role),
            url: node.url,
            is_degraded: false,
            log: node.log,
            child,
        })
    }

    /// Starts a member of an etcd; its output is added to its log.
    ///
    /// # Errors
    /// When there is no shell, or the log cannot be written.
    pub(crate) fn start_etcd(member: &EtcdMember, log: PathBuf) -> Result<Self> {
        Ok(Self {
            name: member.name.clone(),
            part: Part::Etcd,
            url: format!("http://{}", member.probes),
            is_degraded: false,
            child: spawn(member.command(), &member.name, &log)?,
            log,
        })
    }

    /// Returns its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with what it said last when it has ended.
    fn check_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "node `{}` ended ({status}): {}",
                self.name,
                self.last_line()
            );
        }
        Ok(())
    }

    /// Returns whether it serves; why not, as far as it says.
    async fn is_ready(&self, client: &reqwest::Client) -> Result<(), String> {
        let probe = match self.part {
            Part::Etcd => "health",
            Part::Node(_) if self.is_degraded => "_health/live",
            Part::Node(_) => "_health/ready",
        };
        let url = format!("{}/{probe}", self.url);
        let answer = client.get(&url).send().await;
        let answer = answer.map_err(|_| "it does not answer yet".to_owned())?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(answer.text().await.unwrap_or_default().trim().to_owned()),
        }
    }

    /// Waits until it has ended; returns how, in words.
    pub(crate) async fn ended(&mut self) -> String {
        match self.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(POLL).await;
        }
    }

    /// Lets it end in order, or kills it when it takes too long; returns whether it ended as it should.
    pub(crate) async fn stop(&mut self) -> bool {
        drop(self.child.stdin.take());
        let ended = timeout(STOPPED_WITHIN, self.wait()).await;
        if ended.is_err() {
            tracing::warn!(
                node = self.name,
                "a node did not stop in time and is killed"
            );
            if let Err(error) = self.child.kill() {
                tracing::warn!(node = self.name, %error, "a node could not be killed");
            }
        }
        ended.is_ok_and(|status| status.is_ok_and(|status| self.is_in_order(status)))
    }

    /// An etcd that was asked to end does so by the signal that asked it.
    fn is_in_order(&self, status: ExitStatus) -> bool {
        let by_signal = self.part == Part::Etcd && status.signal() == Some(Signal::TERM.as_raw());
        status.success() || by_signal
    }

    /// Says why it does not serve yet.
    fn tell_late(&self, reason: &str, is_given_up: bool) {
        let rest = match is_given_up {
            true => "The cluster goes on without waiting for it",
            false => "Waiting for it",
        };
        let (name, log) = (&self.name, self.log.display());
        let text = format!("`{name}` does not serve yet: {reason}. {rest}; its log is `{log}`.\n");
        // A courtesy: its log tells it too.
        drop(io::stderr().write_all(text.as_bytes()));
    }

    fn last_line(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }
}

/// Starts a process that is let end by the end of its input; its output is added to its log.
fn spawn(mut command: Command, name: &str, log: &Path) -> Result<Child> {
    let output = File::options().create(true).append(true).open(log);
    let output = output.with_context(|| format!("cannot write `{}`", log.display()))?;
    command
        // A terminal sends Ctrl-C to a whole group, and leaves would end before the root has.
        .process_group(0)
        // What is set for this process is not meant for each of its nodes.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.to_str();
            !name.is_some_and(|name| name.starts_with("GLEANER_") || name.starts_with("ETCD_"))
        }))
        .stdin(Stdio::piped())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))
}

/// Waits until one of them has ended; returns what to say of it.
pub(crate) async fn first_end(processes: &mut [Process]) -> anyhow::Error {
    loop {
        if let Err(ended) = processes.iter_mut().try_for_each(Process::check_runs) {
            return ended;
        }
        sleep(POLL).await;
    }
}

/// Waits until all serve. One that does not in time is named with the reason, and left to itself: the others
/// can serve without it.
///
/// # Errors
/// When one ends.
pub(crate) async fn all_ready(processes: &mut [Process], client: &reqwest::Client) -> Result<()> {
    // Leaves before roots: what roots say depends on them, and what fronts say on roots.
    let mut order: Vec<usize> = (0..processes.len()).collect();
    order.sort_by_key(|at| processes[*at].part);
    let mut lacks_any = false;
    for at in order {
        processes[at].is_degraded |= lacks_any && processes[at].part > Part::Node(PeerRole::Leaf);
        lacks_any |= !wait(processes, at, client).await?;
    }
    // An answer may have been that of another server.
    processes.iter_mut().try_for_each(Process::check_runs)
}

/// Waits for one of them; returns whether it serves. One is given up when its time is over, or when none of
/// its copies is on its way and some have failed: that does not pass soon.
async fn wait(processes: &mut [Process], at: usize, client: &reqwest::Client) -> Result<bool> {
    let until = Instant::now() + READY_WITHIN;
    let mut told_at = Instant::now() + TOLD_AFTER;
    loop {
        // A node may wait for another one, so the end of any is the end of waiting.
        processes.iter_mut().try_for_each(Process::check_runs)?;
        let awaited = &processes[at];
        let Err(reason) = awaited.is_ready(client).await else {
            return Ok(true);
        };
        let is_due = Instant::now() >= told_at;
        let is_given_up = Instant::now() >= until || (is_due && has_only_failed(&reason));
        if is_due || is_given_up {
            told_at += TOLD_AFTER;
            awaited.tell_late(&reason, is_given_up);
        }
        if is_given_up {
            return Ok(false);
        }
        sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A node whose process is `line`, run by a shell.
    fn process(name: &str, line: &str, log: &Path) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).stdin(Stdio::piped());
        Process {
            name: name.to_owned(),
            part: Part::Node(PeerRole::Leaf),
            url: "http://127.0.0.1:1".to_owned(),
            is_degraded: false,
            log: log.to_path_buf(),
            child: shell.spawn().expect("a shell"),
        }
    }

    #[test]
    fn a_node_is_not_reached_by_the_ctrl_c_of_a_terminal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, log) = (folder.path().join("config"), folder.path().join("log"));
        // The program is that of the tests here: what it does is no matter.
        let node = Process::start(Launch {
            name: "leaf-1".to_owned(),
            role: PeerRole::Leaf,
            arguments: vec!["--config".into(), config.into()],
            log,
            url: "http://127.0.0.1:1".to_owned(),
        });
        let mut node = node.expect("it starts");
        let pid = rustix::process::Pid::from_child(&node.child);
        let group = rustix::process::getpgid(Some(pid)).expect("it is not waited for yet");
        assert_eq!(group, pid, "it has a group of its own");
        drop(node.child.stdin.take());
        node.child.wait().expect("it ends");
    }

    #[tokio::test]
    async fn the_end_of_any_node_is_told_while_another_is_awaited() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        std::fs::write(&log, "error: the port is taken\n").expect("written");
        let client = gleaner_client::http::http_client(false, None)
            .expect("a client")
            .no_proxy()
            .build();
        let mut processes = [
            process("waits", "cat", &log),
            process("ends", "exit 1", &log),
        ];
        let ready = all_ready(&mut processes, &client.expect("a client")).await;
        let error = ready.expect_err("one has ended").to_string();
        assert!(
            error.starts_with("node `ends` ended") && error.ends_with("the port is taken"),
            "{error}"
        );
        processes[0].stop().await;
    }
}
