//! What no mapping may say.

use super::*;

fn assert_refused(value: &Value, reason: &str) {
    let error = parse(value).unwrap_err();
    assert_eq!(error.reason, reason);
    assert_eq!(error.kind, ErrorType::MapperParsing);
}

#[test]
fn a_type_that_the_dialect_has_is_known_by_its_name() {
    let refused = |name: &str| {
        let declared = json!({"properties": {"x": {"type": name}}});
        parse(&declared).err().map(|error| error.reason)
    };
    for name in [
        "keyword",
        "scaled_float",
        "nested",
        "ip_range",
        "geo_point",
        "unsigned_long",
        "binary",
        "alias",
    ] {
        assert!(is_field_type(name), "{name}");
        let unknown = "No handler for type";
        let is_read = refused(name).is_none_or(|reason| !reason.starts_with(unknown));
        assert!(is_read, "{name}");
    }
    assert!(is_field_type("geo_shape"));
    for name in ["string", "nope", ""] {
        assert!(!is_field_type(name), "{name}");
        assert!(refused(name).is_some(), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for (value, reason) in [
        (
            json!({"foo": 1}),
            "Root mapping definition has unsupported parameters:  [foo : 1]",
        ),
        (
            json!({"properties": {"x": {"type": "join"}}}),
            "type [join] of field [x] is not supported",
        ),
        (
            json!({"properties": {"x": {"type": "nope"}}}),
            "No handler for type [nope] declared on field [x]",
        ),
        (
            json!({"properties": {"x": {"type": "text", "boost": 2}}}),
            "unknown parameter [boost] on mapper [x] of type [text]",
        ),
        (
            json!({"properties": {"x": {"type": "date", "format": "b"}}}),
            "Error parsing [format] on field [x]: Invalid format: [b]: Unknown pattern letter: b",
        ),
        (
            json!({"properties": {"_id": {"type": "keyword"}}}),
            "Field [_id] is defined more than once",
        ),
        (
            json!({"properties": {"a..b": {"type": "keyword"}}}),
            "field name [a..b] cannot contain an empty or blank part between dots",
        ),
        (
            json!({"properties": {"x": {"type": "keyword", "fields": {"y": {"type": "text", "fields": {}}}}}}),
            "Defining chained multi-fields is not supported: multi-field [y] of [x]",
        ),
        (
            json!({"properties": {"x": {"type": "keyword", "properties": {"y": {"type": "long"}}}}}),
            "unknown parameter [properties] on mapper [x] of type [keyword]",
        ),
        (
            json!({"properties": {"x": {"type": "text", "fields": {"y": {"type": "keyword", "properties": {}}}}}}),
            "unknown parameter [properties] on mapper [x.y] of type [keyword]",
        ),
        (
            json!({"properties": {"x": {"type": "object", "fields": {"y": {"type": "keyword"}}}}}),
            "unknown parameter [fields] on mapper [x] of type [object]",
        ),
        (
            json!({"_source": {"mode": "synthetic"}}),
            "[_source.mode] of [\"synthetic\"] is not supported",
        ),
        (
            json!({"_source": {"excludes": [1]}}),
            "[_source.excludes] must be a list of strings",
        ),
        (
            json!({"dynamic": "runtime"}),
            "[dynamic] of [runtime] is not supported",
        ),
        (
            json!({"properties": {"x": {"type": "rank_feature", "null_value": 0}}}),
            "parameter [null_value] on field [x] of type [rank_feature] must be a positive number",
        ),
        (
            json!({"properties": {"x": {"type": "byte", "null_value": 300}}}),
            "parameter [null_value] on field [x] of type [byte] must be a value of the field's type",
        ),
        (
            json!({"properties": {"x": {"type": "long", "null_value": 9_223_372_036_854_775_808_u64}}}),
            "parameter [null_value] on field [x] of type [long] must be a value of the field's type",
        ),
    ] {
        assert_refused(&value, reason);
    }
}

#[test]
fn a_field_without_a_type_is_refused() {
    for (field, path) in [
        (json!({"foo": 1}), "x"),
        (json!({}), "x"),
        (json!({"properties": {"y": {"dynamic": false}}}), "x.y"),
        (json!({"dynamic": false, "enabled": false}), "x"),
    ] {
        let reason = format!("No type specified for field [{path}]");
        assert_refused(&json!({"properties": {"x": field}}), &reason);
    }
}

#[test]
fn an_object_without_a_type_has_properties_or_is_enabled_or_not() {
    for object in [json!({"properties": {}}), json!({"enabled": false})] {
        let mapping = parse(&json!({"properties": {"o": object}})).unwrap();
        assert_eq!(types(&mapping), [("o", "object")], "{object}");
    }
}

#[test]
fn parameters_without_effect_have_values_that_they_can_have() {
    for (key, value, reason) in [
        (
            "term_vector",
            json!("bogus"),
            "Unknown value [bogus] for field [term_vector] - accepted values are [no, yes, with_positions, \
             with_offsets, with_positions_offsets, with_positions_payloads, with_positions_offsets_payloads]",
        ),
        (
            "index_prefixes",
            json!(true),
            "parameter [index_prefixes] on field [x] of type [text] must be an object",
        ),
        (
            "index_prefixes",
            json!({"chars": 1}),
            "Mapping definition for [index_prefixes] has unsupported parameters:  [chars : 1]",
        ),
        (
            "index_prefixes",
            json!({"min_chars": -1}),
            "parameter [index_prefixes] on field [x] of type [text] must be an object of whole numbers",
        ),
        (
            "index_prefixes",
            json!({"min_chars": 0}),
            "min_chars [0] must be greater than zero",
        ),
        (
            "index_prefixes",
            json!({"min_chars": 6}),
            "min_chars [6] must be less than max_chars [5]",
        ),
        (
            "index_prefixes",
            json!({"max_chars": 20}),
            "max_chars [20] must be less than 20",
        ),
        (
            "index_phrases",
            json!({}),
            "Failed to parse value [] as only [true] or [false] are allowed. Parameter [index_phrases] on field [x]",
        ),
        (
            "store",
            json!("maybe"),
            "Failed to parse value [maybe] as only [true] or [false] are allowed. Parameter [store] on field [x]",
        ),
    ] {
        assert_refused(
            &json!({"properties": {"x": {"type": "text", key: value}}}),
            reason,
        );
    }
    for value in [
        "no",
        "yes",
        "with_positions",
        "with_offsets",
        "with_positions_offsets",
        "with_positions_payloads",
        "with_positions_offsets_payloads",
    ] {
        let field = json!({"type": "text", "term_vector": value});
        assert!(
            parse(&json!({"properties": {"x": field}})).is_ok(),
            "{value}"
        );
    }
}

#[test]
fn what_would_change_ranking_is_refused_by_name() {
    for (value, reason) in [
        (
            json!({"properties": {"x": {"type": "text", "similarity": "boolean"}}}),
            "[similarity] of [boolean] on field [x] is not supported",
        ),
        (
            json!({"properties": {"x": {"type": "text", "index_options": "all"}}}),
            "Unknown value [all] for field [index_options] - accepted values are [docs, freqs, positions, offsets]",
        ),
        (
            json!({"properties": {"x": {"type": "search_as_you_type", "index_options": "freqs"}}}),
            "[index_options] of [freqs] on field [x] is not supported",
        ),
        (
            json!({"properties": {"x": {"type": "search_as_you_type", "fielddata": true}}}),
            "[fielddata] of [true] on field [x] is not supported",
        ),
        (
            json!({"properties": {"x": {"type": "keyword", "index_options": "positions"}}}),
            "Unknown value [positions] for field [index_options] - accepted values are [docs, freqs]",
        ),
        (
            json!({"properties": {"x": {"type": "flattened", "index_options": "freqs"}}}),
            "[index_options] of [freqs] on field [x] is not supported",
        ),
    ] {
        assert_refused(&value, reason);
    }
}

#[test]
fn nothing_is_copied_to_what_takes_no_values() {
    let object = "Cannot copy to field [o] since it is mapped as an object";
    let multi = "[copy_to] may not be used to copy to a multi-field: [t.raw]";
    let targets = json!({"properties": {
        "o": {"type": "object"},
        "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
    }});
    let targets = parse(&targets).unwrap();
    for (to, reason) in [("o", object), ("t.raw", multi)] {
        let copying = json!({"properties": {"a": {"type": "keyword", "copy_to": ["t", to]}}});
        let error = update(&targets, &copying).unwrap_err();
        assert_eq!(
            (error.kind, error.reason.as_str()),
            (ErrorType::IllegalArgument, reason)
        );
        // What is stored already is no obstacle to anything else.
        let mut stored = targets.clone();
        stored.fields.extend(parse(&copying).unwrap().fields);
        let other = json!({"properties": {"b": {"type": "long"}}});
        assert!(update(&stored, &other).is_ok());
    }
    let copying = json!({"properties": {"a": {"type": "keyword", "copy_to": "o"}}});
    let error = infer(&copying, &json!({"o": {"x": 1}})).unwrap_err();
    assert_eq!(error.reason, object);
}

#[test]
fn whether_documents_are_looked_into_stays() {
    let fields = json!({"a": {"type": "long"}});
    let disabled = parse(&json!({"enabled": "false", "properties": fields})).unwrap();
    assert_eq!(mapping_tree(&disabled)["enabled"], false);
    let enabled = parse(&json!({"properties": fields})).unwrap();
    for (mapping, is_enabled) in [(&disabled, false), (&enabled, true)] {
        let more = update(mapping, &json!({"properties": {"b": {"type": "long"}}}));
        assert_eq!(more.unwrap().is_enabled(), is_enabled);
        assert!(update(mapping, &json!({"enabled": is_enabled})).is_ok());
        let error = update(mapping, &json!({"enabled": !is_enabled})).unwrap_err();
        let reason = "the [enabled] parameter can't be updated for the object mapping [_doc]";
        assert_eq!(error.reason, reason);
    }
}
