//! `_cat/nodes` and `_cat/master`.

use gleaner_model::{NodeId, Role};

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

/// A member, as a line of the table.
struct Line {
    id: String,
    address: String,
    http_address: String,
    roles: &'static str,
}

/// Returns the members: those of the cluster, or this process alone.
fn lines(request: &Request) -> Vec<Line> {
    let state = request.root().state();
    if state.nodes.is_empty() {
        let leaves = request.root().leaves().all();
        let address = &request.app.options.publish_address;
        let line = |located: &gleaner_root::Located| Line {
            id: located.node.to_string(),
            address: address.clone(),
            http_address: address.clone(),
            roles: "dim",
        };
        return leaves.iter().map(line).collect();
    }
    let nodes = state.nodes.iter();
    nodes
        .map(|(node, meta)| Line {
            id: node.to_string(),
            address: meta.address.clone(),
            http_address: meta.http_address.clone().unwrap_or_default(),
            roles: match meta.role {
                Role::Leaf => "d",
                Role::Root => "im",
            },
        })
        .collect()
}

/// Returns the host of a node.
pub(super) fn host_of(request: &Request, node: &NodeId) -> String {
    let state = request.root().state();
    let address = state.nodes.get(node).map(|meta| meta.address.as_str());
    let address = address.unwrap_or(&request.app.options.publish_address);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.to_owned()
}

/// Load and memory of the machine are not measured: their cells are empty.
pub(super) fn nodes(request: &Request) -> Reply {
    let options = &request.app.options;
    let is_full = request.parameters.is_set("full_id").unwrap_or(false);
    let lines = lines(request);
    let master = lines.iter().position(|line| line.roles.contains('m'));
    let rows = lines.into_iter().enumerate().map(|(at, line)| {
        let id = if is_full {
            line.id.clone()
        } else {
            line.id.chars().take(SHORT_ID).collect()
        };
        let (host, port) = line.address.rsplit_once(':').unwrap_or((&line.address, ""));
        let unknown = Cell::default;
        vec![
            id.into(),
            host.into(),
            port.into(),
            line.http_address.as_str().into(),
            options.distribution.version().into(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            line.roles.into(),
            if Some(at) == master { "*" } else { "-" }.into(),
            line.id.as_str().into(),
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
