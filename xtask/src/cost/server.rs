//! The server whose requests are counted: on a folder that is kept from one start to the next.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use super::client::{Connection, Request};
use crate::workspace::Workspace;

/// How long a server may take until it answers: under callgrind it reads 80 MB of symbols first.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// A running `gleaner serve`.
pub(super) struct Served {
    child: Child,
    address: SocketAddr,
}

/// Returns an empty folder for the data of a run.
pub(super) fn folder(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.scratch().join("cost");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&folder)?,
    }
    Ok(folder)
}

impl Served {
    /// Starts `binary` on the data below `folder`, within `wrapper` where there is one, and waits until it is ready.
    pub(super) fn start(
        workspace: &Workspace,
        binary: &Path,
        folder: &Path,
        wrapper: Option<Command>,
    ) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = workspace.scratch().join("cost.log");
        let output = fs::File::options().create(true).append(true).open(&log)?;
        let mut command = match wrapper {
            Some(mut wrapper) => {
                wrapper.arg(binary);
                wrapper
            }
            None => Command::new(binary),
        };
        let child = command
            .args(["serve", "--listen", &address.to_string(), "--data"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { child, address };
        let ready = server.wait_until_ready();
        ready.with_context(|| format!("see {}", log.display()))?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order: everything is committed.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        ensure!(asked.success(), "the server cannot be stopped");
        self.child.wait()?;
        Ok(())
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it answered");
            }
            let ready = Request::new("GET /_cluster/health?wait_for_status=green", "");
            let asked = Connection::open(self.address).and_then(|mut one| one.ask(&ready));
            if asked.is_ok() {
                return Ok(());
            }
            pause(Duration::from_millis(50));
        }
        bail!("the server did not answer within {READY_WITHIN:?}")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already where it was stopped.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for another process, or for time itself to pass.
#[expect(
    clippy::disallowed_methods,
    reason = "another process offers no event to wait on"
)]
pub(super) fn pause(time: Duration) {
    thread::sleep(time);
}
