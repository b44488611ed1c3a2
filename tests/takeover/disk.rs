//! The disk of a leaf, as it is while it is sick: what the leaf asks of the system is delayed or refused on its way there, by
//! `strace`.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::skipped;
use tokio::time::{Instant, sleep};

use super::cluster::{PATIENCE, POLL};

/// What makes data durable.
const SYNCS: &str = "fdatasync,fsync";

/// What the log writes with.
const WRITES: &str = "pwrite64,fallocate";

/// What the threads are called that write the log, and make it durable.
const LOG_THREADS: &str = "log-commit-";

/// What is the matter with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sickness {
    /// Each sync takes a tenth of a second longer.
    Slow,
    /// Each sync takes longer than a primary waits for one.
    Stuck,
    /// It has no room for what the log writes.
    Full,
    /// No sync succeeds.
    Failing,
}

impl Sickness {
    /// Returns the calls that are changed, and how.
    fn calls(self) -> (&'static str, &'static str) {
        match self {
            Self::Slow => (SYNCS, "delay_enter=100000"),
            Self::Stuck => (SYNCS, "delay_enter=10000000"),
            Self::Full => (WRITES, "error=ENOSPC"),
            Self::Failing => (SYNCS, "error=EIO"),
        }
    }
}

/// A disk that is sick until this is healed or dropped.
pub(crate) struct SickDisk(Child);

/// Returns whether processes can be traced here.
pub(crate) fn can_trace() -> bool {
    let mut tried = Command::new("strace");
    tried.args(["-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"]);
    tried.status().is_ok_and(|status| status.success())
}

/// Returns whether no process can be traced here; then the test is reported as skipped.
pub(crate) fn is_without_strace(test: &str) -> Result<bool> {
    let is_without = !can_trace();
    if is_without {
        let reason = "no process can be traced here (`apt-get install strace`, as a user who may)";
        skipped(&format!("takeover::{test}"), reason)?;
    }
    Ok(is_without)
}

impl SickDisk {
    /// Makes the disk of a process sick.
    pub(crate) async fn of(pid: u32, sickness: Sickness) -> Result<Self> {
        let (calls, how) = sickness.calls();
        let tracer = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-p", &pid.to_string()])
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{how}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("`strace` does not run")?;
        let mut disk = Self(tracer);
        let began = Instant::now();
        while !is_traced(pid)? {
            ensure!(disk.0.try_wait()?.is_none(), "`strace` has ended");
            ensure!(began.elapsed() < PATIENCE, "{pid} is not traced");
            sleep(POLL).await;
        }
        Ok(disk)
    }

    /// Lets all calls pass again.
    pub(crate) fn heal(mut self) -> Result<()> {
        self.detach()
    }

    fn detach(&mut self) -> Result<()> {
        // It lets the process go.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status()?;
        ensure!(asked.success(), "`strace` is gone");
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for SickDisk {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            drop(self.detach());
        }
    }
}

/// Returns whether the threads of a process are traced that write its log. Others may be missed: `strace` attaches to those
/// that it finds as it begins, and to those that they start.
fn is_traced(pid: u32) -> Result<bool> {
    let mut num_threads = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        let read = |name: &str| fs::read_to_string(thread.join(name));
        // A thread may end while it is looked at.
        let (Ok(name), Ok(status)) = (read("comm"), read("status")) else {
            continue;
        };
        if !name.starts_with(LOG_THREADS) {
            continue;
        }
        num_threads += 1;
        let mut lines = status.lines();
        let tracer = lines.find_map(|line| line.strip_prefix("TracerPid:"));
        if tracer.is_none_or(|tracer| tracer.trim() == "0") {
            return Ok(false);
        }
    }
    Ok(num_threads > 0)
}
