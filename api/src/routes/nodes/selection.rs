//! Which members a path names: by id, name, address, role or zone, or as `_all`, `_local`, `_master`.

use gleaner_model::NodeId;
use gleaner_model::mapping::matches_pattern;

use super::members::Member;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::request::Request;
use crate::routes::address::host;

/// Roles that a name may be of. Those that no node here has take no node in, and `false` leaves none out.
const ROLES: [&str; 15] = [
    "cluster_manager",
    "coordinating_only",
    "data",
    "data_cold",
    "data_content",
    "data_frozen",
    "data_hot",
    "data_warm",
    "ingest",
    "master",
    "ml",
    "remote_cluster_client",
    "search",
    "transform",
    "voting_only",
];

/// Returns those of `members` that `expression` names, in their order; all where there is none. As in the dialect its words
/// hold one after the other: `data:false` takes out what words before it took in.
pub(in crate::routes) fn named(
    request: &Request,
    expression: Option<&str>,
    members: Vec<Member>,
) -> Result<Vec<Member>, ApiError> {
    let Some(expression) = expression else {
        return Ok(members);
    };
    let master = members.iter().position(Member::is_eligible);
    let mut are_named = vec![false; members.len()];
    for word in comma_list(expression) {
        for (at, member) in members.iter().enumerate() {
            let of = Place {
                request,
                is_master: Some(at) == master,
            };
            if let Some(is_named) = of.says(&word, member)? {
                are_named[at] = is_named;
            }
        }
    }
    let named = members.into_iter().zip(are_named);
    Ok(named
        .filter_map(|(member, is_named)| is_named.then_some(member))
        .collect())
}

/// Where a member stands in the cluster.
struct Place<'a> {
    request: &'a Request,
    is_master: bool,
}

impl Place<'_> {
    /// Returns whether a word takes the member in or out; `None` where it does neither.
    fn says(&self, word: &str, member: &Member) -> Result<Option<bool>, ApiError> {
        let takes_in = match word {
            "_all" | "_cluster" => true,
            "_local" => member.name == self.request.app.options.node_name,
            "_master" | "_cluster_manager" => self.is_master,
            _ => match word.split_once(':') {
                Some((role, flag)) if ROLES.contains(&role) => {
                    let flag = parsed(flag)?;
                    return Ok(has_role(member, role).then_some(flag));
                }
                Some(("zone", pattern)) => self
                    .zone_of(member)
                    .is_some_and(|zone| matches_pattern(pattern, &zone)),
                _ => is_called(member, word),
            },
        };
        Ok(takes_in.then_some(true))
    }

    fn zone_of(&self, member: &Member) -> Option<String> {
        let state = self.request.root().cluster().state();
        let meta = state.nodes.get(&NodeId(member.id.as_str().into()))?;
        meta.zone.as_deref().map(str::to_owned)
    }
}

fn has_role(member: &Member, role: &str) -> bool {
    match role {
        "cluster_manager" => member.is_eligible(),
        role => member.roles.contains(&role),
    }
}

fn is_called(member: &Member, word: &str) -> bool {
    let host = host(&member.address);
    let names = [
        member.id.as_str(),
        member.name.as_str(),
        host,
        member.address.as_str(),
    ];
    names.into_iter().any(|name| matches_pattern(word, name))
}

fn parsed(flag: &str) -> Result<bool, ApiError> {
    flag.parse().map_err(|_| {
        ApiError::illegal(format!(
            "Failed to parse value [{flag}] as only [true] or [false] are allowed."
        ))
    })
}
