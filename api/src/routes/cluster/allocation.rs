//! `_cluster/allocation/explain`: why a copy of a shard is where it is, or nowhere.
//!
//! Copies are placed when an index is made or its number of replicas changes, and stay: no node is weighed against another
//! later, so the answer says of each node whether it holds a copy already, and all nodes have the same rank. When a copy
//! was lost is not kept: the time in the answer is that of its index, before which it cannot have been.

use gleaner_model::{ClusterState, IndexMeta, NodeId, ShardKey, ShardNumber};
use gleaner_proto::read::ShardPhase;
use gleaner_root::read::{LocatedShard, ShardStates};
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::render::units::date_text;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::cluster::reroute::copies_shown;
use crate::routes::copies::state_name;
use crate::routes::nodes::{Member, members_of};

const NONE_UNASSIGNED: &str = "No shard was specified in the request which means the response should explain a \
                               randomly-chosen unassigned shard, but there are no unassigned shards in this cluster. To \
                               explain the allocation of an assigned shard you must specify the target shard in the request.";
const STAYS: &str =
    "copies are placed when an index is made or its number of replicas changes, and stay";

/// The rank of every node: see the head.
const RANK: u32 = 1;

/// The copy that a request names.
#[derive(Debug, Default)]
struct Wanted {
    index: Option<String>,
    shard: Option<u32>,
    is_primary: Option<bool>,
    node: Option<String>,
}

impl Wanted {
    /// Reads a body; `None` where it names nothing.
    fn of(body: Option<&Value>) -> Result<Option<Self>, ApiError> {
        let Some(body) = body else {
            return Ok(None);
        };
        let entries = body.as_object();
        let entries = entries.ok_or_else(|| ApiError::parse("the body must be an object"))?;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut wanted = Self::default();
        for (key, value) in entries {
            let bad = || ApiError::parse(format!("[{key}] cannot be [{value}]"));
            match key.as_str() {
                "index" => wanted.index = Some(value.as_str().ok_or_else(bad)?.to_owned()),
                "shard" => wanted.shard = Some(number_in(value).ok_or_else(bad)?),
                "primary" => wanted.is_primary = Some(flag_in(value).ok_or_else(bad)?),
                "current_node" => wanted.node = Some(value.as_str().ok_or_else(bad)?.to_owned()),
                other => {
                    let reason = format!("[cluster/allocation/explain] unknown field [{other}]");
                    return Err(ApiError::parse(reason));
                }
            }
        }
        Ok(Some(wanted))
    }

    /// Returns the place that it names.
    fn found<'a>(
        &self,
        state: &'a ClusterState,
        copies: &'a [LocatedShard],
    ) -> Result<Place<'a>, ApiError> {
        let (Some(name), Some(number), Some(is_primary)) =
            (&self.index, self.shard, self.is_primary)
        else {
            let given = [
                ("index", self.index.is_some()),
                ("shard", self.shard.is_some()),
                ("primary", self.is_primary.is_some()),
            ];
            let missing = given.iter().filter(|(_, is_given)| !is_given);
            let missing = missing.map(|(name, _)| format!("{name} must be specified"));
            return Err(ApiError::validation(&missing.collect::<Vec<_>>()));
        };
        let index = state.index_named(name);
        let index = index.ok_or_else(|| ApiError::index_not_found(name))?;
        if number >= index.settings.number_of_shards {
            let kind = "shard_not_found_exception";
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                kind,
                format!("no such shard [{name}][{number}]"),
            ));
        }
        let shard = Shard::of(index, number, copies);
        if let Some(node) = &self.node {
            let mut held = shard.held.iter();
            let copy =
                held.find(|copy| *copy.node.0 == **node && copy.state.is_primary == is_primary);
            let copy = copy.ok_or_else(|| {
                ApiError::illegal(format!(
                    "no such copy of [{name}][{number}] is on the node [{node}]"
                ))
            })?;
            return Ok(shard.place(is_primary, Some(*copy)));
        }
        Ok(match is_primary {
            true => shard.place(true, shard.primary()),
            // One that is nowhere is asked after first.
            false if shard.lacks_replica() => shard.place(false, None),
            false => {
                let mut held = shard.held.iter().copied();
                let failed = shard.failed_replica();
                let replica = failed.or_else(|| held.find(|copy| !copy.state.is_primary));
                shard.place(false, replica)
            }
        })
    }
}

/// Returns a number of a shard, which may be text: the dialect reads both alike.
fn number_in(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}

/// Returns a flag, which may be text: the dialect reads both alike.
fn flag_in(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => None,
        None => value.as_bool(),
    }
}

/// A shard with the copies that leaves tell of.
struct Shard<'a> {
    index: &'a IndexMeta,
    number: u32,
    held: Vec<&'a LocatedShard>,
}

impl<'a> Shard<'a> {
    fn of(index: &'a IndexMeta, number: u32, copies: &'a [LocatedShard]) -> Self {
        let own = copies.iter().filter(|copy| {
            copy.state.shard.index == index.uuid && copy.state.shard.shard.0 == number
        });
        Self {
            index,
            number,
            held: own.collect(),
        }
    }

    /// Returns the primary; one that has failed only where there is no other.
    fn primary(&self) -> Option<&'a LocatedShard> {
        let held = self.held.iter().copied();
        let held = held.filter(|copy| copy.state.is_primary);
        held.max_by_key(|copy| copy.state.phase != ShardPhase::Failed)
    }

    fn failed_replica(&self) -> Option<&'a LocatedShard> {
        let mut held = self.held.iter().copied();
        held.find(|copy| !copy.state.is_primary && copy.state.phase == ShardPhase::Failed)
    }

    fn lacks_replica(&self) -> bool {
        let num_replicas = self.held.iter().filter(|copy| !copy.state.is_primary);
        (num_replicas.count() as u64) < u64::from(self.index.settings.number_of_replicas)
    }

    fn place(&self, is_primary: bool, copy: Option<&'a LocatedShard>) -> Place<'a> {
        // The leaf that is to hold a copy and does not tell of it.
        let placed = self.index.copies_of(ShardNumber(self.number));
        let mut placed = placed.iter();
        let away = placed.find(|node| !self.held.iter().any(|copy| copy.node == **node));
        Place {
            index: self.index,
            number: self.number,
            is_primary,
            copy,
            away: away.cloned(),
            holders: self.held.iter().map(|copy| copy.node.clone()).collect(),
        }
    }
}

/// A copy that is somewhere, or that is to be.
struct Place<'a> {
    index: &'a IndexMeta,
    number: u32,
    is_primary: bool,
    copy: Option<&'a LocatedShard>,
    away: Option<NodeId>,
    holders: Vec<NodeId>,
}

/// Returns the first copy that is nowhere, or has failed: a primary if there is one.
fn first_unassigned<'a>(
    state: &'a ClusterState,
    copies: &'a [LocatedShard],
) -> Result<Place<'a>, ApiError> {
    let shards = || {
        let indices = state.indices.values();
        indices.flat_map(move |index| {
            let numbers = 0..index.settings.number_of_shards;
            numbers.map(move |number| Shard::of(index, number, copies))
        })
    };
    let is_missing = |copy: Option<&LocatedShard>| {
        copy.is_none_or(|copy| copy.state.phase == ShardPhase::Failed)
    };
    let primary = shards()
        .find(|shard| is_missing(shard.primary()))
        .map(|shard| shard.place(true, shard.primary()));
    let replica = || {
        shards().find_map(|shard| match shard.lacks_replica() {
            true => Some(shard.place(false, None)),
            false => shard
                .failed_replica()
                .map(|copy| shard.place(false, Some(copy))),
        })
    };
    primary
        .or_else(replica)
        .ok_or_else(|| ApiError::illegal(NONE_UNASSIGNED))
}

pub(super) async fn explain(mut request: Request) -> Answer {
    let body = request.json().await?;
    let wanted = Wanted::of(body.as_ref())?;
    // A `POST` is not taken for one that reads.
    request.app.freshness.renew(request.root()).await;
    let states = request.root().reader().shard_states().await;
    let state = request.root().cluster().state();
    let place = match wanted {
        Some(wanted) => wanted.found(&state, &states.copies)?,
        None => first_unassigned(&state, &states.copies)?,
    };
    let members = members_of(&request, &states);
    let key = ShardKey {
        index: place.index.uuid,
        shard: ShardNumber(place.number),
    };
    let mut answer = shown(&place, &members, &states);
    if let Some(copies) = request.root().losses().copies(key).await? {
        answer["copies"] = copies_shown(&copies);
    }
    Ok(Reply::json(&answer))
}

fn shown(place: &Place<'_>, members: &[Member], states: &ShardStates) -> Value {
    let mut shown = json!({
        "index": place.index.name.as_str(),
        "shard": place.number,
        "primary": place.is_primary,
        "current_state": "unassigned",
    });
    match place.copy {
        Some(copy) if copy.state.phase != ShardPhase::Failed => {
            let node = members.iter().find(|member| *member.id == *copy.node.0);
            shown["current_state"] = state_name(&copy.state).to_lowercase().into();
            shown["current_node"] = json!({
                "id": copy.node.to_string(),
                "name": copy.node.to_string(),
                "transport_address": node.map(|node| node.address.as_str()),
                "attributes": {},
                "roles": node.map_or(&["data"][..], |node| node.roles),
                "weight_ranking": RANK,
            });
            shown["can_remain_on_current_node"] = "yes".into();
            shown["can_rebalance_cluster"] = "no".into();
            shown["can_rebalance_to_other_node"] = "no".into();
            shown["rebalance_explanation"] = STAYS.into();
        }
        failed => {
            let (mut info, explanation) = unassigned(place, failed, states);
            info["at"] = date_text(place.index.created_ms).into();
            shown["unassigned_info"] = info;
            shown["can_allocate"] = "no".into();
            shown["allocate_explanation"] = explanation.into();
            let data = members
                .iter()
                .filter(|member| member.roles.contains(&"data"));
            shown["node_allocation_decisions"] =
                data.map(|member| decision(place, member)).collect();
        }
    }
    shown
}

/// Returns why a copy is nowhere: what is known, and a sentence.
fn unassigned(
    place: &Place<'_>,
    failed: Option<&LocatedShard>,
    states: &ShardStates,
) -> (Value, String) {
    if let Some(copy) = failed {
        let details = copy.state.reason.clone().unwrap_or_default();
        let explanation = format!("the copy on [{}] has failed: {details}", copy.node);
        let info = json!({
            "reason": "ALLOCATION_FAILED",
            "details": details,
            "last_allocation_status": "no_valid_shard_copy",
        });
        return (info, explanation);
    }
    if let Some(node) = &place.away {
        let why = match states.silent.contains(node) {
            true => "does not answer",
            false => "does not tell of it yet",
        };
        let info = json!({
            "reason": "NODE_LEFT",
            "details": format!("node_left [{node}]"),
            "last_allocation_status": "no_attempt",
        });
        return (info, format!("[{node}] is to hold the copy and {why}"));
    }
    let info = json!({
        "reason": "INDEX_CREATED",
        "last_allocation_status": "no_attempt",
    });
    let explanation = "every leaf that there was when copies were placed holds a copy of the shard: add one, then set \
                       [index.number_of_replicas] again";
    (info, explanation.to_owned())
}

/// Returns why a node does not take the copy.
fn decision(place: &Place<'_>, member: &Member) -> Value {
    let is_holder = place.holders.iter().any(|node| *node.0 == *member.id);
    let (decider, explanation) = match is_holder {
        true => (
            "same_shard",
            "a copy of this shard is already allocated to this node",
        ),
        false => ("placement", STAYS),
    };
    json!({
        "node_id": member.id,
        "node_name": member.name,
        "transport_address": member.address,
        "node_attributes": {},
        "roles": member.roles,
        "node_decision": "no",
        "weight_ranking": RANK,
        "deciders": [{"decider": decider, "decision": "NO", "explanation": explanation}],
    })
}

#[cfg(test)]
mod tests;
