//! Constants without a value, which documents set.

use serde_json::Map;

use super::growth::{grown, grown_with};
use super::*;

/// Returns the values that constants at `paths` have once a document is taken; after that it brings nothing more.
fn constants(declared: &Value, source: &str, paths: &[&str]) -> Vec<Option<String>> {
    let before = mapping(declared);
    let after = grown(source, &before).expect("a good document");
    let after = after.unwrap_or(before);
    let parser = DocumentParser::new(&after, &AnalyzerRegistry::builtin());
    let is_new = parser.has_new_fields("1", source.as_bytes());
    assert!(matches!(is_new, Ok(false)), "{source}");
    let constant = |path: &&str| after.field(path)?.kind.constant().map(str::to_owned);
    paths.iter().map(constant).collect()
}

/// Returns a field of type `name` with a multi-field `c` that is a constant without a value.
fn with_constant(name: &str, options: &Value) -> Value {
    let mut field = json!({"type": name, "fields": {"c": {"type": "constant_keyword"}}});
    let options = options.as_object().into_iter().flatten();
    options.for_each(|(option, value)| field[option] = value.clone());
    field
}

#[test]
fn a_constant_takes_the_value_that_reaches_it_as_a_multi_field() {
    let none = json!({});
    let ignoring = json!({"ignore_malformed": true});
    for (name, options, value, expected) in [
        ("text", &none, r#""a b""#, Some("a b")),
        ("text", &none, "[null, 7, 7]", Some("7")),
        ("text", &none, "[]", None),
        ("boolean", &none, "true", Some("true")),
        ("double", &none, "1.50", Some("1.5")),
        ("double", &none, "0.00001", Some("1e-5")),
        ("date", &none, r#""2024-01-01""#, Some("2024-01-01")),
        ("long", &ignoring, r#""none""#, Some("none")),
        ("long", &ignoring, r#"{"a": 1}"#, None),
        (
            "keyword",
            &json!({"ignore_above": 1}),
            r#""ab""#,
            Some("ab"),
        ),
        ("keyword", &json!({"null_value": "n"}), "null", None),
        (
            "keyword",
            &json!({"normalizer": "lowercase"}),
            r#""A""#,
            Some("A"),
        ),
        ("completion", &none, r#"{"input": ["a", "a"]}"#, Some("a")),
        // One value, of which multi-fields get nothing.
        ("geo_point", &none, "[1, 2]", None),
        ("constant_keyword", &none, r#""a""#, Some("a")),
    ] {
        let declared = one(&with_constant(name, options));
        let source = format!("{{\"x\": {value}}}");
        let set = constants(&declared, &source, &["x.c"]);
        assert_eq!(set[0].as_deref(), expected, "{name} {options} {value}");
    }
}

#[test]
fn a_constant_takes_the_value_that_is_copied_to_it() {
    let declared = json!({"properties": {
        "a": {"type": "long", "copy_to": ["set", "t", "o.set"]},
        "n": {"type": "nested", "properties": {"b": {"type": "keyword", "copy_to": "set"}}},
        "t": with_constant("text", &json!({})),
        "set": {"type": "constant_keyword"},
        "o": {"properties": {"set": {"type": "constant_keyword"}}},
    }});
    let paths = ["set", "t.c", "o.set"];
    let set = |source| constants(&declared, source, &paths);
    let value = |text: &str| Some(text.to_owned());
    let all = vec![value("7"); 3];
    assert_eq!(set(r#"{"a": 7}"#), all);
    assert_eq!(set(r#"{"n": [{"b": "7"}, {}], "a": [7, "7"]}"#), all);
    assert_eq!(set(r#"{"n": {"b": "x"}}"#), [value("x"), None, None]);
    assert_eq!(set(r#"{"a": null, "n": []}"#), vec![None::<String>; 3]);
}

#[test]
fn templates_may_bring_constants_that_the_same_document_sets() {
    let declared = json!({"dynamic_templates": [
        {"set": {"match": "set", "mapping": {"type": "constant_keyword"}}},
        {"rest": {"match": "*", "mapping": with_constant("keyword", &json!({"copy_to": "set"}))}},
    ]});
    let set = constants(&declared, r#"{"a": "x"}"#, &["set", "a.c"]);
    assert_eq!(set, vec![Some("x".to_owned()); 2]);
}

#[test]
fn a_value_that_is_longer_than_a_term_becomes_no_constant() {
    let source = json!({"x": "y".repeat(MAX_TERM_BYTES + 1)}).to_string();
    let alone = one(&json!({"type": "constant_keyword"}));
    let fed = one(&with_constant("text", &json!({})));
    for (declared, field) in [(alone, "x"), (fed, "x.c")] {
        let error = grown(&source, &mapping(&declared)).expect_err("it is too long");
        let reason = error.to_string();
        assert!(reason.contains(&format!("field=\"{field}\"")), "{reason}");
    }
}

#[test]
fn a_second_value_of_a_constant_is_refused_wherever_it_comes_from() {
    let declared = json!({"properties": {
        "a": with_constant("text", &json!({"copy_to": "set"})),
        "b": {"type": "keyword", "copy_to": "set"},
        "set": {"type": "constant_keyword"},
    }});
    let before = mapping(&declared);
    let refused = |field: &str, first: &str, second: &str| {
        format!(
            "[constant_keyword] field [{field}] only accepts values that are equal to the value defined in the mappings \
             [{first}], but got [{second}]"
        )
    };
    for (sources, expected) in [
        (vec![r#"{"a": ["x", "y"]}"#], refused("a.c", "x", "y")),
        (vec![r#"{"b": "x", "set": "y"}"#], refused("set", "x", "y")),
        (vec![r#"{"set": 1, "b": [1, 2]}"#], refused("set", "1", "2")),
        (
            vec![r#"{"a": "x"}"#, r#"{"b": "y"}"#],
            refused("set", "x", "y"),
        ),
        (
            vec![r#"{"a": "x"}"#, r#"{"a": "y"}"#],
            refused("a.c", "x", "y"),
        ),
    ] {
        let error = grown_with(&sources, &before, &AnalyzerRegistry::builtin());
        let error = error.expect_err("another value");
        assert_eq!(error.cause().map(|cause| cause.1), Some(&*expected));
    }
}

#[test]
fn a_refused_document_sets_no_constant() {
    let declared = one(&with_constant("keyword", &json!({})));
    let before = mapping(&declared);
    let analyzers = AnalyzerRegistry::builtin();
    let mut growth = Growth::new(&before, MappingRules::default(), &analyzers);
    let chosen = ChosenTemplates::default();
    let refused = growth.add("1", br#"{"x": ["a", "b"]}"#, &chosen);
    assert!(refused.is_err());
    let set = growth.add("2", br#"{"x": "c"}"#, &chosen);
    set.expect("the first value");
    let after = growth.into_mapping().expect("it is set");
    let field = after.field("x.c").expect("declared");
    assert_eq!(field.kind.constant(), Some("c"));
    assert_eq!(
        field.ordinal,
        before.field("x.c").expect("declared").ordinal
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(1),
        json!(1.0),
        json!(0.00001),
        json!(u64::MAX),
        json!("1"),
        json!("abc"),
        json!(""),
        json!({}),
        json!({"c": 1}),
        json!({"input": "1"}),
    ]);
    scalar.prop_recursive(2, 6, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(Value::from)
    })
}

proptest! {
    #[test]
    fn a_document_that_was_taken_brings_nothing_when_it_is_read_again(
        values in prop::collection::vec(any_value(), 6),
    ) {
        let before = mapping(&json!({"properties": {
            "long": with_constant("long", &json!({"ignore_malformed": true, "copy_to": ["set", "fresh"]})),
            "short": with_constant("keyword", &json!({"ignore_above": 2, "null_value": "n", "copy_to": "long"})),
            "input": with_constant("completion", &json!({})),
            "point": with_constant("geo_point", &json!({"ignore_malformed": true})),
            "set": {"type": "constant_keyword"},
        }}));
        let names = ["long", "short", "input", "point", "set", "other"];
        let document: Map<String, Value> = names.map(str::to_owned).into_iter().zip(values).collect();
        let source = Value::Object(document).to_string();
        if let Ok(after) = grown(&source, &before) {
            let parser = DocumentParser::new(&after.unwrap_or(before), &AnalyzerRegistry::builtin());
            prop_assert!(matches!(parser.has_new_fields("1", source.as_bytes()), Ok(false)), "{source}");
        }
    }
}
