//! How deep fields may lie, and fields that are only copied to.

use std::collections::BTreeMap;

use super::*;

#[test]
fn fields_lie_as_deep_as_the_limit_says_and_no_deeper() {
    let nested = |levels: usize| {
        let mut document = json!({"leaf": 1});
        for _ in 1..levels {
            document = json!({"o": document});
        }
        document
    };
    let mut declared = json!({"type": "long"});
    for _ in 1..20 {
        declared = json!({"properties": {"o": declared}});
    }
    let declare = |inner: &Value| parse(&json!({"properties": {"leaf": inner}}));
    assert!(infer(&json!({}), &nested(20)).is_ok());
    assert!(infer(&json!({}), &nested(21)).is_err());
    assert!(declare(&declared).is_ok());
    assert!(declare(&json!({"properties": {"o": declared}})).is_err());
    let dotted = |levels: usize| json!({vec!["a"; levels].join("."): 1});
    assert!(infer(&json!({}), &dotted(20)).is_ok());
    assert!(infer(&json!({}), &dotted(21)).is_err());
}

#[test]
fn what_is_only_copied_to_is_added_as_if_it_stood_in_the_document() {
    let mapping = json!({"properties": {"a": {"type": "keyword", "copy_to": ["all", "o.all"]}}});
    let added = infer(&mapping, &json!({"a": [null, "x", "y"]}))
        .unwrap()
        .unwrap();
    assert_eq!(added["all"]["type"], "text");
    assert_eq!(added["all"]["fields"]["keyword"]["type"], "keyword");
    assert_eq!(added["o"]["properties"]["all"]["type"], "text");
    assert!(infer(&mapping, &json!({"a": null})).unwrap().is_none());
    let closed =
        json!({"dynamic": false, "properties": {"a": {"type": "keyword", "copy_to": "all"}}});
    assert!(infer(&closed, &json!({"a": "x"})).unwrap().is_none());
}

#[test]
fn search_as_you_type_brings_fields_that_are_not_shown() {
    let declared = json!({"properties": {
        "title": {"type": "search_as_you_type", "max_shingle_size": 2, "analyzer": "simple"},
    }});
    let mapping = parse_mapping(&declared, None, &MappingRules::default()).expect("good");
    let brought = |name: &str| match &mapping.field(name).expect("brought").kind {
        FieldKind::Text { analyzer, .. } => analyzer.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(brought("title._2gram"), "simple#shingle2");
    assert_eq!(brought("title._index_prefix"), "simple#prefix2");
    assert!(mapping.field("title._3gram").is_none());
    assert_eq!(mapping_tree(&mapping), declared);
}

#[test]
fn search_as_you_type_may_be_a_multi_field() {
    let declared = json!({"properties": {
        "title": {"type": "keyword", "fields": {"typed": {"type": "search_as_you_type"}}},
    }});
    let mapping = parse_mapping(&declared, None, &MappingRules::default()).expect("good");
    let brought = mapping.field("title.typed._2gram").expect("brought");
    assert!(brought.is_multi_field);
    assert_eq!(mapping.fed_from("title.typed._2gram"), "title");
    assert_eq!(mapping_tree(&mapping), declared);
}

#[test]
fn what_a_nested_object_is_included_in_cannot_change() {
    let nested = |options: &Value| {
        let mut object = json!({"type": "nested"});
        let options = options.as_object().into_iter().flatten();
        options.for_each(|(name, value)| object[name] = value.clone());
        json!({"properties": {"a": object}})
    };
    let (no, yes) = (
        nested(&json!({})),
        nested(&json!({"include_in_parent": true})),
    );
    let mapping = parse(&no).expect("good");
    let refused = update(&mapping, &yes).expect_err("refused").reason;
    let of = |name: &str| {
        format!("the [{name}] parameter can't be updated on a nested object mapping [a]")
    };
    assert_eq!(refused, of("include_in_parent"));
    let refused = update(&mapping, &nested(&json!({"include_in_root": true})));
    assert_eq!(refused.expect_err("refused").reason, of("include_in_root"));
    let mapping = parse(&yes).expect("good");
    assert_eq!(mapping_tree(&mapping), yes);
    assert!(update(&mapping, &no).is_err());
    assert!(update(&mapping, &yes).is_ok());
}

#[test]
fn nested_objects_of_a_mapping_are_limited() {
    let object = json!({"type": "nested", "properties": {"b": {"type": "nested"}}});
    let rules = |nested_fields| MappingRules {
        nested_fields,
        ..MappingRules::default()
    };
    let mapping = json!({"properties": {"a": object}});
    assert!(parse_mapping(&mapping, None, &rules(2)).is_ok());
    let refused = parse_mapping(&mapping, None, &rules(1)).expect_err("refused");
    assert_eq!(
        refused.reason,
        "Limit of nested fields [1] has been exceeded"
    );
}

#[test]
fn nested_objects_stay_nested() {
    let nested = json!({"properties": {"tags": {
        "type": "nested",
        "properties": {"name": {"type": "keyword"}},
    }}});
    let rules = MappingRules::default();
    let mapping = parse_mapping(&nested, None, &rules).expect("good");
    assert_eq!(mapping_tree(&mapping), nested);
    let plain = json!({"properties": {"tags": {"properties": {"name": {"type": "keyword"}}}}});
    let refused = parse_mapping(&plain, Some(&mapping), &rules).expect_err("another kind");
    assert!(
        refused
            .reason
            .contains("can't merge a nested mapping [tags]"),
        "{refused}"
    );
}

#[test]
fn norms_may_be_given_up_and_do_not_come_back() {
    let text = |norms| json!({"properties": {"a": {"type": "text", "norms": norms}}});
    let mapping = parse(&text(true)).expect("good");
    let without = update(&mapping, &text(false)).expect("given up");
    let refused = update(&without, &text(true)).expect_err("refused").reason;
    assert!(
        refused.contains("Cannot update parameter [norms] from [false] to [true]"),
        "{refused}"
    );
}

#[test]
fn what_is_indexed_of_words_stays() {
    let text =
        |options: &str| json!({"properties": {"a": {"type": "text", "index_options": options}}});
    let plain = parse(&json!({"properties": {"a": {"type": "text"}}})).expect("good");
    assert!(update(&plain, &text("positions")).is_ok());
    let docs = parse(&text("docs")).expect("good");
    assert!(update(&docs, &text("docs")).is_ok());
    let keyword =
        |options: &str| json!({"properties": {"a": {"type": "keyword", "index_options": options}}});
    let once = parse(&json!({"properties": {"a": {"type": "keyword"}}})).expect("good");
    assert!(update(&once, &keyword("docs")).is_ok());
    let counted = parse(&keyword("freqs")).expect("good");
    assert!(update(&counted, &keyword("freqs")).is_ok());
    for (mapping, options) in [
        (&plain, text("freqs")),
        (&docs, text("freqs")),
        (&docs, text("positions")),
        (&once, keyword("freqs")),
        (&counted, keyword("docs")),
    ] {
        let refused = update(mapping, &options).expect_err("refused").reason;
        assert!(
            refused.contains("Cannot update parameter [index_options] from"),
            "{refused}"
        );
    }
}

#[test]
fn a_constant_is_set_once_and_nothing_else_is() {
    let constant = json!({"type": "constant_keyword"});
    let declared = json!({"properties": {
        "a": {"type": "text", "fields": {"c": constant}},
        "b": {"type": "constant_keyword", "value": "x"},
        "d": constant,
        "n": {"type": "keyword"},
    }});
    let mapping = parse(&declared).expect("good");
    let values = ["a.c", "b", "n", "gone"].map(|path| (FieldPath::new(path), "y".to_owned()));
    let set = set_constants(&mapping, BTreeMap::from(values), MappingVersion(7));
    let mut expected = declared;
    expected["properties"]["a"]["fields"]["c"]["value"] = json!("y");
    assert_eq!(mapping_tree(&set), expected);
    assert_eq!(set.version, MappingVersion(7));
    assert_eq!(
        parse(&expected).map(|mapping| mapping.fields),
        Ok(set.fields)
    );
}

#[test]
fn what_is_inferred_sets_no_constant() {
    let constant = json!({"properties": {"a": {"type": "constant_keyword"}}});
    assert!(infer(&constant, &json!({"a": "x"})).unwrap().is_none());
}
