//! Templates read, found by a name, and put together.

use gleaner_model::Templates;
use serde_json::{Value, json};

use super::*;
use crate::error::QueryError;
use crate::limits::Limits;
use crate::settings::NewIndex;

fn limits() -> Limits {
    Limits::default()
}

/// Returns templates: components, index templates, legacy ones, each by name.
fn templates(components: &Value, index: &Value, legacy: &Value) -> Templates {
    let mut templates = Templates::default();
    for (name, body) in components.as_object().into_iter().flatten() {
        let read = parse_component_template(name, body, &limits()).expect("a component");
        templates.components.insert(name.clone(), read);
    }
    for (name, body) in index.as_object().into_iter().flatten() {
        let read = parse_index_template(name, body, &limits()).expect("a template");
        templates.index.insert(name.clone(), read);
    }
    for (name, body) in legacy.as_object().into_iter().flatten() {
        let read = parse_legacy_template(name, body, None, &limits()).expect("a legacy one");
        templates.legacy.insert(name.clone(), read);
    }
    templates
}

fn made(templates: &Templates, name: &str, body: &Value) -> Result<NewIndex, QueryError> {
    let (composed, from) = compose(templates, name);
    composed.new_index(name, from, body, &limits())
}

fn tree(new: &NewIndex) -> Value {
    crate::mapping::mapping_tree(&new.mapping)["properties"].clone()
}

#[test]
fn later_parts_stand_over_earlier_ones_and_the_request_over_all() {
    let templates = templates(
        &json!({
            "low": {"template": {
                "settings": {"number_of_replicas": 1, "index.priority": 3},
                "mappings": {"properties": {"a": {"type": "text"}, "b": {"type": "text"}}},
                "aliases": {"both": {"is_write_index": false}},
            }},
            "high": {"template": {
                "settings": {"index": {"number_of_replicas": 0}},
                "mappings": {"properties": {"b": {"type": "keyword"}}},
            }},
        }),
        &json!({"t": {
            "index_patterns": ["logs-*"],
            "composed_of": ["low", "high"],
            "template": {"settings": {"number_of_shards": 2}, "aliases": {"both": {}, "own": {}}},
        }}),
        &json!({"old": {"index_patterns": ["*"], "settings": {"number_of_shards": 7}}}),
    );
    let body = json!({
        "settings": {"index.priority": 17},
        "mappings": {"properties": {"a": {"type": "long"}}},
        "aliases": {"asked": {}},
    });
    let new = made(&templates, "logs-1", &body).expect("made");
    assert_eq!(
        (
            new.settings.number_of_shards,
            new.settings.number_of_replicas
        ),
        (2, 0),
        "a legacy template does not apply where another does"
    );
    assert_eq!(new.settings.declared["index.priority"], "17");
    let fields = json!({"a": {"type": "long"}, "b": {"type": "keyword"}});
    assert_eq!(tree(&new), fields);
    let aliases: Vec<&str> = new
        .aliases
        .keys()
        .map(gleaner_model::IndexName::as_str)
        .collect();
    assert_eq!(aliases, ["asked", "both", "own"]);
    let write = new.aliases.get("both").expect("there").is_write_index;
    assert_eq!(write, None, "an alias is replaced whole");
}

#[test]
fn templates_that_an_older_version_took_still_make_indices() {
    let mappings = json!({
        "properties": {"labels": {"dynamic": false}, "t": {"type": "text", "term_vector": "most", "store": null}},
    });
    let settings = json!({"index.codec": "x"});
    let request = json!({"settings": settings.clone(), "mappings": mappings.clone()});
    let part = |value: Value| value.as_object().cloned().unwrap_or_default();
    let kept = Composed {
        settings: part(settings),
        mappings: part(mappings),
        ..Composed::default()
    };
    let made = |composed: Composed, body: &Value| {
        composed.new_index("a", ComposedFrom::Legacy, body, &limits())
    };
    let new = made(kept.clone(), &Value::Null).expect("it was taken before");
    assert!(new.mapping.field("t").is_some());
    assert!(made(kept, &request).is_err(), "a request is checked");
}

#[test]
fn the_template_of_the_highest_priority_applies_alone() {
    let templates = templates(
        &json!({}),
        &json!({
            "low": {"index_patterns": "a*", "priority": 1,
                    "template": {"settings": {"number_of_shards": 2, "number_of_replicas": 4}}},
            "high": {"index_patterns": ["ab*"], "priority": 2,
                     "template": {"settings": {"number_of_shards": 3}}},
        }),
        &json!({}),
    );
    let shards = |name| {
        let new = made(&templates, name, &Value::Null).expect("made");
        (new.settings.number_of_shards, new.says_replicas)
    };
    assert_eq!(shards("abc"), (3, false));
    assert_eq!(shards("ac"), (2, true));
    assert!(!shards("b").1);
}

#[test]
fn legacy_templates_apply_in_their_order_and_merge_inside_of_fields() {
    let templates = templates(
        &json!({}),
        &json!({}),
        &json!({
            "second": {"index_patterns": ["l*"], "order": 2, "settings": {"number_of_shards": 3},
                       "mappings": {"properties": {"a": {"type": "keyword", "ignore_above": 9}}}},
            "first": {"index_patterns": ["*"], "order": 1,
                      "settings": {"number_of_shards": 2, "priority": 5},
                      "mappings": {"properties": {"a": {"type": "keyword", "doc_values": false}}}, "aliases": {"x": {}}},
        }),
    );
    let new = made(&templates, "logs", &json!({})).expect("made");
    assert_eq!(new.settings.number_of_shards, 3);
    assert_eq!(new.settings.declared["index.priority"], "5");
    assert_eq!(
        tree(&new),
        json!({"a": {"type": "keyword", "ignore_above": 9, "doc_values": false}})
    );
    assert_eq!(new.aliases.len(), 1);
}

#[test]
fn fields_with_dots_are_those_of_objects() {
    let templates = templates(
        &json!({
            "red": {"template": {"mappings": {"properties": {
                "o.red": {"type": "keyword"}, "p": {"properties": {"q.r": {"type": "long"}}}}}}},
            "blue": {"template": {"mappings": {"properties": {
                "o.red": {"type": "text"}, "o.blue": {"type": "text"}, "p.q.s": {"type": "long"}}}}},
        }),
        &json!({"t": {"index_patterns": ["i"], "composed_of": ["red", "blue"]}}),
        &json!({}),
    );
    let body = json!({"mappings": {"properties": {"o.blue": {"type": "double"}}}});
    let new = made(&templates, "i", &body).expect("made");
    let expected = json!({
        "o": {"properties": {"blue": {"type": "double"}, "red": {"type": "text"}}},
        "p": {"properties": {"q": {"properties": {"r": {"type": "long"}, "s": {"type": "long"}}}}},
    });
    assert_eq!(tree(&new), expected);
}

#[test]
fn dynamic_templates_of_a_name_are_replaced_and_others_added() {
    let of = |name: &str, kind: &str| json!({name: {"match": "*", "mapping": {"type": kind}}});
    let templates = templates(
        &json!({}),
        &json!({"t": {"index_patterns": ["i"], "template": {"mappings": {
            "dynamic_templates": [of("a", "keyword"), of("b", "keyword")]}}}}),
        &json!({}),
    );
    let body = json!({"mappings": {"dynamic_templates": [of("a", "text"), of("c", "text")]}});
    let new = made(&templates, "i", &body).expect("made");
    let names: Vec<&str> = new
        .mapping
        .dynamic_templates
        .iter()
        .map(|template| template.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(new.mapping.dynamic_templates[0].mapping["type"], "text");
}

#[test]
fn two_dynamic_templates_of_one_name_and_part_both_stay() {
    let of = |name: &str, kind: &str| json!({name: {"match": format!("{kind}*"), "mapping": {"type": kind}}});
    let part = |list: Value| json!({"template": {"mappings": {"dynamic_templates": list}}});
    for (component, own, asked, expected) in [
        // In the template alone, in a component alone, in the request alone.
        (
            json!([]),
            json!([of("a", "long"), of("b", "date"), of("a", "ip")]),
            json!([]),
            "a:long b:date a:ip",
        ),
        (
            json!([of("a", "long"), of("a", "ip")]),
            json!([of("b", "date")]),
            json!([]),
            "a:long a:ip b:date",
        ),
        (
            json!([of("b", "date")]),
            json!([]),
            json!([of("a", "long"), of("a", "ip")]),
            "b:date a:long a:ip",
        ),
        // Those of a later part stand for all of the name in earlier ones.
        (
            json!([of("a", "long"), of("b", "date"), of("a", "ip")]),
            json!([of("a", "text"), of("a", "byte")]),
            json!([]),
            "a:text b:date a:byte",
        ),
        (
            json!([of("a", "long"), of("a", "ip")]),
            json!([]),
            json!([of("a", "text")]),
            "a:text",
        ),
    ] {
        let mut template = part(own);
        template["index_patterns"] = json!(["i"]);
        template["composed_of"] = json!(["c"]);
        let templates = templates(
            &json!({"c": part(component)}),
            &json!({"t": template}),
            &json!({}),
        );
        let body = json!({"mappings": {"dynamic_templates": asked}});
        let new = made(&templates, "i", &body).expect("made");
        let kept = new.mapping.dynamic_templates.iter();
        let kept: Vec<String> = kept
            .map(|of| format!("{}:{}", of.name, of.mapping["type"].as_str().expect("text")))
            .collect();
        assert_eq!(kept.join(" "), expected);
    }
}

#[test]
fn dynamic_templates_of_several_legacy_templates_all_stay() {
    let legacy = |order: i64, list: Value| json!({"index_patterns": ["i"], "order": order, "mappings": {"dynamic_templates": list}});
    let of = |kind: &str| json!({"match_mapping_type": "*", "mapping": {"type": kind}});
    let templates = templates(
        &json!({}),
        &json!({}),
        &json!({
            "low": legacy(1, json!([{"a": of("long")}, {"b": of("date")}, {"b": of("ip")}])),
            "high": legacy(2, json!([{"c": of("byte")}, {"a": of("text")}])),
        }),
    );
    let new = made(&templates, "i", &json!({})).expect("made");
    let kept = new.mapping.dynamic_templates.iter();
    let kept: Vec<String> = kept
        .map(|of| format!("{}:{}", of.name, of.mapping["type"].as_str().expect("text")))
        .collect();
    assert_eq!(kept, ["c:byte", "a:text", "b:date", "b:ip"]);
}

#[test]
fn what_is_wrong_with_a_template_is_named() {
    let index = |name: &str, body: &Value| {
        let read = parse_index_template(name, body, &limits());
        read.expect_err("refused").reason
    };
    for (body, expected) in [
        (json!({}), "index patterns are missing"),
        (
            json!({"index_patterns": [" a"]}),
            "invalid index pattern [ a]",
        ),
        (
            json!({"index_patterns": ["a"], "order": 1}),
            "unknown field [order]",
        ),
        (
            json!({"index_patterns": ["a"], "template": {"x": 1}}),
            "unknown field [x]",
        ),
        (
            json!({"index_patterns": ["a"], "template": {"settings": {"no.such": 1}}}),
            "unknown setting [index.no.such]",
        ),
        (
            json!({"index_patterns": ["a"], "template": {"mappings": {"properties": {"f": {"type": "x"}}}}}),
            "[x]",
        ),
        (
            json!({"index_patterns": ["a"], "data_stream": {"timestamp_field": {"name": "t"}}}),
            "[timestamp_field] [t] is not supported",
        ),
        (
            json!({"index_patterns": ["a"], "priority": -1}),
            "[priority]",
        ),
    ] {
        let reason = index("t", &body);
        assert!(reason.contains(expected), "{body}: {reason}");
    }
    for name in ["", "a b", "A", "_a", "a*", "a,b"] {
        let reason = index(name, &json!({"index_patterns": ["a"]}));
        assert!(reason.contains("Invalid template"), "{name}: {reason}");
    }
    let component = parse_component_template("c", &json!({}), &limits());
    assert!(component.is_err());
}

#[test]
fn an_alias_of_an_index_template_may_stand_for_a_field_of_a_component() {
    let alias = json!({"properties": {"ts": {"type": "alias", "path": "at"}}});
    let templates = templates(
        &json!({"fields": {"template": {"mappings": {"properties": {"at": {"type": "date"}}}}}}),
        &json!({
            "whole": {"index_patterns": ["whole"], "composed_of": ["fields"], "template": {"mappings": alias}},
            "bare": {"index_patterns": ["bare"], "template": {"mappings": alias}},
        }),
        &json!({}),
    );
    let new = made(&templates, "whole", &json!({})).expect("made");
    let stands_for = new.mapping.field("ts").map(|field| field.kind.type_name());
    assert_eq!(stands_for, Some("date"));
    let refused = made(&templates, "bare", &json!({})).expect_err("it stands for nothing");
    let reason = "Invalid [path] value [at] for field alias [ts]";
    assert!(refused.reason.starts_with(reason), "{refused}");
    // Components and legacy templates declare what their aliases stand for.
    let component = json!({"template": {"mappings": alias}});
    let refused = parse_component_template("c", &component, &limits()).expect_err("refused");
    assert!(refused.reason.starts_with(reason), "{refused}");
    let legacy = json!({"index_patterns": ["l"], "mappings": alias});
    let refused = parse_legacy_template("l", &legacy, None, &limits()).expect_err("refused");
    assert!(refused.reason.starts_with(reason), "{refused}");
}

#[test]
fn two_templates_of_one_priority_may_not_be_for_one_name() {
    let templates = templates(
        &json!({}),
        &json!({"one": {"index_patterns": ["te*"], "priority": 5}}),
        &json!({"old": {"index_patterns": ["t*", "t1*"]}}),
    );
    let rival = |pattern: &str, priority: u64| {
        let body = json!({"index_patterns": [pattern], "priority": priority});
        parse_index_template("two", &body, &limits()).expect("read")
    };
    let refused = check_priority(&templates, "two", &rival("test", 5)).expect_err("refused");
    assert!(refused.reason.contains("(one => [te*])"), "{refused}");
    assert!(check_priority(&templates, "two", &rival("test", 6)).is_ok());
    assert!(check_priority(&templates, "two", &rival("x*", 5)).is_ok());
    assert!(
        check_priority(&templates, "one", &rival("test", 5)).is_ok(),
        "it replaces itself"
    );
    let names: Vec<&str> = overlapping_legacy(&templates, &rival("test", 6))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["old"]);
}

#[test]
fn an_order_is_held_against_the_fields_of_the_index_and_not_of_one_part() {
    let templates = templates(
        &json!({
            "order": {"template": {"settings": {"index.sort.field": "at"}}},
            "fields": {"template": {"mappings": {"properties": {"at": {"type": "date"}}}}},
        }),
        &json!({
            "whole": {"index_patterns": ["whole-*"], "composed_of": ["order", "fields"]},
            "bare": {"index_patterns": ["bare-*"], "composed_of": ["order"]},
            "mapped": {"index_patterns": ["mapped-*"], "composed_of": ["fields"]},
        }),
        &json!({}),
    );
    let by = |sort: Value| json!({"settings": {"index": {"sort": sort}}});
    let fields = json!({"mappings": {"properties": {"at": {"type": "date"}}}});
    for (name, body, expected) in [
        ("whole-1", json!({}), Ok("at")),
        ("whole-1", by(json!({"order": "desc"})), Ok("at")),
        ("bare-1", fields, Ok("at")),
        ("mapped-1", by(json!({"field": "at"})), Ok("at")),
        ("bare-1", json!({}), Err("unknown index sort field:[at]")),
        (
            "whole-1",
            by(json!({"field": "none"})),
            Err("unknown index sort field:[none]"),
        ),
        (
            "mapped-1",
            by(json!({"order": "desc"})),
            Err("index.sort.field:[] index.sort.order:[desc], size mismatch"),
        ),
        (
            "whole-1",
            by(json!({"order": ["asc", "desc"]})),
            Err("index.sort.field:[at] index.sort.order:[asc, desc], size mismatch"),
        ),
        (
            "other",
            by(json!({"field": "at"})),
            Err("unknown index sort field:[at]"),
        ),
    ] {
        let new = made(&templates, name, &body);
        let by = new
            .as_ref()
            .map(|new| &new.settings.declared["index.sort.field"]);
        let reason = by.map_err(|error| error.reason.as_str());
        assert_eq!(
            reason,
            expected.map(Value::from).as_ref().map_err(|e| *e),
            "{name} {body}"
        );
    }
}

#[test]
fn a_similarity_is_whole_when_the_index_is_made() {
    let templates = templates(
        &json!({"kind": {"template": {"settings": {"index.similarity.own.type": "BM25"}}}}),
        &json!({"t": {"index_patterns": ["t-*"], "composed_of": ["kind"]}}),
        &json!({}),
    );
    let body = json!({"settings": {"index.similarity.own.k1": 2}});
    assert!(made(&templates, "t-1", &body).is_ok());
    let refused = made(&templates, "other", &body).expect_err("refused");
    let reason = "Similarity [own] must have an associated type";
    assert_eq!(refused.reason, reason);
}

#[test]
fn the_name_of_the_index_is_put_into_aliases_of_templates_alone() {
    let templates = templates(
        &json!({}),
        &json!({"t": {"index_patterns": ["new-*"],
                      "template": {"aliases": {"{index}-read": {}, "plain": {}}}}}),
        &json!({"old": {"index_patterns": ["old-*"], "aliases": {"all-{index}": {}}}}),
    );
    for (name, expected) in [
        ("new-1", &["new-1-read", "plain", "{index}-own"][..]),
        ("old-1", &["all-old-1", "{index}-own"]),
    ] {
        let body = json!({"aliases": {"{index}-own": {}}});
        let new = made(&templates, name, &body).expect("made");
        let aliases: Vec<&str> = new
            .aliases
            .keys()
            .map(gleaner_model::IndexName::as_str)
            .collect();
        assert_eq!(aliases, expected);
    }
}
