//! Who is in the cluster: what `_nodes`, `_cat`, `_cluster/health` and `_cluster/state` tell alike.
//!
//! A leaf that does not answer is not in it until it does. Roots do not call each other: those that the
//! cluster state names are told.

use gleaner_model::{NodeId, Role};
use gleaner_root::read::ShardStates;
use serde_json::{Value, json};

use crate::request::Request;

/// The roles of a node that is alone; clients that sniff skip nodes that are masters only.
pub(in crate::routes) const ROLES: [&str; 3] = ["data", "ingest", "master"];

/// The oldest index that nodes read and the newest that they make, as the dialect numbers versions.
pub(super) const INDEX_VERSIONS: [u32; 2] = [7_000_099, 8_190_099];

/// A member of the cluster, as clients are told of it.
pub(in crate::routes) struct Member {
    pub(in crate::routes) id: String,
    pub(in crate::routes) name: String,
    /// Where other nodes call it.
    pub(in crate::routes) address: String,
    /// Where clients call it; `None` for leaves, which answer none of their requests: a client that
    /// sniffs passes over nodes without one.
    pub(in crate::routes) http_address: Option<String>,
    pub(in crate::routes) roles: &'static [&'static str],
}

impl Member {
    /// Returns whether it may be the master; the first of those that may is.
    pub(in crate::routes) fn is_eligible(&self) -> bool {
        self.roles.contains(&"master")
    }

    /// Returns what `_cluster/state` and `_search_shards` show of it, under its id.
    pub(in crate::routes) fn shown(self, request: &Request) -> (String, Value) {
        let [oldest, newest] = INDEX_VERSIONS;
        let node = json!({
            "name": self.name,
            "ephemeral_id": self.id,
            "external_id": self.name,
            "transport_address": self.address,
            "attributes": {},
            "roles": self.roles,
            "version": request.app.options.distribution.version(),
            "min_index_version": oldest,
            "max_index_version": newest,
        });
        (self.id, node)
    }
}

/// How many members there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::routes) struct NumMembers {
    /// All of them.
    pub(in crate::routes) all: usize,
    /// Those that hold copies.
    pub(in crate::routes) data: usize,
    /// Those that clients may be told of as masters.
    pub(in crate::routes) masters: usize,
}

impl NumMembers {
    /// Returns how many there are when leaves have told `states`.
    pub(in crate::routes) fn of(request: &Request, states: &ShardStates) -> Self {
        Self::among(&members_of(request, states))
    }

    /// Returns how many `members` there are.
    pub(in crate::routes) fn among(members: &[Member]) -> Self {
        let count = |role: &str| {
            let with = members.iter().filter(|member| member.roles.contains(&role));
            with.count()
        };
        Self {
            all: members.len(),
            data: count("data"),
            masters: count("master"),
        }
    }
}

/// Returns whether leaves must tell who is there: a process that is alone answers, or nobody hears this.
pub(in crate::routes) fn has_members(request: &Request) -> bool {
    !request.root().cluster().state().nodes.is_empty()
}

/// Returns the members that are there now.
pub(in crate::routes) async fn members(request: &Request) -> Vec<Member> {
    let states = match has_members(request) {
        true => request.root().reader().shard_states().await,
        false => ShardStates::default(),
    };
    members_of(request, &states)
}

/// Returns the members when leaves have told `states`: those of the cluster, or this process alone.
pub(in crate::routes) fn members_of(request: &Request, states: &ShardStates) -> Vec<Member> {
    members_except(request, &states.silent)
}

/// Returns the members but for the leaves that are `away`: those of the cluster, or this process alone.
pub(in crate::routes) fn members_except(request: &Request, away: &[NodeId]) -> Vec<Member> {
    let options = &request.app.options;
    let state = request.root().cluster().state();
    if state.nodes.is_empty() {
        let leaves = request.root().cluster().leaves().all();
        let alone = |located: &gleaner_root::LeafHandle| Member {
            id: located.node.to_string(),
            name: options.node_name.clone(),
            address: options.publish_address.clone(),
            http_address: Some(options.publish_address.clone()),
            roles: &ROLES,
        };
        return leaves.iter().map(alone).collect();
    }
    let nodes = state.nodes.iter();
    nodes
        .filter(|(node, _)| !away.contains(node))
        .map(|(node, meta)| {
            let (http_address, roles): (_, &'static [&'static str]) = match meta.role {
                Role::Leaf => (None, &ROLES[..1]),
                // Clients may know it by another address than the other nodes do.
                Role::Root if *node.0 == *options.node_name => {
                    (Some(options.publish_address.clone()), &ROLES[1..])
                }
                Role::Root => (meta.http_address.clone(), &ROLES[1..]),
            };
            Member {
                id: node.to_string(),
                name: node.to_string(),
                address: request.root().cluster().address_of(node, meta),
                http_address,
                roles,
            }
        })
        .collect()
}
