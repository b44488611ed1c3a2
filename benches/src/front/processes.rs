//! Processes that are measured, with those that they begin.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::process::cpu_of;

/// How long a process may take until it serves.
const START: Duration = Duration::from_secs(60);

/// A process and its children; stopped when dropped.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Starts a command; what it says goes to `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let started = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        let child = started.with_context(|| format!("{command:?} does not start"))?;
        Ok(Self { child })
    }

    /// Returns its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Returns the CPU time that process `own` and its children have used.
pub(super) fn cpu_of_tree(own: u32) -> Result<Duration> {
    let parents = parents()?;
    let is_of_tree = |pid: u32| {
        let mut at = pid;
        while at != own {
            match parents.get(&at) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        true
    };
    let of_tree = parents.keys().filter(|pid| is_of_tree(**pid));
    // One that has ended meanwhile is no server of requests.
    Ok(of_tree.filter_map(|pid| cpu_of(*pid).ok()).sum())
}

impl Drop for Running {
    fn drop(&mut self) {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        if asked.is_ok() {
            drop(self.child.wait());
        }
    }
}

/// Returns the parent of each process.
fn parents() -> Result<HashMap<u32, u32>> {
    let mut parents = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
        let parent = fields.and_then(|fields| fields.split(' ').nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.insert(pid, parent);
        }
    }
    Ok(parents)
}

/// Returns whether a server at `address` says that it is ready.
pub(super) fn is_ready(address: &str) -> bool {
    let asked = Client::connect(address)
        .and_then(|mut client| Ok(client.ask("GET", "/_health/ready", b"")?.0));
    asked.is_ok_and(|status| status == 200)
}

/// Waits until `is_there` says so.
#[expect(
    clippy::disallowed_methods,
    reason = "another process is looked at from outside: it tells no events"
)]
pub(super) fn until(what: &str, mut is_there: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_there() {
        if begun.elapsed() > START {
            bail!("{what} does not come");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Returns a port that is free now.
pub(super) fn free_port() -> Result<u16> {
    Ok(gleaner_machine::ports::held()?.local_addr()?.port())
}
