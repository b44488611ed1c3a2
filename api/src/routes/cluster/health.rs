//! `_cluster/health`: what is served, what is not, waiting for better.
//!
//! Green: every copy is active. Yellow: every primary is; replicas without a node of their own are
//! unassigned. Red: a primary is recovering or has stopped.

use std::time::{Duration, Instant};

use gleaner_model::IndexMeta;
use gleaner_proto::read::ShardPhase;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::read::LocatedShard;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;

/// Between two looks while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Longest wait when the request does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The three colours, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::routes) enum HealthLevel {
    Green,
    Yellow,
    Red,
}

impl HealthLevel {
    pub(in crate::routes) fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    /// Reads a colour.
    pub(in crate::routes) fn parse(text: &str) -> Result<Self, ApiError> {
        match text.to_ascii_lowercase().as_str() {
            "green" => Ok(Self::Green),
            "yellow" => Ok(Self::Yellow),
            "red" => Ok(Self::Red),
            _ => Err(ApiError::illegal(format!(
                "unknown cluster health status [{text}]"
            ))),
        }
    }
}

/// Copies counted: of a shard, an index or the cluster.
#[derive(Debug, Clone, Copy)]
pub(in crate::routes) struct Health {
    pub(in crate::routes) level: HealthLevel,
    pub(in crate::routes) primaries: u64,
    pub(in crate::routes) active_primaries: u64,
    pub(in crate::routes) active: u64,
    pub(in crate::routes) initializing: u64,
    pub(in crate::routes) unassigned: u64,
}

impl Health {
    const NONE: Self = Self {
        level: HealthLevel::Green,
        primaries: 0,
        active_primaries: 0,
        active: 0,
        initializing: 0,
        unassigned: 0,
    };

    fn add(&mut self, other: &Self) {
        self.level = self.level.max(other.level);
        self.primaries += other.primaries;
        self.active_primaries += other.active_primaries;
        self.active += other.active;
        self.initializing += other.initializing;
        self.unassigned += other.unassigned;
    }

    /// Returns the health of shard `number` of an index.
    pub(in crate::routes) fn of_shard(
        index: &IndexMeta,
        number: u32,
        copies: &[LocatedShard],
    ) -> Self {
        let is_copy = |copy: &&LocatedShard| {
            copy.state.shard.index == index.uuid && copy.state.shard.shard.0 == number
        };
        let count = |phase| {
            copies
                .iter()
                .filter(is_copy)
                .filter(|copy| copy.state.phase == phase)
                .count() as u64
        };
        let (active, initializing) = (count(ShardPhase::Started), count(ShardPhase::Recovering));
        let wanted = 1 + u64::from(index.settings.number_of_replicas);
        let level = match active {
            0 => HealthLevel::Red,
            _ if active < wanted => HealthLevel::Yellow,
            _ => HealthLevel::Green,
        };
        Self {
            level,
            primaries: 1,
            active_primaries: active.min(1),
            active,
            initializing,
            unassigned: wanted.saturating_sub(active + initializing),
        }
    }

    /// Returns the health of an index.
    pub(in crate::routes) fn of_index(index: &IndexMeta, copies: &[LocatedShard]) -> Self {
        let mut health = Self::NONE;
        for number in 0..index.settings.number_of_shards {
            health.add(&Self::of_shard(index, number, copies));
        }
        health
    }

    /// Returns the health of several indices together.
    pub(in crate::routes) fn of_all<'a>(
        indices: impl IntoIterator<Item = &'a IndexMeta>,
        copies: &[LocatedShard],
    ) -> Self {
        let mut health = Self::NONE;
        indices
            .into_iter()
            .for_each(|index| health.add(&Self::of_index(index, copies)));
        health
    }

    fn counts(&self) -> Map<String, Value> {
        let counts = json!({
            "active_primary_shards": self.active_primaries,
            "active_shards": self.active,
            "relocating_shards": 0,
            "initializing_shards": self.initializing,
            "unassigned_shards": self.unassigned,
            "unassigned_primary_shards": self.primaries - self.active_primaries.min(self.primaries),
        });
        match counts {
            Value::Object(counts) => counts,
            _ => Map::new(),
        }
    }

    /// Returns the share of copies that are active, in percent.
    pub(in crate::routes) fn active_percent(&self) -> f64 {
        let all = self.active + self.initializing + self.unassigned;
        if all == 0 {
            100.0
        } else {
            self.active as f64 * 100.0 / all as f64
        }
    }
}

/// What a request waits for.
struct Wanted {
    level: Option<HealthLevel>,
    active_shards: Option<ActiveShards>,
    nodes: Option<(Comparison, usize)>,
    has_none_initializing: bool,
}

enum ActiveShards {
    All,
    AtLeast(u64),
}

enum Comparison {
    AtLeast,
    AtMost,
    More,
    Less,
    Equal,
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let parameters = &request.parameters;
        let active_shards = match parameters.get("wait_for_active_shards") {
            None => None,
            Some("all") => Some(ActiveShards::All),
            Some(_) => parameters
                .number("wait_for_active_shards")?
                .map(ActiveShards::AtLeast),
        };
        Ok(Self {
            level: parameters
                .get("wait_for_status")
                .map(HealthLevel::parse)
                .transpose()?,
            active_shards,
            nodes: parameters.get("wait_for_nodes").map(nodes).transpose()?,
            has_none_initializing: parameters.is_set("wait_for_no_initializing_shards")?,
        })
    }

    fn is_met(&self, health: &Health, num_nodes: usize) -> bool {
        let all = health.active + health.initializing + health.unassigned;
        let active = match self.active_shards {
            None => true,
            Some(ActiveShards::All) => health.active == all,
            Some(ActiveShards::AtLeast(number)) => health.active >= number,
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

pub(super) async fn answer(request: Request) -> Answer {
    let wanted = Wanted::of(&request)?;
    let limit = request
        .parameters
        .time("timeout")?
        .unwrap_or(DEFAULT_TIMEOUT);
    let started = Instant::now();
    loop {
        let copies = request.root().shard_states().await;
        let num_nodes = request.root().leaves().all().len();
        let (shown, health) = look(&request, &copies)?;
        let is_met = health.is_some_and(|health| wanted.is_met(&health, num_nodes));
        if is_met || started.elapsed() >= limit {
            return Ok(told(shown, !is_met));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn told(mut shown: Value, is_late: bool) -> Reply {
    shown["timed_out"] = is_late.into();
    let status = if is_late {
        StatusCode::REQUEST_TIMEOUT
    } else {
        StatusCode::OK
    };
    Reply::with_status(status, &shown)
}

/// Returns the answer as of now, and the health it is judged by; a missing index is never healthy.
fn look(request: &Request, copies: &[LocatedShard]) -> Result<(Value, Option<Health>), ApiError> {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let state = request.root().state();
    let found = match names::resolve(&expression, &state, &options) {
        Ok(found) => Some(found),
        Err(error) if error.kind.status() == 404 => None,
        Err(error) => return Err(error.into()),
    };
    let indices = found.as_deref().unwrap_or_default();
    let health = Health::of_all(indices.iter().map(|found| &*found.meta), copies);
    let level = if found.is_some() {
        health.level
    } else {
        HealthLevel::Red
    };
    let num_nodes = request.root().leaves().all().len();
    let mut shown = json!({
        "cluster_name": state.cluster_name,
        "status": level.as_str(),
        "timed_out": false,
        "number_of_nodes": num_nodes,
        "number_of_data_nodes": num_nodes,
    });
    if let Value::Object(object) = &mut shown {
        object.extend(health.counts());
    }
    shown["delayed_unassigned_shards"] = 0.into();
    shown["number_of_pending_tasks"] = 0.into();
    shown["number_of_in_flight_fetch"] = 0.into();
    shown["task_max_waiting_in_queue_millis"] = 0.into();
    shown["active_shards_percent_as_number"] = health.active_percent().into();
    match request.parameters.get("level") {
        None | Some("cluster") => {}
        Some(level @ ("indices" | "shards")) => {
            let with_shards = level == "shards";
            let entries = indices.iter().map(|found| {
                (
                    found.meta.name.to_string(),
                    of_index(&found.meta, copies, with_shards),
                )
            });
            shown["indices"] = Value::Object(entries.collect());
        }
        Some(other) => {
            let reason = format!(
                "level parameter must be one of [cluster] or [indices] or [shards] but was [{other}]"
            );
            return Err(ApiError::illegal(reason));
        }
    }
    Ok((shown, found.is_some().then_some(health)))
}

fn of_index(index: &IndexMeta, copies: &[LocatedShard], with_shards: bool) -> Value {
    let health = Health::of_index(index, copies);
    let mut object = Map::new();
    object.insert("status".to_owned(), health.level.as_str().into());
    object.insert(
        "number_of_shards".to_owned(),
        index.settings.number_of_shards.into(),
    );
    object.insert(
        "number_of_replicas".to_owned(),
        index.settings.number_of_replicas.into(),
    );
    object.extend(health.counts());
    if with_shards {
        let shards = (0..index.settings.number_of_shards).map(|number| {
            let health = Health::of_shard(index, number, copies);
            let mut object = health.counts();
            object.insert("status".to_owned(), health.level.as_str().into());
            object.insert(
                "primary_active".to_owned(),
                (health.active_primaries > 0).into(),
            );
            (number.to_string(), Value::Object(object))
        });
        object.insert("shards".to_owned(), Value::Object(shards.collect()));
    }
    Value::Object(object)
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

    #[test]
    fn nothing_at_all_is_green() {
        let health = Health::of_all([], &[]);
        assert_eq!(health.level, HealthLevel::Green);
        assert!((health.active_percent() - 100.0).abs() < f64::EPSILON);
    }
}
