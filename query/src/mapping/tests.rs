//! Mappings read, merged, inferred and shown again.

mod analyzers;
mod growth;
mod refusals;
mod templates;
mod texts;

use gleaner_model::{ChosenTemplates, Dynamic, FieldKind, Mapping};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn parse(value: &Value) -> Result<Mapping, QueryError> {
    parse_mapping(value, None, &MappingRules::default())
}

fn update(existing: &Mapping, value: &Value) -> Result<Mapping, QueryError> {
    parse_mapping(value, Some(existing), &MappingRules::default())
}

fn types(mapping: &Mapping) -> Vec<(&str, &str)> {
    mapping
        .fields
        .iter()
        .map(|(path, field)| (path.as_str(), field.kind.type_name()))
        .collect()
}

#[test]
fn the_tree_becomes_a_flat_table_and_a_tree_again() {
    let declared = json!({
        "dynamic": "strict",
        "_meta": {"team": "search"},
        "properties": {
            "price": {"type": "scaled_float", "scaling_factor": 100},
            "title": {"type": "text", "analyzer": "english", "fields": {
                "raw": {"type": "keyword", "ignore_above": 256}
            }},
            "user": {"dynamic": "true", "properties": {
                "born": {"type": "date", "format": "yyyy-MM-dd"},
                "name": {"type": "keyword", "copy_to": ["all"]}
            }}
        }
    });
    let mapping = parse(&declared).unwrap();
    assert_eq!(
        types(&mapping),
        [
            ("price", "scaled_float"),
            ("title", "text"),
            ("title.raw", "keyword"),
            ("user", "object"),
            ("user.born", "date"),
            ("user.name", "keyword"),
        ]
    );
    assert_eq!(mapping.dynamic, Dynamic::Strict);
    assert!(mapping.field("title.raw").unwrap().is_multi_field);
    assert_eq!(mapping_tree(&mapping), declared);
    assert_eq!(parse(&mapping_tree(&mapping)), Ok(mapping));
}

#[test]
fn dotted_names_are_objects() {
    let mapping =
        parse(&json!({"properties": {"a.b": {"type": "long"}, "e": {"type": "object"}}})).unwrap();
    assert_eq!(
        types(&mapping),
        [("a", "object"), ("a.b", "long"), ("e", "object")]
    );
    assert_eq!(
        mapping_tree(&mapping),
        json!({"properties": {"a": {"properties": {"b": {"type": "long"}}}, "e": {"type": "object"}}})
    );
}

#[test]
fn a_null_value_stored_as_a_fraction_is_the_whole_number() {
    let value = json!({"properties": {"x": {"type": "long", "null_value": 5}}});
    let mapping = parse(&value).unwrap();
    let text = serde_json::to_string(&mapping).unwrap();
    assert!(text.contains(r#""null_value":5,"#), "{text}");
    let earlier = text.replace(r#""null_value":5,"#, r#""null_value":5.0,"#);
    let earlier: Mapping = serde_json::from_str(&earlier).unwrap();
    assert!(update(&earlier, &value).is_ok());
}

#[test]
fn merging_keeps_ordinals_and_refuses_what_shapes_the_index() {
    let old = parse(&json!({"properties": {
        "t": {"type": "text"}, "k": {"type": "keyword"}, "o": {"properties": {"x": {"type": "long"}}}
    }})).unwrap();
    let new = update(
        &old,
        &json!({"properties": {
            "a": {"type": "long"},
            "k": {"type": "keyword", "ignore_above": 5},
            "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}}
        }}),
    )
    .unwrap();
    for (path, field) in &old.fields {
        assert_eq!(new.fields[path].ordinal, field.ordinal);
    }
    let mut ordinals: Vec<_> = new.fields.values().map(|field| field.ordinal).collect();
    ordinals.sort_unstable();
    assert_eq!(ordinals, [0, 1, 2, 3, 4, 5]);
    assert_eq!(new.version.0, old.version.0 + 1);
    assert_eq!(update(&new, &json!({})).unwrap(), new);
    for (value, reason) in [
        (
            json!({"t": {"type": "keyword"}}),
            "mapper [t] cannot be changed from type [text] to [keyword]",
        ),
        (
            json!({"t": {"type": "text", "analyzer": "english"}}),
            "Mapper for [t] conflicts with existing mapper:\n\tCannot update parameter [analyzer] from [default] to [english]",
        ),
        (
            json!({"t": {"type": "text", "similarity": "BM25"}}),
            "Mapper for [t] conflicts with existing mapper:\n\tCannot update parameter [similarity] from [null] to [BM25]",
        ),
        (
            json!({"k": {"type": "keyword", "store": true}}),
            "Mapper for [k] conflicts with existing mapper:\n\tCannot update parameter [store] from [false] to [true]",
        ),
        (
            json!({"o": {"type": "long"}}),
            "can't merge an object mapping [o] with a non object mapping",
        ),
        (
            json!({"k": {"properties": {}}}),
            "can't merge a non object mapping [k] with an object mapping",
        ),
        (
            json!({"o": {"enabled": false}}),
            "the [enabled] parameter can't be updated for the object mapping [o]",
        ),
    ] {
        let error = update(&new, &json!({"properties": value})).unwrap_err();
        assert_eq!(
            (error.kind, error.reason.as_str()),
            (ErrorType::IllegalArgument, reason)
        );
    }
}

#[test]
fn what_documents_were_written_under_stays() {
    let old = parse(&json!({"_source": {"excludes": ["v"]}, "_routing": {"required": true}}));
    let old = old.unwrap();
    assert_eq!(
        mapping_tree(&old)["_source"],
        json!({"excludes": ["v"]}),
        "as declared"
    );
    for same in [
        json!({}),
        json!({"_source": {"excludes": "v"}, "_routing": {"required": true}}),
    ] {
        assert!(update(&old, &same).is_ok(), "{same}");
    }
    for (value, change) in [
        (
            json!({"_routing": {"required": false}}),
            "[_routing] conflicts with existing mapper:\n\tCannot update parameter [required] from \
             [true] to [false]",
        ),
        (
            json!({"_source": {"excludes": ["v"], "enabled": false}}),
            "[_source] conflicts with existing mapper:\n\tCannot update parameter [enabled] from \
             [true] to [false]",
        ),
        (
            json!({"_source": {"excludes": ["v", "w"]}}),
            "[_source] conflicts with existing mapper:\n\tCannot update parameter [excludes] from \
             [[v]] to [[v, w]]",
        ),
    ] {
        let error = update(&old, &value).unwrap_err();
        assert_eq!(error.reason, format!("Mapper for {change}"));
        assert_eq!(error.kind, ErrorType::IllegalArgument);
    }
}

#[test]
fn limits_hold() {
    let rules = MappingRules {
        total_fields: 2,
        depth: 2,
        name_length: 3,
        ..MappingRules::default()
    };
    for (value, reason) in [
        (
            json!({"a": {"type": "long"}, "b": {"type": "long"}, "c": {"type": "long"}}),
            "Limit of total fields [2] has been exceeded",
        ),
        (
            json!({"a.b.c.d": {"type": "long"}}),
            "Limit of mapping depth [2] has been exceeded due to object field [a.b]",
        ),
        (
            json!({"abcd": {"type": "long"}}),
            "Field name [abcd] is longer than the limit of [3] characters",
        ),
    ] {
        let error = parse_mapping(&json!({"properties": value}), None, &rules).unwrap_err();
        assert_eq!(error.reason, reason);
        let is_of_fields = reason.contains("total fields");
        assert_eq!(error.kind == ErrorType::TooManyFields, is_of_fields);
    }
}

#[test]
fn paths_and_templates_are_bounded_whatever_the_settings() {
    let rules = MappingRules::default();
    let name = |bytes: usize| json!({"properties": {"n".repeat(bytes): {"type": "long"}}});
    assert!(parse_mapping(&name(32_766), None, &rules).is_ok());
    let refused = parse_mapping(&name(32_767), None, &rules).unwrap_err();
    assert!(refused.reason.contains("[32767] bytes"), "{refused}");
    assert!(refused.reason.len() < 400, "it shows the beginning");
    let document = json!({"n".repeat(40_000): 1});
    let document = document.as_object().cloned().unwrap_or_default();
    let refused = infer_document(
        &document,
        &ChosenTemplates::default(),
        &Mapping::default(),
        &rules,
        MappingVersion(1),
    )
    .unwrap_err();
    assert!(refused.reason.contains("[40000] bytes"), "{refused}");
    let template = |n: usize| json!({format!("t{n}"): {"match": "*", "mapping": {"type": "long"}}});
    let templates =
        |num: usize| json!({"dynamic_templates": (0..num).map(template).collect::<Vec<_>>()});
    assert!(parse_mapping(&templates(1_000), None, &rules).is_ok());
    let refused = parse_mapping(&templates(1_001), None, &rules).unwrap_err();
    assert!(refused.reason.contains("[1001] templates"), "{refused}");
}

#[test]
fn a_name_of_many_dots_is_refused_before_it_costs() {
    let name = "a.".repeat(100_000) + "a";
    let document = Value::Object([(name.clone(), json!(1))].into_iter().collect());
    assert!(infer(&json!({}), &document).unwrap_err().reason.len() < 400);
    let declared = json!({"properties": {name: {"type": "long"}}});
    assert!(
        parse(&declared)
            .unwrap_err()
            .reason
            .starts_with("Limit of mapping depth [20]")
    );
}

fn infer(mapping: &Value, document: &Value) -> Result<Option<Value>, QueryError> {
    infer_by(mapping, &[], document)
}

/// As [`infer`], with templates that are chosen for fields.
fn infer_by(
    mapping: &Value,
    chosen: &[(&str, &str)],
    document: &Value,
) -> Result<Option<Value>, QueryError> {
    let mapping = parse(mapping)?;
    let chosen = chosen.iter();
    let chosen: ChosenTemplates = chosen
        .map(|(path, name)| (path.to_string(), name.to_string()))
        .collect();
    let grown = infer_document(
        document.as_object().unwrap(),
        &chosen,
        &mapping,
        &MappingRules::default(),
        mapping.version.next(),
    )?;
    Ok(grown.map(|grown| mapping_tree(&grown)["properties"].clone()))
}

#[test]
fn documents_bring_fields() {
    let text =
        json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    for (mapping, document, expected) in [
        (json!({}), json!({"a": "x"}), Some(json!({"a": text}))),
        (
            json!({}),
            json!({"a": 1, "b": 1.5, "c": true, "d": null, "e": [], "f": {}}),
            Some(
                json!({"a": {"type": "long"}, "b": {"type": "float"}, "c": {"type": "boolean"}, "f": {"type": "object"}}),
            ),
        ),
        (
            json!({}),
            json!({"a": [null, {"b": 1}, {"c": 2}]}),
            Some(json!({"a": {"properties": {"b": {"type": "long"}, "c": {"type": "long"}}}})),
        ),
        (
            json!({}),
            json!({"a.b": 1}),
            Some(json!({"a": {"properties": {"b": {"type": "long"}}}})),
        ),
        (
            json!({}),
            json!({"a": "2014-11-18T10:00:00Z"}),
            Some(json!({"a": {"type": "date"}})),
        ),
        (
            json!({}),
            json!({"a": "2014/11/18"}),
            Some(
                json!({"a": {"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}}),
            ),
        ),
        (json!({}), json!({"a": "2014"}), Some(json!({"a": text}))),
        (
            json!({"date_detection": false}),
            json!({"a": "2014-11-18"}),
            Some(json!({"a": text})),
        ),
        (
            json!({"numeric_detection": true}),
            json!({"a": "12", "b": "1.5"}),
            Some(json!({"a": {"type": "long"}, "b": {"type": "float"}})),
        ),
        (json!({"dynamic": false}), json!({"a": 1}), None),
        (
            json!({"dynamic": false, "properties": {"o": {"dynamic": true, "type": "object"}}}),
            json!({"a": 1, "o": {"p": {"q": 1}}}),
            Some(
                json!({"o": {"dynamic": "true", "properties": {"p": {"properties": {"q": {"type": "long"}}}}}}),
            ),
        ),
        (
            json!({"properties": {"o": {"enabled": false}}}),
            json!({"o": {"x": 1}}),
            None,
        ),
    ] {
        assert_eq!(infer(&mapping, &document), Ok(expected), "{document}");
    }
}

#[test]
fn strict_objects_refuse_new_fields() {
    let mapping = json!({"properties": {"o": {"dynamic": "strict", "type": "object"}}});
    let error = infer(&mapping, &json!({"o": {"x": 1}})).unwrap_err();
    assert_eq!(error.kind, ErrorType::StrictDynamicMapping);
    assert_eq!(
        error.reason,
        "mapping set to strict, dynamic introduction of [x] within [o] is not allowed"
    );
    let error = infer(
        &json!({"properties": {"t": {"type": "text"}}}),
        &json!({"t.x": 1}),
    )
    .unwrap_err();
    assert!(
        error
            .reason
            .contains("must be of type object but found [text]")
    );
}

#[test]
fn the_default_analyzer_is_the_settings() {
    let settings = IndexSettings {
        analysis: json!({"analyzer": {"default": {"type": "english"}}}),
        ..IndexSettings::default()
    };
    let rules = MappingRules::from(&settings);
    let declared = json!({"properties": {"t": {"type": "text"}}});
    let mapping = parse_mapping(&declared, None, &rules).unwrap();
    assert!(
        matches!(&mapping.fields["t"].kind, FieldKind::Text { analyzer, .. } if analyzer == "default")
    );
    assert!(
        matches!(&parse(&declared).unwrap().fields["t"].kind, FieldKind::Text { analyzer, .. } if analyzer == "standard")
    );
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "properties",
        "fields",
        "type",
        "text",
        "keyword",
        "date",
        "long",
        "object",
        "dynamic",
        "strict",
        "true",
        "a",
        "a.b",
        "",
        "format",
        "match",
        "mapping",
        "dynamic_templates",
        "index",
        "null_value",
        "copy_to",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                (
                    prop_oneof![words.clone().prop_map(str::to_owned), "\\PC{0,4}"],
                    inner
                ),
                0..5
            )
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics_and_what_is_read_is_shown_and_read_again(value in any_json(), document in any_json()) {
        if let Ok(mapping) = parse(&value) {
            prop_assert_eq!(parse(&mapping_tree(&mapping)).map(|m| mapping_tree(&m)), Ok(mapping_tree(&mapping)));
            if let Some(document) = document.as_object() {
                let (chosen, next) = (ChosenTemplates::default(), mapping.version.next());
                drop(infer_document(document, &chosen, &mapping, &MappingRules::default(), next));
            }
        }
        let wrapped = serde_json::json!({"properties": {"x": value}});
        drop(parse(&wrapped));
    }

    #[test]
    fn a_document_inferred_once_brings_nothing_the_second_time(document in any_json()) {
        let Some(document) = document.as_object() else { return Ok(()) };
        let (rules, since) = (MappingRules::default(), MappingVersion(7));
        let infer = |mapping: &Mapping| {
            infer_document(document, &ChosenTemplates::default(), mapping, &rules, since)
        };
        if let Ok(Some(grown)) = infer(&Mapping::default()) {
            prop_assert!(grown.fields.values().all(|field| field.since == since));
            prop_assert_eq!(infer(&grown), Ok(None));
        }
    }

    #[test]
    fn ordinals_are_unique_and_never_change(
        rounds in prop::collection::vec(
            prop::collection::vec((0..6_usize, 0..3_usize), 1..5), 1..5),
    ) {
        let paths = ["a", "b", "o.x", "o.y", "o.p.q", "t"];
        let kinds = [json!({"type": "long"}), json!({"type": "text", "fields": {"raw": {"type": "keyword"}}}), json!({"type": "keyword"})];
        let mut mapping = Mapping::default();
        for round in rounds {
            let properties: Map<_, _> = round.iter().map(|(p, k)| (paths[*p].to_owned(), kinds[*k].clone())).collect();
            let Ok(grown) = update(&mapping, &json!({"properties": properties})) else { continue };
            for (path, field) in &mapping.fields {
                prop_assert_eq!(grown.fields[path].ordinal, field.ordinal);
            }
            let ordinals: std::collections::BTreeSet<_> = grown.fields.values().map(|f| f.ordinal).collect();
            prop_assert_eq!(ordinals.len(), grown.fields.len());
            prop_assert!(grown.fields.values().all(|f| f.ordinal < grown.next_ordinal()));
            mapping = grown;
        }
    }
}
