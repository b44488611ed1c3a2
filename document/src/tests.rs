//! What documents become under a mapping, and in which words they are refused.

mod constants;
mod depth;
mod disabled;
mod flattened;
mod growth;
mod names;
mod nested;
mod written;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{ChosenTemplates, Mapping, NumberKind};
use gleaner_query::mapping::{MappingRules, parse_mapping};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::convert::{MAX_TERM_BYTES, quantise};

fn mapping(declared: &Value) -> Mapping {
    parse_mapping(declared, None, &MappingRules::default()).expect("a good mapping")
}

fn parser(declared: &Value) -> DocumentParser {
    DocumentParser::new(&mapping(declared), &AnalyzerRegistry::builtin())
}

/// Returns `path=value` of each value.
fn values(declared: &Value, document: &Value) -> Vec<String> {
    values_of(declared, &document.to_string())
}

fn values_of(declared: &Value, source: &str) -> Vec<String> {
    let parsed = parser(declared)
        .parse("1", source.as_bytes())
        .expect("a good document");
    parsed
        .values
        .iter()
        .map(|(path, value)| format!("{path}={}", shown(value)))
        .collect()
}

fn shown(value: &FieldValue<'_>) -> String {
    match value {
        FieldValue::Text(text) => text.to_string(),
        FieldValue::I64(value) | FieldValue::Date(value) | FieldValue::DateNanos(value) => {
            value.to_string()
        }
        FieldValue::U64(value) => value.to_string(),
        FieldValue::F64(value) => format!("{value:?}"),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::Ip(value) => value.to_string(),
        FieldValue::Feature { name, value } => format!("{name}:{value}"),
    }
}

fn refusal(declared: &Value, document: &str) -> DocumentError {
    parser(declared)
        .parse("1", document.as_bytes())
        .expect_err("a bad document")
}

fn one(kind: &Value) -> Value {
    json!({"properties": {"x": kind}})
}

#[test]
fn values_become_what_their_type_says() {
    for (kind, given, expected) in [
        (
            json!({"type": "text"}),
            json!("Some Text"),
            vec!["x=Some Text"],
        ),
        (
            json!({"type": "text"}),
            json!([1, true, 2.5]),
            vec!["x=1", "x=true", "x=2.5"],
        ),
        (json!({"type": "keyword"}), json!(7), vec!["x=7"]),
        (
            json!({"type": "keyword", "ignore_above": 3}),
            json!(["äöü", "four"]),
            vec!["x=äöü"],
        ),
        (
            json!({"type": "keyword", "normalizer": "lowercase"}),
            json!("ÄB"),
            vec!["x=äb"],
        ),
        (
            json!({"type": "keyword", "null_value": "none"}),
            json!([null, "a"]),
            vec!["x=none", "x=a"],
        ),
        (json!({"type": "keyword"}), json!(null), vec![]),
        (
            json!({"type": "long"}),
            json!([1, "2", 3.9, "-4.9", "", "9007199254740993.0", i64::MIN]),
            vec![
                "x=1",
                "x=2",
                "x=3",
                "x=-4",
                "x=9007199254740993",
                "x=-9223372036854775808",
            ],
        ),
        (
            json!({"type": "long", "null_value": 5}),
            json!(null),
            vec!["x=5"],
        ),
        (
            json!({"type": "long", "null_value": 9_007_199_254_740_993_i64}),
            json!(null),
            vec!["x=9007199254740993"],
        ),
        (
            json!({"type": "long", "null_value": i64::MAX}),
            json!(null),
            vec!["x=9223372036854775807"],
        ),
        (
            json!({"type": "unsigned_long", "null_value": "18446744073709551615"}),
            json!(null),
            vec!["x=18446744073709551615"],
        ),
        (
            json!({"type": "double", "null_value": 2}),
            json!(null),
            vec!["x=2.0"],
        ),
        (json!({"type": "byte"}), json!(-128), vec!["x=-128"]),
        (
            json!({"type": "unsigned_long"}),
            json!(u64::MAX),
            vec!["x=18446744073709551615"],
        ),
    ] {
        assert_eq!(
            values(&one(&kind), &json!({"x": given})),
            expected,
            "{kind} {given}"
        );
    }
}

#[test]
fn fractions_dates_and_addresses_become_what_their_type_says() {
    for (kind, given, expected) in [
        (
            json!({"type": "double"}),
            json!(["1.5", 2]),
            vec!["x=1.5", "x=2.0"],
        ),
        (
            json!({"type": "float"}),
            json!(0.1),
            vec!["x=0.10000000149011612"],
        ),
        (
            json!({"type": "half_float"}),
            json!(0.1),
            vec!["x=0.0999755859375"],
        ),
        (
            json!({"type": "scaled_float", "scaling_factor": 100}),
            json!(1.237),
            vec!["x=1.24"],
        ),
        (
            json!({"type": "scaled_float", "scaling_factor": 10}),
            json!([-0.25, 0.25, -0.0]),
            vec!["x=-0.2", "x=0.3", "x=0.0"],
        ),
        (
            json!({"type": "boolean"}),
            json!([true, "false", ""]),
            vec!["x=true", "x=false", "x=false"],
        ),
        (
            json!({"type": "date"}),
            json!(["2015-01-01", 5]),
            vec!["x=1420070400000", "x=5"],
        ),
        (
            json!({"type": "date", "format": "yyyy"}),
            json!("1971"),
            vec!["x=31536000000"],
        ),
        (
            json!({"type": "ip"}),
            json!(["1.2.3.4", "::1"]),
            vec!["x=::ffff:1.2.3.4", "x=::1"],
        ),
        (
            json!({"type": "long", "ignore_malformed": true}),
            json!(["a", {"b": 1}, 3]),
            vec!["x=3"],
        ),
        (
            json!({"type": "keyword"}),
            json!([["a"], [["b"]]]),
            vec!["x=a", "x=b"],
        ),
    ] {
        assert_eq!(
            values(&one(&kind), &json!({"x": given})),
            expected,
            "{kind} {given}"
        );
    }
}

#[test]
fn objects_arrays_and_dotted_keys_are_flattened() {
    let declared = json!({"properties": {
        "a": {"properties": {"b": {"type": "long"}, "c": {"properties": {"d": {"type": "keyword"}}}}},
        "off": {"type": "object", "enabled": false},
    }});
    for (document, expected) in [
        (
            json!({"a": [{"b": 1}, {"b": [2, 3]}]}),
            vec!["a.b=1", "a.b=2", "a.b=3"],
        ),
        (
            json!({"a.b": 1, "a": {"c.d": "x"}}),
            vec!["a.b=1", "a.c.d=x"],
        ),
        (
            json!({"a": null, "off": {"anything": [1, {"goes": true}]}}),
            vec![],
        ),
        (json!({"off": 5}), vec![]),
        (json!({}), vec![]),
    ] {
        assert_eq!(values(&declared, &document), expected, "{document}");
    }
}

#[test]
fn multi_fields_and_copies_are_fed_and_copies_do_not_chain() {
    let declared = json!({"properties": {
        "a": {"type": "text", "fields": {"raw": {"type": "keyword"}}, "copy_to": "all"},
        "all": {"type": "text", "fields": {"raw": {"type": "keyword"}}, "copy_to": "never"},
        "never": {"type": "keyword"},
    }});
    let expected = ["a=x", "a.raw=x", "all=x", "all.raw=x"];
    assert_eq!(values(&declared, &json!({"a": "x"})), expected);
    assert_eq!(
        values(&declared, &json!({"all": "x"})),
        ["all=x", "all.raw=x", "never=x"]
    );
}

#[test]
fn refusals_name_field_type_id_and_value() {
    for (kind, given, cause) in [
        ("long", json!("foo"), "For input string: \"foo\""),
        ("byte", json!(128), "Value [128] is out of range for a byte"),
        (
            "long",
            json!(1e300),
            "Value [1e300] is out of range for a long",
        ),
        (
            "unsigned_long",
            json!(-1),
            "Value [-1] is out of range for a unsigned_long",
        ),
        (
            "float",
            json!(1e300),
            "[float] supports only finite values, but got [1e300]",
        ),
        (
            "boolean",
            json!("x"),
            "Failed to parse value [x] as only [true] or [false] are allowed.",
        ),
        (
            "boolean",
            json!(1),
            "Failed to parse value [1] as only [true] or [false] are allowed.",
        ),
        ("ip", json!("1.2.3"), "'1.2.3' is not an IP string literal."),
        (
            "date",
            json!("foo"),
            "failed to parse date field [foo] with format [strict_date_optional_time||epoch_millis]",
        ),
    ] {
        let error = refusal(
            &one(&json!({"type": kind})),
            &json!({"x": given}).to_string(),
        );
        let shown = match &given {
            Value::Number(number) if number.is_f64() => "1e300".to_owned(),
            other => other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned),
        };
        let expected = format!(
            "failed to parse field [x] of type [{kind}] in document with id '1'. \
             Preview of field's value: '{shown}'"
        );
        assert_eq!(
            (error.to_string(), error.kind()),
            (expected, "document_parsing_exception")
        );
        assert_eq!(error.cause().map(|(_, reason)| reason), Some(cause));
    }
}

#[test]
fn other_refusals_are_in_the_words_of_the_dialect() {
    let text = one(&json!({"type": "text"}));
    let object = json!({"properties": {"o": {"properties": {"p": {"type": "long"}}}}});
    let strict = json!({"dynamic": "strict", "properties": {"o": {"properties": {}}}});
    for (declared, document, kind, reason) in [
        (
            &text,
            r#"{"x": {"a": 1, "b": ["y", null]}}"#,
            "document_parsing_exception",
            "failed to parse field [x] of type [text] in document with id '1'. \
             Preview of field's value: '{a=1, b=[y, null]}'",
        ),
        (
            &object,
            r#"{"o": 5}"#,
            "document_parsing_exception",
            "object mapping for [o] tried to parse field [o] as object, but found a concrete value",
        ),
        (
            &strict,
            r#"{"o": {"new": 1}}"#,
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [new] within [o] is not allowed",
        ),
        (
            &strict,
            r#"{"new": 1}"#,
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [new] within [_doc] is not allowed",
        ),
        (
            &text,
            r#"{"x": 1, "x": 2}"#,
            "x_content_parse_exception",
            "Duplicate field 'x'",
        ),
        (
            &text,
            r#"{"a..b": 1}"#,
            "document_parsing_exception",
            "field name cannot contain only whitespace or be empty: [a..b]",
        ),
    ] {
        let error = refusal(declared, document);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (kind, reason),
            "{document}"
        );
    }
}

#[test]
fn metadata_is_not_taken_from_inside_a_document() {
    let names = [
        "_id", "_source", "_routing", "_index", "_version", "_seq_no",
    ];
    let values = [
        (json!("x"), "x"),
        (json!(7), "7"),
        (json!(null), "null"),
        (json!({"a": [1, 2]}), "{a=[1, 2]}"),
        (json!(["x", "y"]), "x"),
    ];
    for (name, (value, preview)) in names
        .iter()
        .flat_map(|n| values.iter().map(move |v| (n, v)))
    {
        let document = json!({"a": 1, *name: value}).to_string();
        let error = refusal(&json!({}), &document);
        assert_eq!(error.kind(), "document_parsing_exception");
        assert_eq!(
            error.to_string(),
            format!(
                "failed to parse field [{name}] of type [{name}] in document with id '1'. Preview \
                 of field's value: '{preview}'"
            )
        );
        let reason = format!(
            "Field [{name}] is a metadata field and cannot be added inside a document. Use the \
             index API request parameters."
        );
        assert_eq!(error.cause(), Some(("mapper_parsing_exception", &*reason)));
    }
}

#[test]
fn only_metadata_at_the_top_is_refused() {
    let text = json!({"type": "keyword"});
    let declared = json!({"properties": {
        "a": {"properties": {"_id": text}},
        "_mine": text,
    }});
    let document = json!({"a": {"_id": "x"}, "_mine": "y", "_yours": 1, "_version": []});
    assert_eq!(values(&declared, &document), ["a._id=x", "_mine=y"]);
}

#[test]
fn what_is_no_json_object_is_refused() {
    for document in [
        "",
        "[]",
        "1",
        "{",
        r#"{"x": 1} {}"#,
        r#"{"x": "\ud800"}"#,
        "null",
    ] {
        let error = refusal(&one(&json!({"type": "text"})), document);
        assert!(
            matches!(error, DocumentError::Json { .. }),
            "{document}: {error}"
        );
    }
}

#[test]
fn terms_longer_than_an_index_can_hold_are_refused() {
    let keyword = one(&json!({"type": "keyword"}));
    let error = refusal(
        &keyword,
        &json!({"x": "y".repeat(MAX_TERM_BYTES + 1)}).to_string(),
    );
    assert_eq!(error.kind(), "illegal_argument_exception");
    assert!(
        error
            .to_string()
            .starts_with("Document contains at least one immense term in field=\"x\"")
    );
    assert_eq!(
        values(&keyword, &json!({"x": "y".repeat(MAX_TERM_BYTES)})).len(),
        1
    );
}

proptest! {
    #[test]
    fn half_floats_keep_what_they_can_hold_and_round_to_the_nearest(bits in 0_u16..0x7c00) {
        let (exponent, fraction) = (i32::from(bits >> 10), f64::from(bits & 0x3ff));
        let value = match exponent {
            0 => fraction * (-24_f64).exp2(),
            _ => (1024.0 + fraction) * f64::from(exponent - 25).exp2(),
        };
        prop_assert_eq!(quantise(NumberKind::HalfFloat, value), value);
        prop_assert_eq!(quantise(NumberKind::HalfFloat, -value), -value);
        let nearby = value * (1.0 + 1e-5);
        prop_assert_eq!(quantise(NumberKind::HalfFloat, nearby), value);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_and_lenient_walks_agree_with_strict_ones(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        number in any::<f64>(),
        text in ".{0,12}",
    ) {
        let parser = parser(&json!({"properties": {"x": {"type": "long"}, "y": {"type": "keyword"}}}));
        drop(parser.parse("1", &bytes));
        let source = json!({"x": number, "y": text, "z": {"w": text}}).to_string();
        let lenient = walk::leniently(&parser.plan, source.as_bytes()).values;
        let by = walk::Strictness { id: "1", most_nested: 1 };
        if let Ok(strict) = walk::strictly(&parser.plan, by, source.as_bytes()) {
            prop_assert_eq!(strict.values, lenient);
        }
    }
}
