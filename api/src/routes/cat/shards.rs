//! `_cat/shards`: every copy that is, and every copy that should be.

use gleaner_model::{IndexMeta, NodeId, ShardNumber};
use gleaner_proto::read::ShardPhase;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::read::LocatedShard;

use super::size;
use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};
use crate::route::Answer;

const COLUMNS: &[Column] = &[
    Column::text("index", "i,idx", "index name"),
    Column::text("shard", "s,sh", "shard name"),
    Column::text("prirep", "p,pr,primaryOrReplica", "primary or replica"),
    Column::text("state", "st", "shard state"),
    Column::number("docs", "d,dc", "number of docs in shard"),
    Column::number(
        "store",
        "sto",
        "store size of shard (how much disk it uses)",
    ),
    Column::text("ip", "", "ip of node where it lives"),
    Column::text("id", "", "unique id of node where it lives").on_demand(),
    Column::text("node", "n", "name of node where it lives"),
    Column::text("unassigned.reason", "ur", "reason shard became unassigned").on_demand(),
    Column::text(
        "unassigned.details",
        "ud",
        "additional details as to why the shard became unassigned",
    )
    .on_demand(),
    Column::number("segments.count", "sc,segmentsCount", "number of segments").on_demand(),
    Column::number("seq_no.max", "sqm,maxSeqNo", "max sequence number").on_demand(),
];

pub(super) async fn table(request: Request) -> Answer {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let found = names::resolve(&expression, &request.root().cluster().state(), &options)?;
    let copies = request.root().reader().shard_states().await.copies;
    let mut rows = Vec::new();
    for found in &found {
        for number in 0..found.meta.settings.number_of_shards {
            add(&request, &found.meta, number, &copies, &mut rows);
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
        let role = if copy.state.is_primary { "p" } else { "r" };
        rows.push(row(request, index, copy, role));
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

/// Returns the row of a copy that is not there: `node` was to hold it, or no leaf is yet.
fn unassigned(index: &str, number: u32, role: &'static str, node: Option<&NodeId>) -> Vec<Cell> {
    let mut row = vec![Cell::default(); COLUMNS.len()];
    row[0] = index.into();
    row[1] = u64::from(number).into();
    row[2] = role.into();
    row[3] = "UNASSIGNED".into();
    match node {
        Some(node) => {
            row[9] = "NODE_LEFT".into();
            row[10] = format!("node_left [{node}]").into();
        }
        None => row[9] = "INDEX_CREATED".into(),
    }
    row
}

fn row(request: &Request, index: &IndexMeta, copy: &LocatedShard, role: &'static str) -> Vec<Cell> {
    let state = &copy.state;
    let ip = super::nodes::host_of(request, &copy.node);
    let phase = match state.phase {
        // It serves, and may be old.
        ShardPhase::Started if state.reason.is_some() => "INITIALIZING",
        ShardPhase::Started => "STARTED",
        ShardPhase::Recovering => "INITIALIZING",
        ShardPhase::Failed => "UNASSIGNED",
    };
    vec![
        index.name.as_str().into(),
        u64::from(state.shard.shard.0).into(),
        role.into(),
        phase.into(),
        state.num_documents.into(),
        size(state.store_bytes, &request.parameters),
        ip.into(),
        copy.node.to_string().into(),
        copy.node.to_string().into(),
        state.reason.clone().into(),
        state.reason.clone().into(),
        state.num_segments.into(),
        state.max_seq_no.map(|seq_no| seq_no.0).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameters;

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
