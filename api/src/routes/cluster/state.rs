//! `_cluster/state`: enough for tools that look at indices and nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_coordinator::entries::EntryTable;
use gleaner_model::{IndexMeta, PrimaryTerm, ShardKey};
use gleaner_query::mapping::mapping_tree;
use gleaner_query::names;
use gleaner_root::blocks::{Block, CLOSED, set_in};
use gleaner_root::read::{LocatedShard, ShardStates};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::copies::{everything, routing_entry};
use crate::routes::index::shown_settings;
use crate::routes::nodes::{has_members, members_of};

pub(super) async fn get(request: Request) -> Answer {
    let metrics = request.part("metric").map(comma_list);
    let has = |name: &str| {
        metrics
            .as_ref()
            .is_none_or(|m| m.iter().any(|metric| metric == name || metric == "_all"))
    };
    let state = request.root().cluster().state();
    let mut shown = json!({
        "cluster_name": state.cluster_name,
        "cluster_uuid": state.cluster_uuid,
    });
    if has("version") {
        shown["version"] = state.version.into();
        shown["state_uuid"] = format!("{}-{}", state.cluster_uuid, state.version).into();
    }
    let names_master = has("master_node") || has("cluster_manager_node");
    let tells_members = names_master || has("nodes");
    // One look at the leaves for all that is told of them.
    let is_routing = has("routing_table") || has("routing_nodes");
    let states = match is_routing || (tells_members && has_members(&request)) {
        true => request.root().reader().shard_states().await,
        false => ShardStates::default(),
    };
    if tells_members {
        let members = members_of(&request, &states);
        if names_master {
            let master = members.iter().find(|member| member.is_eligible());
            shown["master_node"] = master.map(|member| member.id.as_str()).into();
        }
        if has("nodes") {
            let nodes = members.into_iter().map(|member| member.shown(&request));
            shown["nodes"] = Value::Object(nodes.collect());
        }
    }
    if has("blocks") {
        shown["blocks"] = blocks(&request)?;
    }
    if has("metadata") {
        shown["metadata"] = metadata(&request)?;
    }
    if has("routing_table") {
        shown["routing_table"] = routing_table(&request, &states.copies)?;
    }
    if has("routing_nodes") {
        shown["routing_nodes"] = routing_nodes(&request, &states.copies)?;
    }
    Ok(Reply::json(&shown))
}

fn resolved(request: &Request) -> Result<Vec<names::ResolvedIndex>, ApiError> {
    let options = request.parameters.resolve_options(everything())?;
    let expression = request.expression()?.unwrap_or_default();
    Ok(names::resolve(
        &expression,
        &request.root().cluster().state(),
        &options,
    )?)
}

/// Indices with blocks, and which; an empty object when there are none.
fn blocks(request: &Request) -> Result<Value, ApiError> {
    let mut indices = Map::new();
    for found in resolved(request)? {
        let index = &found.meta;
        let closed = index.is_closed.then_some(&CLOSED);
        let set = closed.into_iter().chain(set_in(index.settings.blocks));
        let told: Map<String, Value> = set
            .map(|block| (block.id.to_string(), told(block)))
            .collect();
        if !told.is_empty() {
            indices.insert(index.name.to_string(), told.into());
        }
    }
    Ok(match indices.is_empty() {
        true => json!({}),
        false => json!({"indices": indices}),
    })
}

fn told(block: &Block) -> Value {
    let levels: Vec<&str> = block.levels.iter().map(|level| level.name()).collect();
    json!({"description": block.description, "retryable": false, "levels": levels})
}

/// The primary terms of shards.
struct Terms(Option<Arc<EntryTable>>);

impl Terms {
    fn of(&self, index: &IndexMeta, shard: ShardKey) -> PrimaryTerm {
        // Where copies agree through entries, those have the terms, and the index has none.
        let table = self.0.as_ref();
        let stored = table.and_then(|table| table.shards.get(&shard));
        let in_entry = stored.map(|stored| stored.entry.term);
        let of_index = || index.primary_terms.get(shard.shard.0 as usize).copied();
        in_entry.or_else(of_index).unwrap_or_default()
    }
}

fn metadata(request: &Request) -> Result<Value, ApiError> {
    let entries = request.root().cluster().coordinator().entries();
    let terms = Terms(entries.map(|entries| Arc::clone(&entries.watch().borrow())));
    let mut indices = Map::new();
    for found in resolved(request)? {
        let index = &found.meta;
        let mut object = Map::new();
        let state = if index.is_closed { "close" } else { "open" };
        object.insert("state".to_owned(), state.into());
        shown_settings(index, &request.parameters, None, &mut object)?;
        object.insert(
            "mappings".to_owned(),
            json!({"_doc": mapping_tree(&index.mapping)}),
        );
        let aliases: Vec<&str> = index
            .aliases
            .keys()
            // Those of the indices of a data stream are the stream's.
            .filter(|_| index.stream_name().is_none())
            .map(gleaner_model::IndexName::as_str)
            .collect();
        object.insert("aliases".to_owned(), json!(aliases));
        let terms = index.shards().map(|shard| {
            let term = terms.of(index, shard);
            (shard.shard.0.to_string(), term.0.into())
        });
        let terms: Map<String, Value> = terms.collect();
        object.insert("primary_terms".to_owned(), Value::Object(terms));
        // Copies go by the names of their nodes.
        let in_sync = index.shards().map(|shard| {
            let nodes = request.root().reader().in_sync(shard).into_iter();
            let nodes: Vec<String> = nodes.map(|node| node.to_string()).collect();
            (shard.shard.0.to_string(), nodes.into())
        });
        object.insert(
            "in_sync_allocations".to_owned(),
            Value::Object(in_sync.collect()),
        );
        indices.insert(index.name.to_string(), Value::Object(object));
    }
    let uuid = &request.root().cluster().state().cluster_uuid;
    Ok(json!({"cluster_uuid": uuid, "templates": {}, "indices": indices}))
}

fn routing_table(request: &Request, copies: &[LocatedShard]) -> Result<Value, ApiError> {
    let mut indices = Map::new();
    for found in resolved(request)? {
        let mut shards: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let own = copies
            .iter()
            .filter(|copy| copy.index.uuid == found.meta.uuid);
        for copy in own {
            let entries = shards.entry(copy.state.shard.shard.to_string());
            entries.or_default().push(routing_entry(copy));
        }
        if !found.meta.is_closed {
            for shard in found.meta.shards() {
                let entries = shards.entry(shard.shard.to_string()).or_default();
                entries.extend(unassigned(&found.meta, shard, copies));
            }
        }
        indices.insert(found.meta.name.to_string(), json!({"shards": shards}));
    }
    Ok(json!({"indices": indices}))
}

/// Returns the copies by the nodes that hold them, and those that nobody holds.
fn routing_nodes(request: &Request, copies: &[LocatedShard]) -> Result<Value, ApiError> {
    let named = resolved(request)?;
    let is_named = |copy: &&LocatedShard| named.iter().any(|f| f.meta.uuid == copy.index.uuid);
    let mut nodes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for copy in copies.iter().filter(is_named) {
        let held = nodes.entry(copy.node.to_string());
        held.or_default().push(routing_entry(copy));
    }
    let open = named.iter().filter(|found| !found.meta.is_closed);
    let unassigned = open.flat_map(|found| {
        let shards = found.meta.shards();
        shards.flat_map(|shard| unassigned(&found.meta, shard, copies))
    });
    let unassigned: Vec<Value> = unassigned.collect();
    Ok(json!({"unassigned": unassigned, "nodes": nodes}))
}

/// Returns the copies of a shard that nobody holds.
fn unassigned(
    index: &IndexMeta,
    shard: ShardKey,
    copies: &[LocatedShard],
) -> impl Iterator<Item = Value> {
    let held = copies.iter().filter(|copy| copy.state.shard == shard);
    let has_primary = held.clone().any(|copy| copy.state.is_primary);
    let num_wanted = 1 + index.settings.number_of_replicas as usize;
    let name = index.name.to_string();
    (0..num_wanted.saturating_sub(held.count())).map(move |at| {
        json!({
            "state": "UNASSIGNED",
            "primary": at == 0 && !has_primary,
            "node": null,
            "relocating_node": null,
            "shard": shard.shard.0,
            "index": name,
        })
    })
}

#[cfg(test)]
mod tests {
    use gleaner_coordinator::entries::StoredEntry;
    use gleaner_model::{CopyId, Entry, IndexName, IndexUuid, Revision, ShardNumber};

    use super::*;

    #[test]
    fn the_term_of_a_shard_is_that_of_its_entry_where_it_has_one() {
        let uuid = IndexUuid([1; 16]);
        let index = IndexMeta {
            primary_terms: vec![PrimaryTerm(1), PrimaryTerm(2)],
            ..IndexMeta::new(uuid, IndexName::parse("books").expect("a name"))
        };
        let key = |number| ShardKey {
            index: uuid,
            shard: ShardNumber(number),
        };
        let entry = Entry {
            term: PrimaryTerm(7),
            ..Entry::first(CopyId([2; 16]), BTreeMap::new())
        };
        let stored = StoredEntry {
            entry: Arc::new(entry),
            revision: Revision::default(),
        };
        let table = EntryTable {
            shards: [(key(0), stored)].into(),
            ..EntryTable::default()
        };
        let agreed = Terms(Some(Arc::new(table)));
        assert_eq!(agreed.of(&index, key(0)), PrimaryTerm(7));
        assert_eq!(agreed.of(&index, key(1)), PrimaryTerm(2));
        assert_eq!(Terms(None).of(&index, key(0)), PrimaryTerm(1));
        assert_eq!(Terms(None).of(&index, key(9)), PrimaryTerm(0));
    }
}
