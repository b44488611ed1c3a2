//! Dynamic templates: which one makes a field, and those that are chosen by name.

use super::*;

#[test]
fn the_first_template_that_applies_wins() {
    let mapping = json!({"dynamic_templates": [
        {"ids": {"match": "*_id", "mapping": {"type": "keyword"}}},
        {"regexes": {"match_pattern": "regex", "match": "^profit_\\d+$", "mapping": {"type": "double"}}},
        {"paths": {"path_match": "name.*", "path_unmatch": "*.middle", "mapping": {"type": "text", "copy_to": "full"}}},
        {"any": {"match_mapping_type": "string", "mapping": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}},
        {"wide": {"match_mapping_type": ["long", "double"], "mapping": {"type": "{dynamic_type}", "index": false}}}
    ]});
    let document = json!({
        "user_id": "7", "profit_1": 3, "name": {"first": "A", "middle": "B"}, "n": 4, "flag": true
    });
    assert_eq!(
        infer(&mapping, &document).unwrap().unwrap(),
        json!({
            "user_id": {"type": "keyword"},
            "profit_1": {"type": "double"},
            "full": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
            "name": {"properties": {
                "first": {"type": "text", "copy_to": ["full"]},
                "middle": {"type": "text", "fields": {"raw": {"type": "keyword"}}}
            }},
            "n": {"type": "long", "index": false},
            "flag": {"type": "boolean"}
        })
    );
    for wrong in [
        json!({}),
        json!([{}]),
        json!([{"a": {"match": "x"}}]),
        json!([{"a": {"match_mapping_type": "text", "mapping": {}}}]),
        json!([{"a": {"match": "(", "match_pattern": "regex", "mapping": {}}}]),
        json!([{"a": {"match": "a", "unmatch": "*a", "match_pattern": "regex", "mapping": {}}}]),
        json!([{"a": {"path_match": "*a", "match_pattern": "regex", "mapping": {}}}]),
        json!([{"a": {"match": "a", "path_unmatch": "*a", "match_pattern": "regex", "mapping": {}}}]),
    ] {
        assert!(
            parse(&json!({"dynamic_templates": wrong})).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn patterns_of_paths_are_regexes_where_the_template_says_so() {
    let mapping = json!({"dynamic_templates": [{"ids": {
        "match_pattern": "regex", "path_match": "^(user|shop)\\.\\w+_id$", "path_unmatch": "user\\.a.*",
        "mapping": {"type": "keyword"}
    }}]});
    let document = json!({"user": {"b_id": 1, "a_id": 2, "b_idx": 3}, "shop": {"b_id": 4}});
    let (keyword, long) = (json!({"type": "keyword"}), json!({"type": "long"}));
    assert_eq!(
        infer(&mapping, &document).unwrap().unwrap(),
        json!({
            "user": {"properties": {"b_id": keyword, "a_id": long, "b_idx": long}},
            "shop": {"properties": {"b_id": keyword}}
        })
    );
}

#[test]
fn a_kept_pattern_of_paths_that_is_no_regex_has_wildcards() {
    let declared = json!({"dynamic_templates": [
        {"t": {"match_pattern": "regex", "path_match": "*.id", "mapping": {"type": "keyword"}}}
    ]});
    let rules = MappingRules {
        declaration: Declaration::Kept,
        ..MappingRules::default()
    };
    let kept = parse_mapping(&declared, None, &rules).expect("it was taken before");
    let template = &kept.dynamic_templates[0];
    let declares = |path: &str| {
        let templates = std::slice::from_ref(template);
        let found = template::find(templates, &ChosenTemplates::default(), path, "long", "long");
        found.expect("none is chosen").is_some()
    };
    assert!(declares("user.id"));
    assert!(!declares("user.name"));
}

/// Templates that match nothing by themselves.
fn by_name() -> Value {
    json!({"dynamic_templates": [
        {"points": {"mapping": {"type": "geo_point"}}},
        {"words": {"unmatch": "x*", "mapping": {"type": "keyword", "copy_to": "all"}}},
        {"any": {"path_unmatch": "x.*", "mapping": {"type": "{dynamic_type}", "index": false}}},
        {"lists": {"mapping": {"type": "nested"}}},
        {"long": {"match": "n*", "match_mapping_type": "long", "mapping": {"type": "integer"}}}
    ]})
}

#[test]
fn a_template_without_a_condition_makes_a_field_only_where_it_is_chosen() {
    let document = json!({"a": "41.1,-71.3", "n": 1});
    let mapping = by_name();
    let text =
        json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    assert_eq!(
        infer(&mapping, &document).unwrap().unwrap(),
        json!({"a": text, "n": {"type": "integer"}})
    );
    assert_eq!(
        infer_by(&mapping, &[("a", "points")], &document)
            .unwrap()
            .unwrap(),
        json!({"a": {"type": "geo_point"}, "n": {"type": "integer"}})
    );
    let only_types = json!({"dynamic_templates": [
        {"t": {"unmatch_mapping_type": "string", "mapping": {"type": "keyword"}}}
    ]});
    assert_eq!(
        infer(&only_types, &document).unwrap().unwrap(),
        json!({"a": text, "n": {"type": "keyword"}})
    );
}

#[test]
fn a_chosen_template_makes_its_field_whatever_its_conditions_say() {
    let chosen = [
        ("o.p", "points"),
        ("o.list", "lists"),
        ("xyz", "words"),
        ("all", "long"),
        ("x.y", "any"),
        ("gone", "points"),
    ];
    let document = json!({
        "o": {"p": {"lat": 41.1, "lon": -71.3}, "list": [{"k": true}]}, "xyz": ["7"], "x.y": 1.5
    });
    assert_eq!(
        infer_by(&by_name(), &chosen, &document).unwrap().unwrap(),
        json!({
            "o": {"properties": {
                "p": {"type": "geo_point"},
                "list": {"type": "nested", "properties": {"k": {"type": "boolean"}}}
            }},
            "xyz": {"type": "keyword", "copy_to": ["all"]},
            "all": {"type": "integer"},
            "x": {"properties": {"y": {"type": "float", "index": false}}}
        })
    );
}

#[test]
fn a_template_that_is_not_there_refuses_the_document_that_needs_it() {
    let chosen = [("o.p", "nowhere")];
    let refused = infer_by(&by_name(), &chosen, &json!({"o": {"p": 1}})).unwrap_err();
    assert_eq!(
        (refused.kind.name(), refused.reason.as_str()),
        (
            "document_parsing_exception",
            "Can't find dynamic template for dynamic template name [nowhere] of field [o.p]"
        )
    );
    let mut declared = by_name();
    declared["properties"] = json!({"o": {"properties": {"p": {"type": "long"}}}});
    for (mapping, document) in [
        (by_name(), json!({"o": {"p": null}})),
        (by_name(), json!({"p": {"o": 1}})),
        (declared, json!({"o": {"p": 1}})),
        (json!({"dynamic": false}), json!({"o": {"p": 1}})),
    ] {
        assert!(infer_by(&mapping, &chosen, &document).is_ok(), "{document}");
    }
    let closed = infer_by(&json!({"dynamic": "strict"}), &chosen, &json!({"o.p": 1}));
    assert_eq!(closed.unwrap_err().kind, ErrorType::StrictDynamicMapping);
}
