//! What a node says of its process and its machine, for people and programs that watch it.

use std::time::Duration;

/// What a node says of itself. What its system does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeStats {
    /// Version of the program.
    pub build_version: String,
    /// For how long the process has run.
    pub uptime: Duration,
    /// Its process.
    pub process: Option<ProcessStats>,
    /// The machine that it runs on.
    pub machine: Option<MachineStats>,
    /// The file system of its data folder.
    pub disk: Option<DiskStats>,
    /// Where that folder is.
    pub folder: Option<DataFolder>,
    /// The memory budget of its queries and answers.
    pub query_memory: Option<BudgetStats>,
    /// Its search threads; those of a leaf alone.
    pub searches: Option<PoolStats>,
    /// What is written to its primaries; of a leaf alone.
    pub writes: Option<WriteStats>,
}

/// Work of one kind, and what waits for its turn. Counts are since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Threads that do it and nothing else; 0 where it is done by threads of all work.
    pub num_threads: u64,
    /// Pieces of it that are under way.
    pub num_active: u64,
    /// Most that were at once.
    pub num_largest: u64,
    /// Pieces that wait.
    pub num_queued: u64,
    /// Most that may wait; `None` where their bytes are bounded instead.
    pub queue_capacity: Option<u64>,
    /// Pieces that were refused.
    pub num_rejected: u64,
    /// Pieces that came to an end.
    pub num_completed: u64,
}

/// What is written to the primaries of a leaf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// The calls: one or more documents for one shard.
    pub calls: PoolStats,
    /// Bytes of documents that are under way.
    pub held_bytes: u64,
    /// Bytes of documents that wait for room.
    pub waiting_bytes: u64,
    /// Bytes that may be under way, and as many that may wait.
    pub limit_bytes: u64,
    /// Bytes that were let in since the process began.
    pub total_bytes: u64,
}

/// What a process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessStats {
    /// Its id.
    pub pid: u32,
    /// Memory of it that is in the machine's, mapped files included.
    pub resident_bytes: u64,
    /// Addresses that it has taken.
    pub virtual_bytes: u64,
    /// Processor time since its start.
    pub cpu: Duration,
    /// Recent share of all processors, percent.
    pub cpu_percent: u32,
    /// Threads.
    pub num_threads: u64,
    /// Open file descriptors.
    pub num_open_files: u64,
    /// Most that may be open; `None` where there is no limit.
    pub max_open_files: Option<u64>,
}

/// What a machine has, and what of it is used, by all processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MachineStats {
    /// Processors.
    pub num_processors: u32,
    /// Recent share of them that was busy, percent.
    pub cpu_percent: u32,
    /// Load averages of 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory.
    pub memory_bytes: u64,
    /// Memory that processes could take, what caches give back included.
    pub available_memory_bytes: u64,
}

impl MachineStats {
    /// Returns the bytes of memory in use.
    pub fn used_memory_bytes(&self) -> u64 {
        self.memory_bytes
            .saturating_sub(self.available_memory_bytes)
    }
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes not in use.
    pub free_bytes: u64,
    /// Bytes that this process may still use: those that are kept for others are left out.
    pub available_bytes: u64,
}

impl DiskStats {
    /// Returns the bytes that this process cannot use, as the dialect counts what is used.
    pub fn used_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.available_bytes)
    }
}

/// The folder of a node's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    /// Its path.
    pub path: String,
    /// The file system that it is on; `None` where the system does not tell.
    pub mount: Option<Mount>,
}

/// A file system that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The folder where it begins.
    pub point: String,
    /// What holds it, as `/dev/sda1`.
    pub device: String,
    /// Its type, as `ext4`.
    pub file_system: String,
}

/// A memory budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetStats {
    /// Bytes that are taken.
    pub held_bytes: u64,
    /// Bytes that may be.
    pub limit_bytes: u64,
}

/// Returns the percentage of `part` in `whole`; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    }
}
