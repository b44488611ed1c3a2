//! What this process uses, and what its machine has: processors, memory, load, open files, the disk; small files that
//! a crash leaves whole ([`durable`]), files that one process holds at a time ([`lock`]), files as memory ([`mapped`]),
//! ports ([`ports`]), what others cannot read ([`private`]), and how busy each thread is ([`threads`]).
//!
//! Does: read `/proc` and ask the file system, which takes some microseconds on a local disk. Does not: run
//! by itself, log, record metrics, look into other processes.
//! Called by `leaf` and `api`, which say what they read to who asks for statistics of nodes. Read [`Probe`].
//!
//! ```
//! let probe = gleaner_machine::Probe::new(Some(std::env::temp_dir()));
//! let stats = probe.read();
//! assert!(stats.disk.is_some_and(|disk| disk.total_bytes > 0));
//! assert_eq!(stats.query_memory, None, "that is for the caller to say");
//! ```
//!
//! Where there is no `/proc`, process and machine are `None`.

pub mod durable;
pub mod lock;
pub mod mapped;
mod mount;
pub mod ports;
pub mod private;
mod proc;
pub mod threads;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use gleaner_model::node_stats::{DataFolder, DiskStats, MachineStats, NodeStats, ProcessStats};
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};

use proc::{Load, Memory, Status};
use usage::{Percents, Usage};

/// Reads what a process and its machine say of themselves.
#[derive(Debug)]
pub struct Probe {
    /// The folder whose file system is looked at, or that of its parent while it is not there; if any.
    folder: Option<PathBuf>,
    /// What is said of the folder from the first reading on that finds it: to resolve its links and to read the table of
    /// mounts each time would tell the same.
    found: OnceLock<DataFolder>,
    begun: Instant,
    usage: Mutex<Usage>,
}

impl Default for Probe {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Probe {
    /// Returns a probe of this process and of the file system that holds `folder`, or is to hold it. Uptime and the use of
    /// processors count from now on.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            found: OnceLock::new(),
            begun: Instant::now(),
            usage: Mutex::new(Usage::begin()),
        }
    }

    /// Reads everything but the memory budget of queries. It blocks for as long as the file system takes to
    /// answer, which may be long for one on a network.
    ///
    /// The use of processors is that since it was last read, over a second at least: two readers at once
    /// see the same.
    pub fn read(&self) -> NodeStats {
        let percents = self.usage.lock().read();
        NodeStats {
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.begun.elapsed(),
            process: process(percents),
            machine: machine(percents),
            disk: self.disk(),
            folder: self.data_folder(),
            query_memory: None,
            searches: None,
            writes: None,
        }
    }

    fn disk(&self) -> Option<DiskStats> {
        let folder = self.folder.as_ref()?;
        let stat = rustix::fs::statvfs(folder).or_else(|error| {
            // A leaf makes it for its first copy.
            let parent = folder.parent().ok_or(error)?;
            rustix::fs::statvfs(parent)
        });
        let stat = stat.ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        (stat.f_blocks > 0).then(|| DiskStats {
            total_bytes: bytes(stat.f_blocks),
            free_bytes: bytes(stat.f_bfree),
            available_bytes: bytes(stat.f_bavail),
        })
    }

    fn data_folder(&self) -> Option<DataFolder> {
        let folder = self.folder.as_ref()?;
        if let Some(found) = self.found.get() {
            return Some(found.clone());
        }
        if let Ok(whole) = folder.canonicalize() {
            return Some(self.found.get_or_init(|| describe(&whole)).clone());
        }
        // It is still to be made, on the file system of its parent.
        let parent = folder
            .parent()
            .and_then(|parent| parent.canonicalize().ok());
        Some(DataFolder {
            path: folder.display().to_string(),
            mount: parent.and_then(|parent| mount::holding(&parent)),
        })
    }
}

/// Describes a folder by its whole path without links.
fn describe(whole: &Path) -> DataFolder {
    DataFolder {
        path: whole.display().to_string(),
        mount: mount::holding(whole),
    }
}

fn process(percents: Percents) -> Option<ProcessStats> {
    let status = Status::read()?;
    Some(ProcessStats {
        pid: std::process::id(),
        resident_bytes: status.resident_bytes,
        virtual_bytes: status.virtual_bytes,
        cpu: proc::process_time()?,
        cpu_percent: percents.process,
        num_threads: status.num_threads,
        num_open_files: proc::num_open_files()?,
        max_open_files: getrlimit(Resource::Nofile).current,
    })
}

fn machine(percents: Percents) -> Option<MachineStats> {
    let Memory { total, available } = Memory::read()?;
    let Load(load) = Load::read()?;
    Some(MachineStats {
        num_processors: num_processors(),
        cpu_percent: percents.machine,
        load,
        memory_bytes: total,
        available_memory_bytes: available,
    })
}

/// Returns the release of the kernel, as `uname -r` says it.
pub fn kernel_release() -> String {
    let names = rustix::system::uname();
    names.release().to_string_lossy().into_owned()
}

/// Returns how many processors this process may run on.
pub fn num_processors() -> u32 {
    let number = std::thread::available_parallelism();
    number.map_or(1, |number| u32::try_from(number.get()).unwrap_or(u32::MAX))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_its_machine_and_its_disk_are_looked_into() {
        let folder = tempfile::tempdir().expect("a folder");
        let stats = Probe::new(Some(folder.path().to_owned())).read();
        let process = stats.process.expect("its own");
        assert_eq!(process.pid, std::process::id());
        assert!(process.resident_bytes > 0 && process.num_threads > 0);
        assert!(process.num_open_files > 0 && process.virtual_bytes >= process.resident_bytes);
        let machine = stats.machine.expect("there is one");
        assert!(machine.memory_bytes > machine.available_memory_bytes);
        assert!(kernel_release().starts_with(|first: char| first.is_ascii_digit()));
        assert!(machine.cpu_percent <= 100 && process.cpu_percent <= 100);
        let disk = stats.disk.expect("a folder is on one");
        let to_be_made = Probe::new(Some(folder.path().join("indices"))).read();
        assert_eq!(
            to_be_made.disk.expect("as its parent").total_bytes,
            disk.total_bytes
        );
        assert!(disk.total_bytes >= disk.free_bytes && disk.free_bytes >= disk.available_bytes);
        let told = stats.folder.expect("it was given");
        let whole = folder.path().canonicalize().expect("it is there");
        assert_eq!(told.path, whole.display().to_string());
        let mount = told.mount.expect("it is on one");
        assert!(whole.starts_with(&mount.point) && !mount.file_system.is_empty());
        let as_parent = to_be_made.folder.and_then(|folder| folder.mount);
        assert_eq!(as_parent, Some(mount));
    }

    #[test]
    fn a_folder_that_is_made_later_is_found_then_and_looked_up_no_more() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("indices");
        let probe = Probe::new(Some(folder.clone()));
        let path = || probe.read().folder.expect("it was given").path;
        assert_eq!(path(), folder.display().to_string());
        let real = parent.path().join("real");
        std::fs::create_dir(&real).expect("made");
        std::os::unix::fs::symlink(&real, &folder).expect("linked");
        let real = real.canonicalize().expect("it is there");
        assert_eq!(path(), real.display().to_string());
        std::fs::remove_file(&folder).expect("removed");
        assert_eq!(path(), real.display().to_string(), "as it was found");
    }

    #[test]
    fn a_probe_without_a_folder_or_with_a_lost_one_tells_of_no_disk() {
        let nowhere = Probe::default().read();
        assert_eq!((nowhere.disk, nowhere.folder), (None, None));
        let lost = Probe::new(Some(PathBuf::from("/nowhere/at/all")));
        let lost = lost.read();
        assert_eq!(lost.disk, None);
        let folder = lost.folder.expect("it was given");
        assert_eq!((&*folder.path, folder.mount), ("/nowhere/at/all", None));
    }
}
