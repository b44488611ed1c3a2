//! Which indices of data streams are deleted, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::{DataStream, IndexName, PolicyScope, StreamLifecycle};
use gleaner_query::names::{ExpandWildcards, NewName, ResolveOptions};
use gleaner_query::rollover::RolloverRequest;
use serde_json::{Value, json};

use super::*;
use crate::testing;

const DAY_MS: i64 = 86_400_000;

/// A stream that keeps a week, with three indices made a day apart; the first was replaced by a version that did not
/// note when.
fn stream(retention: Option<&str>) -> ClusterState {
    let indices = (0..3_u8).map(|n| {
        let mut index = testing::index(n, &json!({}));
        index.created_ms = i64::from(n) * DAY_MS;
        index.rolled_over_ms = (n == 1).then_some(2 * DAY_MS);
        index
    });
    let mut state = testing::state(indices);
    let of = DataStream {
        indices: state.indices.keys().copied().collect(),
        generation: 3,
        hidden: false,
        allow_custom_routing: false,
        lifecycle: Some(StreamLifecycle {
            is_enabled: true,
            retention: retention.map(str::to_owned),
        }),
    };
    let name = IndexName::parse("logs").expect("a good name");
    state.data_streams = BTreeMap::from([(name, of)]);
    state
}

fn names(state: &ClusterState, now_ms: i64) -> Vec<String> {
    let expired = expired(state, now_ms);
    expired.iter().map(|index| index.name.to_string()).collect()
}

#[test]
fn an_index_is_kept_for_the_retention_after_it_was_replaced() {
    let state = stream(Some("7d"));
    // The first was replaced when the second was made.
    assert!(names(&state, 8 * DAY_MS - 1).is_empty());
    assert_eq!(names(&state, 8 * DAY_MS), ["index-0"]);
    assert_eq!(names(&state, 9 * DAY_MS), ["index-0", "index-1"]);
    // What is written to stays, however old.
    assert_eq!(names(&state, 900 * DAY_MS), ["index-0", "index-1"]);
    assert!(names(&stream(None), 900 * DAY_MS).is_empty());
}

#[test]
fn nothing_is_due_while_lifecycles_are_stopped_or_deletion_is_blocked() {
    let mut state = stream(Some("7d"));
    for index in state.indices.values_mut() {
        let is_first = index.name.as_str() == "index-0";
        Arc::make_mut(index).settings.blocks.read_only = is_first;
    }
    assert_eq!(names(&state, 9 * DAY_MS), ["index-1"]);
    state.lifecycles = Arc::new(gleaner_model::Lifecycles {
        is_stopped: true,
        ..gleaner_model::Lifecycles::default()
    });
    assert!(names(&state, 9 * DAY_MS).is_empty());
    assert!(rollovers(&state, 9 * DAY_MS).is_empty());
}

/// Returns index `n` with these settings of its lifecycle, made at the beginning of time.
fn under(n: u8, settings: &[(&str, &str)]) -> IndexMeta {
    let mut index = testing::index(n, &json!({}));
    for (key, value) in settings {
        let key = format!("index.lifecycle.{key}");
        index.settings.declared.insert(key, json!(value));
    }
    index
}

fn with_alias(mut index: IndexMeta, alias: &str) -> IndexMeta {
    let alias = IndexName::parse(alias).expect("a good name");
    index.aliases.insert(alias, gleaner_model::Alias::default());
    index
}

/// Adds the policy `p` with these phases.
fn put(state: &mut ClusterState, phases: &Value) {
    let policy = LifecyclePolicy {
        version: 1,
        modified_ms: 0,
        declared: json!({"phases": phases}),
        scope: None,
    };
    state.lifecycles = Arc::new(gleaner_model::Lifecycles {
        policies: BTreeMap::from([("p".to_owned(), policy)]),
        ..gleaner_model::Lifecycles::default()
    });
}

fn delete_after(age: &str) -> Value {
    json!({"delete": {"min_age": age, "actions": {"delete": {}}}})
}

#[test]
fn the_index_that_an_alias_writes_to_is_kept() {
    let base = [("name", "p"), ("rollover_alias", "logs")];
    let is_kept = |index: IndexMeta| {
        let mut state = testing::state([index]);
        put(&mut state, &delete_after("1d"));
        names(&state, 2 * DAY_MS).is_empty()
    };
    assert!(is_kept(with_alias(under(1, &base), "logs")));
    let mut rolled = with_alias(under(1, &base), "logs");
    rolled.rolled_over_ms = Some(0);
    assert!(is_kept(rolled), "by another alias");
    assert!(!is_kept(under(1, &base)), "the alias went on");
    let complete = [base[0], base[1], ("indexing_complete", "true")];
    assert!(!is_kept(with_alias(under(1, &complete), "logs")));
}

#[test]
fn what_is_skipped_is_neither_replaced_nor_deleted() {
    let settings = [("name", "p"), ("rollover_alias", "logs"), ("skip", "true")];
    let hot = json!({"hot": {"actions": {"rollover": {"max_docs": 1}}}});
    for (num, is_due) in [(2, true), (3, false)] {
        let mut state = testing::state([with_alias(under(1, &settings[..num]), "logs")]);
        put(&mut state, &hot);
        let due = rollovers(&state, DAY_MS);
        assert_eq!(due.len(), usize::from(is_due));
        if let Some((target, request)) = due.first() {
            assert!(is_rollover_due(&state, DAY_MS, target, request));
            let mut stopped = state.clone();
            Arc::make_mut(&mut stopped.lifecycles).is_stopped = true;
            assert!(!is_rollover_due(&stopped, DAY_MS, target, request));
        }
    }
    let mut state = testing::state([under(1, &[settings[0], settings[2]])]);
    put(&mut state, &delete_after("1d"));
    assert!(names(&state, 9 * DAY_MS).is_empty());
    let mut state = stream(Some("7d"));
    for index in state.indices.values_mut() {
        let declared = &mut Arc::make_mut(index).settings.declared;
        declared.insert(SKIP.to_owned(), json!("true"));
    }
    assert!(names(&state, 9 * DAY_MS).is_empty());
}

#[test]
fn a_data_stream_goes_before_a_policy_that_is_not_preferred() {
    for (prefers, expected) in [("true", 0), ("false", 1)] {
        let mut state = stream(Some("7d"));
        put(&mut state, &delete_after("90d"));
        for index in state.indices.values_mut() {
            let declared = &mut Arc::make_mut(index).settings.declared;
            declared.insert(NAME.to_owned(), json!("p"));
            declared.insert(PREFER_ILM.to_owned(), json!(prefers));
        }
        assert_eq!(names(&state, 8 * DAY_MS).len(), expected);
        assert_eq!(rollovers(&state, 8 * DAY_MS).len(), expected);
        for stream in state.data_streams.values_mut() {
            stream.lifecycle = None;
        }
        assert_eq!(names(&state, 100 * DAY_MS).len(), 2, "{prefers}");
    }
}

#[test]
fn the_age_counts_from_the_declared_date_and_not_before_the_index_was_made() {
    let mut index = under(1, &[("origination_date", "7")]);
    (index.created_ms, index.rolled_over_ms) = (5, Some(3));
    assert_eq!(since_ms(&ClusterState::default(), &index), 7);
    index.settings.declared.clear();
    assert_eq!(since_ms(&ClusterState::default(), &index), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_deleted_at_the_second_look_and_many_at_once() {
    let indices = (0..150).map(|n| under(n, &[("name", "p")]));
    let fixture = testing::Fixture::new(indices);
    let admin = fixture.root.admin();
    let policy = json!({"phases": delete_after("1d")});
    admin.put_policy("p", &policy, None).await.expect("put");
    let left = || fixture.root.cluster().state().indices.len();
    fixture.root.look_at_lifecycles().await.expect("looked");
    assert_eq!(left(), 150);
    // What is not due at each look in turn begins anew.
    admin.set_lifecycles_stopped(true).await.expect("stopped");
    fixture.root.look_at_lifecycles().await.expect("looked");
    admin.set_lifecycles_stopped(false).await.expect("started");
    fixture.root.look_at_lifecycles().await.expect("looked");
    assert_eq!(left(), 150);
    let before = fixture.root.cluster().state().version;
    fixture.root.look_at_lifecycles().await.expect("looked");
    assert_eq!(left(), 0);
    assert_eq!(fixture.root.cluster().state().version, before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_rollover_of_its_own_alias_ages_an_index() {
    let mut index = with_alias(under(1, &[("rollover_alias", "logs")]), "logs");
    index.created_ms = testing::NOW_MS + 5;
    let fixture = testing::Fixture::new([with_alias(index, "other")]);
    let replaced = || {
        let state = fixture.root.cluster().state();
        state.indices[&testing::uuid(1)].rolled_over_ms
    };
    for (alias, name, expected) in [
        ("other", "next-1", None),
        ("logs", "next-2", Some(testing::NOW_MS + 5)),
    ] {
        let (always, name) = (RolloverRequest::default(), NewName::from(name));
        let rolled = fixture.root.rollover(alias, Some(&name), &always, false);
        assert!(rolled.await.expect("replaced").rolled_over);
        assert_eq!(replaced(), expected, "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_index_has_the_day_of_its_rollover() {
    let mut index = with_alias(
        under(1, &[("name", "p"), ("rollover_alias", "logs")]),
        "logs",
    );
    index.name = IndexName::parse("logs-2025.12.31-000001").expect("a good name");
    index.provided_name = Some("<logs-{now/d}-000001>".to_owned());
    index.created_ms = testing::NOW_MS - DAY_MS;
    let fixture = testing::Fixture::new([index]);
    let conditions = json!({"max_age": "1d", "min_docs": 0});
    let policy = json!({"phases": {"hot": {"actions": {"rollover": conditions}}}});
    let put = fixture.root.admin().put_policy("p", &policy, None);
    put.await.expect("put");
    fixture.root.look_at_lifecycles().await.expect("looked");
    let always = RolloverRequest::default();
    let asked = fixture.root.rollover("logs", None, &always, false);
    let report = asked.await.expect("replaced");
    assert_eq!(report.old_index, "logs-2026.01.01-000002");
    assert_eq!(report.new_index, "logs-2026.01.01-000003");
    let state = fixture.root.cluster().state();
    for (name, given) in [
        ("logs-2026.01.01-000002", "<logs-{now/d}-000002>"),
        ("logs-2026.01.01-000003", "<logs-{now/d}-000003>"),
    ] {
        let index = state.index_named(name).expect(name);
        assert_eq!(index.given_name(), given);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_policies_together_are_bounded() {
    let fixture = testing::Fixture::new([]);
    let admin = fixture.root.admin();
    let large = json!({"_meta": "m".repeat(15 << 10), "phases": {}});
    for n in 0..17 {
        let put = admin.put_policy(&n.to_string(), &large, None).await;
        put.expect("put");
    }
    let put = admin.put_policy("17", &large, None);
    let refused = put.await.expect_err("too much");
    assert!(
        refused.to_string().contains("all policies have"),
        "{refused}"
    );
    let put = admin.put_policy("16", &json!({}), None).await;
    put.expect("smaller");
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_leave_out_hidden_data_streams() {
    let mut state = stream(None);
    for stream in state.data_streams.values_mut() {
        stream.hidden = true;
    }
    let fixture = testing::Fixture::new([]);
    let admin = fixture.root.admin();
    let changed = ClusterState {
        version: fixture.root.cluster().state().version,
        ..state
    };
    admin
        .change(|state| Ok((state.data_streams.is_empty()).then(|| changed.clone())))
        .await
        .expect("put");
    let has_lifecycle = || {
        let state = fixture.root.cluster().state();
        state.data_streams["logs"].lifecycle.is_some()
    };
    let open = ResolveOptions::default().expand_wildcards;
    for (names, expand, is_kept) in [
        ("*", open, true),
        ("_all", open, true),
        ("l*", open, true),
        ("_all", ExpandWildcards::ALL, false),
    ] {
        let taken = admin.put_stream_lifecycle(names, expand, None).await;
        taken.expect("taken");
        assert_eq!(has_lifecycle(), is_kept, "{names}");
    }
}

#[test]
fn an_index_stands_where_it_was_moved_to_while_it_follows_that_policy() {
    let phases = json!({
        "hot": {"actions": {}},
        "warm": {"min_age": "900d", "actions": {}},
        "cold": {"min_age": "1000d", "actions": {}},
    });
    for (policy, phase) in [("p", "warm"), ("q", "hot")] {
        let index = under(1, &[("name", "p")]);
        let uuid = index.uuid;
        let mut state = testing::state([index]);
        put(&mut state, &phases);
        let moved = gleaner_model::PhaseMove {
            policy: policy.to_owned(),
            phase: "warm".to_owned(),
        };
        let lifecycles = Arc::make_mut(&mut state.lifecycles);
        lifecycles.moved.insert(uuid, moved);
        let stands = standing(&state, &state.indices[&uuid], DAY_MS);
        assert_eq!(stands.expect("it follows one").phase, Some(phase));
    }
}

/// Returns a scope of these patterns, which commas separate.
fn scope(patterns: &str) -> PolicyScope {
    let patterns: Vec<&str> = patterns.split(',').collect();
    serde_json::from_value(json!(patterns)).expect("a scope")
}

/// Gives the policy `p` this scope.
fn narrow(state: &mut ClusterState, patterns: &str) {
    let lifecycles = Arc::make_mut(&mut state.lifecycles);
    let policy = lifecycles.policies.get_mut("p").expect("it was put");
    policy.scope = Some(scope(patterns));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_passes_over_an_index_that_its_last_author_may_not_manage() {
    let named = |n: u8, name: &str| {
        let mut index = under(n, &[("name", "p")]);
        index.name = IndexName::parse(name).expect("a good name");
        index
    };
    let fixture = testing::Fixture::new([named(1, "logs-1"), named(2, "other-1")]);
    let admin = fixture.root.admin();
    let (policy, logs) = (json!({"phases": delete_after("1d")}), scope("logs-*"));
    let look_twice = async || {
        for _ in 0..2 {
            fixture.root.look_at_lifecycles().await.expect("looked");
        }
        fixture.root.cluster().state()
    };
    let put = admin.put_policy("p", &policy, Some(&logs)).await;
    put.expect("put");
    let state = look_twice().await;
    assert!(state.index_named("logs-1").is_none());
    let other = state.index_named("other-1").expect("it is left");
    let stands = standing(&state, other, testing::NOW_MS).expect("it follows one");
    let reason = "the last author of policy [p] may not manage index [other-1]";
    assert_eq!(stands.error.as_deref(), Some(reason));
    assert_eq!(stands.step_key().name.as_deref(), Some("ERROR"));
    // The same policy by an author without bounds.
    let put = admin.put_policy("p", &policy, None).await;
    put.expect("put");
    let state = look_twice().await;
    assert_eq!(state.lifecycles.policies["p"].version, 2);
    assert!(state.indices.is_empty());
}

#[test]
fn an_index_is_replaced_where_the_author_may_manage_it_and_its_alias() {
    let settings = [("name", "p"), ("rollover_alias", "logs")];
    let mut state = testing::state([with_alias(under(1, &settings), "logs")]);
    put(
        &mut state,
        &json!({"hot": {"actions": {"rollover": {"max_docs": 1}}}}),
    );
    for (patterns, denied) in [
        ("logs,index-*", None),
        ("*", None),
        ("index-*", Some("rollover target [logs]")),
        ("logs", Some("index [index-1]")),
    ] {
        narrow(&mut state, patterns);
        let due = rollovers(&state, DAY_MS);
        assert_eq!(due.len(), usize::from(denied.is_none()), "{patterns}");
        let stands = standing(&state, &state.indices[&testing::uuid(1)], DAY_MS);
        let reason =
            denied.map(|what| format!("the last author of policy [p] may not manage {what}"));
        assert_eq!(stands.expect("it follows one").error, reason);
    }
}

#[test]
fn who_may_manage_a_data_stream_may_manage_its_indices() {
    let mut state = stream(None);
    put(&mut state, &delete_after("1d"));
    for index in state.indices.values_mut() {
        let declared = &mut Arc::make_mut(index).settings.declared;
        declared.insert(NAME.to_owned(), json!("p"));
    }
    narrow(&mut state, "logs");
    assert_eq!(names(&state, 9 * DAY_MS), ["index-0", "index-1"]);
    narrow(&mut state, "logs-*");
    assert!(names(&state, 9 * DAY_MS).is_empty());
}
