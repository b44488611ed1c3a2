//! A document that was read before it was ordered is the one that is read when it is applied.

use gleaner_query::mapping::{MappingRules, parse_mapping};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::schema::fields::initial_schema;

fn mapping(declared: &Value) -> Mapping {
    parse_mapping(declared, None, &MappingRules::default()).expect("a good mapping")
}

fn parser(declared: &Value) -> DocumentParser {
    DocumentParser::new(&mapping(declared), &AnalyzerRegistry::builtin())
}

/// Returns a mapping with the one field `x`.
fn one(field: &Value) -> Value {
    json!({ "properties": { "x": field } })
}

/// Fields of every kind, with what makes values of theirs, elsewhere or not at all.
fn all_kinds() -> Value {
    json!({"dynamic": false, "properties": {
        "text": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 6}}, "copy_to": "all"},
        "all": {"type": "text", "analyzer": "english"},
        "word": {"type": "keyword", "normalizer": "lowercase", "null_value": "none"},
        "kept": {"type": "keyword", "index": false, "doc_values": false},
        "counted": {"type": "keyword", "index_options": "freqs"},
        "long": {"type": "long", "ignore_malformed": true},
        "big": {"type": "unsigned_long"},
        "float": {"type": "float"},
        "flag": {"type": "boolean"},
        "date": {"type": "date"},
        "ip": {"type": "ip"},
        "o": {"properties": {"x": {"type": "long"}, "y": {"type": "keyword"}}},
    }})
}

fn builder(declared: &Value) -> DocumentBuilder {
    let mapping = mapping(declared);
    let fields = Fields::new(&mapping, &initial_schema(&mapping)).expect("a whole schema");
    DocumentBuilder::new(&mapping, &AnalyzerRegistry::builtin(), Arc::new(fields))
}

fn identity(id: &DocumentId) -> Identity<'_> {
    Identity {
        id,
        routing: Some("r"),
        seq_no: SeqNo(7),
        version: Version(3),
        term: PrimaryTerm(2),
        mapping: MappingVersion(1),
    }
}

fn prepared(
    parser: &DocumentParser,
    source: &[u8],
    by: &DocumentBuilder,
) -> Option<PreparedDocument> {
    match by.read(parser, "1", source).expect("a good document") {
        Read::Known(prepared) => prepared,
        Read::NewFields => panic!("no new fields"),
    }
}

fn one_or_more(value: impl Strategy<Value = Value> + Clone + 'static) -> BoxedStrategy<Value> {
    let several = proptest::collection::vec(value.clone(), 0..5).prop_map(Value::from);
    prop_oneof![value, several].boxed()
}

fn document() -> impl Strategy<Value = Value> {
    let words = || "[a-cA-C ]{0,9}".prop_map(Value::from);
    let long = || (-3_i64..3).prop_map(Value::from);
    let ip = "[1-3]\\.0\\.0\\.[1-3]".prop_map(Value::from);
    let inner = (one_or_more(long()), one_or_more(words()));
    let inner = inner.prop_map(|(x, y)| json!({"x": x, "y": y}));
    let first = (
        one_or_more(words()),
        one_or_more(prop_oneof![Just(Value::Null), words()]),
        one_or_more(prop_oneof![words(), long()]),
        one_or_more((0_u64..3).prop_map(Value::from)),
        one_or_more((-2_f64..2.0).prop_map(Value::from)),
    );
    let second = (
        one_or_more(any::<bool>().prop_map(Value::from)),
        one_or_more((0_i64..3).prop_map(|day| json!(format!("2015-01-0{}", day + 1)))),
        one_or_more(ip),
        one_or_more(inner),
        words(),
    );
    (first, second).prop_map(
        |((text, word, long, big, float), (flag, date, ip, o, other))| {
            json!({
                "text": text, "word": word, "long": long, "big": big, "float": float, "flag": flag,
                "date": date, "ip": ip, "o": o, "kept": other, "counted": text, "unknown": {"x": other},
            })
        },
    )
}

proptest! {
    #[test]
    fn a_prepared_document_is_the_one_read_when_applied(document in document()) {
        let builder = builder(&all_kinds());
        let source = document.to_string().into_bytes();
        let id = DocumentId::parse("1").expect("a good id");
        let prepared = prepared(&parser(&all_kinds()), &source, &builder);
        prop_assert!(prepared.is_some());
        let taken = builder.build(&identity(&id), &source, prepared);
        let read = builder.build(&identity(&id), &source, None);
        let in_order = |document: &TantivyDocument| -> Vec<(Column, OwnedValue)> {
            document.field_values().map(|(column, value)| (column, value.into())).collect()
        };
        prop_assert_eq!(in_order(&taken), in_order(&read));
    }
}

#[test]
fn what_another_builder_prepared_is_not_taken() {
    let source = br#"{"x": "a"}"#;
    let keyword = one(&json!({"type": "keyword"}));
    let id = DocumentId::parse("1").expect("a good id");
    let (one, other) = (builder(&keyword), builder(&keyword));
    let of_other = prepared(&parser(&keyword), br#"{"x": "b"}"#, &other);
    let built = one.build(&identity(&id), source, of_other);
    assert_eq!(built, one.build(&identity(&id), source, None));
    // The same, taken by the builder that made it: it is not looked at again.
    let of_other = prepared(&parser(&keyword), br#"{"x": "b"}"#, &other);
    assert_ne!(other.build(&identity(&id), source, of_other), built);
}

#[test]
fn terms_that_are_counted_stand_as_often_as_they_are_given() {
    let builder = builder(&one(&json!({"type": "keyword", "index_options": "freqs"})));
    let id = DocumentId::parse("1").expect("a good id");
    let document = builder.build(&identity(&id), br#"{"x": ["b", "a", "b"]}"#, None);
    let handle = builder.fields.get("x").expect("it is mapped");
    let values = builder.fields.tokens_of(handle.column);
    let values = values.expect("it has doc values").column;
    let texts = |wanted: Column| -> Vec<OwnedValue> {
        let found = document.field_values();
        let found = found.filter(|(column, _)| *column == wanted);
        found.map(|(_, value)| value.into()).collect()
    };
    let text = |text: &str| OwnedValue::Str(text.to_owned());
    assert_eq!(texts(handle.column), ["b", "a", "b"].map(text));
    assert_eq!(texts(values), ["a", "b"].map(text));
}

#[test]
fn a_field_is_in_no_document_that_was_ordered_before_it() {
    let rules = MappingRules::default();
    let declared = json!({"dynamic": false, "properties": {"x": {"type": "keyword"}}});
    let first = parse_mapping(&declared, None, &rules).expect("a good mapping");
    let added = json!({"properties": {"y": {"type": "keyword"},
        "x": {"type": "keyword", "fields": {"text": {"type": "text"}}}}});
    let grown = parse_mapping(&added, Some(&first), &rules).expect("it grows");
    assert_eq!(grown.version, MappingVersion(2));
    let builder = |mapping: &Mapping| {
        let fields = Fields::new(mapping, &initial_schema(mapping)).expect("a whole schema");
        DocumentBuilder::new(mapping, &AnalyzerRegistry::builtin(), Arc::new(fields))
    };
    let (first, grown) = (builder(&first), builder(&grown));
    let id = DocumentId::parse("1").expect("a good id");
    let source = br#"{"x": "a", "y": "b"}"#;
    let built = |builder: &DocumentBuilder, version| {
        let identity = Identity {
            mapping: MappingVersion(version),
            ..identity(&id)
        };
        let document = builder.build(&identity, source, None);
        document.field_values().count()
    };
    assert_eq!(built(&grown, 1), built(&first, 1));
    // A text, a term, and that among the fields with a value.
    assert_eq!(built(&grown, 2), built(&first, 1) + 3);
}

#[test]
fn nothing_is_prepared_for_another_mapping() {
    let keyword = mapping(&one(&json!({"type": "keyword"})));
    let newer = Mapping {
        version: MappingVersion(keyword.version.0 + 1),
        ..keyword
    };
    let newer = DocumentParser::new(&newer, &AnalyzerRegistry::builtin());
    let builder = builder(&one(&json!({"type": "keyword"})));
    assert!(prepared(&newer, br#"{"x": "a"}"#, &builder).is_none());
}
