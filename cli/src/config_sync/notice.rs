//! How a process hears that its file has changed: a signal, a call, a command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_client::http::http_client;
use reqwest::Url;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// Time that a call or a command has.
const GIVEN_WITHIN: Duration = Duration::from_secs(30);

/// A call that fails is made again after these waits.
const CALLED_AGAIN: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Who hears of a new value, and how.
#[derive(Debug, clap::Args)]
pub(super) struct NoticeArguments {
    /// Signal to send after a change: HUP, USR1, USR2, TERM, INT
    #[arg(
        long,
        value_name = "NAME",
        default_value = "HUP",
        env = "GLEANER_SYNC_SIGNAL"
    )]
    signal: String,
    /// File with the number of the process to signal; read at each change
    #[arg(long, value_name = "FILE", env = "GLEANER_SYNC_PID_FILE")]
    pid_file: Option<PathBuf>,
    /// Name of the processes to signal, as `ps -o comm` shows it
    #[arg(
        long,
        value_name = "NAME",
        env = "GLEANER_SYNC_PROCESS",
        conflicts_with = "pid_file"
    )]
    process: Option<String>,
    /// Address to POST to after a change
    #[arg(long, value_name = "URL", env = "GLEANER_SYNC_CALL")]
    call: Option<Url>,
    /// Command of the shell to run after a change
    #[arg(long, value_name = "COMMAND", env = "GLEANER_SYNC_RUN")]
    run: Option<String>,
}

/// What happens after a change.
#[derive(Debug)]
pub(super) struct Notice {
    signal: Signal,
    processes: Option<Processes>,
    call: Option<(reqwest::Client, Url)>,
    run: Option<String>,
}

#[derive(Debug)]
enum Processes {
    InFile(PathBuf),
    Named(String),
}

impl Notice {
    /// Reads what to signal, call and run after a change.
    ///
    /// # Errors
    /// A signal that is not known, an address that cannot be called.
    pub(super) fn of(arguments: &NoticeArguments) -> Result<Self> {
        let name = arguments.signal.to_ascii_uppercase();
        let signal = match name.strip_prefix("SIG").unwrap_or(&name) {
            "HUP" => Signal::HUP,
            "USR1" => Signal::USR1,
            "USR2" => Signal::USR2,
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            _ => bail!(
                "`--signal {}`: wanted HUP, USR1, USR2, TERM or INT",
                arguments.signal
            ),
        };
        let processes = match (&arguments.pid_file, &arguments.process) {
            (Some(file), _) => Some(Processes::InFile(file.clone())),
            (_, Some(name)) => Some(Processes::Named(name.clone())),
            _ => None,
        };
        let call = arguments.call.as_ref().map(|url| {
            ensure!(
                ["http", "https"].contains(&url.scheme()),
                "`--call {url}`: wanted http or https"
            );
            let client = http_client(url.scheme() == "https", None)?;
            Ok((client.timeout(GIVEN_WITHIN).build()?, url.clone()))
        });
        Ok(Self {
            signal,
            processes,
            call: call.transpose()?,
            run: arguments.run.clone(),
        })
    }

    /// Tells of a change in all ways that were asked for; one that fails is logged, and the others still happen.
    pub(super) async fn give(&self) {
        if let Some(processes) = &self.processes {
            match self.signal_all(processes) {
                Ok(count) => tracing::info!(signal = ?self.signal, count, "processes signalled"),
                Err(error) => {
                    tracing::error!(why = format!("{error:#}"), "no process was signalled");
                }
            }
        }
        if let Some((client, url)) = &self.call
            && let Err(error) = call(client, url).await
        {
            tracing::error!(why = format!("{error:#}"), "the call after a change failed");
        }
        if let Some(command) = &self.run
            && let Err(error) = run(command).await
        {
            tracing::error!(
                why = format!("{error:#}"),
                "the command after a change failed"
            );
        }
    }

    fn signal_all(&self, processes: &Processes) -> Result<usize> {
        let pids = match processes {
            Processes::InFile(file) => vec![read_pid(file)?],
            Processes::Named(name) => named(name)?,
        };
        for pid in &pids {
            let signalled = kill_process(*pid, self.signal);
            signalled.with_context(|| format!("process {}", pid.as_raw_nonzero()))?;
        }
        Ok(pids.len())
    }
}

fn read_pid(file: &Path) -> Result<Pid> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read `{}`", file.display()))?;
    let pid = text
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
        .and_then(Pid::from_raw);
    pid.with_context(|| format!("`{}` holds no number of a process", file.display()))
}

/// Returns the processes of this name that can be seen from here, this one left out.
fn named(name: &str) -> Result<Vec<Pid>> {
    let own = std::process::id().to_string();
    // The system keeps 15 bytes of a name.
    let wanted = &name.as_bytes()[..name.len().min(15)];
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let folder = entry?.file_name().to_string_lossy().into_owned();
        let Some(pid) = folder
            .parse()
            .ok()
            .filter(|pid| *pid > 0)
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        // It may have ended since.
        let comm = fs::read_to_string(format!("/proc/{folder}/comm")).unwrap_or_default();
        if folder != own && comm.trim_end().as_bytes() == wanted {
            pids.push(pid);
        }
    }
    ensure!(!pids.is_empty(), "no process is called `{name}`");
    Ok(pids)
}

async fn call(client: &reqwest::Client, url: &Url) -> Result<()> {
    let mut waits = CALLED_AGAIN.iter();
    loop {
        let answer = client.post(url.clone()).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        match (answer, waits.next()) {
            // It would be the same the next time, and another address is not called.
            (Ok(answer), _) if answer.status().is_redirection() => bail!(
                "the server answered {}: give the address that answers",
                answer.status()
            ),
            (Ok(answer), _) => {
                tracing::info!(status = %answer.status(), "called after a change");
                return Ok(());
            }
            (Err(error), None) => return Err(error.without_url().into()),
            (Err(_), Some(wait)) => tokio::time::sleep(*wait).await,
        }
    }
}

async fn run(command: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(GIVEN_WITHIN, shell.status()).await;
    let status = ended.context("it has not ended within 30 s")??;
    ensure!(status.success(), "{status}");
    Ok(())
}
