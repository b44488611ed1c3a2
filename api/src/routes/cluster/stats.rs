//! `_cluster/stats`: what indices hold and nodes use, together: of all nodes, or of those that the path names.

mod absent;
mod kinds;
mod spread;

use std::collections::BTreeSet;

use gleaner_model::IndexMeta;
use gleaner_model::node_stats::{MachineStats, NodeStats, PoolStats, WriteStats, percent};
use gleaner_proto::read::ShardState;
use gleaner_root::read::{LocatedShard, ShardStates};
use serde_json::{Value, json};

use super::health::{CopiesByShard, Health};
use crate::error::ApiError;
use crate::render::units::humanized;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::nodes::{
    Member, NumMembers, Reports, indexing_pressure, members_except, members_of, named,
};
use crate::routes::stats::{docs, no_field_data, no_query_cache, segments, store};

pub(super) async fn stats(request: Request) -> Answer {
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let state = request.root().cluster().state();
    let all: Vec<&IndexMeta> = state.indices.values().map(|index| &**index).collect();
    let health = Health::of_all(all.iter().copied(), &CopiesByShard::of(&states.copies));
    let scope = Scope::of(&request, &states)?;
    let mut indices = indices(&all, &scope);
    indices["mappings"] = kinds::of_mappings(&all);
    indices["analysis"] = kinds::of_analysis(&all);
    indices["shards"] = spread::of_copies(&all, &scope.copies);
    indices["versions"] = versions(&request, &all, &scope);
    let (num_named, num_failed) = (scope.num_named, scope.num_failed);
    let shown = json!({
        "_nodes": {"total": num_named, "successful": num_named - num_failed, "failed": num_failed},
        "cluster_name": state.cluster_name,
        "cluster_uuid": state.cluster_uuid,
        "timestamp": request.root().cluster().now_ms(),
        "status": health.level.as_str(),
        "indices": indices,
        "nodes": nodes(&request, &scope.members, &reports),
        "repositories": {},
        "snapshots": absent::snapshots(),
        "ccs": absent::remote_searches(),
    });
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

/// The nodes that the path names, all where it names none, and what they hold.
struct Scope {
    members: Vec<Member>,
    /// How many nodes are named, silent leaves included.
    num_named: usize,
    /// How many of them are silent leaves.
    num_failed: usize,
    copies: Vec<LocatedShard>,
    /// One copy of each shard: the primary where its leaf reports. It is left out where none of the nodes holds it, so that
    /// each shard counts at one node.
    counted: Vec<LocatedShard>,
    /// Whether the path names no nodes.
    has_all: bool,
}

impl Scope {
    /// Returns the nodes that the path of a request names when leaves have told `states`.
    ///
    /// # Errors
    /// As [`named`].
    fn of(request: &Request, states: &ShardStates) -> Result<Self, ApiError> {
        let expression = request.part("node");
        let asked = named(request, expression, members_except(request, &[]))?;
        let members = named(request, expression, members_of(request, states))?;
        let silent = asked.iter().filter(|member| {
            let mut silent = states.silent.iter();
            silent.any(|node| *node.0 == *member.id)
        });
        let is_held = |copy: &&LocatedShard| {
            let mut members = members.iter();
            expression.is_none() || members.any(|member| *copy.node.0 == *member.id)
        };
        let (copies, counted) = (states.copies.iter(), states.one_each().into_iter());
        Ok(Self {
            num_named: asked.len(),
            num_failed: silent.count(),
            copies: copies.filter(is_held).cloned().collect(),
            counted: counted.filter(is_held).cloned().collect(),
            has_all: expression.is_none(),
            members,
        })
    }

    /// Returns how many of `indices` there are: of named nodes those of which they hold copies.
    fn num_indices(&self, indices: &[&IndexMeta]) -> usize {
        if self.has_all {
            return indices.len();
        }
        let held = self.copies.iter().map(|copy| copy.index.uuid);
        held.collect::<BTreeSet<_>>().len()
    }
}

fn indices(indices: &[&IndexMeta], scope: &Scope) -> Value {
    let sum_of = |copies: &[LocatedShard], of: fn(&ShardState) -> u64| -> u64 {
        copies.iter().map(|copy| of(&copy.state)).sum()
    };
    let sum = |of: fn(&ShardState) -> u64| sum_of(&scope.copies, of);
    let sum_once = |of: fn(&ShardState) -> u64| sum_of(&scope.counted, of);
    json!({
        "count": scope.num_indices(indices),
        "docs": docs(&sum_once),
        "store": store(&sum),
        "fielddata": no_field_data(),
        "query_cache": no_query_cache(),
        "completion": {"size_in_bytes": 0},
        "segments": segments(&sum),
        "search": absent::searches(),
        "dense_vector": {"value_count": 0},
        "sparse_vector": {"value_count": 0},
    })
}

/// Returns the version that indices are of: each reads as one of this version does.
fn versions(request: &Request, indices: &[&IndexMeta], scope: &Scope) -> Value {
    if indices.is_empty() {
        return json!([]);
    }
    let primaries = || scope.copies.iter().filter(|copy| copy.state.is_primary);
    json!([{
        "version": request.app.options.distribution.version(),
        "index_count": scope.num_indices(indices),
        "primary_shard_count": primaries().count(),
        "total_primary_bytes": primaries().map(|copy| copy.state.store_bytes).sum::<u64>(),
    }])
}

fn nodes(request: &Request, members: &[Member], reports: &Reports) -> Value {
    let told = members.iter().filter_map(|member| reports.of(member));
    let told: Vec<&NodeStats> = told.collect();
    let members = NumMembers::among(members);
    let count = json!({
        "total": members.all,
        "data": members.data,
        "master": members.masters,
        "ingest": members.masters,
        "coordinating_only": 0,
    });
    json!({
        "count": absent::with_other_roles(count),
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
        "indexing_pressure": indexing_pressure(writes(&told)),
        "ingest": {"number_of_pipelines": 0, "processor_stats": {}},
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
        "pretty_names": [{"pretty_name": std::env::consts::OS, "count": told.len()}],
        "architectures": [{"arch": std::env::consts::ARCH, "count": told.len()}],
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

/// Returns what is written on nodes, together.
fn writes(told: &[&NodeStats]) -> WriteStats {
    let sum = |of: fn(WriteStats) -> u64| -> u64 {
        let writes = told.iter().filter_map(|told| told.writes);
        writes.map(of).sum()
    };
    WriteStats {
        calls: PoolStats {
            num_rejected: sum(|of| of.calls.num_rejected),
            ..PoolStats::default()
        },
        held_bytes: sum(|of| of.held_bytes),
        waiting_bytes: sum(|of| of.waiting_bytes),
        limit_bytes: sum(|of| of.limit_bytes),
        total_bytes: sum(|of| of.total_bytes),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_write_is_added_up() {
        let node = |held_bytes, num_rejected| NodeStats {
            writes: Some(WriteStats {
                calls: PoolStats {
                    num_rejected,
                    ..PoolStats::default()
                },
                held_bytes,
                limit_bytes: 100,
                ..WriteStats::default()
            }),
            ..NodeStats::default()
        };
        let nodes = [node(1, 2), node(3, 4), NodeStats::default()];
        let memory = &indexing_pressure(writes(&nodes.iter().collect::<Vec<_>>()))["memory"];
        assert_eq!(memory["current"]["primary_in_bytes"], 4, "{memory}");
        assert_eq!(memory["total"]["primary_rejections"], 6, "{memory}");
        assert_eq!(memory["limit_in_bytes"], 200, "{memory}");
    }
}
