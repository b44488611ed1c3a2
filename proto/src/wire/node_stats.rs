//! What a node says of its process and its machine.

use std::time::Duration;

use gleaner_model::node_stats::{
    BudgetStats, DataFolder, DiskStats, MachineStats, Mount, NodeStats, PoolStats, ProcessStats,
    WriteStats,
};

use super::field::{maybe, maybe_message, millis, one};
use super::{DecodeError, Wire, v1};

impl Wire for NodeStats {
    type Message = v1::NodeStats;

    fn to_message(&self) -> v1::NodeStats {
        let Self {
            build_version,
            uptime,
            process,
            machine,
            disk,
            folder,
            query_memory,
            searches,
            writes,
        } = self;
        v1::NodeStats {
            build_version: build_version.clone(),
            uptime_ms: millis(*uptime),
            process: maybe_message(process.as_ref()),
            machine: maybe_message(machine.as_ref()),
            disk: maybe_message(disk.as_ref()),
            folder: maybe_message(folder.as_ref()),
            query_memory: maybe_message(query_memory.as_ref()),
            searches: maybe_message(searches.as_ref()),
            writes: maybe_message(writes.as_ref()),
        }
    }

    fn from_message(message: v1::NodeStats) -> Result<Self, DecodeError> {
        let v1::NodeStats {
            build_version,
            uptime_ms,
            process,
            machine,
            disk,
            folder,
            query_memory,
            searches,
            writes,
        } = message;
        Ok(Self {
            build_version,
            uptime: Duration::from_millis(uptime_ms),
            process: maybe(process)?,
            machine: maybe(machine)?,
            disk: maybe(disk)?,
            folder: maybe(folder)?,
            query_memory: maybe(query_memory)?,
            searches: maybe(searches)?,
            writes: maybe(writes)?,
        })
    }
}

impl Wire for PoolStats {
    type Message = v1::PoolStats;

    fn to_message(&self) -> v1::PoolStats {
        let Self {
            num_threads,
            num_active,
            num_largest,
            num_queued,
            queue_capacity,
            num_rejected,
            num_completed,
        } = *self;
        v1::PoolStats {
            num_threads,
            num_active,
            num_largest,
            num_queued,
            queue_capacity,
            num_rejected,
            num_completed,
        }
    }

    fn from_message(message: v1::PoolStats) -> Result<Self, DecodeError> {
        let v1::PoolStats {
            num_threads,
            num_active,
            num_largest,
            num_queued,
            queue_capacity,
            num_rejected,
            num_completed,
        } = message;
        Ok(Self {
            num_threads,
            num_active,
            num_largest,
            num_queued,
            queue_capacity,
            num_rejected,
            num_completed,
        })
    }
}

impl Wire for WriteStats {
    type Message = v1::WriteStats;

    fn to_message(&self) -> v1::WriteStats {
        let Self {
            calls,
            held_bytes,
            waiting_bytes,
            limit_bytes,
            total_bytes,
        } = *self;
        v1::WriteStats {
            calls: Some(calls.to_message()),
            held_bytes,
            waiting_bytes,
            limit_bytes,
            total_bytes,
        }
    }

    fn from_message(message: v1::WriteStats) -> Result<Self, DecodeError> {
        let v1::WriteStats {
            calls,
            held_bytes,
            waiting_bytes,
            limit_bytes,
            total_bytes,
        } = message;
        Ok(Self {
            calls: one(calls, "WriteStats.calls")?,
            held_bytes,
            waiting_bytes,
            limit_bytes,
            total_bytes,
        })
    }
}

impl Wire for ProcessStats {
    type Message = v1::ProcessStats;

    fn to_message(&self) -> v1::ProcessStats {
        let Self {
            pid,
            resident_bytes,
            virtual_bytes,
            cpu,
            cpu_percent,
            num_threads,
            num_open_files,
            max_open_files,
        } = *self;
        v1::ProcessStats {
            pid,
            resident_bytes,
            virtual_bytes,
            cpu_ms: millis(cpu),
            cpu_percent,
            num_threads,
            num_open_files,
            max_open_files,
        }
    }

    fn from_message(message: v1::ProcessStats) -> Result<Self, DecodeError> {
        let v1::ProcessStats {
            pid,
            resident_bytes,
            virtual_bytes,
            cpu_ms,
            cpu_percent,
            num_threads,
            num_open_files,
            max_open_files,
        } = message;
        Ok(Self {
            pid,
            resident_bytes,
            virtual_bytes,
            cpu: Duration::from_millis(cpu_ms),
            cpu_percent,
            num_threads,
            num_open_files,
            max_open_files,
        })
    }
}

impl Wire for MachineStats {
    type Message = v1::MachineStats;

    fn to_message(&self) -> v1::MachineStats {
        let Self {
            num_processors,
            cpu_percent,
            load: [load_1m, load_5m, load_15m],
            memory_bytes,
            available_memory_bytes,
        } = *self;
        v1::MachineStats {
            num_processors,
            cpu_percent,
            load_1m,
            load_5m,
            load_15m,
            memory_bytes,
            available_memory_bytes,
        }
    }

    fn from_message(message: v1::MachineStats) -> Result<Self, DecodeError> {
        let v1::MachineStats {
            num_processors,
            cpu_percent,
            load_1m,
            load_5m,
            load_15m,
            memory_bytes,
            available_memory_bytes,
        } = message;
        Ok(Self {
            num_processors,
            cpu_percent,
            load: [load_1m, load_5m, load_15m],
            memory_bytes,
            available_memory_bytes,
        })
    }
}

impl Wire for DiskStats {
    type Message = v1::DiskStats;

    fn to_message(&self) -> v1::DiskStats {
        let Self {
            total_bytes,
            free_bytes,
            available_bytes,
        } = *self;
        v1::DiskStats {
            total_bytes,
            free_bytes,
            available_bytes,
        }
    }

    fn from_message(message: v1::DiskStats) -> Result<Self, DecodeError> {
        let v1::DiskStats {
            total_bytes,
            free_bytes,
            available_bytes,
        } = message;
        Ok(Self {
            total_bytes,
            free_bytes,
            available_bytes,
        })
    }
}

impl Wire for DataFolder {
    type Message = v1::DataFolder;

    fn to_message(&self) -> v1::DataFolder {
        let Self { path, mount } = self;
        v1::DataFolder {
            path: path.clone(),
            mount: maybe_message(mount.as_ref()),
        }
    }

    fn from_message(message: v1::DataFolder) -> Result<Self, DecodeError> {
        let v1::DataFolder { path, mount } = message;
        Ok(Self {
            path,
            mount: maybe(mount)?,
        })
    }
}

impl Wire for Mount {
    type Message = v1::Mount;

    fn to_message(&self) -> v1::Mount {
        let Self {
            point,
            device,
            file_system,
        } = self;
        v1::Mount {
            point: point.clone(),
            device: device.clone(),
            file_system: file_system.clone(),
        }
    }

    fn from_message(message: v1::Mount) -> Result<Self, DecodeError> {
        let v1::Mount {
            point,
            device,
            file_system,
        } = message;
        Ok(Self {
            point,
            device,
            file_system,
        })
    }
}

impl Wire for BudgetStats {
    type Message = v1::BudgetStats;

    fn to_message(&self) -> v1::BudgetStats {
        let Self {
            held_bytes,
            limit_bytes,
        } = *self;
        v1::BudgetStats {
            held_bytes,
            limit_bytes,
        }
    }

    fn from_message(message: v1::BudgetStats) -> Result<Self, DecodeError> {
        let v1::BudgetStats {
            held_bytes,
            limit_bytes,
        } = message;
        Ok(Self {
            held_bytes,
            limit_bytes,
        })
    }
}
