//! Numbers as they are written, copies to fields that nobody declared, values that become no term.

use super::*;

#[test]
fn numbers_are_text_as_they_are_written() {
    for kind in ["keyword", "text"] {
        let declared = one(&json!({"type": kind}));
        for number in ["12345678901234567890123", "1.10", "1e2", "-0", "-7", "1E+2"] {
            let told = format!("x={number}");
            assert_eq!(
                values_of(&declared, &format!("{{\"x\": {number}}}")),
                [told.as_str()]
            );
            let within = format!("{{\"x\": [[{number}], \"a\"]}}");
            assert_eq!(values_of(&declared, &within), [told, "x=a".to_owned()]);
        }
    }
    let declared = json!({"properties": {
        "n": {"type": "double", "fields": {"raw": {"type": "keyword"}}, "copy_to": "all"},
        "m": {"type": "long", "copy_to": "all"},
        "all": {"type": "double", "fields": {"raw": {"type": "keyword"}}},
    }});
    assert_eq!(
        values_of(&declared, r#"{"n": 1.50, "m": 2.0}"#),
        [
            "n=1.5",
            "n.raw=1.50",
            "all=1.5",
            "all.raw=1.50",
            "m=2",
            "all=2.0",
            "all.raw=2.0"
        ]
    );
}

#[test]
fn gaps_count_as_tokens_wherever_they_are() {
    let text = r#"{"x": "the hills and far away and the"}"#;
    for (counts_gaps, expected) in [(true, "x=7"), (false, "x=3")] {
        let declared = one(&json!({
            "type": "token_count", "analyzer": "stop", "enable_position_increments": counts_gaps,
        }));
        assert_eq!(values_of(&declared, text), [expected]);
    }
}

#[test]
fn a_value_for_a_field_that_is_only_copied_to_wants_it() {
    let wanted = |to: &str, dynamic: &str| {
        let declared = json!({"dynamic": dynamic, "properties": {
            "a": {"type": "keyword", "copy_to": to},
            "o": {"dynamic": false, "properties": {}},
        }});
        let parser = parser(&declared);
        let parsed = parser.parse("1", br#"{"a": "x"}"#);
        parsed.map(|parsed| parsed.has_new_fields)
    };
    assert!(matches!(wanted("all", "true"), Ok(true)));
    assert!(matches!(wanted("o.all", "true"), Ok(false)));
    assert!(matches!(wanted("all", "false"), Ok(false)));
    assert!(matches!(
        wanted("all", "strict"),
        Err(DocumentError::Strict { .. })
    ));
}

#[test]
fn a_keyword_that_becomes_no_term_may_be_long() {
    let document = json!({"x": "a".repeat(40_000)}).to_string();
    let off = one(&json!({"type": "keyword", "index": false, "doc_values": false}));
    assert_eq!(values_of(&off, &document).len(), 1);
    let refused = refusal(&one(&json!({"type": "keyword", "index": false})), &document);
    assert!(matches!(refused, DocumentError::ImmenseTerm { .. }));
}

#[test]
fn text_is_refused_for_its_terms_not_for_its_length() {
    let long = "y".repeat(MAX_TERM_BYTES + 1);
    let whole = json!({"type": "text", "analyzer": "keyword"});
    let error = refusal(&one(&whole), &json!({ "x": long }).to_string());
    let field = "x".to_owned();
    assert_eq!(error, DocumentError::ImmenseTerm { field });
    let below = json!({"type": "keyword", "ignore_above": 9, "fields": {"t": whole}});
    let error = refusal(&one(&below), &json!({"x": ["z", long]}).to_string());
    let field = "x.t".to_owned();
    assert_eq!(error, DocumentError::ImmenseTerm { field });

    let words = "yes ".repeat(MAX_TERM_BYTES);
    for (kind, text) in [
        (json!({"type": "text"}), &words),
        (json!({"type": "text"}), &long),
        (json!({"type": "text", "analyzer": "whitespace"}), &words),
        (
            json!({"type": "text", "analyzer": "keyword", "index": false}),
            &long,
        ),
    ] {
        assert_eq!(
            values(&one(&kind), &json!({ "x": text })).len(),
            1,
            "{kind}"
        );
    }
}

#[test]
fn texts_of_which_analysis_makes_too_much_are_refused_before_they_are_ordered() {
    let rule = format!("a=>{}", "a".repeat(90));
    let settings = json!({
        "char_filter": {"long": {"type": "mapping", "mappings": [rule]}},
        "analyzer": {"long": {"tokenizer": "ngram", "char_filter": ["long", "long", "long"]}},
        "normalizer": {"long": {"char_filter": ["long", "long", "long"]}},
    });
    let analyzers = AnalyzerRegistry::from_settings(&settings).expect("good settings");
    for kind in [
        json!({"type": "text", "analyzer": "long"}),
        json!({"type": "token_count", "analyzer": "long"}),
        json!({"type": "keyword", "normalizer": "long"}),
    ] {
        let parser = DocumentParser::new(&mapping(&one(&kind)), &analyzers);
        let parse = |text: &str| {
            let document = json!({ "x": text }).to_string();
            let parsed = parser.parse("1", document.as_bytes());
            parsed.map(|parsed| parsed.values.len())
        };
        let refused = parse(&"a".repeat(100)).expect_err("73 MB");
        assert!(
            matches!(&refused, DocumentError::TooMuch { field, .. } if field == "x"),
            "{kind}: {refused}"
        );
        assert_eq!(refused.kind(), "illegal_argument_exception");
        // Many short values are as much as a long one.
        let many = json!({ "x": vec!["a"; 100] }).to_string();
        let refused = parser.parse("1", many.as_bytes());
        assert!(refused.is_err(), "{kind}");
        assert_eq!(parse("b"), Ok(1), "{kind}");
        // What an earlier version took is applied, without the value where there is none.
        let applied = parser.walk_leniently(many.as_bytes());
        assert!(applied.values.len() <= 100, "{kind}");
    }
}

#[test]
fn short_texts_that_become_immense_terms_are_refused() {
    let rule = format!("a=>{}", "a".repeat(200));
    let settings = json!({
        "char_filter": {"long": {"type": "mapping", "mappings": [rule]}},
        "analyzer": {"long": {"tokenizer": "keyword", "char_filter": ["long", "long"]}},
    });
    let analyzers = AnalyzerRegistry::from_settings(&settings).expect("good settings");
    let mapping = mapping(&one(&json!({"type": "text", "analyzer": "long"})));
    let parser = DocumentParser::new(&mapping, &analyzers);
    let refused = parser
        .parse("1", br#"{"x": "a"}"#)
        .expect_err("40,000 bytes");
    assert!(
        matches!(refused, DocumentError::ImmenseTerm { .. }),
        "{refused}"
    );
}

#[test]
fn applying_takes_text_whose_terms_are_too_long() {
    let declared = one(&json!({"type": "text", "analyzer": "keyword"}));
    let source = json!({"x": "y".repeat(MAX_TERM_BYTES + 1)}).to_string();
    let plan = parser(&declared).plan;
    assert_eq!(walk::leniently(&plan, source.as_bytes()).values.len(), 1);
}

/// Returns `path=value` of each value of a document that was taken.
fn applied(declared: &Value, document: &Value) -> Vec<String> {
    let plan = parser(declared).plan;
    let source = document.to_string();
    let found = walk::leniently(&plan, source.as_bytes()).values;
    let named = |(number, value): &(u32, FieldValue<'_>)| {
        let path = &plan.node(*number).path;
        format!("{path}={}", shown(value))
    };
    found.iter().map(named).collect()
}

#[test]
fn applying_takes_what_only_an_earlier_version_took() {
    let point = json!({"lat": 1, "lon": 2});
    for (kind, given, same) in [
        ("geo_point", json!({"lat": 1, "lon": 2, "alt": 3}), &point),
        ("geo_point", json!({"coordinates": [2, 1]}), &point),
        ("geo_point", json!([2, 1, "high"]), &point),
        ("geo_point", json!("1,2,3,4"), &point),
        ("geo_point", json!(true), &json!("true")),
        ("geo_point", json!(7), &json!("7")),
        (
            "long_range",
            json!({"from": 1, "to": 5}),
            &json!({"gte": 1, "lte": 5}),
        ),
        (
            "date_range",
            json!({"gte": "now"}),
            &json!({"gte": "1970-01-01"}),
        ),
        (
            "double_range",
            json!({"gte": "-Infinity", "lte": 1}),
            &json!({"lte": 1}),
        ),
        ("unsigned_long", json!(1.9), &json!(1)),
        ("long", json!(i64::MIN as f64), &json!(i64::MIN)),
    ] {
        let declared = one(&json!({"type": kind}));
        let (given, same) = (json!({ "x": given }), json!({ "x": same }));
        let refused = refusal(&declared, &given.to_string());
        assert!(refused.cause().is_some(), "{kind} {given}: {refused}");
        let expected = values(&declared, &same);
        assert_eq!(expected.len(), 1, "{kind} {same}");
        assert_eq!(applied(&declared, &given), expected, "{kind} {given}");
        assert_eq!(applied(&declared, &same), expected, "{kind} {same}");
    }
}

#[test]
fn applying_skips_malformed_values_as_new_writes_do() {
    let declared = one(&json!({"type": "geo_point", "ignore_malformed": true}));
    for given in [json!(true), json!({"coordinates": [2, 1]}), json!("1,,2")] {
        let document = json!({ "x": given });
        assert!(values(&declared, &document).is_empty(), "{given}");
        assert!(applied(&declared, &document).is_empty(), "{given}");
    }
}

#[test]
fn points_of_earlier_mappings_stand_for_null() {
    let declared = one(&json!({"type": "geo_point", "null_value": "1,2"}));
    let mut earlier = mapping(&declared);
    let field = earlier.fields.values_mut().next().expect("it has one");
    let odd = json!({"coordinates": [2, 1]});
    field.declared.insert("null_value".to_owned(), odd);
    let parser = DocumentParser::new(&earlier, &AnalyzerRegistry::builtin());
    let parsed = parser.parse("1", br#"{"x": null}"#).expect("it is good");
    let found: Vec<String> = parsed
        .values
        .iter()
        .map(|(_, value)| shown(value))
        .collect();
    let expected = values(&declared, &json!({"x": null}));
    assert_eq!(expected, [format!("x={}", found.concat())]);
}

#[test]
fn whole_numbers_below_the_least_are_out_of_range() {
    let long = one(&json!({"type": "long"}));
    for (given, shown) in [
        ("-9223372036854775809", "-9.223372036854776e18"),
        ("\"-9223372036854775809\"", "-9223372036854775809"),
        ("\"9223372036854775808.0\"", "9223372036854775808.0"),
    ] {
        let error = refusal(&long, &format!("{{\"x\": {given}}}"));
        let reason = format!("Value [{shown}] is out of range for a long");
        let expected = ("illegal_argument_exception", reason.as_str());
        assert_eq!(error.cause(), Some(expected), "{given}");
    }
    let least = "{\"x\": [-9223372036854775808, \"-9223372036854775808.0\"]}";
    assert_eq!(values_of(&long, least), ["x=-9223372036854775808"; 2]);
    let whole = one(&json!({"type": "long", "coerce": false}));
    let error = refusal(&whole, r#"{"x": 1.5}"#);
    assert_eq!(
        error.cause().map(|cause| cause.1),
        Some("Value [1.5] has a decimal part")
    );
}

#[test]
fn unsigned_numbers_lose_no_fraction() {
    let declared = one(&json!({"type": "unsigned_long"}));
    for given in [json!(1.9), json!("1.9")] {
        let error = refusal(&declared, &json!({"x": given}).to_string());
        let cause = error.cause().map(|(_, reason)| reason.to_owned());
        assert_eq!(cause.as_deref(), Some("Value [1.9] has a decimal part"));
    }
    assert_eq!(values(&declared, &json!({"x": [1.0, "2"]})), ["x=1", "x=2"]);
}

#[test]
fn points_are_no_numbers_and_ranges_no_scalars() {
    let cause = |declared: &Value, given: &str| {
        let error = refusal(declared, &format!("{{\"x\": {given}}}"));
        error.cause().map(|(_, reason)| reason.to_owned())
    };
    let point = one(&json!({"type": "geo_point"}));
    for given in ["true", "7", "1.5", "[true]"] {
        let reason = cause(&point, given);
        assert_eq!(reason.as_deref(), Some("geo_point expected"), "{given}");
    }
    let ignoring = one(&json!({"type": "geo_point", "ignore_malformed": true}));
    assert!(values_of(&ignoring, r#"{"x": true}"#).is_empty());
    let range = one(&json!({"type": "integer_range"}));
    for (given, reason) in [
        ("5", "expected an object but got [5]"),
        (r#"{"from": 5}"#, "with unknown parameter [from]"),
    ] {
        let expected = format!("error parsing field [x], {reason}");
        assert_eq!(cause(&range, given), Some(expected));
    }
}

#[test]
fn a_document_has_a_rank_feature_once() {
    let declared = one(&json!({"type": "rank_feature", "null_value": 2}));
    assert_eq!(values_of(&declared, r#"{"x": null}"#), ["x=2.0"]);
    assert_eq!(values_of(&declared, r#"{"x": [3.5]}"#), ["x=3.5"]);
    for source in [r#"{"x": [1, 2]}"#, r#"{"x": [1, null]}"#] {
        let error = refusal(&declared, source);
        let reason = "[rank_feature] fields do not support indexing multiple values for the same field [x] in the \
                      same document";
        assert_eq!(error.cause(), Some(("illegal_argument_exception", reason)));
    }
    let nested = json!({"properties": {"n": {"type": "nested", "properties": {
        "x": {"type": "rank_feature"}
    }}}});
    let document = r#"{"n": [{"x": 1}, {"x": 2}]}"#;
    assert!(parser(&nested).parse("1", document.as_bytes()).is_ok());
}
