//! A server in a process of its own, with what it has used so far.

#![expect(
    clippy::disallowed_methods,
    reason = "another process is looked at from outside: it tells no events"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gleaner_machine::ports;

use crate::client::Client;

/// Clock ticks of `/proc/PID/stat` per second: `sysconf(_SC_CLK_TCK)` is 100 on Linux everywhere.
const TICKS_PER_SECOND: u64 = 100;
/// How long a server may take to answer its first request.
const START: Duration = Duration::from_secs(30);
/// Without a tick for so long, background work has ended.
const QUIET: Duration = Duration::from_millis(500);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `binary` with `arguments` and `--listen HOST:PORT`; returns once it answers `ready`.
    ///
    /// # Errors
    /// When it cannot be started or does not answer within half a minute.
    pub fn start(binary: &Path, arguments: &[&str], log: &Path, ready: &str) -> Result<Self> {
        let port = ports::held()?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let log = std::fs::File::create(log)?;
        let child = Command::new(binary)
            .args(arguments)
            .args(["--listen", &address])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self { child, address };
        let start = Instant::now();
        while !server.is_ready(ready) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended at its start: {status}", binary.display());
            }
            if start.elapsed() > START {
                bail!("{} does not answer {ready}", binary.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn is_ready(&self, path: &str) -> bool {
        let asked = self
            .client()
            .and_then(|mut client| Ok(client.ask("GET", path, b"")?.0));
        asked.is_ok_and(|status| status == 200)
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.address)
    }

    /// Returns where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the CPU time it has used, user and system, all threads.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Returns the CPU time once the server has stopped using any.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn settled_cpu(&self) -> Result<Duration> {
        let mut last = self.cpu()?;
        loop {
            std::thread::sleep(QUIET);
            let now = self.cpu()?;
            // Timers of an idle server take a tick now and then.
            if now - last <= Duration::from_millis(10) {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Watches the server's memory until the watch is stopped.
    pub fn watch_memory(&self) -> MemoryWatch {
        let (is_stopped, path) = (Arc::new(AtomicBool::new(false)), self.status_path());
        let stop = Arc::clone(&is_stopped);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(anonymous_bytes(&path).unwrap_or(0));
                std::thread::sleep(Duration::from_millis(10));
            }
            most
        });
        MemoryWatch { is_stopped, thread }
    }

    /// Returns the bytes of anonymous memory it has resident; memory maps of files are not in it.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn anonymous_bytes(&self) -> Result<u64> {
        anonymous_bytes(&self.status_path()).context("no RssAnon")
    }

    fn status_path(&self) -> String {
        format!("/proc/{}/status", self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the CPU time that the process `pid` has used, user and system, all threads.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold spaces; it ends with the last parenthesis.
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("a stat file without a name")?;
    let field = |at: usize| {
        fields
            .split(' ')
            .nth(at)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let ticks = field(11)
        .zip(field(12))
        .context("a stat file without times")?;
    Ok(Duration::from_millis(
        (ticks.0 + ticks.1) * 1_000 / TICKS_PER_SECOND,
    ))
}

/// A thread that looks at a server's memory every 10 ms.
pub struct MemoryWatch {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl MemoryWatch {
    /// Ends the watch; returns the most bytes of anonymous memory seen.
    pub fn stop(self) -> u64 {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(0)
    }
}

fn anonymous_bytes(path: &str) -> Option<u64> {
    let status = std::fs::read_to_string(path).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1_024)
}
