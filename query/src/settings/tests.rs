//! Settings given, echoed, changed; bodies that create an index.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limits::Limits;

fn reason(result: Result<IndexSettings, QueryError>) -> String {
    result.expect_err("refused").reason
}

#[test]
fn all_shapes_mean_the_same() {
    for value in [
        json!({"number_of_shards": 3, "blocks.write": true}),
        json!({"index": {"number_of_shards": "3", "blocks": {"write": "true"}}}),
        json!({"index.number_of_shards": "3", "index": {"blocks.write": true}}),
    ] {
        let settings = parse_index_settings(&value).unwrap();
        assert_eq!(
            (settings.number_of_shards, settings.blocks.write),
            (3, true)
        );
        assert_eq!(settings.routing_slots % 3, 0);
        assert_eq!(settings.declared["index.number_of_shards"], "3");
        assert_eq!(settings.declared["index.number_of_replicas"], "1");
        assert_eq!(settings.declared["index.blocks.write"], "true");
    }
    let plain = parse_index_settings(&Value::Null).unwrap();
    assert_eq!(
        (plain.number_of_shards, plain.refresh_interval_ms),
        (4, Some(1_000))
    );
}

#[test]
fn settings_have_their_types() {
    let settings = parse_index_settings(&json!({
        "refresh_interval": "30s", "search.idle.after": "5s", "max_result_window": 5, "mapping.total_fields.limit": 7,
        "mapping": {"depth": {"limit": 3}, "field_name_length.limit": 9}, "hidden": true,
        "query.default_field": ["title", "body"], "merge.scheduler.max_thread_count": 1,
        "analysis": {"analyzer": {"my": {"type": "custom", "filter": ["lowercase"], "max": 3}}}
    }))
    .unwrap();
    assert_eq!(settings.refresh_interval_ms, Some(30_000));
    assert_eq!(settings.search_idle_after_ms, 5_000);
    assert_eq!(settings.max_result_window, 5);
    assert_eq!((settings.total_fields_limit, settings.depth_limit), (7, 3));
    assert_eq!(settings.field_name_length_limit, 9);
    assert!(settings.hidden);
    assert_eq!(settings.default_fields, ["title", "body"]);
    assert_eq!(
        settings.analysis,
        json!({"analyzer": {"my": {"type": "custom", "filter": ["lowercase"], "max": 3}}})
    );
    assert_eq!(settings.declared["index.analysis.analyzer.my.max"], "3");
    let never = parse_index_settings(&json!({"refresh_interval": -1})).unwrap();
    assert_eq!(never.refresh_interval_ms, None);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    for (value, expected) in [
        (
            json!({"foo": 1}),
            "unknown setting [index.foo] please check that any required plugins are installed, or check the breaking changes documentation for removed settings",
        ),
        (
            json!({"number_of_shards": 0}),
            "Failed to parse value [0] for setting [index.number_of_shards] must be >= 1",
        ),
        (
            json!({"number_of_shards": 2000}),
            "Failed to parse value [2000] for setting [index.number_of_shards] must be <= 1024",
        ),
        (
            json!({"number_of_replicas": "x"}),
            "Failed to parse value [x] for setting [index.number_of_replicas]",
        ),
        (
            json!({"analyze.max_token_count": "x"}),
            "Failed to parse value [x] for setting [index.analyze.max_token_count]",
        ),
        (
            json!({"blocks.read": 1}),
            "Failed to parse value [1] as only [true] or [false] are allowed. Setting [index.blocks.read]",
        ),
        (
            json!({"similarity.default.type": "boolean"}),
            "setting [index.similarity.default.type] of [boolean] is not supported, only [BM25] is",
        ),
        (
            json!({"sort.order": "asc"}),
            "index.sort.field:[] index.sort.order:[asc], size mismatch",
        ),
        (
            json!({"uuid": "x"}),
            "setting [index.uuid] is private and can not be set explicitly",
        ),
        (
            json!({"mode": "time_series"}),
            "setting [index.mode] of [time_series] is not supported, only [standard] is",
        ),
        (
            json!({"hidden": true, "index.hidden": true}),
            "duplicate settings key [index.hidden] found",
        ),
        (json!([]), "key [settings] must be an object"),
    ] {
        assert_eq!(reason(parse_index_settings(&value)), expected);
    }
}

#[test]
fn only_dynamic_settings_change_while_open() {
    let old = parse_index_settings(
        &json!({"number_of_shards": 2, "refresh_interval": "5s", "codec": "x"}),
    )
    .unwrap();
    let update = |value: Value, is_closed| update_index_settings(&old, &value, "x", is_closed);
    let new = update(
        json!({"index": {"number_of_replicas": 0, "refresh_interval": null}}),
        false,
    )
    .unwrap();
    assert_eq!((new.number_of_shards, new.number_of_replicas), (2, 0));
    assert_eq!(new.refresh_interval_ms, Some(1_000));
    assert_eq!(new.routing_slots, old.routing_slots);
    assert!(!new.declared.contains_key("index.refresh_interval"));
    assert_eq!(new.declared["index.codec"], "x");
    assert_eq!(
        update(json!({"settings": {"max_result_window": 3}}), false)
            .unwrap()
            .max_result_window,
        3
    );
    assert_eq!(
        reason(update(
            json!({"codec": "y", "analysis.analyzer.a.type": "simple"}),
            false
        )),
        "Can't update non dynamic settings [[index.analysis.analyzer.a.type, index.codec]] for open indices [[x]]"
    );
    assert_eq!(
        reason(update(json!({"number_of_shards": 3}), true)),
        "final x setting [index.number_of_shards], not updateable"
    );
    let closed = update(json!({"analysis.analyzer.a.type": "simple"}), true).unwrap();
    assert_eq!(
        closed.analysis,
        json!({"analyzer": {"a": {"type": "simple"}}})
    );
}

#[test]
fn a_pattern_resets_what_it_matches_and_can_change_now() {
    let old = parse_index_settings(&json!({
        "number_of_shards": 2, "number_of_replicas": 3, "refresh_interval": "5s", "codec": "x",
        "merge.policy.max_merged_segment": "1gb", "analysis.analyzer.a.type": "simple",
    }))
    .unwrap();
    let kept = |value: Value, is_closed| {
        let new = update_index_settings(&old, &value, "x", is_closed).unwrap();
        new.declared.keys().cloned().collect::<Vec<_>>()
    };
    let keys = |names: &[&str]| {
        let names = names.iter().map(|name| format!("index.{name}"));
        names.collect::<Vec<_>>()
    };
    let fixed = ["number_of_shards", "codec", "analysis.analyzer.a.type"];
    let mut open = kept(json!({"index.*": null}), false);
    open.retain(|key| key != "index.number_of_replicas");
    assert_eq!(open, keys(&fixed));
    let all = update_index_settings(&old, &json!({"*": null}), "x", false).unwrap();
    assert_eq!(all.number_of_replicas, 1, "as of a new index");
    assert_eq!(all.refresh_interval_ms, Some(1_000));
    let closed = kept(json!({"*": null, "refresh_interval": "7s"}), true);
    assert!(!closed.contains(&"index.codec".to_owned()), "{closed:?}");
    assert!(
        closed.contains(&"index.refresh_interval".to_owned()),
        "{closed:?}"
    );
    assert!(
        closed.contains(&"index.analysis.analyzer.a.type".to_owned()),
        "{closed:?}"
    );
    let merge = kept(json!({"merge.*": null}), false);
    assert!(
        !merge.contains(&"index.merge.policy.max_merged_segment".to_owned()),
        "{merge:?}"
    );
    assert_eq!(merge.len(), old.declared.len() - 1);
    // Analyzers are not taken away, whatever the pattern is.
    let gone = json!({"analysis.*": null});
    assert!(reason(update_index_settings(&old, &gone, "x", true)).contains("[a]"));
    assert!(
        reason(update_index_settings(
            &old,
            &json!({"ref*": "5s"}),
            "x",
            false
        ))
        .contains("index.ref*")
    );
    assert_eq!(
        undeclared_settings(&old, &json!({"*": null})).unwrap(),
        json!({})
    );
}

#[test]
fn analysis_settings_are_taken_away_by_null() {
    let old = parse_index_settings(&json!({"analysis": {
        "analyzer": {"my": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "few"]}},
        "filter": {"few": {"type": "length", "max": 3}},
    }}))
    .unwrap();
    let update = |value: Value| update_index_settings(&old, &value, "x", true);
    let new = update(json!({
        "index.analysis.filter.few": {"type": null, "max": null},
        "index.analysis.analyzer.my.filter": ["lowercase"],
        "index.analysis.analyzer.nobody.type": null,
    }))
    .unwrap();
    assert_eq!(
        new.analysis,
        json!({"analyzer": {"my": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}}})
    );
    assert!(new.declared.keys().all(|key| !key.contains("few")));
    // An object is no setting.
    let same = update(json!({"index.analysis.analyzer.my": null})).unwrap();
    assert_eq!(same.analysis, old.analysis);

    let my = |key: &str| format!("index.analysis.analyzer.my.{key}");
    let gone = json!({my("type"): null, my("tokenizer"): null, my("filter"): null});
    assert_eq!(
        reason(update(gone)),
        "Can't remove analyzer [my] of [x], fields may use it; it can be changed"
    );
    let other = json!({my("type"): "simple", my("tokenizer"): null, my("filter"): null});
    assert_eq!(
        update(other).unwrap().analysis["analyzer"],
        json!({"my": {"type": "simple"}})
    );
}

#[test]
fn a_body_creates_an_index() {
    let limits = Limits::default();
    let body = json!({
        "settings": {"number_of_shards": 1, "analysis": {"analyzer": {"default": {"type": "simple"}}}},
        "mappings": {"properties": {"t": {"type": "text"}}},
        "aliases": {"a": {"filter": {"term": {"t": "x"}}, "routing": 1}}
    });
    let new = parse_create_index(&body, &limits).unwrap();
    assert_eq!(new.settings.number_of_shards, 1);
    assert_eq!(new.mapping.fields.len(), 1);
    let alias = new.aliases.values().next().unwrap();
    assert_eq!(alias.index_routing.as_deref(), Some("1"));
    assert_eq!(
        parse_create_index(&Value::Null, &limits),
        Ok(NewIndex::default())
    );
    // Nothing says the same as an empty body.
    assert_eq!(
        parse_create_index(&json!({}), &limits),
        Ok(NewIndex::default())
    );
    let declared = NewIndex::default().settings.declared;
    assert_eq!(declared["index.number_of_shards"], "4");
    assert_eq!(declared["index.number_of_replicas"], "1");
    let error = parse_create_index(&json!({"mapping": {}}), &limits).unwrap_err();
    assert_eq!(error.reason, "unknown key [mapping] for create index");
    let typed = json!({"mappings": {"_doc": {"properties": {}}}});
    let error = parse_create_index(&typed, &limits).unwrap_err();
    assert_eq!(error.kind, ErrorType::IllegalArgument);
    assert!(
        error
            .reason
            .contains("cannot be nested under a type [_doc]")
    );
}

proptest! {
    #[test]
    fn no_settings_panic(value in crate::mapping::tests::any_json(), key in "(index\\.)?[a-z_.]{0,24}") {
        drop(parse_index_settings(&value));
        let entry = Value::Object([(key, value)].into_iter().collect());
        drop(parse_index_settings(&entry));
        drop(update_index_settings(&IndexSettings::default(), &entry, "x", true));
        drop(parse_create_index(&entry, &Limits::default()));
    }

    #[test]
    fn what_is_echoed_is_read_again(shards in 1_u32..1_024, window in 1_usize..100_000, seconds in 0_u64..1_000) {
        let given = json!({"number_of_shards": shards, "max_result_window": window, "refresh_interval": format!("{seconds}s")});
        let settings = parse_index_settings(&given).unwrap();
        prop_assert_eq!(parse_index_settings(&Value::Object(settings.declared.clone())), Ok(settings));
    }
}

#[test]
fn what_queries_may_have_at_all_is_lowered_for_an_index_and_not_raised() {
    let most = Limits::default();
    for (key, most) in [
        ("index.max_terms_count", most.terms),
        ("index.max_regex_length", most.regexp_chars),
    ] {
        let update = |given: usize| {
            let value = json!({key: given});
            update_index_settings(&IndexSettings::default(), &value, "x", false)
        };
        assert!(update(1).is_ok() && update(most).is_ok(), "{key}");
        let refused = update(most + 1).expect_err("it would do nothing");
        let told = refused.to_string();
        assert!(
            told.contains(key) && told.contains(&format!("must be <= {most}")),
            "{told}"
        );
    }
}

#[test]
fn a_setting_is_reset_by_its_name_or_by_a_pattern() {
    for (body, is_reset) in [
        (json!({"number_of_replicas": null}), true),
        (json!({"*": null}), true),
        (json!({"index": {"number_of_*": null}}), true),
        (json!({"*": null, "number_of_replicas": 2}), false),
        (json!({"refresh_interval": null}), false),
        (json!({"number_of_replicas": 0}), false),
    ] {
        let reset = resets_setting(&body, "index.number_of_replicas");
        assert_eq!(reset, Ok(is_reset), "{body}");
    }
}

#[test]
fn a_body_of_more_settings_than_an_index_has_use_for_is_refused() {
    let settings = |num: usize, end: &str, value: Value| {
        let named = |n: usize| (format!("index.analysis.filter.f{n}.{end}"), value.clone());
        Value::Object((0..num).map(named).collect())
    };
    let refusal = |body: &Value| parse_index_settings(body).err().map(|error| error.reason);
    assert_eq!(refusal(&settings(5_000, "type", json!("lowercase"))), None);
    let reason = refusal(&settings(5_001, "type", json!("lowercase"))).expect("refused");
    assert_eq!(reason, "there are more settings than [5000] in a request");
    let current = IndexSettings::default();
    let changed = |body: &Value| update_index_settings(&current, body, "books", false);
    let reason = changed(&settings(101, "*", Value::Null))
        .unwrap_err()
        .reason;
    assert!(
        reason.starts_with("there are [101] settings with `*`"),
        "{reason}"
    );
}
