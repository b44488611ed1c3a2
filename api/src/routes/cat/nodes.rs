//! `_cat/nodes` and `_cat/master`.

use gleaner_model::NodeId;

use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};
use crate::route::Answer;
use crate::routes::nodes::{Member, members};

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

/// Returns the first letters of its roles.
fn letters(member: &Member) -> String {
    let roles = member.roles.iter();
    roles.filter_map(|role| role.chars().next()).collect()
}

/// Returns the host of a node.
pub(super) fn host_of(request: &Request, node: &NodeId) -> String {
    let state = request.root().state();
    let address = state.nodes.get(node).map(|meta| meta.address.as_str());
    let address = address.unwrap_or(&request.app.options.publish_address);
    split(address).0.to_owned()
}

/// Returns host and port of an address.
fn split(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap_or((address, ""))
}

/// Load and memory of the machine are not measured: their cells are empty.
pub(super) async fn nodes(request: Request) -> Answer {
    let options = &request.app.options;
    let is_full = request.parameters.is_set("full_id").unwrap_or(false);
    let members = members(&request).await;
    let master = members.iter().position(Member::is_eligible);
    let rows = members.into_iter().enumerate().map(|(at, member)| {
        let id = if is_full {
            member.id.clone()
        } else {
            member.id.chars().take(SHORT_ID).collect()
        };
        let (host, port) = split(&member.address);
        let unknown = Cell::default;
        vec![
            id.into(),
            host.into(),
            port.into(),
            member.http_address.as_deref().unwrap_or_default().into(),
            options.distribution.version().into(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            letters(&member).into(),
            if Some(at) == master { "*" } else { "-" }.into(),
            member.name.as_str().into(),
        ]
    });
    Ok(Reply::table(Table {
        columns: NODES,
        rows: rows.collect(),
    }))
}

/// The master that `_cat/nodes` marks.
pub(super) async fn master(request: Request) -> Answer {
    let members = members(&request).await;
    let master = members.iter().find(|member| member.is_eligible());
    let rows = master.into_iter().map(|member| {
        let (host, _) = split(&member.address);
        vec![
            member.id.as_str().into(),
            host.into(),
            host.into(),
            member.name.as_str().into(),
        ]
    });
    Ok(Reply::table(Table {
        columns: MASTER,
        rows: rows.collect(),
    }))
}
