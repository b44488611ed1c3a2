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
        growth.add("1", source.as_bytes(), &ChosenTemplates::default())?;
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

#[test]
fn chosen_templates_make_the_fields_of_their_document_alone() {
    let before = mapping(&json!({"dynamic_templates": [{"words": {
        "mapping": {"type": "keyword"}
    }}]}));
    let analyzers = AnalyzerRegistry::builtin();
    let mut growth = Growth::new(&before, MappingRules::default(), &analyzers);
    let chosen = |path: &str, name: &str| {
        let chosen = (path.to_owned(), name.to_owned());
        ChosenTemplates::from_iter([chosen])
    };
    let gone = growth.add("1", br#"{"a": "x", "b": "y"}"#, &chosen("b", "gone"));
    assert_eq!(
        gone.expect_err("there is none").kind(),
        "document_parsing_exception"
    );
    for (source, chosen) in [
        (r#"{"a": "x", "b": "y"}"#, chosen("b", "words")),
        (r#"{"a": "z", "b": "y"}"#, chosen("a", "gone")),
        (r#"{"c": "x"}"#, ChosenTemplates::default()),
    ] {
        growth.add("1", source.as_bytes(), &chosen).expect(source);
    }
    let after = growth.into_mapping().expect("it has to grow");
    for (path, expected) in [("a", "text"), ("b", "keyword"), ("c", "text")] {
        let field = after.field(path).expect(path);
        assert_eq!(field.kind.type_name(), expected, "{path}");
    }
}

#[test]
fn a_whole_number_beyond_64_bits_makes_no_field_of_fractions() {
    let before = mapping(&json!({}));
    for number in ["99999999999999999999", "-9223372036854775809"] {
        let beside = r#""t": "\" 1e5 \\", "f": 1.5e20"#;
        let source = format!("{{{beside}, \"o\": {{\"n\": [{number}]}}}}");
        let error = grown(&source, &before).expect_err(number);
        assert!(
            error.to_string().contains("[o.n] of type [long]"),
            "{error}"
        );
        let (kind, cause) = error.cause().expect("why it is none");
        assert_eq!(kind, "illegal_argument_exception");
        assert!(cause.ends_with("is out of range for a long"), "{cause}");
    }
    let after = grown(r#"{"f": 1e20, "g": 100000000000000000000.0}"#, &before);
    let after = after.expect("fractions").expect("it has to grow");
    for path in ["f", "g"] {
        let field = after.field(path).expect(path);
        assert_eq!(field.kind.type_name(), "float", "{path}");
    }
    let templates = json!({"dynamic_templates": [{"whole": {
        "match_mapping_type": "long", "mapping": {"type": "double"}
    }}]});
    let after = grown(r#"{"n": 99999999999999999999}"#, &mapping(&templates));
    let after = after.expect("a double").expect("it has to grow");
    let field = after.field("n").expect("it is new");
    assert_eq!(field.kind.type_name(), "double");
}

#[test]
fn a_document_of_too_many_fields_is_not_parsed() {
    let before = mapping(&one(&json!({"type": "long"})));
    let rules = MappingRules {
        total_fields: 2,
        ..MappingRules::default()
    };
    let analyzers = AnalyzerRegistry::builtin();
    let mut growth = Growth::new(&before, rules, &analyzers);
    let mut add = |source: &str| growth.add("1", source.as_bytes(), &ChosenTemplates::default());
    let error = add(r#"{"a": 1, "b": 2}"#).expect_err("one too many");
    let reason = "Limit of total fields [2] has been exceeded while adding new fields [2]";
    assert_eq!(error.to_string(), format!("failed to parse: {reason}"));
    assert_eq!(error.kind(), "document_parsing_exception");
    assert_eq!(error.cause(), Some(("illegal_argument_exception", reason)));
    assert!(add(r#"{"a": 1}"#).is_ok());
}

#[test]
fn a_document_of_many_values_is_refused_before_they_are_kept() {
    let known = mapping(&one(&json!({"type": "long"})));
    let analyzers = AnalyzerRegistry::builtin();
    let parser = DocumentParser::new(&known, &analyzers);
    let values = |number: usize| format!(r#"{{"x":[{}0]}}"#, "1,".repeat(number - 1));
    let many = parser.has_new_fields("1", values(2_000_001).as_bytes());
    assert_eq!(many, Err(DocumentError::TooManyValues { limit: 2_000_000 }));
    assert_eq!(
        parser.has_new_fields("1", values(2_000_000).as_bytes()),
        Ok(false)
    );
    // What was taken once is applied as a whole.
    let applied = values(2_000_001);
    assert_eq!(
        parser.walk_leniently(applied.as_bytes()).values.len(),
        2_000_001
    );
}

#[test]
fn a_list_of_many_objects_brings_the_fields_of_all() {
    let before = mapping(&one(&json!({"type": "text"})));
    let objects = vec![r#"{"b":1,"c":[{"d":"x"}]}"#; 100_000].join(",");
    let document = format!(r#"{{"a":[{objects},{{"e":true}}]}}"#);
    let after = grown(&document, &before)
        .expect("it can grow")
        .expect("it has to grow");
    for path in ["a", "a.b", "a.c", "a.c.d", "a.c.d.keyword", "a.e"] {
        assert!(after.field(path).is_some(), "{path}");
    }
}
