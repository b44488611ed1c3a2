//! The copies of the shards of the indices that a request names, and how answers show one.
//!
//! Called by: the routes that describe shards. Read first: [`NamedCopies::look_up`].

use gleaner_proto::read::{ShardPhase, ShardState};
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions, ResolvedIndex};
use gleaner_root::read::{LocatedShard, ShardStates};
use serde_json::{Value, json};

use super::nodes::members_of;
use crate::error::ApiError;
use crate::render::uuid_text;
use crate::request::Request;
use crate::routes::address::host;

/// Indices, and the states of their copies.
pub(super) struct NamedCopies {
    /// The indices, by name.
    pub(super) indices: Vec<ResolvedIndex>,
    /// What the leaves report of these indices.
    pub(super) states: ShardStates,
    /// Copies of these indices on leaves that did not report.
    num_unreported: usize,
}

/// Everything, open and closed, hidden or not.
pub(super) fn everything() -> ResolveOptions {
    ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ..ResolveOptions::default()
    }
}

impl NamedCopies {
    /// Resolves what the request names, and asks all leaves.
    pub(super) async fn look_up(
        request: &Request,
        defaults: ResolveOptions,
    ) -> Result<Self, ApiError> {
        let options = request.parameters.resolve_options(defaults)?;
        let expression = request.expression()?.unwrap_or_default();
        let indices = names::resolve(&expression, &request.root().cluster().state(), &options)?;
        let mut states = request.root().reader().shard_states().await;
        let is_named = |copy: &LocatedShard| indices.iter().any(|f| f.meta.uuid == copy.index.uuid);
        states.copies.retain(is_named);
        let shards = indices.iter().flat_map(|found| found.meta.shards());
        let holders = shards.flat_map(|shard| request.root().reader().in_sync(shard));
        let num_unreported = match states.silent.is_empty() {
            true => 0,
            false => holders.filter(|node| states.silent.contains(node)).count(),
        };
        Ok(Self {
            indices,
            states,
            num_unreported,
        })
    }

    /// Returns the copies of one of the indices.
    pub(super) fn of<'a>(
        &'a self,
        index: &'a ResolvedIndex,
    ) -> impl Iterator<Item = &'a LocatedShard> + Clone {
        let copies = self.states.copies.iter();
        copies.filter(move |copy| copy.index.uuid == index.meta.uuid)
    }

    /// Returns how many copies there are to be.
    pub(super) fn num_wanted(&self) -> u32 {
        let settings = self.indices.iter().map(|found| &found.meta.settings);
        settings
            .map(|settings| settings.number_of_shards * (1 + settings.number_of_replicas))
            .sum()
    }

    /// Returns `_shards`: the copies that are to be, those that leaves reported, and those that failed or whose leaves
    /// did not report.
    pub(super) fn summary(&self) -> Value {
        let copies = self.states.copies.iter();
        let failed = copies.filter(|copy| copy.state.phase == ShardPhase::Failed);
        let num_failed = failed.count();
        json!({
            "total": self.num_wanted(),
            "successful": self.states.copies.len() - num_failed,
            "failed": num_failed + self.num_unreported,
        })
    }
}

/// Returns the state of a copy as the dialect names it.
pub(super) fn state_name(state: &ShardState) -> &'static str {
    match state.phase {
        // It serves, and may be old.
        ShardPhase::Started if state.reason.is_some() => "INITIALIZING",
        ShardPhase::Started => "STARTED",
        ShardPhase::Recovering => "INITIALIZING",
        ShardPhase::Failed => "UNASSIGNED",
    }
}

/// Returns where a copy is, as routing tables show it.
pub(super) fn routing_entry(copy: &LocatedShard) -> Value {
    let state = &copy.state;
    let is_assigned = state.phase != ShardPhase::Failed;
    json!({
        "state": state_name(state),
        "primary": state.is_primary,
        "node": is_assigned.then(|| copy.node.to_string()),
        "relocating_node": null,
        "shard": state.shard.shard.0,
        "index": copy.index.name.as_str(),
        "allocation_id": {"id": format!("{}-{}", uuid_text(&copy.index.uuid), copy.node)},
    })
}

/// Returns the leaf or root of that name, as answers show it; null where it is none of the cluster.
pub(super) fn node_entry(request: &Request, states: &ShardStates, node: &str) -> Value {
    let members = members_of(request, states);
    let member = members.into_iter().find(|member| member.id == node);
    member.map_or(Value::Null, |member| {
        let host = host(&member.address);
        json!({
            "id": member.id,
            "host": host,
            "transport_address": member.address,
            "ip": host,
            "name": member.name,
        })
    })
}
