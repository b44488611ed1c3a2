//! `_cluster/stats`: what indices hold and nodes use, together.

use std::collections::BTreeMap;

use gleaner_model::IndexMeta;
use gleaner_model::node_stats::{MachineStats, NodeStats, percent};
use gleaner_proto::read::ShardState;
use gleaner_root::read::ShardStates;
use serde_json::{Value, json};

use super::health::Health;
use crate::render::units::humanized;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;
use crate::routes::nodes::{NumMembers, Reports, members_of};
use crate::routes::stats::no_query_cache;

pub(super) async fn stats(request: Request) -> Answer {
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let state = request.root().cluster().state();
    let health = Health::of_all(state.indices.values().map(|index| &**index), &states.copies);
    let (num_told, num_all) = (states.num_alive(), states.num_leaves);
    let all: Vec<&IndexMeta> = state.indices.values().map(|index| &**index).collect();
    let mut indices = indices(&all, &states);
    indices["shards"] = shards(&all, &health);
    let shown = json!({
        "_nodes": {"total": num_all, "successful": num_told, "failed": num_all - num_told},
        "cluster_name": state.cluster_name,
        "cluster_uuid": state.cluster_uuid,
        "timestamp": request.root().cluster().now_ms(),
        "status": health.level.as_str(),
        "indices": indices,
        "nodes": nodes(&request, &states, &reports),
    });
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

/// Returns how many copies serve, and how they are spread over indices; nothing of that without indices.
fn shards(indices: &[&IndexMeta], health: &Health) -> Value {
    let (active, primaries) = (health.active as f64, health.active_primaries as f64);
    if indices.is_empty() || primaries == 0.0 {
        return json!({"total": health.active, "primaries": health.active_primaries});
    }
    json!({
        "total": health.active,
        "primaries": health.active_primaries,
        "replication": (active - primaries) / primaries,
    })
}

fn indices(indices: &[&IndexMeta], states: &ShardStates) -> Value {
    let sum = |of: fn(&ShardState) -> u64| -> u64 {
        states.copies.iter().map(|copy| of(&copy.state)).sum()
    };
    let once = states.one_each();
    let sum_once =
        |of: fn(&ShardState) -> u64| -> u64 { once.iter().map(|copy| of(&copy.state)).sum() };
    json!({
        "count": indices.len(),
        "docs": {
            "count": sum_once(|s| s.num_documents),
            "deleted": sum_once(|s| s.num_deleted),
        },
        "store": {"size_in_bytes": sum(|s| s.store_bytes), "reserved_in_bytes": 0},
        "fielddata": {"memory_size_in_bytes": 0, "evictions": 0},
        "query_cache": no_query_cache(),
        "completion": {"size_in_bytes": 0},
        "segments": {"count": sum(|s| s.num_segments), "memory_in_bytes": 0},
        "mappings": {"field_types": field_types(indices)},
    })
}

/// Returns how many fields of each type there are, and in how many indices.
fn field_types(indices: &[&IndexMeta]) -> Vec<Value> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for index in indices {
        let mut own: BTreeMap<&str, usize> = BTreeMap::new();
        for field in index.mapping.fields.values() {
            *own.entry(field.kind.type_name()).or_default() += 1;
        }
        for (name, num_fields) in own {
            let known = counts.entry(name).or_default();
            *known = (known.0 + num_fields, known.1 + 1);
        }
    }
    let shown = |(name, (num_fields, num_indices)): (&str, (usize, usize))| json!({"name": name, "count": num_fields, "index_count": num_indices});
    counts.into_iter().map(shown).collect()
}

fn nodes(request: &Request, states: &ShardStates, reports: &Reports) -> Value {
    let members = NumMembers::of(request, states);
    let told: Vec<&NodeStats> = members_of(request, states)
        .iter()
        .filter_map(|member| reports.of(member))
        .collect();
    json!({
        "count": {
            "total": members.all,
            "data": members.data,
            "master": members.masters,
            "ingest": members.masters,
            "coordinating_only": 0,
        },
        "versions": [request.app.options.distribution.version()],
        "os": os(&told),
        "process": process(&told),
        "jvm": jvm(&told),
        "fs": fs(&told),
        "plugins": [],
        "network_types": {
            "transport_types": {"grpc": members.all},
            "http_types": {"gleaner": members.masters},
        },
        "discovery_types": {"single-node": members.all},
        "packaging_types": [{"flavor": "default", "type": "gleaner", "count": members.all}],
    })
}

fn os(told: &[&NodeStats]) -> Value {
    let machines = || told.iter().filter_map(|of| of.machine.as_ref());
    let processors: u32 = machines().map(|of| of.num_processors).sum();
    let total: u64 = machines().map(|of| of.memory_bytes).sum();
    let used: u64 = machines().map(MachineStats::used_memory_bytes).sum();
    json!({
        "available_processors": processors,
        "allocated_processors": processors,
        "names": [{"name": std::env::consts::OS, "count": told.len()}],
        "mem": {
            "total_in_bytes": total,
            "free_in_bytes": total - used,
            "used_in_bytes": used,
            "free_percent": percent(total - used, total) as u64,
            "used_percent": percent(used, total) as u64,
        },
    })
}

fn process(told: &[&NodeStats]) -> Value {
    let processes = || told.iter().filter_map(|of| of.process.as_ref());
    let files = || processes().map(|of| of.num_open_files);
    let sum: u64 = files().sum();
    json!({
        "cpu": {"percent": processes().map(|of| of.cpu_percent).sum::<u32>()},
        "open_file_descriptors": {
            "min": files().min().unwrap_or(0),
            "max": files().max().unwrap_or(0),
            "avg": sum / (told.len() as u64).max(1),
        },
    })
}

/// There is no such machine; its heap is the memory of queries, as `_nodes/stats` has it.
fn jvm(told: &[&NodeStats]) -> Value {
    let budgets = || told.iter().filter_map(|of| of.query_memory);
    let uptime = told.iter().map(|of| of.uptime.as_millis() as u64).max();
    let threads = told.iter().filter_map(|of| of.process.as_ref());
    json!({
        "max_uptime_in_millis": uptime.unwrap_or(0),
        "versions": [],
        "mem": {
            "heap_used_in_bytes": budgets().map(|of| of.held_bytes).sum::<u64>(),
            "heap_max_in_bytes": budgets().map(|of| of.limit_bytes).sum::<u64>(),
        },
        "threads": threads.map(|of| of.num_threads).sum::<u64>(),
    })
}

fn fs(told: &[&NodeStats]) -> Value {
    let disks = || told.iter().filter_map(|of| of.disk.as_ref());
    json!({
        "total_in_bytes": disks().map(|of| of.total_bytes).sum::<u64>(),
        "free_in_bytes": disks().map(|of| of.free_bytes).sum::<u64>(),
        "available_in_bytes": disks().map(|of| of.available_bytes).sum::<u64>(),
    })
}
