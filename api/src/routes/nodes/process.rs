//! What a node says of its process and machine, in the sections that programs which watch clusters read.
//!
//! What there is none of here is 0: there is no virtual machine with a collector, no ingest pipeline. Of the pools of threads
//! that the dialect has names for, `search` and `write` are counted, on leaves: the other work is done by threads of
//! all work. In the place of a heap stands the memory budget of queries and
//! answers, whose end is refused with 429 as that of a heap is. A node that does not tell has the sections that
//! are 0 everywhere alone.

use gleaner_model::node_stats::{
    DataFolder, MachineStats, NodeStats, PoolStats, ProcessStats, WriteStats, percent,
};
use serde_json::{Value, json};

/// The sections that say when they were made.
const TIMED: [&str; 4] = ["fs", "jvm", "os", "process"];

/// Returns the sections at `now_ms`: what asks for each, its name, and what it holds.
pub(super) fn sections(
    of: Option<&NodeStats>,
    now_ms: i64,
) -> Vec<(&'static str, &'static str, Value)> {
    let uptime_ms = of.map_or(0, |of| of.uptime.as_millis() as u64);
    let mut sections = vec![
        ("jvm", "jvm", jvm(of, uptime_ms)),
        ("thread_pool", "thread_pool", thread_pools(of)),
        ("fs", "fs", fs(of)),
        ("transport", "transport", transport()),
        (
            "http",
            "http",
            json!({"current_open": 0, "total_opened": 0, "clients": [], "routes": {}}),
        ),
        ("breaker", "breakers", breakers(of)),
        ("script", "script", scripts()),
        ("ingest", "ingest", ingest()),
        ("discovery", "discovery", discovery()),
        // How copies are chosen is not told.
        ("adaptive_selection", "adaptive_selection", json!({})),
        (
            "indexing_pressure",
            "indexing_pressure",
            indexing_pressure(of.and_then(|of| of.writes).unwrap_or_default()),
        ),
    ];
    if let Some(machine) = of.and_then(|of| of.machine.as_ref()) {
        sections.push(("os", "os", os(machine)));
    }
    if let Some(of) = of.and_then(|of| of.process.as_ref()) {
        sections.push(("process", "process", process(of, uptime_ms)));
    }
    for (_, name, section) in &mut sections {
        if TIMED.contains(name) {
            section["timestamp"] = now_ms.into();
        }
    }
    sections
}

fn os(of: &MachineStats) -> Value {
    let used = of.used_memory_bytes();
    let percent = |part: u64| percent(part, of.memory_bytes) as u64;
    let [minute, five_minutes, quarter] = of.load;
    json!({
        "cpu": {
            "percent": of.cpu_percent,
            "load_average": {"1m": minute, "5m": five_minutes, "15m": quarter},
        },
        "mem": {
            "total_in_bytes": of.memory_bytes,
            "free_in_bytes": of.available_memory_bytes,
            "used_in_bytes": used,
            "free_percent": percent(of.available_memory_bytes),
            "used_percent": percent(used),
        },
        "swap": {"total_in_bytes": 0, "free_in_bytes": 0, "used_in_bytes": 0},
    })
}

fn process(of: &ProcessStats, uptime_ms: u64) -> Value {
    json!({
        "uptime_in_millis": uptime_ms,
        "open_file_descriptors": of.num_open_files,
        // As the dialect says that there is no limit.
        "max_file_descriptors": of.max_open_files.map_or(json!(-1), Value::from),
        "cpu": {"percent": of.cpu_percent, "total_in_millis": of.cpu.as_millis() as u64},
        "mem": {
            "resident_in_bytes": of.resident_bytes,
            "total_virtual_in_bytes": of.virtual_bytes,
        },
    })
}

fn fs(of: Option<&NodeStats>) -> Value {
    let Some(disk) = of.and_then(|of| of.disk) else {
        return json!({"total": {}, "data": []});
    };
    let sizes = json!({
        "total_in_bytes": disk.total_bytes,
        "free_in_bytes": disk.free_bytes,
        "available_in_bytes": disk.available_bytes,
    });
    let folder = of.and_then(|of| of.folder.as_ref());
    json!({"total": sizes, "data": [data_folder(folder, &sizes)]})
}

/// Returns where a folder is, as far as the node tells, and how full that file system is.
fn data_folder(folder: Option<&DataFolder>, sizes: &Value) -> Value {
    let mut shown = json!({});
    if let Some(DataFolder { path, mount }) = folder {
        shown["path"] = path.as_str().into();
        if let Some(mount) = mount {
            shown["mount"] = format!("{} ({})", mount.point, mount.device).into();
            shown["type"] = mount.file_system.as_str().into();
        }
    }
    for (name, size) in sizes.as_object().into_iter().flatten() {
        shown[name] = size.clone();
    }
    shown
}

/// The budget of queries and answers is `request`, and there is nothing above it. How often it was full is not counted by
/// node: `/metrics` counts requests that were refused with 429.
fn breakers(of: Option<&NodeStats>) -> Value {
    let budget = of.and_then(|of| of.query_memory).unwrap_or_default();
    let breaker = json!({
        "limit_size_in_bytes": budget.limit_bytes,
        "estimated_size_in_bytes": budget.held_bytes,
        "overhead": 1.0,
        "tripped": 0,
    });
    json!({"request": breaker, "parent": breaker})
}

fn scripts() -> Value {
    json!({"compilations": 0, "cache_evictions": 0, "compilation_limit_triggered": 0})
}

/// The sections that clients read of a virtual machine, which there is none of.
fn jvm(of: Option<&NodeStats>, uptime_ms: u64) -> Value {
    let budget = of.and_then(|of| of.query_memory).unwrap_or_default();
    let process = of.and_then(|of| of.process).unwrap_or_default();
    let pool = json!({
        "used_in_bytes": 0, "max_in_bytes": 0, "peak_used_in_bytes": 0, "peak_max_in_bytes": 0,
    });
    let collector = json!({"collection_count": 0, "collection_time_in_millis": 0});
    let buffers = json!({"count": 0, "used_in_bytes": 0, "total_capacity_in_bytes": 0});
    json!({
        "uptime_in_millis": uptime_ms,
        "mem": {
            "heap_used_in_bytes": budget.held_bytes,
            "heap_used_percent": percent(budget.held_bytes, budget.limit_bytes) as u64,
            "heap_committed_in_bytes": budget.limit_bytes,
            "heap_max_in_bytes": budget.limit_bytes,
            "non_heap_used_in_bytes": 0,
            "non_heap_committed_in_bytes": 0,
            "pools": {"young": pool, "survivor": pool, "old": pool},
        },
        "threads": {"count": process.num_threads, "peak_count": process.num_threads},
        "gc": {"collectors": {"young": collector, "old": collector}},
        "buffer_pools": {"mapped": buffers, "direct": buffers},
        "classes": {"current_loaded_count": 0, "total_loaded_count": 0, "total_unloaded_count": 0},
    })
}

/// The pools of the dialect that are shown.
pub(in crate::routes) const THREAD_POOLS: [&str; 4] = ["get", "management", "search", "write"];

/// Returns what a node counts of a pool; `None` where it counts nothing.
pub(in crate::routes) fn thread_pool(of: Option<&NodeStats>, name: &str) -> Option<PoolStats> {
    match name {
        "search" => of?.searches,
        "write" => Some(of?.writes?.calls),
        _ => None,
    }
}

fn thread_pools(of: Option<&NodeStats>) -> Value {
    let pool = |name: &&str| {
        let pool = thread_pool(of, name).unwrap_or_default();
        let shown = json!({
            "threads": pool.num_threads,
            "queue": pool.num_queued,
            "active": pool.num_active,
            "rejected": pool.num_rejected,
            "largest": pool.num_largest,
            "completed": pool.num_completed,
        });
        ((*name).to_owned(), shown)
    };
    THREAD_POOLS.iter().map(pool).collect()
}

fn transport() -> Value {
    json!({
        "server_open": 0,
        "total_outbound_connections": 0,
        "rx_count": 0,
        "rx_size_in_bytes": 0,
        "tx_count": 0,
        "tx_size_in_bytes": 0,
    })
}

/// Changes of the cluster state are made at once or not at all, and sent to nobody: who follows it watches it.
fn discovery() -> Value {
    json!({
        "cluster_state_queue": {"total": 0, "pending": 0, "committed": 0},
        "published_cluster_states": {
            "full_states": 0,
            "incompatible_diffs": 0,
            "compatible_diffs": 0,
        },
    })
}

/// Returns how much is written. Bytes that wait for room at a primary stand under `coordinating`, those that found it under `primary`. Replicas read the
/// log of their primary: what they take has no bound of its own.
pub(in crate::routes) fn indexing_pressure(of: WriteStats) -> Value {
    let stages = |coordinating: u64, primary: u64| {
        json!({
            "combined_coordinating_and_primary_in_bytes": coordinating + primary,
            "coordinating_in_bytes": coordinating,
            "primary_in_bytes": primary,
            "replica_in_bytes": 0,
            "all_in_bytes": coordinating + primary,
        })
    };
    let mut total = stages(0, of.total_bytes);
    for (stage, rejections) in [
        ("coordinating", 0),
        ("primary", of.calls.num_rejected),
        ("replica", 0),
    ] {
        total[format!("{stage}_rejections")] = rejections.into();
    }
    let current = stages(of.waiting_bytes, of.held_bytes);
    json!({"memory": {"current": current, "total": total, "limit_in_bytes": of.limit_bytes}})
}

fn ingest() -> Value {
    json!({
        "total": {"count": 0, "time_in_millis": 0, "current": 0, "failed": 0},
        "pipelines": {},
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::node_stats::{BudgetStats, DiskStats, Mount};

    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn section(of: Option<&NodeStats>, name: &str) -> Option<Value> {
        let mut sections = sections(of, NOW_MS).into_iter();
        sections
            .find(|(_, found, _)| *found == name)
            .map(|(_, _, section)| section)
    }

    #[test]
    fn a_node_that_does_not_tell_has_no_process_and_no_machine() {
        for name in ["os", "process"] {
            assert_eq!(section(None, name), None);
            assert_eq!(section(Some(&NodeStats::default()), name), None);
        }
        let disk = section(None, "fs").expect("always there");
        let expected = json!({"total": {}, "data": [], "timestamp": NOW_MS});
        assert_eq!(disk, expected);
    }

    #[test]
    fn the_folder_of_the_data_says_where_it_is_as_far_as_that_is_known() {
        let mut stats = NodeStats {
            disk: Some(DiskStats {
                total_bytes: 9,
                free_bytes: 6,
                available_bytes: 5,
            }),
            ..NodeStats::default()
        };
        let sizes = json!({"total_in_bytes": 9, "free_in_bytes": 6, "available_in_bytes": 5});
        let told = section(Some(&stats), "fs").expect("always there");
        assert_eq!((&told["total"], &told["data"]), (&sizes, &json!([sizes])));
        stats.folder = Some(DataFolder {
            path: "/data/node".to_owned(),
            mount: Some(Mount {
                point: "/data".to_owned(),
                device: "/dev/sda1".to_owned(),
                file_system: "ext4".to_owned(),
            }),
        });
        let told = section(Some(&stats), "fs").expect("always there");
        let expected = json!({
            "path": "/data/node", "mount": "/data (/dev/sda1)", "type": "ext4",
            "total_in_bytes": 9, "free_in_bytes": 6, "available_in_bytes": 5,
        });
        assert_eq!((&told["total"], &told["data"][0]), (&sizes, &expected));
    }

    #[test]
    fn what_is_measured_says_when_and_breakers_are_the_budget() {
        let stats = NodeStats {
            machine: Some(MachineStats::default()),
            process: Some(ProcessStats::default()),
            query_memory: Some(BudgetStats {
                held_bytes: 30,
                limit_bytes: 40,
            }),
            ..NodeStats::default()
        };
        for name in TIMED {
            let section = section(Some(&stats), name).expect(name);
            assert_eq!(section["timestamp"], NOW_MS, "{name}");
        }
        let breakers = section(Some(&stats), "breakers").expect("always there");
        for name in ["request", "parent"] {
            let breaker = &breakers[name];
            assert_eq!(breaker["limit_size_in_bytes"], 40, "{breaker}");
            assert_eq!(breaker["estimated_size_in_bytes"], 30, "{breaker}");
            assert_eq!(breaker["tripped"], 0, "{breaker}");
        }
        let selection = section(None, "adaptive_selection");
        assert_eq!(selection, Some(json!({})));
        let http = section(None, "http").expect("always there");
        assert_eq!(http["clients"], json!([]));
        assert_eq!(http["routes"], json!({}));
        let scripts = section(None, "script").expect("always there");
        assert_eq!(scripts["compilations"], 0);
    }

    #[test]
    fn pools_and_pressure_are_what_the_queues_count() {
        let pool = |num_active| PoolStats {
            num_active,
            num_rejected: 7,
            ..PoolStats::default()
        };
        let stats = NodeStats {
            searches: Some(pool(2)),
            writes: Some(WriteStats {
                calls: pool(3),
                held_bytes: 10,
                waiting_bytes: 5,
                limit_bytes: 100,
                total_bytes: 60,
            }),
            ..NodeStats::default()
        };
        let pools = section(Some(&stats), "thread_pool").expect("always there");
        assert_eq!(pools["search"]["active"], 2);
        assert_eq!(
            (&pools["write"]["active"], &pools["get"]["active"]),
            (&json!(3), &json!(0))
        );
        let memory = &section(Some(&stats), "indexing_pressure").expect("always there")["memory"];
        assert_eq!(memory["current"]["all_in_bytes"], 15);
        assert_eq!(memory["total"]["primary_rejections"], 7);
        assert_eq!(memory["limit_in_bytes"], 100);
    }

    #[test]
    fn percentages_are_of_what_there_is() {
        let stats = NodeStats {
            machine: Some(MachineStats {
                memory_bytes: 1_000,
                available_memory_bytes: 250,
                ..MachineStats::default()
            }),
            query_memory: Some(BudgetStats {
                held_bytes: 30,
                limit_bytes: 40,
            }),
            ..NodeStats::default()
        };
        let os = section(Some(&stats), "os").expect("told");
        assert_eq!(os["mem"]["used_percent"], 75);
        let jvm = section(Some(&stats), "jvm").expect("told");
        assert_eq!(jvm["mem"]["heap_used_percent"], 75);
        assert_eq!(percent(1, 0), 0.0);
    }
}
