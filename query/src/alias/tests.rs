//! Alias bodies and actions against a small cluster.

use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta, IndexUuid};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn cluster() -> ClusterState {
    let index = |number: u8, name: &str, alias: &str| {
        let uuid = IndexUuid([number; 16]);
        let write = Alias {
            is_write_index: Some(true),
            ..Alias::default()
        };
        let meta = IndexMeta {
            settings: gleaner_model::IndexSettings::default(),
            aliases: [(IndexName::parse(alias).unwrap(), write)].into(),
            ..IndexMeta::new(uuid, IndexName::parse(name).unwrap())
        };
        (uuid, Arc::new(meta))
    };
    ClusterState {
        indices: [index(1, "i1", "a1"), index(2, "i2", "a2")].into(),
        ..ClusterState::default()
    }
}

fn name(name: &str) -> IndexName {
    IndexName::parse_alias(name).unwrap()
}

fn apply(actions: &Value) -> Result<AliasChanges, QueryError> {
    let actions = parse_alias_actions(&json!({"actions": actions}), &Limits::default())?;
    apply_alias_actions(&actions, &cluster())
}

/// Returns the aliases of index `number` after the actions.
fn aliases(actions: &Value, number: u8) -> Vec<String> {
    let changes = apply(actions).unwrap();
    let aliases = &changes.aliases[&IndexUuid([number; 16])];
    aliases.keys().map(ToString::to_string).collect()
}

#[test]
fn names_may_have_upper_case() {
    assert_eq!(parse_alias_name("MyAlias").unwrap().as_str(), "MyAlias");
    let add = json!([{"add": {"index": "i1", "alias": "MyAlias"}}]);
    assert_eq!(aliases(&add, 1), ["MyAlias", "a1"]);
    let named = parse_aliases(&json!({"MyAlias": {}}), &Limits::default());
    assert_eq!(named.unwrap().len(), 1);
}

#[test]
fn a_filter_that_names_a_document_is_taken_only_where_it_is_kept() {
    let limits = Limits::default();
    let terms = json!({"terms": {"f": {"index": "lists", "id": "1", "path": "g"}}});
    let like = json!({"more_like_this": {"like": [{"doc": {"f": "x"}}, {"_id": "2"}]}});
    for (query, shown) in [
        (terms, "[terms] of the document [lists/1]"),
        (like, "[more_like_this] of the document [2]"),
    ] {
        let body = json!({"filter": {"bool": {"must_not": query}}});
        let reason = format!("{shown} cannot be in the filter of an alias");
        let add = json!({"index": "i", "alias": "a", "filter": body["filter"]});
        let actions = json!({"actions": [{"add": add}]});
        let named = json!({"a": body});
        let refused = [
            parse_alias(&name("a"), &body, &limits).map(drop),
            parse_aliases(&named, &limits).map(drop),
            parse_alias_actions(&actions, &limits).map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.expect_err(shown), QueryError::illegal(&*reason));
        }
        let kept = parse_kept_aliases(&named, &limits).expect(shown);
        assert!(kept.values().all(|alias| alias.filter.is_some()));
    }
}

#[test]
fn bodies_are_read() {
    let limits = Limits::default();
    let body = json!({"filter": {"term": {"u": 1}}, "routing": "1", "search_routing": "1,2", "is_write_index": true, "is_hidden": false});
    let alias = parse_alias(&name("a"), &body, &limits).unwrap();
    assert_eq!(alias.index_routing.as_deref(), Some("1"));
    assert_eq!(alias.search_routing.as_deref(), Some("1,2"));
    assert_eq!(
        (alias.is_write_index, alias.is_hidden),
        (Some(true), Some(false))
    );
    assert_eq!(
        parse_alias(&name("a"), &Value::Null, &limits),
        Ok(Alias::default())
    );
    for empty in [
        json!({"routing": ""}),
        json!({"index_routing": "", "search_routing": ""}),
    ] {
        assert_eq!(
            parse_alias(&name("a"), &empty, &limits),
            Ok(Alias::default()),
            "{empty}"
        );
    }
    for wrong in [
        json!([]),
        json!({"foo": 1}),
        json!({"filter": {"nope": {}}}),
        json!({"is_hidden": 3}),
    ] {
        assert!(parse_alias(&name("a"), &wrong, &limits).is_err(), "{wrong}");
    }
    assert_eq!(
        parse_alias_name("a b").unwrap_err().reason,
        "Invalid alias name [a b]: must not contain the following characters [ , \", *, \\, <, |, ,, \
         >, /, ?]"
    );
}

#[test]
fn actions_change_aliases() {
    assert_eq!(
        aliases(&json!([{"add": {"index": "i1", "alias": "b"}}]), 1),
        ["a1", "b"]
    );
    assert_eq!(
        aliases(
            &json!([{"add": {"indices": ["i*"], "aliases": ["b", "c"]}}]),
            2
        ),
        ["a2", "b", "c"]
    );
    assert_eq!(
        aliases(&json!([{"remove": {"index": "i1", "alias": "a1"}}]), 1),
        [""; 0]
    );
    assert_eq!(
        aliases(
            &json!([{"remove": {"index": "i1", "alias": "a*"}}, {"add": {"index": "i1", "alias": "z"}}]),
            1
        ),
        ["z"]
    );
    let swap =
        apply(&json!([{"add": {"index": "i2", "alias": "i1"}}, {"remove_index": {"index": "i1"}}]))
            .unwrap();
    assert!(swap.removed.contains(&IndexUuid([1; 16])));
    assert!(
        apply(&json!([{"remove": {"index": "i1", "alias": "x", "must_exist": false}}])).is_ok()
    );
    assert!(apply(&json!([{"remove_index": {"index": "nope", "must_exist": false}}])).is_ok());
}

#[test]
fn aliases_that_nobody_bears_are_passed_over_where_others_change() {
    let swap = json!([
        {"remove": {"index": "*", "alias": "new"}},
        {"add": {"index": "i1", "alias": "new"}},
    ]);
    assert_eq!(aliases(&swap, 1), ["a1", "new"]);
    let some = json!([{"remove": {"index": "i1", "aliases": ["a1", "nope"]}}]);
    assert_eq!(aliases(&some, 1), [""; 0]);
    for (actions, names) in [
        (
            json!([{"remove": {"index": "i1", "aliases": ["x", "y*"]}}]),
            "x, y*",
        ),
        (
            json!([
                {"add": {"index": "i1", "alias": "new"}},
                {"remove": {"index": "i1", "aliases": ["a1", "x"], "must_exist": true}},
            ]),
            "x",
        ),
    ] {
        let reason = format!("aliases [{names}] missing");
        assert_eq!(apply(&actions).unwrap_err().reason, reason);
    }
}

#[test]
fn wrong_actions_are_refused_by_name() {
    for (actions, reason) in [
        (json!([]), "No action specified"),
        (json!([{"set": {}}]), "[alias_action] unknown field [set]"),
        (
            json!([{"remove": {"index": "i1", "alias": "a1", "filter": {}}}]),
            "[remove] unknown field [filter]",
        ),
        (
            json!([{"add": {"index": "i1", "alias": "b", "must_exist": true}}]),
            "[add] unknown field [must_exist]",
        ),
        (
            json!([{"add": {"index": "", "alias": "b"}}]),
            "[index] can't be empty string",
        ),
        (
            json!([{"add": {"alias": "b"}}]),
            "One of [index] or [indices] is required, in action [add]",
        ),
        (
            json!([{"add": {"index": "i1"}}]),
            "One of [alias] or [aliases] is required, in action [add]",
        ),
        (
            json!([{"add": {"index": "nope", "alias": "b"}}]),
            "no such index [nope]",
        ),
        (
            json!([{"add": {"index": "i1", "alias": "i2"}}]),
            "Invalid alias name [i2]: an index or data stream exists with the same name as the alias",
        ),
        (
            json!([{"remove": {"index": "i1", "alias": "x"}}]),
            "aliases [x] missing",
        ),
    ] {
        assert_eq!(apply(&actions).unwrap_err().reason, reason);
    }
}

#[test]
fn actions_on_one_alias_are_refused_for_its_write_indices_and_pass_over_those_of_others() {
    let second = json!([{"add": {"index": "i2", "alias": "a1", "is_write_index": true}}]);
    assert_eq!(
        changed(&cluster(), &second).unwrap_err(),
        "alias [a1] has more than one write index [i1,i2]"
    );
    // As an earlier version let it be.
    let mut state = cluster();
    let (own, other) = (name("a1"), IndexUuid([2; 16]));
    let write = of_index(&state, 1, "a1").cloned().unwrap();
    let index = Arc::make_mut(state.indices.get_mut(&other).unwrap());
    index.aliases.insert(own, write);
    let unrelated = json!([{"add": {"index": "i1", "alias": "b"}}]);
    assert!(changed(&state, &unrelated).is_ok());
    let mended = json!([{"add": {"index": "i2", "alias": "a1", "is_write_index": false}}]);
    assert!(changed(&state, &mended).is_ok());
}

#[test]
fn writes_through_an_alias_have_one_routing() {
    let limits = Limits::default();
    let reason = "alias [a] has several index routing values associated with it";
    for body in [
        json!({"routing": "x,y"}),
        json!({"index_routing": "x,y", "search_routing": "x"}),
    ] {
        let mut add = body.clone();
        add["index"] = "i1".into();
        add["alias"] = "a".into();
        let named = json!({"a": body});
        let refused = [
            parse_alias(&name("a"), &body, &limits).map(drop),
            parse_aliases(&named, &limits).map(drop),
            parse_alias_actions(&json!({"actions": [{"add": add}]}), &limits).map(drop),
        ];
        for refused in refused {
            assert_eq!(refused, Err(QueryError::illegal(reason)), "{body}");
        }
        assert!(parse_kept_aliases(&named, &limits).is_ok(), "it is kept");
    }
    let searches = json!({"search_routing": "x,y", "index_routing": "x"});
    assert!(parse_alias(&name("a"), &searches, &limits).is_ok());
}

#[test]
fn a_request_without_actions_is_refused() {
    let limits = Limits::default();
    for body in [json!({}), json!({"actions": []})] {
        let refused = parse_alias_actions(&body, &limits).unwrap_err();
        assert_eq!(refused.kind, ErrorType::IllegalArgument, "{body}");
        assert_eq!(refused.reason, "No action specified");
    }
    for body in [Value::Null, json!([]), json!({"actions": 1})] {
        let refused = parse_alias_actions(&body, &limits).unwrap_err();
        assert_eq!(refused.reason, "[aliases] needs a list of [actions]");
    }
}

proptest! {
    #[test]
    fn no_actions_panic(value in crate::mapping::tests::any_json(), kind in "add|remove|remove_index", key in "index|alias|filter|routing") {
        drop(apply(&json!([{kind: {"index": "i*", "alias": "a*", key: value}}])));
    }
}

#[test]
fn a_request_names_a_bounded_number_of_aliases() {
    let many = |num: usize| -> Vec<Value> {
        let names = (0..num).map(|n| format!("alias-{n}"));
        names
            .map(|alias| json!({"add": {"index": "i1", "alias": alias}}))
            .collect()
    };
    assert_eq!(aliases(&json!(many(10_000)), 1).len(), 10_001);
    let refused = apply(&json!(many(10_001))).unwrap_err();
    assert_eq!(refused.kind, ErrorType::IllegalArgument);
    assert!(refused.reason.contains("[10001]"), "{refused}");
    let patterns: Vec<String> = (0..1_001).map(|n| format!("{n}*")).collect();
    let remove = json!([{"remove": {"index": "i1", "aliases": patterns}}]);
    assert!(apply(&remove).unwrap_err().reason.contains("[1001]"));
}

#[test]
fn conditions_are_counted_for_each_index_before_they_are_copied() {
    let names: Vec<String> = (0..9_000).map(|n| format!("alias-{n}")).collect();
    let filter = json!({"term": {"tenant": "t".repeat(1_000)}});
    let add = json!([{"add": {"index": "i*", "aliases": names, "filter": filter}}]);
    let refused = apply(&add).unwrap_err();
    assert!(
        refused.reason.contains("counted for each index"),
        "{refused}"
    );
}

#[test]
fn an_index_and_the_cluster_have_a_bounded_number_of_aliases() {
    let with = |num: usize, num_indices: u8| {
        let mut state = cluster();
        let index = state.indices.values().next().cloned().unwrap();
        for number in 0..num_indices {
            let mut index = IndexMeta::clone(&index);
            index.uuid = IndexUuid([number; 16]);
            let names = (0..num).map(|n| IndexName::parse_alias(&format!("alias-{n}")).unwrap());
            index.aliases = names.map(|name| (name, Alias::default())).collect();
            state.indices.insert(index.uuid, Arc::new(index));
        }
        state
    };
    assert_eq!(check_numbers(&cluster(), &with(10_000, 1)), Ok(()));
    let refused = check_numbers(&cluster(), &with(10_001, 1)).unwrap_err();
    assert!(refused.reason.contains("index [i1]"), "{refused}");
    let refused = check_numbers(&cluster(), &with(5_001, 10)).unwrap_err();
    assert!(refused.reason.contains("the cluster"), "{refused}");
    assert_eq!(check_numbers(&with(10_003, 1), &with(10_002, 1)), Ok(()));
}

/// Two data streams, of two indices and of one, and an ordinary index.
fn with_streams() -> ClusterState {
    let mut state = cluster();
    let model = state.indices.values().next().cloned().unwrap();
    for (number, name, stream) in [
        (3, ".ds-logs-1", "logs"),
        (4, ".ds-logs-2", "logs"),
        (5, ".ds-more-1", "more"),
    ] {
        let mut index = IndexMeta::clone(&model);
        index.uuid = IndexUuid([number; 16]);
        index.name = IndexName::parse(name).unwrap();
        index.settings.hidden = true;
        let stream = IndexName::parse(stream).unwrap();
        let own = Alias {
            is_data_stream: true,
            ..Alias::default()
        };
        index.aliases = [(stream.clone(), own)].into();
        let of = state.data_streams.entry(stream).or_default();
        of.indices.push(index.uuid);
        state.indices.insert(index.uuid, Arc::new(index));
    }
    state
}

/// Returns the state after the actions.
fn changed(state: &ClusterState, actions: &Value) -> Result<ClusterState, String> {
    let actions = parse_alias_actions(&json!({"actions": actions}), &Limits::default());
    let changes = apply_alias_actions(&actions.map_err(|error| error.reason)?, state);
    let mut next = state.clone();
    for (uuid, aliases) in changes.map_err(|error| error.reason)?.aliases {
        Arc::make_mut(next.indices.get_mut(&uuid).unwrap()).aliases = aliases;
    }
    check_change(state, &next).map_err(|error| error.reason)?;
    Ok(next)
}

fn of_index<'a>(state: &'a ClusterState, number: u8, alias: &str) -> Option<&'a Alias> {
    state.indices[&IndexUuid([number; 16])].aliases.get(alias)
}

#[test]
fn all_indices_of_a_data_stream_bear_its_alias_and_the_newest_takes_writes() {
    let filter = json!({"term": {"a": 1}});
    let add = json!([{"add": {"index": "logs", "alias": "all", "filter": filter, "is_write_index": true}},
                     {"add": {"index": "mo*", "alias": "all"}}]);
    let state = changed(&with_streams(), &add).unwrap();
    let written = |state: &ClusterState| {
        [3, 4, 5].map(|n| of_index(state, n, "all").and_then(|alias| alias.is_write_index))
    };
    assert_eq!(written(&state), [Some(false), Some(true), Some(false)]);
    assert_eq!(
        of_index(&state, 3, "all").unwrap().filter,
        Some(filter.clone())
    );
    assert_eq!(of_index(&state, 5, "all").unwrap().filter, None);
    // Another data stream takes the writes; the filter stays.
    let take = json!([{"add": {"index": "more", "alias": "all", "is_write_index": true}}]);
    let state = changed(&state, &take).unwrap();
    assert_eq!(written(&state), [Some(false), Some(false), Some(true)]);
    assert_eq!(of_index(&state, 4, "all").unwrap().filter, Some(filter));
    let remove = json!([{"remove": {"index": "*", "alias": "al*"}}]);
    let state = changed(&state, &remove).unwrap();
    assert_eq!(written(&state), [None; 3]);
    assert!(of_index(&state, 3, "logs").is_some(), "it is no alias");
}

#[test]
fn what_an_alias_of_a_data_stream_cannot_be_is_refused() {
    let state = with_streams();
    for (action, reason) in [
        (
            json!({"index": ".ds-logs-1", "alias": "b"}),
            "The provided expressions [.ds-logs-1] match a backing index belonging to data stream [logs]. Data stream \
             backing indices don't support aliases.",
        ),
        (
            json!({"index": "logs", "alias": "b", "index_routing": "1"}),
            "aliases that point to data streams don't support index_routing",
        ),
        (
            json!({"index": "logs", "alias": "b", "is_hidden": true}),
            "aliases that point to data streams don't support is_hidden",
        ),
        (
            json!({"indices": ["logs", "i1"], "alias": "b"}),
            "expressions [logs, i1] that match with both data streams and regular indices are disallowed",
        ),
        (
            json!({"index": "logs", "alias": "a1"}),
            "data stream alias and indices alias have the same name (a1): an alias points to data streams or to \
             indices, not to both",
        ),
    ] {
        let refused = changed(&state, &json!([{"add": action}])).unwrap_err();
        assert_eq!(refused, reason);
    }
    let remove = json!([{"remove": {"index": "logs", "alias": "logs"}}]);
    assert_eq!(
        changed(&state, &remove).unwrap_err(),
        "aliases [logs] missing"
    );
}

#[test]
fn no_index_comes_to_have_the_name_of_a_data_stream() {
    let before = with_streams();
    let mut next = before.clone();
    let mut indices = next.indices.values_mut();
    let plain = indices.find(|index| index.stream_name().is_none()).unwrap();
    let name = IndexName::parse("logs").unwrap();
    Arc::make_mut(plain).aliases.insert(name, Alias::default());
    let refused = check_change(&before, &next).unwrap_err();
    let expected = "the name [logs] is that of a data stream";
    assert!(refused.reason.contains(expected), "{refused}");
    // One that has it from before may keep it.
    assert_eq!(check_change(&next, &next), Ok(()));
}
