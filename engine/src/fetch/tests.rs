//! Documents by place, with doc values and fields.

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
            .contains("unsupported on fields of type [text]"),
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
    assert!(matches!(refused, Err(EngineError::Cancelled)));
}
