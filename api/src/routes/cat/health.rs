//! `_cat/health`.

use super::count::clock_text;
use crate::request::{Answer, Request};
use crate::response::{Column, Reply, Table};
use crate::routes::cluster::{CopiesByShard, Health};
use crate::routes::nodes::NumMembers;

const COLUMNS: &[Column] = &[
    Column::text("epoch", "t,time", "seconds since 1970-01-01 00:00:00"),
    Column::text("timestamp", "ts,hms,hhmmss", "time in HH:MM:SS"),
    Column::text("cluster", "cl", "cluster name"),
    Column::text("status", "st", "health status"),
    Column::number("node.total", "nt,nodeTotal", "total number of nodes"),
    Column::number(
        "node.data",
        "nd,nodeData",
        "number of nodes that can store data",
    ),
    Column::number(
        "shards",
        "t,sh,shards.total,shardsTotal",
        "total number of shards",
    ),
    Column::number(
        "pri",
        "p,shards.primary,shardsPrimary",
        "number of primary shards",
    ),
    Column::number(
        "relo",
        "r,shards.relocating,shardsRelocating",
        "number of relocating nodes",
    ),
    Column::number(
        "init",
        "i,shards.initializing,shardsInitializing",
        "number of initializing nodes",
    ),
    Column::number(
        "unassign",
        "u,shards.unassigned,shardsUnassigned",
        "number of unassigned shards",
    ),
    Column::number(
        "unassign.pri",
        "up,shards.unassigned.primary,shardsUnassignedPrimary",
        "number of unassigned primary shards",
    )
    .on_demand(),
    Column::number(
        "pending_tasks",
        "pt,pendingTasks",
        "number of pending tasks",
    ),
    Column::number(
        "max_task_wait_time",
        "mtwt,maxTaskWaitTime",
        "wait time of longest task pending",
    ),
    Column::number(
        "active_shards_percent",
        "asp,activeShardsPercent",
        "active number of shards in percent",
    ),
];

pub(super) async fn table(request: Request) -> Answer {
    let states = request.root().reader().shard_states().await;
    let state = request.root().cluster().state();
    let health = Health::of_all(
        state.indices.values().map(|index| &**index),
        &CopiesByShard::of(&states.copies),
    );
    let members = NumMembers::of(&request, &states);
    let seconds = request.root().cluster().now_ms() / 1_000;
    let row = vec![
        seconds.to_string().into(),
        clock_text(seconds).into(),
        state.cluster_name.as_str().into(),
        health.level.as_str().into(),
        (members.all as u64).into(),
        (members.data as u64).into(),
        health.active.into(),
        health.active_primaries.into(),
        0_u64.into(),
        health.initializing.into(),
        health.unassigned.into(),
        health.unassigned_primaries.into(),
        0_u64.into(),
        "-".into(),
        format!("{:.1}%", health.active_percent()).into(),
    ];
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: vec![row],
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{create, got, speaking};

    /// No leaf answers there.
    #[tokio::test(flavor = "multi_thread")]
    async fn shards_without_a_primary_are_counted_on_demand() {
        let dialect = speaking();
        let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
        create(&dialect, "books", &json!({"settings": settings})).await;
        let path = "/_cat/health?format=json&h=status,unassign,unassign.pri";
        let expected = json!([{"status": "red", "unassign": "4", "unassign.pri": "2"}]);
        assert_eq!(got(&dialect, path).await, expected);
        let shown = got(&dialect, "/_cat/health?format=json").await;
        assert_eq!(shown[0]["unassign"], "4");
        assert_eq!(shown[0].get("unassign.pri"), None);
    }
}
