//! The real binary, in a process of its own.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use gleaner_machine::ports;
use tokio::time::{Instant, sleep};

use crate::http::{Request, Response};

/// How long a server may take until it answers: a restart replays its log, on a busy machine.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take until it has stopped in order.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at another process.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// A running `gleaner serve`, or a `gleaner front` ahead of one; killed when dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Data folder.
    pub data: PathBuf,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    /// Size of a disk of its own on the data folder, in bytes; `None`: the folder as it is. The disk
    /// (a tmpfs in a mount namespace of the process) ends with the process.
    pub disk_bytes: Option<usize>,
}

impl Start {
    /// Returns a plain start on `data`.
    pub fn on(data: &Path) -> Self {
        Self {
            data: data.to_path_buf(),
            arguments: Vec::new(),
            disk_bytes: None,
        }
    }

    /// Starts the server and waits until it is ready. Its output is added to `<data>.log`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time; with the end of its log.
    pub async fn spawn(&self) -> Result<Server> {
        let mut server = self.begin()?;
        match server.wait_until_ready().await {
            Ok(()) => Ok(server),
            Err(error) => Err(error.context(server.end_of_log())),
        }
    }

    /// Starts the server and does not wait: it may be killed before it is ready. Its output is added to `<data>.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(&self) -> Result<Server> {
        let address = free_address()?;
        let log = self.data.with_extension("log");
        Ok(Server {
            child: self.command(address, &log)?.spawn()?,
            address,
            log,
        })
    }

    /// Starts a server that is expected to refuse; returns how it ended and what it printed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn refused(&self) -> Result<(ExitStatus, String)> {
        let log = self.data.with_extension("refused.log");
        let mut child = self.command(free_address()?, &log)?.spawn()?;
        let status = ended(&mut child, READY_WITHIN).await?;
        Ok((status, fs::read_to_string(log)?))
    }

    fn command(&self, address: SocketAddr, log: &Path) -> Result<Command> {
        let binary = binary()?;
        let mut command = match self.disk_bytes {
            None => Command::new(binary),
            Some(bytes) => {
                let mut apart = self.on_own_disk(bytes);
                apart.arg(binary);
                apart
            }
        };
        let output = File::options().create(true).append(true).open(log)?;
        command.args(["serve", "--listen", &address.to_string(), "--data"]);
        command.arg(&self.data).args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        Ok(command)
    }

    /// Returns a command that runs the program named by its next argument on a disk of its own.
    fn on_own_disk(&self, bytes: usize) -> Command {
        let mount = format!("mount -t tmpfs -o size={bytes} tmpfs \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &mount]);
        command.arg(&self.data);
        command
    }

    /// Returns whether this machine lets us mount a disk of our own, as [`Self::disk_bytes`] asks.
    pub fn has_own_disks(&self) -> bool {
        let tried = self.on_own_disk(1 << 20).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    }
}

impl Server {
    /// Starts a server on `data`.
    ///
    /// # Errors
    /// As [`Start::spawn`].
    pub async fn start(data: &Path) -> Result<Self> {
        Start::on(data).spawn().await
    }

    /// Starts a front ahead of a server, and waits until it is ready. Its output is added to `log`.
    ///
    /// # Errors
    /// As [`Start::spawn`].
    pub async fn start_front(backend: SocketAddr, log: &Path) -> Result<Self> {
        let address = free_address()?;
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary()?);
        command.args(["front", "--ready-path", "/_health/ready"]);
        command.args(["--backend", &format!("http://{backend}")]);
        command.args(["--listen", &address.to_string()]);
        command
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let mut front = Self {
            child: command.spawn()?,
            address,
            log: log.to_owned(),
        };
        match front.wait_until_ready().await {
            Ok(()) => Ok(front),
            Err(error) => Err(error.context(front.end_of_log())),
        }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.address).await
    }

    /// Sends a request, again and again until its answer is as wanted.
    ///
    /// # Errors
    /// When that takes too long; with the last answer.
    pub async fn until(
        &self,
        request: &Request,
        is_wanted: impl Fn(&Response) -> bool,
    ) -> Result<Response> {
        request.until(self.address, is_wanted).await
    }

    /// Returns everything it has printed.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn printed(&self) -> Result<String> {
        let bytes = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Is the process alive?
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Returns the anonymous memory it holds now, in bytes (`RssAnon`: without mapped files).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn anonymous_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib
            .and_then(|kib| kib.parse().ok())
            .context("no `RssAnon`")?;
        Ok(kib * 1024)
    }

    /// Returns the id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns `path` as the process sees it, which may have mounts of its own.
    pub fn seen_path(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When there is nothing to kill.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(asked.success(), "cannot signal process {pid}");
        let status = ended(&mut self.child, STOPPED_WITHIN).await;
        let status = status.with_context(|| self.end_of_log())?;
        ensure!(status.success(), "{status}: {}", self.end_of_log());
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        let ready = Request::new("GET", "/_health/ready");
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it answered");
            }
            if self
                .send(&ready)
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!("the server was not ready within {READY_WITHIN:?}")
    }

    fn end_of_log(&self) -> String {
        let printed = self.printed().unwrap_or_default();
        let lines: Vec<&str> = printed.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the log of the server ends:\n{last}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn ended(child: &mut Child, within: Duration) -> Result<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < within {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(POLL).await;
    }
    drop(child.kill());
    Err(anyhow!("the process did not end within {within:?}"))
}

/// Takes a port that is free now; the listener is closed so that the server can have it.
fn free_address() -> Result<SocketAddr> {
    Ok(ports::held()?.local_addr()?)
}

/// Returns the binary `gleaner` of this build, built once per test process so that it is never
/// older than the sources. `GLEANER_BINARY` names another one.
///
/// # Errors
/// When it cannot be built.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = BINARY.get_or_init(|| match env::var_os("GLEANER_BINARY") {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| format!("{error:#}")),
    });
    made.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    // `<target>/<profile>/deps/<test>`: the binary stands beside `deps`.
    let test = env::current_exe()?;
    let folder = test.ancestors().nth(2).context("tests stand in `deps`")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "-p", "gleaner-cli", "--bin", "gleaner"]);
    if folder.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    cargo
        .arg("--target-dir")
        .arg(folder.parent().context("a profile has a target folder")?);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    let told = String::from_utf8_lossy(&built.stderr);
    ensure!(
        built.status.success(),
        "the binary cannot be built:\n{told}"
    );
    Ok(folder.join("gleaner"))
}
