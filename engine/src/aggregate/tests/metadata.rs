//! The name of the index, which all documents have, and ids, which are only counted.

use gleaner_model::FieldPath;
use gleaner_query::answer::{AggregationResult, AggregationValue};
use gleaner_query::resolved::Clause;

use super::kinds::{SPREAD, of, shown};
use super::*;

const LAYOUTS: [Layout; 2] = [ONE, SPREAD];

fn documents() -> Documents {
    let tags = ["a", "b", "a", "c", "a", "b"];
    let mut sources = tags.map(|tag| json!({"tag": tag})).to_vec();
    sources.push(json!({}));
    of(&sources)
}

/// Aggregates the documents in each layout.
fn each_layout(request: &Value, filters: &[Clause]) -> [AggregationResult; 2] {
    LAYOUTS.map(|layout| {
        let index = Index::new(&fields(), &documents(), layout);
        let found = index.aggregate(&json!({"x": request}), filters);
        found.expect("it is good").remove(0)
    })
}

fn number(result: &AggregationResult) -> Option<f64> {
    match &result.value {
        AggregationValue::Number { value, .. } => *value,
        AggregationValue::Single { doc_count, .. } => Some(*doc_count as f64),
        other => panic!("no number: {other:?}"),
    }
}

#[test]
fn every_document_has_the_name_of_its_index_as_a_term() {
    for (options, expected) in [
        (json!({}), vec![(json!("library"), 7)]),
        (
            json!({"include": "lib.*", "min_doc_count": 7}),
            vec![(json!("library"), 7)],
        ),
        (json!({"exclude": ["library"]}), vec![]),
        (json!({"missing": "none"}), vec![(json!("library"), 7)]),
    ] {
        let mut terms = options.clone();
        terms["field"] = json!("_index");
        for found in each_layout(&json!({"terms": terms}), &[]) {
            assert_eq!(found.type_name, "sterms");
            assert_eq!(shown(&found), expected, "{options}");
        }
    }
}

#[test]
fn the_name_is_a_key_where_no_document_matches() {
    let request = json!({"filter": {"term": {"tag": "z"}}, "aggs": {
        "indices": {"terms": {"field": "_index", "min_doc_count": 0}},
    }});
    let filter = Clause::Term {
        field: FieldPath::new("tag"),
        term: "z".to_owned(),
    };
    for found in each_layout(&request, std::slice::from_ref(&filter)) {
        let AggregationValue::Single { doc_count: 0, sub } = &found.value else {
            panic!("nothing matches: {found:?}");
        };
        assert_eq!(shown(&sub[0]), [(json!("library"), 0)]);
    }
}

#[test]
fn the_name_is_part_of_keys_of_several_values() {
    let composite = json!({"composite": {"sources": [
        {"index": {"terms": {"field": "_index"}}}, {"tag": {"terms": {"field": "tag"}}},
    ], "after": {"index": "library", "tag": "a"}}});
    let of_tag = |tag: &str| json!({"index": "library", "tag": tag});
    for found in each_layout(&composite, &[]) {
        assert_eq!(shown(&found), [(of_tag("b"), 2), (of_tag("c"), 1)]);
    }
    let several =
        json!({"multi_terms": {"terms": [{"field": "tag"}, {"field": "_index"}], "size": 1}});
    for found in each_layout(&several, &[]) {
        assert_eq!(shown(&found), [(json!(["a", "library"]), 3)]);
    }
}

#[test]
fn names_and_ids_are_counted() {
    for (kind, field, expected) in [
        ("cardinality", "_index", 1.0),
        ("value_count", "_index", 7.0),
        ("missing", "_index", 0.0),
        ("cardinality", "_id", 7.0),
        ("value_count", "_id", 7.0),
        ("missing", "_id", 0.0),
    ] {
        for found in each_layout(&json!({kind: {"field": field}}), &[]) {
            assert_eq!(number(&found), Some(expected), "{kind} of {field}");
        }
    }
}
