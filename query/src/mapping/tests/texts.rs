//! `match_only_text`, and parameters given as texts.

use super::*;

#[test]
fn match_only_text_is_text_with_places_and_without_norms() {
    let declared = json!({"properties": {
        "line": {"type": "match_only_text", "meta": {"unit": "none"}, "copy_to": ["all"]},
        "url": {"type": "keyword", "fields": {
            "text": {"type": "match_only_text", "analyzer": "simple"},
        }},
    }});
    let mapping = parse(&declared).expect("good");
    assert_eq!(mapping_tree(&mapping), declared);
    for (path, expected) in [("line", "standard"), ("url.text", "simple")] {
        let field = mapping.field(path).expect("declared");
        assert!(
            matches!(&field.kind, FieldKind::Text { analyzer, index: true, .. } if analyzer == expected),
            "{field:?}"
        );
        assert!(is_match_only(&field.declared) && !has_norms(&field.declared));
        assert!(has_positions(&field.declared) && has_frequencies(&field.declared));
    }
    let text = parse(&json!({"properties": {"line": {"type": "text"}}})).expect("good");
    assert!(!is_match_only(&text.fields["line"].declared));
}

#[test]
fn templates_bring_match_only_text() {
    let mapping = json!({"dynamic_templates": [
        {"lines": {"match_mapping_type": "string", "mapping": {"type": "match_only_text"}}},
    ]});
    let brought = infer(&mapping, &json!({"line": "a b"}));
    assert_eq!(
        brought,
        Ok(Some(json!({"line": {"type": "match_only_text"}})))
    );
}

#[test]
fn match_only_text_takes_no_parameters_of_text_but_its_analyzer() {
    for parameter in [
        "norms",
        "index",
        "index_options",
        "store",
        "search_analyzer",
        "fielddata",
        "similarity",
    ] {
        let field = json!({"type": "match_only_text", parameter: "x"});
        let refused = parse(&json!({"properties": {"line": field}})).expect_err("refused");
        let expected =
            format!("unknown parameter [{parameter}] on mapper [line] of type [match_only_text]");
        assert_eq!(refused.reason, expected);
    }
}

#[test]
fn texts_do_not_become_texts_of_another_type() {
    let of = |name: &str| json!({"properties": {"line": {"type": name}}});
    for (old, new) in [
        ("text", "match_only_text"),
        ("match_only_text", "text"),
        ("search_as_you_type", "text"),
    ] {
        let mapping = parse(&of(old)).expect("good");
        assert_eq!(update(&mapping, &of(old)), Ok(mapping.clone()));
        let refused = update(&mapping, &of(new)).expect_err("refused").reason;
        let expected = format!("mapper [line] cannot be changed from type [{old}] to [{new}]");
        assert_eq!(refused, expected);
    }
}

#[test]
fn an_analyzer_that_is_not_named_is_the_default() {
    let of = |field: &Value| json!({"properties": {"t": field}});
    let (plain, english) = (
        of(&json!({"type": "text"})),
        of(&json!({"type": "text", "analyzer": "english"})),
    );
    for (old, new, change) in [
        (&plain, &english, "[default] to [english]"),
        (&english, &plain, "[english] to [default]"),
    ] {
        let refused = update(&parse(old).expect("good"), new).expect_err("refused");
        let expected = format!("Cannot update parameter [analyzer] from {change}");
        assert!(refused.reason.ends_with(&expected), "{refused}");
    }
    // What it is does not change.
    let standard = of(&json!({"type": "text", "analyzer": "standard"}));
    assert!(update(&parse(&plain).expect("good"), &standard).is_ok());
}

#[test]
fn booleans_and_numbers_given_as_texts_come_back_as_such() {
    let given = json!({
        "_routing": {"required": "true"},
        "_source": {"enabled": "false"},
        "subobjects": "true",
        "properties": {
            "t": {"type": "text", "store": "true", "norms": "false", "index_phrases": "true",
                  "position_increment_gap": "100", "index_prefixes": {"max_chars": "4"}},
            "k": {"type": "keyword", "store": "false", "eager_global_ordinals": "true",
                  "split_queries_on_whitespace": "false", "null_value": "7"},
            "s": {"type": "scaled_float", "scaling_factor": "100", "null_value": "1.5"},
            "n": {"type": "long", "null_value": "9223372036854775807"},
            "b": {"type": "boolean", "null_value": "true"},
            "c": {"type": "token_count", "analyzer": "standard", "null_value": "3"},
        },
    });
    let mapping = parse(&given).expect("good");
    let expected = json!({
        "_routing": {"required": true},
        "_source": {"enabled": false},
        "subobjects": true,
        "properties": {
            "t": {"type": "text", "store": true, "norms": false, "index_phrases": true,
                  "position_increment_gap": 100, "index_prefixes": {"min_chars": 2, "max_chars": 4}},
            "k": {"type": "keyword", "store": false, "eager_global_ordinals": true,
                  "split_queries_on_whitespace": false, "null_value": "7"},
            "s": {"type": "scaled_float", "scaling_factor": 100.0, "null_value": 1.5},
            "n": {"type": "long", "null_value": i64::MAX},
            "b": {"type": "boolean", "null_value": true},
            "c": {"type": "token_count", "analyzer": "standard", "null_value": 3},
        },
    });
    assert_eq!(mapping_tree(&mapping), expected);
    assert!(mapping.routing_required && !mapping.source_enabled);
    assert_eq!(parse(&expected), Ok(mapping));
}

#[test]
fn a_format_is_shown_with_the_mark_that_it_was_given() {
    let declared = json!({"properties": {"at": {"type": "date", "format": "8yyyy-MM-dd"}}});
    let mapping = parse(&declared).expect("good");
    assert_eq!(mapping_tree(&mapping), declared);
}
