//! `profile`: the dialect's `shards`, and beside it the waterfall: where the search's time went, call by
//! call, on the root's clock.

use std::time::Duration;

use gleaner_model::ShardKey;
use gleaner_root::waterfall::{AttemptOutcome, LeafAttempt, Numbers, Step, TermsCost, Waterfall};
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// Returns the whole object.
pub(crate) fn profile(waterfall: &Waterfall) -> Value {
    let attempts: Vec<Value> = waterfall.attempts.iter().map(attempt).collect();
    let steps: Vec<Value> = waterfall.steps.iter().map(step).collect();
    let mut shown = json!({
        "shards": shards(&waterfall.attempts),
        "waterfall": {
            "statistics": match waterfall.statistics {
                Numbers::NotNeeded => "not_needed",
                Numbers::Remembered => "remembered",
                Numbers::Counted => "counted",
            },
            "restarts": waterfall.num_restarts,
            "skipped": waterfall.skipped.iter().map(skipped).collect::<Vec<_>>(),
            "steps": steps,
            "attempts": attempts,
        },
    });
    if let Some(cost) = &waterfall.terms {
        shown["waterfall"]["terms"] = terms(cost);
    }
    shown
}

/// What the posting lists of a scatter by terms have cost.
fn terms(cost: &TermsCost) -> Value {
    json!({
        "rounds": cost.rounds,
        "list_requests": cost.list_requests,
        "postings": cost.postings,
        "list_bytes": cost.list_bytes,
        "cache_hits": cost.cache_hits,
    })
}

/// A shard that was not asked for hits, for what it holds.
fn skipped((index, shard): &(String, ShardKey)) -> Value {
    json!({"index": index, "shard": shard.shard.0})
}

fn nanos(time: Duration) -> Value {
    Value::from(time.as_nanos() as u64)
}

fn step(step: &Step) -> Value {
    json!({
        "name": step.name,
        "started_after_nanos": nanos(step.started_after),
        "time_in_nanos": nanos(step.took),
    })
}

fn attempt(attempt: &LeafAttempt) -> Value {
    let shards: Vec<u32> = attempt.shards.iter().map(|shard| shard.shard.0).collect();
    let mut shown = json!({
        "phase": attempt.phase,
        "kind": attempt.kind.name(),
        "node": attempt.node.to_string(),
        "index": attempt.index,
        "shards": shards,
        "started_after_nanos": nanos(attempt.started_after),
        "time_in_nanos": nanos(attempt.took),
    });
    if let (Some(times), Some(wire)) = (attempt.times, attempt.wire()) {
        shown["queue_nanos"] = nanos(times.queue);
        shown["evaluate_nanos"] = nanos(times.evaluate);
        shown["wire_nanos"] = nanos(wire);
    }
    if let Some(cancelled) = attempt.cancelled_after() {
        shown["cancelled_after_nanos"] = nanos(cancelled);
    }
    let (outcome, fault) = match &attempt.outcome {
        AttemptOutcome::Won => ("won", None),
        AttemptOutcome::Lost => ("lost", None),
        AttemptOutcome::Late => ("late", None),
        AttemptOutcome::Failed(fault) => ("failed", Some(fault)),
    };
    shown["outcome"] = outcome.into();
    if let Some(fault) = fault {
        shown["reason"] = ApiError::from(fault).to_json();
    }
    shown["straggler"] = attempt.is_straggler.into();
    shown
}

/// What a query does in Lucene, by the names that typed clients require.
const OPERATIONS: [&str; 10] = [
    "advance",
    "build_scorer",
    "compute_max_score",
    "count_weight",
    "create_weight",
    "match",
    "next_doc",
    "score",
    "set_min_competitive_score",
    "shallow_advance",
];

/// Returns the times and counts of what a query does in Lucene: all 0, as leaves do not time it.
fn breakdown() -> Map<String, Value> {
    let names = OPERATIONS.iter();
    let names = names.flat_map(|name| [(*name).to_owned(), format!("{name}_count")]);
    names.map(|name| (name, Value::from(0))).collect()
}

/// Returns the dialect's entry for each shard that answered: what its leaf took for the call in which
/// it was asked. Leaves do not time single clauses.
fn shards(attempts: &[LeafAttempt]) -> Vec<Value> {
    let won = |attempt: &&LeafAttempt| attempt.outcome == AttemptOutcome::Won;
    let queries = attempts.iter().filter(won).filter(|a| a.phase == "query");
    let mut shown = Vec::new();
    for query in queries {
        for shard in &query.shards {
            let time = query.times.map_or(query.took, |times| times.evaluate);
            let mut entry = json!({
                "id": format!("[{}][{}][{}]", query.node, query.index, shard.shard),
                "node_id": query.node.to_string(),
                "shard_id": shard.shard.0,
                "index": query.index,
                "cluster": "(local)",
                "searches": [{
                    "query": [{
                        "type": "query",
                        "description": "all shards of the call together",
                        "time_in_nanos": nanos(time),
                        "breakdown": breakdown(),
                    }],
                    "rewrite_time": 0,
                    "collector": [],
                }],
                "aggregations": [],
            });
            let fetched = |a: &&LeafAttempt| a.phase == "fetch" && a.shards.contains(shard);
            if let Some(fetch) = attempts.iter().filter(won).find(fetched) {
                entry["fetch"] = json!({
                    "type": "fetch",
                    "description": "",
                    "time_in_nanos": nanos(fetch.took),
                    "breakdown": Map::new(),
                });
            }
            shown.push(entry);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexUuid, NodeId, ShardKey, ShardNumber};
    use gleaner_proto::LeafFault;
    use gleaner_query::answer::LeafTimes;
    use gleaner_root::waterfall::AttemptKind;

    use super::*;

    fn call(phase: &'static str, node: &str, outcome: AttemptOutcome) -> LeafAttempt {
        let shard = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(3),
        };
        LeafAttempt {
            phase,
            node: NodeId(node.into()),
            index: "books".to_owned(),
            shards: vec![shard],
            kind: AttemptKind::First,
            started_after: Duration::from_nanos(5),
            took: Duration::from_nanos(100),
            times: None,
            outcome,
            is_cancelled: false,
            is_straggler: false,
        }
    }

    #[test]
    fn the_wire_is_what_the_leaf_does_not_account_for() {
        let times = LeafTimes {
            queue: Duration::from_nanos(20),
            evaluate: Duration::from_nanos(70),
            cpu: Duration::from_nanos(60),
        };
        let timed = LeafAttempt {
            times: Some(times),
            ..call("query", "a", AttemptOutcome::Won)
        };
        let shown = attempt(&timed);
        assert_eq!(
            (
                &shown["queue_nanos"],
                &shown["evaluate_nanos"],
                &shown["wire_nanos"]
            ),
            (&json!(20), &json!(70), &json!(10))
        );
    }

    #[test]
    fn a_call_that_was_given_up_says_when() {
        let second = call("query", "a", AttemptOutcome::Lost);
        assert_eq!(attempt(&second).get("cancelled_after_nanos"), None);
        let given_up = LeafAttempt {
            is_cancelled: true,
            ..second
        };
        assert_eq!(attempt(&given_up)["cancelled_after_nanos"], 105);
    }

    #[test]
    fn a_scatter_by_terms_says_what_its_lists_cost() {
        let cost = TermsCost {
            rounds: 1,
            list_requests: 4,
            postings: 30,
            list_bytes: 200,
            cache_hits: 2,
        };
        let waterfall = Waterfall {
            terms: Some(cost),
            ..Waterfall::default()
        };
        let shown = profile(&waterfall);
        let expected = json!({
            "rounds": 1, "list_requests": 4, "postings": 30, "list_bytes": 200, "cache_hits": 2
        });
        assert_eq!(shown["waterfall"]["terms"], expected);
        let by_shards = profile(&Waterfall::default());
        assert_eq!(by_shards["waterfall"].get("terms"), None);
    }

    #[test]
    fn a_failed_call_says_why_and_is_no_shard_of_the_dialects() {
        let queue = "search".into();
        let fault = LeafFault::Rejected { queue, capacity: 1 };
        let waterfall = Waterfall {
            attempts: vec![
                call("query", "a", AttemptOutcome::Failed(fault)),
                call("query", "b", AttemptOutcome::Won),
                call("fetch", "b", AttemptOutcome::Won),
            ],
            ..Waterfall::default()
        };
        let shown = profile(&waterfall);
        let failed = &shown["waterfall"]["attempts"][0];
        assert_eq!(failed["outcome"], "failed");
        assert_eq!(failed["reason"]["type"], "es_rejected_execution_exception");
        let shards = shown["shards"].as_array().expect("a list");
        assert_eq!(
            (shards.len(), &shards[0]["id"]),
            (1, &json!("[b][books][3]"))
        );
        assert_eq!(shards[0]["fetch"]["time_in_nanos"], 100);
        let query = &shards[0]["searches"][0]["query"][0];
        let breakdown = query["breakdown"].as_object().expect("an object");
        assert_eq!(breakdown.len(), 20);
        for name in ["match", "next_doc_count"] {
            assert_eq!(breakdown[name], 0, "{name}");
        }
    }
}
