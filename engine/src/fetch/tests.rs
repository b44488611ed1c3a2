//! Documents by place, with doc values and fields.

mod keys;
mod left_out;
mod without_columns;

use gleaner_partial::EvaluationError;
use serde_json::{Value, json};

use super::*;
use crate::aggregate::testing::{Documents, Index, Layout, mapping};
use crate::view::place;

fn index(documents: &Documents) -> Index {
    let mapping = mapping(&json!({
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "price": {"type": "double"},
        "ok": {"type": "boolean"},
        "from": {"type": "ip"},
        "when": {"type": "date", "format": "yyyy-MM-dd"},
        "user": {"properties": {"name": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}},
    }));
    Index::new(
        &mapping,
        documents,
        Layout {
            shards: 1,
            segments: 3,
            has_deletes: true,
        },
    )
}

fn formats(fields: &[(&str, Option<&str>)]) -> Vec<FieldFormat> {
    let format = |(field, format): &(&str, Option<&str>)| FieldFormat {
        field: (*field).to_owned(),
        format: format.map(str::to_owned),
        include_unmapped: false,
    };
    fields.iter().map(format).collect()
}

/// Fetches all live documents, last segment first.
fn fetch_all(documents: &Documents, spec: &FetchSpec<'_>) -> Result<Vec<FetchedHit>, EngineError> {
    let view = index(documents).views().remove(0);
    let segments = view.segments().iter().rev();
    let places: Vec<u64> = segments
        .flat_map(|segment| {
            segment
                .reader()
                .doc_ids_alive()
                .map(|doc| place(segment.ord(), doc))
        })
        .collect();
    fetch(&view, &places, spec, &Control::unlimited())
}

#[test]
fn documents_come_in_the_order_asked_with_their_bytes_untouched() {
    let documents: Documents = (0..9)
        .map(|i| (format!("d{i}"), json!({"n": i, "x": 1.50})))
        .collect();
    let hits = fetch_all(&documents, &FetchSpec::default()).expect("it can be read");
    assert_eq!(hits.len(), 9);
    for hit in hits {
        let (_, source) = documents
            .iter()
            .find(|(id, _)| *id == *hit.id.as_str())
            .expect("it was put");
        assert_eq!(hit.source, source.to_string().as_bytes());
    }
}

fn one(source: Value, spec: &FetchSpec<'_>) -> IndexMap<String, Vec<Value>> {
    let documents = vec![("d".to_owned(), source)];
    fetch_all(&documents, spec)
        .expect("it can be read")
        .remove(0)
        .fields
}

#[test]
fn doc_values_are_sorted_and_formatted() {
    let source = json!({"tag": ["b", "a", "b"], "n": [3, 1, 3], "price": 1.5, "ok": true, "from": "10.0.0.1", "when": "2020-02-01"});
    let asked = formats(&[
        ("tag", None),
        ("n", Some("000")),
        ("price", None),
        ("o*", None),
        ("from", None),
        ("when", None),
    ]);
    let shown = one(
        source.clone(),
        &FetchSpec {
            docvalue_fields: &asked,
            ..FetchSpec::default()
        },
    );
    let expected = json!({
        "tag": ["a", "b"], "n": ["001", "003", "003"], "price": [1.5], "ok": [true],
        "from": ["10.0.0.1"], "when": ["2020-02-01"],
    });
    assert_eq!(json!(shown), expected);
    let asked = formats(&[("when", Some("epoch_millis")), ("nothing", None)]);
    let shown = one(
        source,
        &FetchSpec {
            docvalue_fields: &asked,
            ..FetchSpec::default()
        },
    );
    assert_eq!(json!(shown), json!({"when": ["1580515200000"]}));
}

#[test]
fn fields_come_from_the_source_as_the_mapping_reads_them() {
    let source = json!({"tag": [["x"], null, "y"], "n": "7", "when": "2020-02-01", "user": [{"name": "a"}, {"name": ["b", 1]}]});
    let asked = formats(&[
        ("tag", None),
        ("n", None),
        ("when", Some("yyyy")),
        ("user.*", None),
    ]);
    let shown = one(
        source,
        &FetchSpec {
            fields: &asked,
            ..FetchSpec::default()
        },
    );
    let expected = json!({
        "tag": ["x", "y"], "n": [7], "when": ["2020"],
        "user.name": ["a", "b", "1"], "user.name.raw": ["a", "b", "1"],
    });
    assert_eq!(json!(shown), expected);
}

#[test]
fn formats_are_refused_where_a_type_has_none() {
    let documents = vec![(
        "d".to_owned(),
        json!({"tag": "a", "n": 7, "ok": true, "when": "2020-02-01"}),
    )];
    let fetched = |field: &str, format: &str, is_doc_value: bool| {
        let asked = formats(&[(field, Some(format))]);
        let mut spec = FetchSpec::default();
        if is_doc_value {
            spec.docvalue_fields = &asked;
        } else {
            spec.fields = &asked;
        }
        fetch_all(&documents, &spec)
            .map(|mut hits| json!(hits.remove(0).fields))
            .map_err(|error| error.to_string())
    };
    for (field, reason) in [
        (
            "tag",
            "Field [tag] of type [keyword] does not support custom formats",
        ),
        (
            "ok",
            "Field [ok] of type [boolean] does not support custom formats",
        ),
    ] {
        let refused = fetched(field, "yyyy", true).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    for (field, reason) in [
        (
            "tag",
            "Field [tag] of type [keyword] doesn't support formats.",
        ),
        ("n", "Field [n] of type [long] doesn't support formats."),
    ] {
        let refused = fetched(field, "yyyy", false).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    // What a pattern finds beside what was meant, and the older name of the default.
    for is_doc_value in [false, true] {
        assert_eq!(
            fetched("t*", "yyyy", is_doc_value),
            Ok(json!({"tag": ["a"]}))
        );
        let shown = fetched("ok", "use_field_mapping", is_doc_value);
        assert_eq!(shown, Ok(json!({"ok": [true]})));
        let shown = fetched("when", "yyyy", is_doc_value);
        assert_eq!(shown, Ok(json!({"when": ["2020"]})));
    }
}

/// Fetches the only document of an index with these fields.
fn fetched_of(
    properties: &Value,
    source: Value,
    spec: &FetchSpec<'_>,
) -> Result<FetchedHit, EngineError> {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let documents = vec![("d".to_owned(), source)];
    let view = Index::new(&mapping(properties), &documents, layout)
        .views()
        .remove(0);
    let mut hits = fetch(&view, &[place(0, 0)], spec, &Control::unlimited())?;
    Ok(hits.remove(0))
}

/// As [`fetched_of`]; `asked` are shown.
fn fetched_under(properties: &Value, source: Value, asked: &[&str]) -> FetchedHit {
    let asked: Vec<_> = asked.iter().map(|field| (*field, None)).collect();
    let asked = formats(&asked);
    let spec = FetchSpec {
        fields: &asked,
        ..FetchSpec::default()
    };
    fetched_of(properties, source, &spec).expect("it can be read")
}

/// Returns all fields of a document under a mapping.
fn fields_under(properties: &Value, source: Value) -> Value {
    json!(fetched_under(properties, source, &["*"]).fields)
}

#[test]
fn fields_show_what_is_indexed_of_the_source() {
    let properties = json!({
        "whole": {"type": "integer"},
        "scaled": {"type": "scaled_float", "scaling_factor": 100},
        "double": {"type": "double"},
        "float": {"type": "float"},
        "half": {"type": "half_float"},
        "wide": {"type": "unsigned_long"},
        "tag": {"type": "keyword", "normalizer": "lowercase", "ignore_above": 3},
        "from": {"type": "ip"},
        "ok": {"type": "boolean"},
        "bad": {"type": "long", "ignore_malformed": true},
    });
    let source = json!({
        "whole": [1.9, "-2.5", 3], "scaled": 1.005, "double": [1, "2"], "float": [1.1, 16_777_217],
        "half": 1.1, "wide": 18_446_744_073_709_551_615_u64, "tag": ["Ab", "long"],
        "from": ["::ffff:10.0.0.1", "2001:DB8::0:1"], "ok": ["", true], "bad": ["x", 1],
    });
    let expected = json!({
        "whole": [1, -2, 3], "scaled": [1.0], "double": [1.0, 2.0], "float": [1.1, 16_777_216.0],
        "half": [1.099_609_4], "wide": [18_446_744_073_709_551_615_u64], "tag": ["ab"],
        "from": ["10.0.0.1", "2001:db8::1"], "ok": [false, true], "bad": [1],
    });
    assert_eq!(fields_under(&properties, source), expected);
}

#[test]
fn fields_show_points_in_one_form() {
    let properties = json!({
        "loc": {"type": "geo_point"},
        "shops": {"properties": {"at": {"type": "geo_point"}}},
    });
    let point = |lon: f64, lat: f64| json!({"type": "Point", "coordinates": [lon, lat]});
    for (written, shown) in [
        (json!([4.9, 52.3]), vec![point(4.9, 52.3)]),
        (json!("52.3,4.9"), vec![point(4.9, 52.3)]),
        (json!("POINT (4.9 52.3)"), vec![point(4.9, 52.3)]),
        (json!({"lat": "52.3", "lon": "4.9"}), vec![point(4.9, 52.3)]),
        (point(4.9, 52.3), vec![point(4.9, 52.3)]),
        (json!("s0"), vec![point(0.0, 0.0)]),
        (
            json!([[4.9, 52.3], [5, 53]]),
            vec![point(4.9, 52.3), point(5.0, 53.0)],
        ),
    ] {
        let source = json!({"loc": written, "shops": [{"at": written}]});
        let expected = json!({"loc": shown, "shops.at": shown});
        assert_eq!(fields_under(&properties, source), expected, "{written}");
    }
}

#[test]
fn fields_show_the_bounds_of_ranges_as_the_mapping_reads_them() {
    let properties = json!({
        "seats": {"type": "integer_range"},
        "weight": {"type": "float_range"},
        "price": {"type": "double_range"},
        "open": {"type": "date_range", "format": "yyyy-MM-dd||epoch_millis"},
        "net": {"type": "ip_range"},
    });
    let source = json!({
        "seats": [{"gte": "1", "lt": 5.0}, {"gt": 9, "lte": null}, null],
        "weight": {"gte": 1.1}, "price": {"gt": "1", "lte": 2.5},
        "open": {"gte": 1_580_515_200_000_i64, "lt": "2020-03-01"},
        "net": ["192.168.0.0/16", "2001:DB8::/32", {"gte": "::ffff:10.0.0.1", "lte": "10.0.0.9"}],
    });
    let expected = json!({
        "seats": [{"gte": 1, "lt": 5}, {"gt": 9, "lte": null}],
        "weight": [{"gte": 1.1}], "price": [{"gt": 1.0, "lte": 2.5}],
        "open": [{"gte": "2020-02-01", "lt": "2020-03-01"}],
        "net": ["192.168.0.0/16", "2001:db8::/32", {"gte": "10.0.0.1", "lte": "10.0.0.9"}],
    });
    assert_eq!(fields_under(&properties, source.clone()), expected);
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let documents = vec![("d".to_owned(), source)];
    let view = Index::new(&mapping(&properties), &documents, layout)
        .views()
        .remove(0);
    let fetched = |asked: &[FieldFormat]| {
        let spec = FetchSpec {
            fields: asked,
            ..FetchSpec::default()
        };
        fetch(&view, &[place(0, 0)], &spec, &Control::unlimited())
    };
    let mut hits = fetched(&formats(&[("open", Some("dd/MM/yyyy"))])).expect("it can be read");
    let expected = json!({"open": [{"gte": "01/02/2020", "lt": "01/03/2020"}]});
    assert_eq!(json!(hits.remove(0).fields), expected);
    let refused = fetched(&formats(&[("seats", Some("dd/MM/yyyy"))])).expect_err("no dates");
    assert!(refused.to_string().contains("doesn't support formats."));
}

#[test]
fn fields_show_bounds_and_networks_as_they_were_written_where_they_have_no_other_form() {
    let properties = json!({
        "seats": {"type": "long_range"},
        "weight": {"type": "float_range"},
        "price": {"type": "double_range"},
        "net": {"type": "ip_range"},
    });
    let source = json!({
        "seats": [{"gte": "NaN", "lte": 2.5}],
        "weight": [{"gte": 1.5, "lte": 1e39}],
        "price": [{"gt": "-Infinity", "lte": 2.5}],
        "net": ["::ffff:10.0.0.0/90", "::ffff:10.0.0.0/104"],
    });
    let mut expected = source.clone();
    expected["seats"][0]["lte"] = 2.into();
    expected["net"][1] = "10.0.0.0/8".into();
    assert_eq!(fields_under(&properties, source), expected);
}

#[test]
fn fields_show_what_stands_for_null() {
    let properties = json!({
        "tag": {"type": "keyword", "null_value": "none", "fields": {"raw": {"type": "keyword"}}},
        "n": {"type": "integer", "null_value": 7},
        "when": {"type": "date", "format": "yyyy", "null_value": "1999"},
        "ok": {"type": "boolean", "null_value": true},
        "bare": {"type": "long"},
    });
    let source =
        json!({"tag": ["a", null], "n": null, "when": [null, "2001"], "ok": null, "bare": null});
    let expected = json!({
        "tag": ["a", "none"], "tag.raw": ["a"], "n": [7], "when": ["1999", "2001"], "ok": [true],
    });
    assert_eq!(fields_under(&properties, source), expected);
}

#[test]
fn fields_show_what_was_copied_to_them() {
    let properties = json!({
        "first": {"type": "text", "copy_to": ["all", "sum"]},
        "name": {"properties": {"last": {"type": "keyword", "copy_to": "all"}}},
        "all": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "sum": {"type": "long"},
    });
    let source = json!({"first": "1", "name": [{"last": "b"}, {"last": "c"}], "all": "own"});
    let expected = json!({
        "first": ["1"], "name.last": ["b", "c"], "sum": [1],
        "all": ["own", "1", "b", "c"], "all.raw": ["own", "1", "b", "c"],
    });
    assert_eq!(fields_under(&properties, source), expected);
}

#[test]
fn formatted_whole_numbers_are_exact() {
    let mapping = mapping(&json!({"n": {"type": "long"}, "wide": {"type": "unsigned_long"}}));
    let source = json!({"n": 9_007_199_254_740_993_i64, "wide": u64::MAX});
    let documents = vec![("d".to_owned(), source)];
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let view = Index::new(&mapping, &documents, layout).views().remove(0);
    let fetched = |asked: &[FieldFormat]| {
        let spec = FetchSpec {
            docvalue_fields: asked,
            ..FetchSpec::default()
        };
        fetch(&view, &[place(0, 0)], &spec, &Control::unlimited())
    };
    let asked = formats(&[("n", Some("#")), ("wide", Some("#,###"))]);
    let hits = fetched(&asked).expect("they are read");
    assert_eq!(
        json!(hits[0].fields),
        json!({"n": ["9007199254740993"], "wide": ["18,446,744,073,709,551,615"]})
    );
    let refused = fetched(&formats(&[("n", Some("0.0.0"))])).expect_err("no pattern");
    assert!(refused.to_string().starts_with("Multiple decimal"));
}

#[test]
fn points_are_shown_as_the_index_keeps_them() {
    let mapping = mapping(&json!({"place": {"type": "geo_point"}, "n": {"type": "long"}}));
    let places = ["41.12,-71.34", "-10,20", "41.12,71.34", "45,90", "-10,20"];
    let documents = vec![("d".to_owned(), json!({"place": places, "n": 1}))];
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let view = Index::new(&mapping, &documents, layout).views().remove(0);
    let shown = |field: &str, format: Option<&str>| {
        let asked = formats(&[(field, format)]);
        let spec = FetchSpec {
            docvalue_fields: &asked,
            ..FetchSpec::default()
        };
        let hits = fetch(&view, &[place(0, 0)], &spec, &Control::unlimited())?;
        Ok::<_, EngineError>(json!(hits[0].fields))
    };
    let expected = json!({"place": [
        "-10.00000003259629, 19.99999998137355",
        "41.1199999647215, 71.3399999588728",
        "41.1199999647215, -71.34000004269183",
        "45.0, 90.0",
    ]});
    assert_eq!(shown("place", None).expect("they are read"), expected);
    assert_eq!(shown("pl*", None).expect("they are read"), expected);
    let refused = shown("place", Some("wkt")).expect_err("it has no formats");
    assert!(
        refused
            .to_string()
            .contains("does not support custom formats"),
        "{refused}"
    );
}

#[test]
fn text_has_no_doc_values() {
    let asked = formats(&[("user.name", None)]);
    let spec = FetchSpec {
        docvalue_fields: &asked,
        ..FetchSpec::default()
    };
    let refused = fetch_all(&vec![("d".to_owned(), json!({}))], &spec).expect_err("it is text");
    assert!(
        refused
            .to_string()
            .contains("Fielddata is disabled on [user.name]"),
        "{refused}"
    );
}

#[test]
fn places_of_another_view_are_refused() {
    let view = index(&vec![("d".to_owned(), json!({}))]).views().remove(0);
    let far = place(99, 0);
    assert!(fetch(&view, &[far], &FetchSpec::default(), &Control::unlimited()).is_err());
    let stopped = Control::unlimited();
    stopped.cancel();
    let refused = fetch(&view, &[0], &FetchSpec::default(), &stopped);
    assert!(matches!(
        refused,
        Err(EngineError::Evaluation(EvaluationError::Cancelled))
    ));
}

#[test]
fn content_for_which_there_is_no_memory_is_refused_and_given_back() {
    use gleaner_partial::control::MemoryAccount;

    let text = "x".repeat(100_000);
    let documents = (0..3).map(|n| (format!("d{n}"), json!({ "text": text })));
    let documents: Documents = documents.collect();
    for (limit, fits) in [(1_000_000, true), (200_000, false)] {
        let account = MemoryAccount::root("request", limit);
        let ledger = Ledger::open(&account).expect("an empty account");
        let spec = FetchSpec {
            ledger: Some(&ledger),
            ..FetchSpec::default()
        };
        let fetched = fetch_all(&documents, &spec);
        assert_eq!(fetched.is_ok(), fits, "{limit}");
        if let Err(error) = fetched {
            assert!(matches!(
                error,
                EngineError::Evaluation(EvaluationError::CircuitBreaking { .. })
            ));
        }
        assert!(account.held_bytes() > 100_000);
        drop(ledger);
        assert_eq!(account.held_bytes(), 0);
    }
}
