//! `_ilm/move`: a request that an index go on from another step of its policy.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::{DELETE, Policy, ROLLOVER};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// A step of a policy as requests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepKey {
    /// The phase.
    pub phase: String,
    /// The action; `None` is the first of the phase.
    pub action: Option<String>,
    /// The step of the action; `None` is its first.
    pub name: Option<String>,
}

impl Display for StepKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = json!({"phase": self.phase});
        for (key, value) in [("action", &self.action), ("name", &self.name)] {
            if let Some(value) = value {
                shown[key] = json!(value);
            }
        }
        shown.fmt(f)
    }
}

/// Where an index is said to stand, and where it is to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRequest {
    /// Where it stands.
    pub current: StepKey,
    /// Where it goes on.
    pub next: StepKey,
}

/// Reads the body of `_ilm/move`.
///
/// # Errors
/// A step without its phase; a current one that is not named whole; keys that there are none of.
pub fn parse_move(body: &Value) -> Result<MoveRequest, QueryError> {
    let mut reader = ObjectReader::part("move_to_step_request", body)?;
    let mut step = |key: &'static str| -> Result<StepKey, QueryError> {
        let given = reader.take(key);
        let given = given.ok_or_else(|| QueryError::parsing(format!("Required [{key}]")))?;
        let mut reader = ObjectReader::part(key, given)?;
        let phase = reader.text("phase")?;
        let read = StepKey {
            phase: phase.ok_or_else(|| QueryError::parsing("Required [phase]"))?,
            action: reader.text("action")?,
            name: reader.text("name")?,
        };
        reader.finish()?;
        Ok(read)
    };
    let (current, next) = (step("current_step")?, step("next_step")?);
    reader.finish()?;
    if current.action.is_none() || current.name.is_none() {
        return Err(QueryError::illegal(
            "[current_step] must name [phase], [action] and [name]",
        ));
    }
    if next.name.is_some() && next.action.is_none() {
        return Err(QueryError::illegal(
            "[next_step] must name [action] where it names [name]",
        ));
    }
    Ok(MoveRequest { current, next })
}

impl Policy {
    /// Returns whether an index can go on from a step: one of a phase that the policy has.
    pub fn has_step(&self, step: &StepKey) -> bool {
        let mut phases = self.phases.iter();
        let Some(phase) = phases.find(|phase| phase.name == step.phase) else {
            return false;
        };
        let Some(action) = step.action.as_deref() else {
            return true;
        };
        let (is_there, known) = match action {
            "complete" => (true, Some("complete")),
            ROLLOVER => (phase.rollover.is_some(), Some("check-rollover-ready")),
            DELETE => (phase.deletes, Some("delete")),
            other => {
                let mut kept = phase.without_effect.iter();
                (kept.any(|kept| kept == other), None)
            }
        };
        let is_named = match (&step.name, known) {
            (Some(name), Some(known)) => name == known,
            _ => true,
        };
        is_there && is_named
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse_policy, read_policy};
    use super::*;

    #[test]
    fn steps_are_those_of_the_policy() {
        let phases = json!({
            "hot": {"actions": {"rollover": {"max_docs": 5}, "set_priority": {"priority": 1}}},
            "delete": {"actions": {"delete": {}}},
        });
        let declared = parse_policy("p", &json!({"policy": {"phases": phases}})).expect("good");
        let policy = read_policy(&declared).expect("good");
        for (step, is_there) in [
            (json!({"phase": "hot"}), true),
            (json!({"phase": "warm"}), false),
            (
                json!({"phase": "hot", "action": "rollover", "name": "check-rollover-ready"}),
                true,
            ),
            (
                json!({"phase": "hot", "action": "rollover", "name": "attempt-rollover"}),
                false,
            ),
            (json!({"phase": "hot", "action": "set_priority"}), true),
            (json!({"phase": "hot", "action": "shrink"}), false),
            (json!({"phase": "delete", "action": "delete"}), true),
            (json!({"phase": "delete", "action": "rollover"}), false),
        ] {
            let current = json!({"phase": "hot", "action": "complete", "name": "complete"});
            let body = json!({"current_step": current, "next_step": step});
            let request = parse_move(&body).expect("good");
            assert_eq!(policy.has_step(&request.next), is_there, "{step}");
        }
    }

    #[test]
    fn steps_that_are_not_whole_are_refused() {
        let whole = json!({"phase": "hot", "action": "complete", "name": "complete"});
        for (body, reason) in [
            (json!({"next_step": whole}), "Required [current_step]"),
            (json!({"current_step": whole}), "Required [next_step]"),
            (
                json!({"current_step": {"phase": "hot"}, "next_step": whole}),
                "must name [phase], [action] and [name]",
            ),
            (
                json!({"current_step": whole, "next_step": {"phase": "hot", "name": "x"}}),
                "must name [action] where it names [name]",
            ),
            (
                json!({"current_step": whole, "next_step": {"action": "x"}}),
                "Required [phase]",
            ),
        ] {
            let refused = parse_move(&body).expect_err("refused").reason;
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
