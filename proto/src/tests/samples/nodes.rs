//! What a node says of itself.

use std::time::Duration;

use gleaner_model::node_stats::{
    BudgetStats, DataFolder, DiskStats, MachineStats, Mount, NodeStats, PoolStats, ProcessStats,
    WriteStats,
};

fn pool_stats() -> PoolStats {
    PoolStats {
        num_threads: 1,
        num_active: 2,
        num_largest: 3,
        num_queued: 4,
        queue_capacity: Some(5),
        num_rejected: 6,
        num_completed: 7,
    }
}

pub(crate) fn node_stats() -> NodeStats {
    NodeStats {
        build_version: "1.2.3".to_owned(),
        uptime: Duration::from_millis(12_345),
        process: Some(ProcessStats {
            pid: 17,
            resident_bytes: 1 << 33,
            virtual_bytes: 1 << 34,
            cpu: Duration::from_millis(50),
            cpu_percent: 7,
            num_threads: 9,
            num_open_files: 40,
            max_open_files: Some(1_024),
        }),
        machine: Some(MachineStats {
            num_processors: 2,
            cpu_percent: 70,
            load: [0.5, 1.25, 2.0],
            memory_bytes: 1 << 35,
            available_memory_bytes: 1 << 32,
        }),
        disk: Some(DiskStats {
            total_bytes: 1 << 40,
            free_bytes: 1 << 39,
            available_bytes: 1 << 38,
        }),
        folder: Some(DataFolder {
            path: "/data/node".to_owned(),
            mount: Some(Mount {
                point: "/data".to_owned(),
                device: "/dev/sda1".to_owned(),
                file_system: "ext4".to_owned(),
            }),
        }),
        query_memory: Some(BudgetStats {
            held_bytes: 3,
            limit_bytes: 1 << 30,
        }),
        searches: Some(pool_stats()),
        writes: Some(WriteStats {
            calls: PoolStats {
                queue_capacity: None,
                ..pool_stats()
            },
            held_bytes: 8,
            waiting_bytes: 9,
            limit_bytes: 10,
            total_bytes: 11,
        }),
    }
}
