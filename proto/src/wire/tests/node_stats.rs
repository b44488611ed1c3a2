//! Strategies for what a node says of itself.

use std::time::Duration;

use gleaner_model::node_stats::{
    BudgetStats, DataFolder, DiskStats, MachineStats, Mount, NodeStats, PoolStats, ProcessStats,
    WriteStats,
};
use proptest::option::of;
use proptest::prelude::*;

use super::clauses::text;

pub(super) fn node_stats() -> impl Strategy<Value = NodeStats> {
    let process = any::<(u32, [u64; 4], u32, u64, Option<u64>)>();
    let process = process.prop_map(|(pid, numbers, cpu_percent, cpu_ms, max)| ProcessStats {
        pid,
        resident_bytes: numbers[0],
        virtual_bytes: numbers[1],
        cpu: Duration::from_millis(cpu_ms),
        cpu_percent,
        num_threads: numbers[2],
        num_open_files: numbers[3],
        max_open_files: max,
    });
    let machine = (any::<[u32; 2]>(), any::<[u64; 2]>(), any::<[u16; 3]>());
    let machine = machine.prop_map(|(small, bytes, load)| MachineStats {
        num_processors: small[0],
        cpu_percent: small[1],
        load: load.map(|load| f64::from(load) / 100.0),
        memory_bytes: bytes[0],
        available_memory_bytes: bytes[1],
    });
    let disk = any::<[u64; 3]>().prop_map(|bytes| DiskStats {
        total_bytes: bytes[0],
        free_bytes: bytes[1],
        available_bytes: bytes[2],
    });
    let mount = [text(), text(), text()].prop_map(|[point, device, file_system]| Mount {
        point,
        device,
        file_system,
    });
    let folder = (text(), of(mount)).prop_map(|(path, mount)| DataFolder { path, mount });
    let budget = any::<[u64; 2]>().prop_map(|bytes| BudgetStats {
        held_bytes: bytes[0],
        limit_bytes: bytes[1],
    });
    let writes = (pool_stats(), any::<[u64; 4]>()).prop_map(|(calls, bytes)| WriteStats {
        calls,
        held_bytes: bytes[0],
        waiting_bytes: bytes[1],
        limit_bytes: bytes[2],
        total_bytes: bytes[3],
    });
    let parts = (
        of(process),
        of(machine),
        of(disk),
        of(budget),
        of(pool_stats()),
        of(writes),
        of(folder),
    );
    (text(), any::<u64>(), parts).prop_map(|(build_version, uptime_ms, parts)| NodeStats {
        build_version,
        uptime: Duration::from_millis(uptime_ms),
        process: parts.0,
        machine: parts.1,
        disk: parts.2,
        folder: parts.6,
        query_memory: parts.3,
        searches: parts.4,
        writes: parts.5,
    })
}

fn pool_stats() -> impl Strategy<Value = PoolStats> {
    let numbers = any::<([u64; 6], Option<u64>)>();
    numbers.prop_map(|(numbers, queue_capacity)| PoolStats {
        num_threads: numbers[0],
        num_active: numbers[1],
        num_largest: numbers[2],
        num_queued: numbers[3],
        queue_capacity,
        num_rejected: numbers[4],
        num_completed: numbers[5],
    })
}
