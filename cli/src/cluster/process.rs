//! The processes of a local cluster: started, awaited, stopped in order.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use gleaner_model::Role;
use tokio::time::{Instant, sleep, timeout};

/// How long a node may take until it is ready: a restart replays its logs.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Pause between two looks at a process.
const POLL: Duration = Duration::from_millis(20);
/// How long a node may take until it has stopped in order.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// A node in a process of its own. It stops in order when this one is gone: its standard input ends
/// then.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) http_address: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a node on the configuration `config`; its output is added to `log`.
    ///
    /// # Errors
    /// When there is no such program, or the log cannot be written.
    pub(crate) fn start(
        (name, role): (&str, Role),
        config: &Path,
        log: &Path,
        http_address: &str,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let shown = log.display();
        let output = File::options().create(true).append(true).open(log);
        let output = output.with_context(|| format!("cannot write `{shown}`"))?;
        let command = match role {
            Role::Leaf => "leaf",
            Role::Root => "root",
        };
        let child = Command::new(program)
            .args([command, "--stop-with-input", "--config"])
            .arg(config)
            // A terminal sends Ctrl-C to a whole group, and leaves would end before the root has.
            .process_group(0)
            // What is set for this process is not meant for each of its nodes.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| {
                !name
                    .to_str()
                    .is_some_and(|name| name.starts_with("GLEANER_"))
            }))
            .stdin(Stdio::piped())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start node `{name}`"))?;
        Ok(Self {
            name: name.to_owned(),
            role,
            http_address: http_address.to_owned(),
            log: log.to_path_buf(),
            child,
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

    async fn is_ready(&self, client: &reqwest::Client) -> bool {
        let url = format!("http://{}/_health/ready", self.http_address);
        let answer = client.get(&url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
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

    /// Lets it end in order, or kills it when it takes too long.
    pub(crate) async fn stop(&mut self) {
        drop(self.child.stdin.take());
        if timeout(STOPPED_WITHIN, self.wait()).await.is_err() {
            tracing::warn!(
                node = self.name,
                "a node did not stop in time and is killed"
            );
            if let Err(error) = self.child.kill() {
                tracing::warn!(node = self.name, %error, "a node could not be killed");
            }
        }
    }

    fn last_line(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }
}

/// Waits until all serve.
///
/// # Errors
/// When one ends, or is not ready in time.
pub(crate) async fn all_ready(processes: &mut [Process], client: &reqwest::Client) -> Result<()> {
    for at in 0..processes.len() {
        let until = Instant::now() + READY_WITHIN;
        loop {
            // A node may wait for another one, so the end of any is the end of waiting.
            processes.iter_mut().try_for_each(Process::check_runs)?;
            let awaited = &processes[at];
            if awaited.is_ready(client).await {
                break;
            }
            ensure!(
                Instant::now() < until,
                "node `{}` is not ready after {} s; its log is `{}`",
                awaited.name,
                READY_WITHIN.as_secs(),
                awaited.log.display()
            );
            sleep(POLL).await;
        }
    }
    // An answer may have been that of another server.
    processes.iter_mut().try_for_each(Process::check_runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node whose process is `line`, run by a shell.
    fn process(name: &str, line: &str, log: &Path) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).stdin(Stdio::piped());
        Process {
            name: name.to_owned(),
            role: Role::Leaf,
            http_address: "127.0.0.1:1".to_owned(),
            log: log.to_path_buf(),
            child: shell.spawn().expect("a shell"),
        }
    }

    #[test]
    fn a_node_is_not_reached_by_the_ctrl_c_of_a_terminal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, log) = (folder.path().join("config"), folder.path().join("log"));
        // The program is that of the tests here: what it does is no matter.
        let node = Process::start(("leaf-1", Role::Leaf), &config, &log, "127.0.0.1:1");
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
        let client = reqwest::Client::builder().no_proxy().build();
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
