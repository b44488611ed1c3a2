//! `_cat/allocation`: how many copies, and how many bytes of them, each leaf holds.

use std::collections::BTreeMap;

use gleaner_model::NodeId;

use super::nodes::{Figures, letters};
use super::size;
use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};
use crate::route::Answer;
use crate::routes::nodes::{Member, Reports, members_of};

const COLUMNS: &[Column] = &[
    Column::number("shards", "s", "number of shards on node"),
    Column::number(
        "shards.undesired",
        "",
        "number of shards that are to move elsewhere",
    )
    .on_demand(),
    Column::number(
        "write_load.forecast",
        "wlf,writeLoadForecast",
        "sum of forecasts of write load",
    )
    .on_demand(),
    Column::number(
        "disk.indices.forecast",
        "dif,diskIndicesForecast",
        "sum of forecasts of shard sizes",
    )
    .on_demand(),
    Column::number(
        "disk.indices",
        "di,diskIndices",
        "disk used by indices on node",
    ),
    Column::number(
        "disk.used",
        "du,diskUsed",
        "disk used (total, not just gleaner)",
    ),
    Column::number("disk.avail", "da,diskAvail", "disk available"),
    Column::number(
        "disk.total",
        "dt,diskTotal",
        "total capacity of all volumes",
    ),
    Column::number("disk.percent", "dp,diskPercent", "percent disk used"),
    Column::text("host", "h", "host of node"),
    Column::text("ip", "", "ip of node"),
    Column::text("node", "n", "name of node"),
    Column::text("node.role", "r,role,nodeRole", "roles of node").on_demand(),
];

/// Each leaf tells how full its disk is; that of one that does not is unknown. Copies stay where they are, and no write
/// load is foreseen: the forecast of what they take is what they take.
pub(super) async fn table(request: Request) -> Answer {
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let mut held: BTreeMap<&NodeId, (u64, u64)> = BTreeMap::new();
    for copy in &states.copies {
        let (num_copies, num_bytes) = held.entry(&copy.node).or_default();
        *num_copies += 1;
        *num_bytes += copy.state.store_bytes;
    }
    let wanted = request.part("node").map(str::to_owned);
    let is_wanted = |member: &Member| {
        let names = wanted.as_deref().map(|names| names.split(','));
        let is_named = |name: &str| match name {
            "_all" | "*" => true,
            "_master" | "_cluster_manager" => member.is_eligible(),
            name => name == member.name,
        };
        member.roles.contains(&"data") && names.is_none_or(|mut names| names.any(is_named))
    };
    let shown = members_of(&request, &states);
    let rows = shown
        .iter()
        .filter(|member| is_wanted(member))
        .map(|member| {
            let node = held.keys().find(|node| *node.0 == *member.name);
            let (num_copies, num_bytes) = node.map_or((0, 0), |node| held[*node]);
            let host = super::nodes::split(&member.address).0;
            let figures = Figures {
                of: reports.of(member),
                parameters: &request.parameters,
            };
            let [used, available, total] = figures.disk_sizes();
            vec![
                num_copies.into(),
                0_u64.into(),
                Cell::quantity("0.0".to_owned(), 0.0),
                size(num_bytes, &request.parameters),
                size(num_bytes, &request.parameters),
                used,
                available,
                total,
                figures.disk_percent(),
                host.into(),
                host.into(),
                member.name.as_str().into(),
                letters(member).into(),
            ]
        });
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.collect(),
    }))
}
