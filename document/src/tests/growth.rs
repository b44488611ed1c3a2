//! Fields that documents bring.

use super::*;

pub(super) fn grown(source: &str, mapping: &Mapping) -> Result<Option<Mapping>, DocumentError> {
    let analyzers = AnalyzerRegistry::builtin();
    grown_with(&[source], mapping, &analyzers)
}

pub(super) fn grown_with(
    sources: &[&str],
    mapping: &Mapping,
    analyzers: &AnalyzerRegistry,
) -> Result<Option<Mapping>, DocumentError> {
    let mut growth = Growth::new(mapping, MappingRules::default(), analyzers);
    for source in sources {
        growth.add("1", source.as_bytes())?;
    }
    Ok(growth.into_mapping())
}

#[test]
fn fields_that_documents_bring_together_came_with_the_version_that_the_mapping_has_then() {
    let before = mapping(&one(&json!({"type": "text"})));
    let analyzers = AnalyzerRegistry::builtin();
    let sources = [
        r#"{"a": 1}"#,
        r#"{"a": 2, "b": "x"}"#,
        r#"{"o": {"p": true}}"#,
    ];
    let after = grown_with(&sources, &before, &analyzers).expect("it can grow");
    let after = after.expect("it has to grow");
    assert_eq!(after.version, before.version.next());
    let mut ordinals = Vec::new();
    for path in ["a", "b", "b.keyword", "o", "o.p"] {
        let field = after.field(path).expect(path);
        assert_eq!(field.since, after.version, "{path}");
        ordinals.push(field.ordinal);
    }
    assert!(ordinals.is_sorted() && ordinals[0] > before.field("x").expect("declared").ordinal);
}

#[test]
fn new_fields_are_seen_and_the_mapping_grows_by_them() {
    let declared = one(&json!({"type": "text"}));
    for (document, has_new) in [
        (r#"{"x": "a"}"#, false),
        (r#"{"y": null, "z": []}"#, false),
        (r#"{"y": [null, 1]}"#, true),
        (r#"{"o": {}}"#, true),
        (r#"{"y": "a"}"#, true),
    ] {
        let parsed = parser(&declared)
            .parse("1", document.as_bytes())
            .expect("a good document");
        assert_eq!(parsed.has_new_fields, has_new, "{document}");
    }
    let before = mapping(&declared);
    let after = grown(r#"{"y": 1}"#, &before);
    let after = after.expect("it can grow").expect("it has to grow");
    assert_eq!(
        after.field("y").map(|field| field.kind.type_name()),
        Some("long")
    );
    let parser = DocumentParser::new(&after, &AnalyzerRegistry::builtin());
    let error = parser
        .parse("1", br#"{"y": [1, "a"]}"#)
        .expect_err("it was inferred as long");
    assert!(error.to_string().contains("of type [long]"), "{error}");
}

#[test]
fn nothing_grows_by_a_document_that_is_refused() {
    let before = mapping(&one(&json!({"type": "text"})));
    for (source, reason) in [
        (r#"{"code": [7, "A12"]}"#, "of type [long]"),
        (r#"{"a": 1, "b": 2, "c": [1, "x"]}"#, "of type [long]"),
        (r#"{"a": 1, "a": 2}"#, "Duplicate field 'a'"),
        (r#"{"u": "x", "u.name": "y"}"#, "but found [text]"),
    ] {
        let error = grown(source, &before).expect_err(source);
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(grown(r#"{"code": "B7"}"#, &before).is_ok_and(|after| after.is_some()));
}

#[test]
fn a_new_field_whose_analyzer_is_missing_is_refused_with_its_document() {
    let before = mapping(&json!({"dynamic_templates": [{"t": {
        "match_mapping_type": "string", "mapping": {"type": "text", "analyzer": "{name}"}
    }}]}));
    let after = grown(r#"{"english": "x"}"#, &before).expect("there is one");
    let error = grown(r#"{"martian": "x"}"#, &before).expect_err("there is none");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            "mapper_parsing_exception",
            "analyzer [martian] has not been configured in mappings: [martian]"
        )
    );
    // What is there already is not asked again.
    let registry = AnalyzerRegistry::default();
    let stale = mapping(&one(&json!({"type": "text", "analyzer": "gone"})));
    let grown = grown_with(&[r#"{"n": 1}"#], &stale, &registry);
    assert!(grown.is_ok_and(|grown| grown.is_some()));
    assert!(after.is_some());
}
