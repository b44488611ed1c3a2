//! `_cat/shards`: every copy that is, and every copy that should be.

mod columns;

use std::sync::LazyLock;

use gleaner_model::{IndexMeta, NodeId, ShardNumber};
use gleaner_proto::read::ShardState;
use gleaner_root::read::LocatedShard;

use self::columns::COLUMNS;
use super::figures::figures;
use super::row::{Places, Row};
use super::{host_of, size};
use crate::parameters::Parameters;
use crate::request::{Answer, Request};
use crate::response::{Cell, Reply, Table};
use crate::routes::copies::{NamedCopies, everything, state_name};
use crate::routes::recovery::Figures;

pub(super) async fn table(request: Request) -> Answer {
    let named = NamedCopies::look_up(&request, everything()).await?;
    let mut rows = Vec::new();
    for found in &named.indices {
        for number in 0..found.meta.settings.number_of_shards {
            add(
                &request,
                &found.meta,
                number,
                &named.states.copies,
                &mut rows,
            );
        }
    }
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows,
    }))
}

/// Adds the copies of one shard; what is missing is unassigned.
fn add(
    request: &Request,
    index: &IndexMeta,
    number: u32,
    copies: &[LocatedShard],
    rows: &mut Vec<Vec<Cell>>,
) {
    let own = copies
        .iter()
        .filter(|copy| copy.state.shard.index == index.uuid && copy.state.shard.shard.0 == number);
    let (mut held, mut has_primary) = (Vec::new(), false);
    for copy in own {
        rows.push(row(request, copy));
        has_primary |= copy.state.is_primary;
        held.push(&copy.node);
    }
    // The leaves that are to hold a copy and do not tell of it.
    let placed = index.copies_of(ShardNumber(number));
    let mut away = placed.iter().filter(|node| !held.contains(node));
    for _ in held.len()..=index.settings.number_of_replicas as usize {
        let role = if has_primary { "r" } else { "p" };
        has_primary = true;
        rows.push(unassigned(index.name.as_str(), number, role, away.next()));
    }
}

/// Where the columns stand.
static PLACES: LazyLock<Places> = LazyLock::new(|| Places::of(COLUMNS));

/// Returns the row of a copy of a shard of `index`, nothing else told.
fn beginning(index: &str, number: u32, role: &'static str, state: &'static str) -> Row {
    let mut row = Row::beginning(&PLACES, Vec::new());
    row.put("index", index);
    row.put("shard", u64::from(number));
    row.put("prirep", role);
    row.put("state", state);
    row
}

/// Returns the row of a copy that is not there: `node` was to hold it, or no leaf is yet.
fn unassigned(index: &str, number: u32, role: &'static str, node: Option<&NodeId>) -> Vec<Cell> {
    let mut row = beginning(index, number, role, "UNASSIGNED");
    match node {
        Some(node) => {
            row.put("unassigned.reason", "NODE_LEFT");
            row.put("unassigned.details", format!("node_left [{node}]"));
        }
        None => row.put("unassigned.reason", "INDEX_CREATED"),
    }
    row.into_cells()
}

fn row(request: &Request, copy: &LocatedShard) -> Vec<Cell> {
    let state = &copy.state;
    let role = if state.is_primary { "p" } else { "r" };
    let index = copy.index.name.as_str();
    let mut row = beginning(index, state.shard.shard.0, role, state_name(state));
    row.put("docs", state.num_documents);
    row.put("store", size(state.store_bytes, &request.parameters));
    row.put("dataset", size(state.store_bytes, &request.parameters));
    row.put("ip", host_of(request, &copy.node));
    row.put("id", copy.node.to_string());
    row.put("node", copy.node.to_string());
    row.put("unassigned.reason", state.reason.clone());
    row.put("unassigned.details", state.reason.clone());
    if state.recovery.is_none() {
        let source = Figures::of(copy, 0).map(|figures| figures.source);
        row.put("recoverysource.type", source);
    }
    count(&mut row, state, &request.parameters);
    row.into_cells()
}

/// Puts what a copy has counted, where there is a column for it.
fn count(row: &mut Row, state: &ShardState, parameters: &Parameters) {
    row.put_known(figures(&|of| of(state), parameters));
    let last = state.max_seq_no.map(|seq_no| seq_no.0);
    for name in [
        "seq_no.max",
        "seq_no.local_checkpoint",
        "seq_no.global_checkpoint",
    ] {
        row.put(name, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_without_a_copy_are_ordered_by_number() {
        let numbers = [10, 9, 100];
        let rows = numbers.map(|number| unassigned("books", number, "r", None));
        let table = Table {
            columns: COLUMNS,
            rows: rows.into(),
        };
        let parameters = Parameters::parse(Some("h=shard&s=shard")).expect("well formed");
        let shown = table.to_json(&parameters).expect("known columns");
        let expected = serde_json::json!([{"shard": "9"}, {"shard": "10"}, {"shard": "100"}]);
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_copy_whose_leaf_is_gone_names_the_leaf() {
        let node = NodeId("leaf-2".into());
        let table = Table {
            columns: COLUMNS,
            rows: vec![unassigned("books", 0, "p", Some(&node))],
        };
        let asked = "h=prirep,unassigned.reason,ud";
        let parameters = Parameters::parse(Some(asked)).expect("well formed");
        let shown = table.to_json(&parameters).expect("known columns");
        let expected = serde_json::json!([{
            "prirep": "p",
            "unassigned.reason": "NODE_LEFT",
            "ud": "node_left [leaf-2]",
        }]);
        assert_eq!(shown, expected);
    }
}
