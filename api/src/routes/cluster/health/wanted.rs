//! What a request for health waits for.

use gleaner_model::ActiveShards;
use http::StatusCode;

use super::count::{Health, HealthLevel};
use crate::error::ApiError;
use crate::request::Request;

/// What a request waits for.
pub(super) struct HealthWait {
    level: Option<HealthLevel>,
    active_shards: Option<ActiveShards>,
    nodes: Option<(Comparison, usize)>,
    has_none_initializing: bool,
    /// What it is answered with when that does not come.
    pub(super) status_when_late: StatusCode,
}

/// Priorities of changes of metadata, which none waits for: changes are not queued.
const PRIORITIES: [&str; 6] = ["immediate", "urgent", "high", "normal", "low", "languid"];

enum Comparison {
    AtLeast,
    AtMost,
    More,
    Less,
    Equal,
}

impl HealthWait {
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        let parameters = &request.parameters;
        if let Some(events) = parameters.get("wait_for_events") {
            check_priority(events)?;
        }
        let is_fine_when_late = parameters.is_set("return_200_for_cluster_health_timeout")?;
        Ok(Self {
            level: parameters
                .get("wait_for_status")
                .map(HealthLevel::parse)
                .transpose()?,
            active_shards: parameters.active_shards()?,
            nodes: parameters.get("wait_for_nodes").map(nodes).transpose()?,
            has_none_initializing: parameters.is_set("wait_for_no_initializing_shards")?,
            status_when_late: match is_fine_when_late {
                true => StatusCode::OK,
                false => StatusCode::REQUEST_TIMEOUT,
            },
        })
    }

    pub(super) fn is_met(&self, health: &Health, num_nodes: usize) -> bool {
        let all = health.active + health.initializing + health.unassigned;
        let active = match self.active_shards {
            None => true,
            Some(ActiveShards::All) => health.active == all,
            Some(ActiveShards::AtLeast(number)) => health.active >= u64::from(number),
        };
        let nodes = match &self.nodes {
            None => true,
            Some((Comparison::AtLeast, number)) => num_nodes >= *number,
            Some((Comparison::AtMost, number)) => num_nodes <= *number,
            Some((Comparison::More, number)) => num_nodes > *number,
            Some((Comparison::Less, number)) => num_nodes < *number,
            Some((Comparison::Equal, number)) => num_nodes == *number,
        };
        let level = self.level.is_none_or(|wanted| health.level <= wanted);
        level && active && nodes && (!self.has_none_initializing || health.initializing == 0)
    }
}

fn check_priority(text: &str) -> Result<(), ApiError> {
    let mut known = PRIORITIES.iter();
    match known.any(|known| known.eq_ignore_ascii_case(text)) {
        true => Ok(()),
        false => Err(ApiError::illegal(format!(
            "wait_for_events must be one of [{}] but was [{text}]",
            PRIORITIES.join(", ")
        ))),
    }
}

/// Reads `3`, `>=3`, `<3`, `ge(3)`.
fn nodes(text: &str) -> Result<(Comparison, usize), ApiError> {
    let bare = text.trim().trim_end_matches(')');
    let forms = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::More),
        ("<", Comparison::Less),
        ("ge(", Comparison::AtLeast),
        ("le(", Comparison::AtMost),
        ("gt(", Comparison::More),
        ("lt(", Comparison::Less),
    ];
    for (prefix, comparison) in forms {
        if let Some(number) = bare.strip_prefix(prefix) {
            return Ok((comparison, number_of_nodes(number, text)?));
        }
    }
    Ok((Comparison::Equal, number_of_nodes(bare, text)?))
}

fn number_of_nodes(number: &str, text: &str) -> Result<usize, ApiError> {
    let refused = |_| ApiError::illegal(format!("wait_for_nodes cannot be read: [{text}]"));
    number.trim().parse().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_counts_are_compared_as_asked() {
        assert!(matches!(nodes(">=2"), Ok((Comparison::AtLeast, 2))));
        assert!(matches!(nodes("lt(3)"), Ok((Comparison::Less, 3))));
        assert!(matches!(nodes("1"), Ok((Comparison::Equal, 1))));
        assert!(nodes("many").is_err());
    }
}
