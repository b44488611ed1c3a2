//! Names of analyzers and normalizers, and templates that name them.

use super::*;

fn check(value: &Value, before: Option<&Mapping>) -> Result<(), QueryError> {
    let rules = MappingRules::default();
    let mapping = parse_mapping(value, before, &rules)?;
    check_analyzers(&mapping, before, &rules, &|name| match name {
        AnalysisName::Analyzer(name) => name == "standard",
        AnalysisName::Normalizer(name) => name == "lowercase",
        AnalysisName::Similarity(name) => name == "BM25",
    })
}

fn reason(value: &Value) -> String {
    let error = check(value, None).unwrap_err();
    assert_eq!(error.kind, ErrorType::MapperParsing, "{value}");
    error.reason
}

fn one(field: &Value) -> Value {
    json!({"properties": {"x": field}})
}

#[test]
fn analyzers_and_normalizers_are_two_things() {
    for (field, refusal) in [
        (
            json!({"type": "text", "analyzer": "lowercase"}),
            "analyzer [lowercase] has not been configured in mappings: [x]",
        ),
        (
            json!({"type": "text", "analyzer": "standard", "search_analyzer": "lowercase"}),
            "analyzer [lowercase] has not been configured in mappings: [x]",
        ),
        (
            json!({"type": "keyword", "normalizer": "standard"}),
            "normalizer [standard] not found for field [x]",
        ),
        (
            json!({"type": "long", "fields": {"raw": {"type": "keyword", "normalizer": "n"}}}),
            "normalizer [n] not found for field [x.raw]",
        ),
    ] {
        assert_eq!(reason(&one(&field)), refusal);
    }
    for field in [
        json!({"type": "text"}),
        json!({"type": "keyword"}),
        json!({"type": "keyword", "normalizer": "lowercase"}),
    ] {
        assert_eq!(check(&one(&field), None), Ok(()));
    }
}

#[test]
fn what_an_index_was_made_with_is_not_asked_again() {
    let before = parse(&one(&json!({"type": "text", "analyzer": "gone"}))).unwrap();
    let other = json!({"properties": {"y": {"type": "text"}}});
    assert_eq!(check(&other, Some(&before)), Ok(()));
    let worse = json!({"properties": {"y": {"type": "text", "analyzer": "gone"}}});
    assert!(check(&worse, Some(&before)).is_err());
}

fn template(body: &Value) -> Value {
    json!({"dynamic_templates": [{"t": body}]})
}

#[test]
fn templates_of_which_no_field_can_be_made_are_refused() {
    for (body, why) in [
        (
            json!({"match": "body*", "mapping": {"type": "text", "analyzer": "missing"}}),
            "analyzer [missing] has not been configured in mappings: [__dynamic__t]",
        ),
        (
            json!({"match": "*", "mapping": {"type": "keyword", "normalizer": "standard"}}),
            "normalizer [standard] not found for field [__dynamic__t]",
        ),
        (
            json!({"match_mapping_type": "string", "mapping": {"analyzer": "missing"}}),
            "analyzer [missing] has not been configured in mappings: [__dynamic__t]",
        ),
        (
            json!({"match": "*", "mapping": {"type": "nope"}}),
            "No handler for type [nope] declared on field [__dynamic__t]",
        ),
        (
            json!({"match": "*", "mapping": {"type": "long", "analyzer": "standard"}}),
            "unknown parameter [analyzer] on mapper [__dynamic__t] of type [long]",
        ),
        (
            json!({"match_mapping_type": ["long", "date"], "mapping": {"type": "{dynamic_type}", "boost": 2}}),
            "unknown parameter [boost] on mapper [__dynamic__t] of type [long]",
        ),
    ] {
        assert_eq!(
            reason(&template(&body)),
            format!("dynamic template [t] has invalid content: {why}")
        );
    }
}

#[test]
fn templates_of_which_some_field_can_be_made_are_taken() {
    for body in [
        json!({"match": "*", "mapping": {"analyzer": "standard"}}),
        json!({"match": "*", "mapping": {"dynamic": false}}),
        json!({"match": "*", "mapping": {"type": "{dynamic_type}", "coerce": false}}),
        json!({"match": "*", "mapping": {"type": "text", "analyzer": "{name}"}}),
        json!({"match_mapping_type": "binary", "mapping": {}}),
    ] {
        assert_eq!(check(&template(&body), None), Ok(()), "{body}");
    }
}
