//! One process of a measured cluster: started, told a pace, looked at, killed.

#![expect(
    clippy::disallowed_methods,
    reason = "other processes are looked at from outside: they tell no events"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::slow::Pace;

use super::paced;
use crate::client::Client;
use crate::process;

/// How long a node may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A process; killed when dropped. It ends too when this program does: its standard input ends then.
pub(super) struct Node {
    /// Its name in the cluster.
    pub(super) name: String,
    /// Where it answers over HTTP; nothing for leaves behind a pace.
    pub(super) http: String,
    child: Child,
    /// What a leaf behind a pace answers.
    answers: Option<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts the node that `command` runs, which answers at `http`; its output goes to `log`.
    ///
    /// # Errors
    /// When there is no such program.
    pub(super) fn start(name: &str, http: &str, mut command: Command, log: &Path) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        Self::spawn(name, http, command)
    }

    /// Starts this program as a leaf behind a pace.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start_paced(
        name: &str,
        etcd: &str,
        rpc: &str,
        folder: &Path,
        log: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--paced-leaf", name, "--etcd", etcd, "--rpc", rpc])
            .arg("--folder")
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?);
        Self::spawn(name, "", command)
    }

    fn spawn(name: &str, http: &str, mut command: Command) -> Result<Self> {
        for (variable, _) in std::env::vars_os() {
            // What is set for this process is not meant for each of its nodes.
            if variable.to_string_lossy().starts_with("GLEANER_") {
                command.env_remove(variable);
            }
        }
        // Measured is what it takes to evaluate. A variable, which binaries of earlier versions do not refuse.
        command.env("GLEANER_CACHE_MEMORY", "0b");
        let child = command.stdin(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start `{name}`"))?;
        Ok(Self {
            name: name.to_owned(),
            http: http.to_owned(),
            answers: child.stdout.take().map(BufReader::new),
            child,
        })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it ends, or does not serve within a minute.
    pub(super) fn wait_until_ready(&mut self) -> Result<()> {
        if self.answers.is_some() {
            return self.hear("ready");
        }
        let start = Instant::now();
        while !is_ready(&self.http) {
            if let Some(status) = self.child.try_wait()? {
                bail!("`{}` ended at its start: {status}", self.name);
            }
            ensure!(
                start.elapsed() < READY_WITHIN,
                "`{}` does not serve",
                self.name
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sets the pace of a leaf behind one, from its next call on.
    ///
    /// # Errors
    /// When it is none, or has ended.
    pub(super) fn set_pace(&mut self, pace: Pace) -> Result<()> {
        let input = self.child.stdin.as_mut().context("it takes no lines")?;
        writeln!(input, "{}", paced::line(pace)).with_context(|| self.name.clone())?;
        self.hear("ok")
    }

    fn hear(&mut self, wanted: &str) -> Result<()> {
        let answers = self.answers.as_mut().context("it answers no lines")?;
        let mut line = String::new();
        answers.read_line(&mut line)?;
        ensure!(
            line.trim() == wanted,
            "`{}` said `{}` instead of `{wanted}`",
            self.name,
            line.trim()
        );
        Ok(())
    }

    /// Returns the CPU time it has used, user and system, all threads.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn cpu(&self) -> Result<Duration> {
        process::cpu_of(self.child.id())
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Errors
    /// When it is no process of ours any more.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_ready(address: &str) -> bool {
    let asked = Client::connect(address)
        .and_then(|mut client| Ok(client.ask("GET", "/_health/ready", b"")?.0));
    asked.is_ok_and(|status| status == 200)
}
