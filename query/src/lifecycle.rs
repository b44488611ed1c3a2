//! Policies of what becomes of indices as they age (`_ilm/policy`), and lifecycles of data streams.
//!
//! Does: read them, and tell where an index of some age stands. Does not: know the cluster, or carry anything out
//! (`root` does). Source: Elasticsearch reference, *Index lifecycle* and *Data stream lifecycle*.

mod moves;
mod stream;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::limits::Limits;
use crate::rollover::{RolloverRequest, parse_rollover};
use crate::units::parse_time;

pub use moves::{MoveRequest, StepKey, parse_move};
pub use stream::{parse_stream_lifecycle, retention_of, stream_rollover};

/// The phases in their order, with the actions that Elasticsearch has in each.
const PHASES: [(&str, &[&str]); 5] = [
    (
        "hot",
        &[
            "set_priority",
            "unfollow",
            ROLLOVER,
            "readonly",
            "downsample",
            "shrink",
            "forcemerge",
            "searchable_snapshot",
        ],
    ),
    (
        "warm",
        &[
            "set_priority",
            "unfollow",
            "readonly",
            "downsample",
            "allocate",
            "migrate",
            "shrink",
            "forcemerge",
        ],
    ),
    (
        "cold",
        &[
            "set_priority",
            "unfollow",
            "readonly",
            "downsample",
            "searchable_snapshot",
            "allocate",
            "migrate",
            "freeze",
        ],
    ),
    ("frozen", &["unfollow", "searchable_snapshot"]),
    ("delete", &["wait_for_snapshot", DELETE]),
];

const ROLLOVER: &str = "rollover";
const DELETE: &str = "delete";

/// What would have to happen before an index is deleted: without it, what was to be kept would be lost.
const WAIT_FOR_SNAPSHOT: &str = "wait_for_snapshot";

/// A policy as it is carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// In their order; never empty.
    phases: Vec<Phase>,
}

/// One phase of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Its name, for example `hot`.
    pub name: &'static str,
    /// Age at which an index enters it.
    min_age: Duration,
    /// When an index of it is replaced.
    rollover: Option<RolloverRequest>,
    /// Whether its indices are deleted.
    deletes: bool,
    /// Actions that are kept and change nothing.
    without_effect: Vec<String>,
}

/// What an index in a phase waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'p> {
    /// That it may be replaced by another one.
    Rollover(&'p RolloverRequest),
    /// To be deleted.
    Delete,
    /// To be old enough for the next phase, if there is one.
    Complete,
}

/// How far an index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its age since it was replaced, or else made.
    pub age: Duration,
    /// Whether nothing is written to it any more.
    pub is_replaced: bool,
    /// The phase that somebody moved it to.
    pub moved_to: Option<&'a str>,
}

impl Policy {
    /// Returns the phase of an index and what it waits for. Phases are walked in their order: one that an index is
    /// too young for keeps it from those after that. `None`: it is too young for the first phase.
    pub fn stand(&self, progress: &Progress<'_>) -> Option<(&Phase, Step<'_>)> {
        let age = progress.age;
        let mut phases = self.phases.iter();
        let moved = progress
            .moved_to
            .and_then(|name| phases.position(|phase| phase.name == name));
        let first = match moved {
            Some(at) => at,
            None => self
                .phases
                .first()
                .filter(|first| first.min_age <= age)
                .map(|_| 0)?,
        };
        let from = self.phases.get(first..)?;
        let is_replaced = progress.is_replaced;
        if let Some(rollover) = from[0].rollover.as_ref().filter(|_| !is_replaced) {
            return Some((&from[0], Step::Rollover(rollover)));
        }
        let later = from[1..].iter().take_while(|phase| phase.min_age <= age);
        let entered = later.last().unwrap_or(&from[0]);
        let step = match entered.deletes {
            true => Step::Delete,
            false => Step::Complete,
        };
        Some((entered, step))
    }

    /// Returns the actions that are kept and change nothing, with their phases: `warm.shrink`.
    pub fn without_effect(&self) -> Vec<String> {
        let of_phase = |phase: &Phase| {
            let name = phase.name;
            let actions = phase.without_effect.iter();
            actions
                .map(|action| format!("{name}.{action}"))
                .collect::<Vec<_>>()
        };
        self.phases.iter().flat_map(of_phase).collect()
    }
}

impl Phase {
    /// Returns its actions that are kept and change nothing.
    pub fn actions_without_effect(&self) -> &[String] {
        &self.without_effect
    }
}

/// Checks the body that puts a policy called `name`, and returns what is kept of it: phases with their actions.
///
/// # Errors
/// A name that none may bear; phases and actions that there are none of, or that are refused by name.
pub fn parse_policy(name: &str, body: &Value) -> Result<Value, QueryError> {
    check_name(name)?;
    let mut reader = ObjectReader::part("put_lifecycle_request", body)?;
    let policy = reader.take("policy");
    let policy = policy.ok_or_else(|| QueryError::parsing("Required [policy]"))?;
    reader.finish()?;
    let mut declared = policy.clone();
    if let Some(phases) = declared.get_mut("phases").and_then(Value::as_object_mut) {
        for phase in phases.values_mut().filter_map(Value::as_object_mut) {
            phase.entry("min_age").or_insert_with(|| json!("0ms"));
            phase.entry("actions").or_insert_with(|| json!({}));
        }
    }
    read_policy(&declared)?;
    Ok(declared)
}

/// Reads a policy as it is kept.
///
/// # Errors
/// As [`parse_policy`].
pub fn read_policy(declared: &Value) -> Result<Policy, QueryError> {
    let mut reader = ObjectReader::part("lifecycle_policy", declared)?;
    reader.ignore(&["_meta", "deprecated"]);
    let phases = reader.take("phases").and_then(Value::as_object);
    let given = phases.ok_or_else(|| QueryError::parsing("Required [phases]"))?;
    reader.finish()?;
    if let Some(unknown) = given
        .keys()
        .find(|name| PHASES.iter().all(|(known, _)| known != name))
    {
        return Err(QueryError::illegal(format!(
            "Timeseries lifecycle does not support phase [{unknown}]"
        )));
    }
    let mut phases = Vec::new();
    for (name, actions) in PHASES {
        if let Some(phase) = given.get(name) {
            phases.push(read_phase(name, actions, phase)?);
        }
    }
    match phases.is_empty() {
        true => Err(QueryError::illegal("A policy needs at least one phase")),
        false => Ok(Policy { phases }),
    }
}

fn check_name(name: &str) -> Result<(), QueryError> {
    let reason = match name {
        _ if name.contains(',') => "name must not contain ','",
        _ if name.contains(' ') => "name must not contain ' '",
        _ if name.starts_with('_') => "name must not start with '_'",
        _ if name.len() > 255 => "name must not be longer than 255 bytes",
        _ if name.contains(gleaner_model::is_unseen) => {
            "name must not contain control characters or characters that are not seen"
        }
        _ => return Ok(()),
    };
    Err(QueryError::illegal(format!(
        "invalid policy name [{name}]: {reason}"
    )))
}

fn read_phase(name: &'static str, known: &[&str], phase: &Value) -> Result<Phase, QueryError> {
    let mut reader = ObjectReader::part("phase", phase)?;
    let min_age = reader.text("min_age")?.unwrap_or_else(|| "0ms".to_owned());
    let min_age = parse_time(&min_age, "min_age")?
        .ok_or_else(|| QueryError::illegal("[min_age] must not be [-1]"))?;
    let none = Map::new();
    let actions = match reader.take("actions") {
        None => &none,
        Some(value) => value
            .as_object()
            .ok_or_else(|| QueryError::parsing("[actions] must be an object"))?,
    };
    reader.finish()?;
    let mut read = Phase {
        name,
        min_age,
        rollover: None,
        deletes: false,
        without_effect: Vec::new(),
    };
    for (action, options) in actions {
        match action.as_str() {
            unknown if !known.contains(&unknown) => {
                return Err(QueryError::illegal(format!(
                    "invalid action [{action}] defined in phase [{name}]"
                )));
            }
            ROLLOVER => read.rollover = Some(read_rollover(options)?),
            DELETE => {
                let mut reader = ObjectReader::part(DELETE, options)?;
                reader.ignore(&["delete_searchable_snapshot"]);
                reader.finish()?;
                read.deletes = true;
            }
            WAIT_FOR_SNAPSHOT => {
                return Err(QueryError::illegal(
                    "[wait_for_snapshot] is not supported: there are no snapshots, and indices would be deleted \
                     without one",
                ));
            }
            _ => read.without_effect.push(action.clone()),
        }
    }
    Ok(read)
}

/// Reads the conditions. An index without documents is not replaced, as in Elasticsearch
/// (`indices.lifecycle.rollover.only_if_has_documents`).
fn read_rollover(options: &Value) -> Result<RolloverRequest, QueryError> {
    let mut conditions = options.clone();
    match &mut conditions {
        Value::Object(given) if !given.is_empty() => {
            given.entry("min_docs").or_insert_with(|| json!(1));
        }
        _ => {
            return Err(QueryError::illegal(
                "At least one rollover condition must be set.",
            ));
        }
    }
    parse_rollover(&json!({"conditions": conditions}), &Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(phases: &Value) -> Policy {
        let declared = parse_policy("p", &json!({"policy": {"phases": phases}})).expect("good");
        read_policy(&declared).expect("it was checked")
    }

    fn stand(policy: &Policy, seconds: u64, is_replaced: bool) -> Option<(&'static str, Step<'_>)> {
        stand_moved(policy, seconds, is_replaced, None)
    }

    fn stand_moved<'p>(
        policy: &'p Policy,
        seconds: u64,
        is_replaced: bool,
        moved_to: Option<&str>,
    ) -> Option<(&'static str, Step<'p>)> {
        let stand = policy.stand(&Progress {
            age: Duration::from_secs(seconds),
            is_replaced,
            moved_to,
        });
        stand.map(|(phase, step)| (phase.name, step))
    }

    #[test]
    fn an_index_waits_to_be_replaced_before_it_ages() {
        let policy = policy(&json!({
            "hot": {"actions": {"rollover": {"max_docs": 5}, "set_priority": {"priority": 100}}},
            "warm": {"min_age": "1m", "actions": {"shrink": {"number_of_shards": 1}}},
            "delete": {"min_age": "1h", "actions": {"delete": {}}},
        }));
        let (name, step) = stand(&policy, 9_999, false).expect("hot");
        assert!(
            name == "hot" && matches!(step, Step::Rollover(_)),
            "{step:?}"
        );
        assert_eq!(stand(&policy, 59, true), Some(("hot", Step::Complete)));
        assert_eq!(stand(&policy, 60, true), Some(("warm", Step::Complete)));
        assert_eq!(stand(&policy, 3_600, true), Some(("delete", Step::Delete)));
        assert_eq!(policy.without_effect(), ["hot.set_priority", "warm.shrink"]);
    }

    #[test]
    fn without_a_rollover_age_alone_counts() {
        let policy = policy(&json!({"delete": {"min_age": "10s", "actions": {"delete": {}}}}));
        assert_eq!(stand(&policy, 9, false), None);
        assert_eq!(stand(&policy, 10, false), Some(("delete", Step::Delete)));
    }

    #[test]
    fn an_index_that_was_moved_goes_on_from_there() {
        let policy = policy(&json!({
            "hot": {"min_age": "1m", "actions": {"rollover": {"max_docs": 5}}},
            "warm": {"min_age": "1h"},
            "delete": {"min_age": "2h", "actions": {"delete": {}}},
        }));
        let moved = |seconds, to| stand_moved(&policy, seconds, false, Some(to));
        assert!(matches!(moved(0, "hot"), Some(("hot", Step::Rollover(_)))));
        assert_eq!(moved(0, "warm"), Some(("warm", Step::Complete)));
        assert_eq!(moved(7_199, "warm"), Some(("warm", Step::Complete)));
        assert_eq!(moved(7_200, "warm"), Some(("delete", Step::Delete)));
        assert_eq!(moved(0, "delete"), Some(("delete", Step::Delete)));
        assert_eq!(moved(0, "cold"), None, "the policy has it no longer");
    }

    #[test]
    fn no_phase_overtakes_an_earlier_one() {
        let policy = policy(&json!({
            "hot": {},
            "cold": {"min_age": "90d"},
            "delete": {"min_age": "30d", "actions": {"delete": {}}},
        }));
        const DAY: u64 = 86_400;
        assert_eq!(
            stand(&policy, 40 * DAY, false),
            Some(("hot", Step::Complete))
        );
        assert_eq!(
            stand(&policy, 90 * DAY, false),
            Some(("delete", Step::Delete))
        );
    }

    #[test]
    fn what_is_no_policy_is_refused_by_name() {
        let delete = json!({"delete": {"actions": {"delete": {}}}});
        for (name, phases, reason) in [
            ("p", json!({}), "at least one phase"),
            (
                "p",
                json!({"lukewarm": {}}),
                "does not support phase [lukewarm]",
            ),
            (
                "p",
                json!({"warm": {"actions": {"rollover": {}}}}),
                "invalid action [rollover] defined in phase [warm]",
            ),
            (
                "p",
                json!({"hot": {"actions": {"rollover": {}}}}),
                "At least one rollover condition",
            ),
            (
                "p",
                json!({"hot": {"actions": {"rollover": {"max_size": "7"}}}}),
                "[max_size]",
            ),
            ("p", json!({"delete": {"min_age": "soon"}}), "[min_age]"),
            (
                "p",
                json!({"delete": {"actions": {"wait_for_snapshot": {"policy": "x"}}}}),
                "[wait_for_snapshot] is not supported",
            ),
            ("_p", delete.clone(), "must not start with '_'"),
            ("a,b", delete, "must not contain ','"),
        ] {
            let body = json!({"policy": {"phases": phases}});
            let refused = parse_policy(name, &body).expect_err("refused").reason;
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
