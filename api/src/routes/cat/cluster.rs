//! `_cat` of nodes' attributes and thread pools, and of what this engine has none of: plugins, repositories, field data,
//! changes of metadata that wait.

use gleaner_model::mapping::matches_pattern;
use gleaner_model::node_stats::PoolStats;

use crate::parameters::comma_list;
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::address::split;
use crate::routes::nodes::{Reports, THREAD_POOLS, members, members_except, thread_pool};

const ATTRIBUTES: &[Column] = &[
    Column::text("node", "name", "node name"),
    Column::text("id", "id,nodeId", "unique node id").on_demand(),
    Column::text("pid", "p", "process id").on_demand(),
    Column::text("host", "h", "host name"),
    Column::text("ip", "i", "ip address"),
    Column::text("port", "po", "bound transport port").on_demand(),
    Column::text("attr", "attr.name", "attribute description"),
    Column::text("value", "attr.value", "attribute value"),
];
const POOLS: &[Column] = &[
    Column::text("node_name", "nn", "node name"),
    Column::text("node_id", "id", "persistent node id").on_demand(),
    Column::text("ephemeral_node_id", "eid", "ephemeral node id").on_demand(),
    Column::text("pid", "p", "process id").on_demand(),
    Column::text("host", "h", "host name").on_demand(),
    Column::text("ip", "i", "ip address").on_demand(),
    Column::text("port", "po", "bound transport port").on_demand(),
    Column::text("name", "n", "thread pool name"),
    Column::text("type", "t", "thread pool type").on_demand(),
    Column::number("active", "a", "number of active threads"),
    Column::number("pool_size", "psz", "number of threads").on_demand(),
    Column::number("queue", "q", "number of tasks currently in queue"),
    Column::number(
        "queue_size",
        "qs",
        "maximum number of tasks permitted in queue",
    )
    .on_demand(),
    Column::number("rejected", "r", "number of rejected tasks"),
    Column::number("largest", "l", "highest number of seen active threads").on_demand(),
    Column::number("completed", "c", "number of completed tasks").on_demand(),
    Column::number(
        "core",
        "cr",
        "core number of threads in a scaling thread pool",
    )
    .on_demand(),
    Column::number(
        "max",
        "mx",
        "maximum number of threads in a scaling thread pool",
    )
    .on_demand(),
    Column::number("size", "sz", "number of threads in a fixed thread pool").on_demand(),
    Column::text("keep_alive", "ka", "thread keep alive time").on_demand(),
];
const PLUGINS: &[Column] = &[
    Column::text("id", "", "unique node id").on_demand(),
    Column::text("name", "n", "node name"),
    Column::text("component", "c", "component"),
    Column::text("version", "v", "component version"),
    Column::text("description", "d", "plugin details").on_demand(),
    Column::text("type", "t", "plugin type").on_demand(),
];
const REPOSITORIES: &[Column] = &[
    Column::text("id", "id,repoId", "unique repository id"),
    Column::text("type", "t,type", "repository type"),
];
const FIELDDATA: &[Column] = &[
    Column::text("id", "", "node id"),
    Column::text("host", "h", "host name"),
    Column::text("ip", "", "ip address"),
    Column::text("node", "n", "node name"),
    Column::text("field", "f", "field name"),
    Column::number("size", "s", "field data usage"),
];
const PENDING_TASKS: &[Column] = &[
    Column::number("insertOrder", "o", "task insertion order"),
    Column::text("timeInQueue", "t", "how long task has been in queue"),
    Column::text("priority", "p", "task priority"),
    Column::text("source", "s", "task source"),
];

/// A node's only attribute is the zone that copies are spread over, where it has one.
pub(super) async fn attributes(request: Request) -> Answer {
    let state = request.root().cluster().state();
    let members = members(&request).await;
    let rows = members.iter().filter_map(|member| {
        let mut nodes = state.nodes.iter();
        let (_, meta) = nodes.find(|(node, _)| *node.0 == *member.id)?;
        let zone = meta.zone.as_deref()?;
        let (host, port) = split(&member.address);
        Some(vec![
            member.name.as_str().into(),
            member.id.as_str().into(),
            Cell::unknown(),
            host.into(),
            host.into(),
            port.into(),
            "zone".into(),
            zone.into(),
        ])
    });
    Ok(Reply::table(Table {
        columns: ATTRIBUTES,
        rows: rows.collect(),
    }))
}

/// Shows the pools of each node. Nothing is counted of those whose work is done by threads of all work alike: a node
/// that reports has 0 there, as in `_nodes/stats`. Counts of a node that does not are unknown.
pub(super) async fn thread_pools(request: Request) -> Answer {
    let wanted = request.part("patterns").map(comma_list);
    let is_wanted = |pool: &str| {
        let matches = |pattern: &String| matches_pattern(pattern, pool);
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(matches))
    };
    let reports = Reports::gather(&request).await;
    let members = members_except(&request, &reports.gone());
    let rows = members.iter().flat_map(|member| {
        let report = reports.of(member);
        let pid = reports.of(member).and_then(|of| of.process.as_ref());
        let pid = pid.map_or_else(Cell::unknown, |process| u64::from(process.pid).into());
        let (host, port) = split(&member.address);
        let pools = THREAD_POOLS.into_iter().filter(|pool| is_wanted(pool));
        pools.map(move |pool| {
            let mut row: Vec<Cell> = vec![
                member.name.as_str().into(),
                member.id.as_str().into(),
                member.id.as_str().into(),
                pid.clone(),
                host.into(),
                host.into(),
                port.into(),
                pool.into(),
                "fixed".into(),
            ];
            if report.is_some() {
                row.extend(counted(&thread_pool(report, pool).unwrap_or_default()));
            }
            row.resize(POOLS.len(), Cell::unknown());
            row
        })
    });
    Ok(Reply::table(Table {
        columns: POOLS,
        rows: rows.collect(),
    }))
}

/// Returns the cells from `active` to `size`.
fn counted(of: &PoolStats) -> [Cell; 10] {
    let capacity = of.queue_capacity.map_or_else(Cell::unknown, Cell::from);
    let threads = match of.num_threads {
        0 => Cell::unknown(),
        threads => threads.into(),
    };
    [
        of.num_active.into(),
        threads.clone(),
        of.num_queued.into(),
        capacity,
        of.num_rejected.into(),
        of.num_largest.into(),
        of.num_completed.into(),
        Cell::unknown(),
        Cell::unknown(),
        threads,
    ]
}

fn without_rows(columns: &'static [Column]) -> Answer {
    Ok(Reply::table(Table {
        columns,
        rows: Vec::new(),
    }))
}

pub(super) fn plugins() -> Answer {
    without_rows(PLUGINS)
}

pub(super) fn repositories() -> Answer {
    without_rows(REPOSITORIES)
}

pub(super) fn fielddata() -> Answer {
    without_rows(FIELDDATA)
}

pub(super) fn pending_tasks() -> Answer {
    without_rows(PENDING_TASKS)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{got, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn tables_of_what_there_is_none_of_are_empty() {
        let dialect = speaking();
        for path in [
            "/_cat/plugins",
            "/_cat/repositories",
            "/_cat/fielddata",
            "/_cat/fielddata/title?bytes=b",
            "/_cat/pending_tasks",
            "/_cat/nodeattrs",
            "/_cat/tasks?actions=*byquery",
            "/_cat/segments",
            "/_cat/recovery",
        ] {
            let (status, _) = sent(&dialect, ("GET", path), &Value::Null).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let separator = if path.contains('?') { '&' } else { '?' };
            let shown = got(&dialect, &format!("{path}{separator}format=json")).await;
            assert_eq!(shown, json!([]), "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn thread_pools_are_named_by_patterns() {
        let dialect = speaking();
        let path = "/_cat/thread_pool/se*,get?format=json&h=name,active,queue,rejected&s=name";
        let shown = got(&dialect, path).await;
        let names = shown.as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names.first(), Some(&"get"));
        assert_eq!(names.last(), Some(&"search"));
        for row in shown.as_array().into_iter().flatten() {
            for count in ["active", "queue", "rejected"] {
                assert_eq!(row[count], Value::Null, "the node does not answer: {row}");
            }
        }
    }
}
