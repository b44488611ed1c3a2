//! `_cluster/state` and `_cluster/stats`: enough for tools that look at indices and nodes.

use gleaner_proto::read::ShardState;
use gleaner_query::mapping::mapping_tree;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::blocks::{Block, CLOSED, set_in};
use gleaner_root::read::{LocatedShard, ShardStates};
use serde_json::{Map, Value, json};

use super::health::Health;
use crate::parameters::comma_list;
use crate::render::units::humanized;
use crate::render::uuid_text;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;
use crate::routes::index::shown_settings;
use crate::routes::nodes::{Member, NumMembers, has_members, members_of};

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
    let states = match has("routing_table") || (tells_members && has_members(&request)) {
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
            shown["nodes"] = Value::Object(members.into_iter().map(told_of).collect());
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
    Ok(Reply::json(&shown))
}

fn told_of(member: Member) -> (String, Value) {
    let node = json!({"name": member.name, "transport_address": member.address});
    (member.id, node)
}

fn resolved(request: &Request) -> Result<Vec<names::ResolvedIndex>, crate::error::ApiError> {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    Ok(names::resolve(
        &expression,
        &request.root().cluster().state(),
        &options,
    )?)
}

/// Indices with blocks, and which; an empty object when there are none.
fn blocks(request: &Request) -> Result<Value, crate::error::ApiError> {
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

fn metadata(request: &Request) -> Result<Value, crate::error::ApiError> {
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
            .iter()
            .filter(|(_, alias)| !alias.is_data_stream)
            .map(|(name, _)| name.as_str())
            .collect();
        object.insert("aliases".to_owned(), json!(aliases));
        let terms: Map<String, Value> = index
            .primary_terms
            .iter()
            .enumerate()
            .map(|(shard, term)| (shard.to_string(), term.0.into()))
            .collect();
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

fn routing_table(
    request: &Request,
    copies: &[LocatedShard],
) -> Result<Value, crate::error::ApiError> {
    let mut indices = Map::new();
    for found in resolved(request)? {
        let mut shards = Map::new();
        for copy in copies
            .iter()
            .filter(|copy| copy.index.uuid == found.meta.uuid)
        {
            let number = copy.state.shard.shard.0;
            let entry = json!({
                "state": format!("{:?}", copy.state.phase).to_uppercase(),
                "primary": copy.state.is_primary,
                "node": copy.node.to_string(),
                "relocating_node": null,
                "shard": number,
                "index": found.meta.name.as_str(),
                "allocation_id": {"id": uuid_text(&found.meta.uuid)},
            });
            let entries = shards.entry(number.to_string());
            let entries = entries.or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(entries) = entries {
                entries.push(entry);
            }
        }
        indices.insert(found.meta.name.to_string(), json!({"shards": shards}));
    }
    Ok(json!({"indices": indices}))
}

pub(super) async fn stats(request: Request) -> Answer {
    let states = request.root().reader().shard_states().await;
    let state = request.root().cluster().state();
    let health = Health::of_all(state.indices.values().map(|index| &**index), &states.copies);
    let sum = |of: fn(&ShardState) -> u64| -> u64 {
        states.copies.iter().map(|copy| of(&copy.state)).sum()
    };
    let once = states.one_each();
    let sum_once =
        |of: fn(&ShardState) -> u64| -> u64 { once.iter().map(|copy| of(&copy.state)).sum() };
    let (num_told, num_all) = (states.num_alive(), states.num_leaves);
    let members = NumMembers::of(&request, &states);
    let shown = json!({
        "_nodes": {"total": num_all, "successful": num_told, "failed": num_all - num_told},
        "cluster_name": state.cluster_name,
        "cluster_uuid": state.cluster_uuid,
        "timestamp": request.root().cluster().now_ms(),
        "status": health.level.as_str(),
        "indices": {
            "count": state.indices.len(),
            "shards": {"total": health.active, "primaries": health.active_primaries},
            "docs": {
                "count": sum_once(|s| s.num_documents),
                "deleted": sum_once(|s| s.num_deleted),
            },
            "store": {"size_in_bytes": sum(|s| s.store_bytes)},
            "segments": {"count": sum(|s| s.num_segments)},
        },
        "nodes": {
            "count": {"total": members.all, "data": members.data, "master": members.masters},
            "versions": [request.app.options.distribution.version()],
            "discovery_types": {"single-node": members.all},
            "packaging_types": [{"flavor": "default", "type": "gleaner", "count": members.all}],
        },
    });
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}
