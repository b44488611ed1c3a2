//! `_cat/allocation`: how many copies, and how many bytes of them, each leaf holds, and how many no leaf holds.

use std::sync::LazyLock;

use gleaner_proto::read::ShardPhase;
use gleaner_root::read::{LocatedShard, ShardStates};

use super::nodes::{Figures, letters};
use super::row::{Places, Row};
use super::size;
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::address::host;
use crate::routes::cluster::{CopiesByShard, Health};
use crate::routes::nodes::{Member, Reports, members_of, named};

const COLUMNS: &[Column] = &[
    Column::number("shards", "s", "number of shards on node"),
    Column::number(
        "shards.undesired",
        "",
        "number of shards that are to be moved: none, they stay",
    ),
    Column::number(
        "write_load.forecast",
        "wlf,writeLoadForecast",
        "sum of index write load forecasts: there are none",
    ),
    Column::number(
        "disk.indices.forecast",
        "dif,diskIndicesForecast",
        "sum of shard size forecasts: their sizes now",
    ),
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
    Column::text("node.role", "r,role,nodeRole", "node roles"),
];

/// Where the columns stand.
static PLACES: LazyLock<Places> = LazyLock::new(|| Places::of(COLUMNS));

/// Each leaf tells how full its disk is; that of one that does not is unknown. The last row counts the copies that no leaf
/// holds, whichever nodes are named.
pub(super) async fn table(request: Request) -> Answer {
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let members = named(
        &request,
        request.part("node"),
        members_of(&request, &states),
    )?;
    let shown = members
        .iter()
        .filter(|member| member.roles.contains(&"data"));
    let rows = shown.map(|member| {
        let figures = Figures {
            of: reports.of(member),
            parameters: &request.parameters,
        };
        row(member, &states, &figures)
    });
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.chain(unassigned(&request, &states)).collect(),
    }))
}

/// Returns the row of a member.
fn row(member: &Member, states: &ShardStates, figures: &Figures<'_>) -> Vec<Cell> {
    let copies = states.copies.iter();
    let copies: Vec<&LocatedShard> = copies.filter(|copy| *copy.node.0 == *member.id).collect();
    // One that has failed is unassigned, and takes up the disk all the same.
    let assigned = copies
        .iter()
        .filter(|copy| copy.state.phase != ShardPhase::Failed);
    let num_copies = assigned.count() as u64;
    let num_bytes = copies.iter().map(|copy| copy.state.store_bytes).sum();
    let taken = size(num_bytes, figures.parameters);
    let [used, available, total] = figures.disk_sizes();
    let host = host(&member.address);
    let mut row = Row::beginning(&PLACES, Vec::new());
    row.put("shards", num_copies);
    row.put("shards.undesired", 0_u64);
    row.put("write_load.forecast", Cell::quantity("0.0".to_owned(), 0.0));
    row.put("disk.indices.forecast", taken.clone());
    row.put("disk.indices", taken);
    row.put("disk.used", used);
    row.put("disk.avail", available);
    row.put("disk.total", total);
    row.put("disk.percent", figures.disk_percent());
    row.put("host", host);
    row.put("ip", host);
    row.put("node", member.name.as_str());
    row.put("node.role", letters(member));
    row.into_cells()
}

/// Returns the row of the copies that no leaf holds; `None` where there are none.
fn unassigned(request: &Request, states: &ShardStates) -> Option<Vec<Cell>> {
    let state = request.root().cluster().state();
    let indices = state.indices.values().map(|index| &**index);
    let num_copies = Health::of_all(indices, &CopiesByShard::of(&states.copies)).unassigned;
    (num_copies > 0).then(|| {
        let mut row = Row::beginning(&PLACES, Vec::new());
        row.put("shards", num_copies);
        row.put("node", "UNASSIGNED");
        row.into_cells()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{create, got, speaking};

    /// No leaf answers there.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_last_row_counts_the_copies_that_no_leaf_holds() {
        let dialect = speaking();
        let columns = "shards,disk.indices,disk.total,ip,node";
        let path = |node: &str| format!("/_cat/allocation{node}?format=json&h={columns}");
        let nodes = |rows: &Value| -> Vec<Value> {
            let rows = rows.as_array().into_iter().flatten();
            rows.map(|row| row["node"].clone()).collect()
        };
        assert_eq!(nodes(&got(&dialect, &path("")).await), ["gleaner-1"]);
        let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
        create(&dialect, "books", &json!({"settings": settings})).await;
        let shown = got(&dialect, &path("")).await;
        assert_eq!(nodes(&shown), ["gleaner-1", "UNASSIGNED"]);
        assert_eq!(shown[0]["shards"], "0");
        let all = got(&dialect, "/_cat/allocation?format=json").await;
        assert_eq!(all[0]["shards.undesired"], "0");
        assert_eq!(all[0]["disk.indices.forecast"], all[0]["disk.indices"]);
        assert_eq!(all[0]["node.role"], "dim");
        assert_eq!(all[1]["node.role"], Value::Null);
        let expected = json!({
            "shards": "4", "disk.indices": null, "disk.total": null, "ip": null, "node": "UNASSIGNED",
        });
        assert_eq!(shown[1], expected);
        // Whichever nodes are named.
        let others = got(&dialect, &path("/other")).await;
        assert_eq!(nodes(&others), ["UNASSIGNED"]);
    }
}
