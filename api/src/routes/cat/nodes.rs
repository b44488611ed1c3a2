//! `_cat/nodes` and `_cat/master`.

use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};

const NODES: &[Column] = &[
    Column::text("id", "nodeId", "unique node id").on_demand(),
    Column::text("ip", "i", "ip address"),
    Column::text("port", "po", "bound port").on_demand(),
    Column::text("http_address", "http", "bound http address").on_demand(),
    Column::text("version", "v", "dialect version").on_demand(),
    Column::number("heap.percent", "hp,heapPercent", "used heap ratio"),
    Column::number("ram.percent", "rp,ramPercent", "used machine memory ratio"),
    Column::number("cpu", "", "recent cpu usage"),
    Column::number("load_1m", "l", "1m load avg"),
    Column::number("load_5m", "", "5m load avg"),
    Column::number("load_15m", "", "15m load avg"),
    Column::text(
        "node.role",
        "r,role,nodeRole",
        "d:data node, i:ingest node, m:master eligible",
    ),
    Column::text("master", "m", "*:current master"),
    Column::text("name", "n", "node name"),
];

const MASTER: &[Column] = &[
    Column::text("id", "", "node id"),
    Column::text("host", "h", "host name"),
    Column::text("ip", "", "ip address"),
    Column::text("node", "n", "node name"),
];

/// Length of a node's id unless the whole one is asked for.
const SHORT_ID: usize = 4;

/// Load and memory of the machine are not measured: their cells are empty.
pub(super) fn nodes(request: &Request) -> Reply {
    let options = &request.app.options;
    let is_full = request.parameters.is_set("full_id").unwrap_or(false);
    let (host, port) = options
        .publish_address
        .rsplit_once(':')
        .unwrap_or((&options.publish_address, ""));
    let leaves = request.root().leaves().all();
    let rows = leaves.iter().enumerate().map(|(at, located)| {
        let id = located.node.to_string();
        let id = if is_full {
            id
        } else {
            id.chars().take(SHORT_ID).collect()
        };
        let unknown = Cell::default;
        vec![
            id.into(),
            host.into(),
            port.into(),
            options.publish_address.as_str().into(),
            options.distribution.version().into(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            "dim".into(),
            if at == 0 { "*" } else { "-" }.into(),
            options.node_name.as_str().into(),
        ]
    });
    Reply::table(Table {
        columns: NODES,
        rows: rows.collect(),
    })
}

pub(super) fn master(request: &Request) -> Reply {
    let options = &request.app.options;
    let (host, _) = options
        .publish_address
        .rsplit_once(':')
        .unwrap_or((&options.publish_address, ""));
    let leaves = request.root().leaves().all();
    let rows = leaves.iter().take(1).map(|located| {
        vec![
            located.node.to_string().into(),
            host.into(),
            host.into(),
            options.node_name.as_str().into(),
        ]
    });
    Reply::table(Table {
        columns: MASTER,
        rows: rows.collect(),
    })
}
