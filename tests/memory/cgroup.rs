//! A control group that bounds the memory of a process: beyond it the system ends the process.
//!
//! Does: make one in whichever version of control groups the machine has, below the group of this process. Does not: run
//! anything. Called by: tests of what single requests take. Read first: [`Cgroup::of`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Where the system shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A group with one bound; it is removed with this, once it is empty.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// Returns a group of at most `bytes` with the process `pid` in it.
    ///
    /// # Errors
    /// When this machine, or this user, can make none.
    pub(crate) fn of(pid: u32, bytes: u64) -> Result<Self> {
        let (above, limit) = above()?;
        let group = Self(above.join(format!("gleaner-memory-{pid}")));
        fs::create_dir(&group.0).with_context(|| format!("making {}", group.0.display()))?;
        let write = |file: &str, text: String| {
            let path = group.0.join(file);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write(limit, bytes.to_string())?;
        write("cgroup.procs", pid.to_string())?;
        Ok(group)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // One that is not empty yet is left to the system's next start.
        drop(fs::remove_dir(&self.0));
    }
}

/// Returns the folder of this process's own group, and the name of the file that bounds memory in those below.
fn above() -> Result<(PathBuf, &'static str)> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let of = |controller: &str| {
        let mut lines = own.lines();
        lines.find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it = controllers.split(',').any(|name| name == controller);
            is_it.then(|| path.trim_start_matches('/').to_owned())
        })
    };
    if let Some(path) = of("memory") {
        let root = Path::new(ROOT).join("memory");
        // Inside a container the group's own folder may be the root that is seen.
        let own = Some(root.join(&path)).filter(|own| own.exists());
        return Ok((own.unwrap_or(root), "memory.limit_in_bytes"));
    }
    let path = of("").context("no control groups")?;
    let group = Path::new(ROOT).join(path);
    let controllers = fs::read_to_string(group.join("cgroup.subtree_control"))?;
    ensure!(
        controllers.split_whitespace().any(|name| name == "memory"),
        "the control group of this process does not bound the memory of groups below it"
    );
    Ok((group, "memory.max"))
}
