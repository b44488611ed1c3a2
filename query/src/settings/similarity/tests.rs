//! Similarities declared, refused, changed, and the numbers of fields that name them.

use gleaner_model::FieldPath;
use serde_json::json;

use super::*;
use crate::mapping::{MappingRules, parse_mapping};
use crate::settings::{parse_index_settings, update_index_settings};

/// Returns settings with `similarity` in them.
fn settings(similarity: &Value) -> Result<IndexSettings, QueryError> {
    parse_index_settings(&json!({"similarity": similarity}))
}

#[test]
fn all_shapes_mean_the_same() {
    for value in [
        json!({"similarity": {"x": {"type": "BM25", "k1": 2.0, "b": 0.5}}}),
        json!({"index": {"similarity": {"x": {"type": "BM25", "k1": "2.0", "b": "0.5"}}}}),
        json!({"index.similarity.x.type": "BM25", "index.similarity.x.k1": 2.0, "similarity.x.b": 0.5}),
        json!({"similarity.x": {"type": "BM25", "k1": 2.0, "b": 0.5, "discount_overlaps": true}}),
    ] {
        let settings = parse_index_settings(&value).expect("taken");
        assert_eq!(settings.declared["index.similarity.x.type"], "BM25");
        assert_eq!(settings.declared["index.similarity.x.k1"], "2.0");
        assert!(has_similarity(&settings, "x") && has_similarity(&settings, "BM25"));
        assert!(!has_similarity(&settings, "y") && !has_similarity(&settings, "default"));
    }
}

#[test]
fn what_is_wrong_is_told_as_elasticsearch_tells_it() {
    let with = |parameter: &str, value: Value| json!({"x": {"type": "BM25", parameter: value}});
    for (similarity, expected) in [
        (
            with("k1", json!(-1)),
            "illegal k1 value: -1.0, must be a non-negative finite value",
        ),
        (
            with("k1", json!("1e39")),
            "illegal k1 value: Infinity, must be a non-negative finite value",
        ),
        (
            with("k1", json!("NaN")),
            "illegal k1 value: NaN, must be a non-negative finite value",
        ),
        (
            with("k1", json!("x")),
            "Failed to parse float setting [k1] with value [x]",
        ),
        (
            with("b", json!(2)),
            "illegal b value: 2.0, must be between 0 and 1",
        ),
        (
            with("b", json!(-0.5)),
            "illegal b value: -0.5, must be between 0 and 1",
        ),
        (
            with("z", json!(2)),
            "Unknown settings for similarity of type [BM25]: [z]",
        ),
        (
            with("discount_overlaps", json!(false)),
            "setting [index.similarity.x.discount_overlaps] of [false] is not supported, only [true] is",
        ),
        (
            json!({"x": {"k1": 2.0}}),
            "Similarity [x] must have an associated type",
        ),
        (
            json!({"x": {"type": "mine"}}),
            "Unknown Similarity type [mine] for [x]",
        ),
        (
            json!({"x": {"type": "DFR", "basic_model": "g"}}),
            "setting [index.similarity.x.type] of [DFR] is not supported, only [BM25] is",
        ),
        (
            json!({"BM25": {"type": "BM25", "k1": 2.0}}),
            "illegal value for [index.similarity.BM25] cannot redefine built-in similarity",
        ),
        (
            json!({"x": 1}),
            "Failed to get setting group for [index.similarity.] setting prefix and setting \
             [index.similarity.x] because of a missing '.'",
        ),
    ] {
        let refused = settings(&similarity).expect_err("refused");
        assert_eq!(refused.reason, expected, "{similarity}");
    }
}

#[test]
fn they_change_while_the_index_is_closed() {
    let before = settings(&json!({"x": {"type": "BM25", "k1": 2.0}})).expect("taken");
    let change = |value: Value, is_closed| update_index_settings(&before, &value, "i", is_closed);
    let other = json!({"index.similarity.x.k1": 0.5});
    let open = change(other.clone(), false).expect_err("it is open");
    assert_eq!(
        open.reason,
        "Can't update non dynamic settings [[index.similarity.x.k1]] for open indices [[i]]"
    );
    let changed = change(other, true).expect("taken");
    assert_eq!(changed.declared["index.similarity.x.k1"], "0.5");
    let reset = change(json!({"index.similarity.x.k1": null}), true).expect("taken");
    assert!(!reset.declared.contains_key("index.similarity.x.k1"));
    let half = change(json!({"index.similarity.x.type": null}), true);
    assert_eq!(
        half.expect_err("its k1 stays").reason,
        "Similarity [x] must have an associated type"
    );
    let wrong = change(json!({"index.similarity.x.b": 7}), true);
    assert!(wrong.is_err());
}

/// An index of an earlier version may have declared it, with the numbers that it has anyway.
#[test]
fn the_built_in_one_may_have_been_declared_before() {
    let mut before = IndexSettings::default();
    let key = "index.similarity.BM25.type".to_owned();
    before.declared.insert(key, "BM25".into());
    let changed = update_index_settings(&before, &json!({"refresh_interval": "5s"}), "i", false);
    assert!(changed.is_ok(), "{changed:?}");
}

#[test]
fn fields_have_the_numbers_of_the_similarity_that_they_name() {
    let settings = settings(&json!({
        "x": {"type": "BM25", "k1": 2.0}, "default": {"type": "BM25", "b": 0.1},
    }));
    let settings = settings.expect("taken");
    let declared = json!({"properties": {
        "named": {"type": "text", "similarity": "x"},
        "plain": {"type": "text"},
        "lucene": {"type": "text", "similarity": "BM25"},
        "tag": {"type": "keyword", "similarity": "x"},
        "counted": {"type": "keyword", "similarity": "x", "index_options": "freqs"},
    }});
    let rules = MappingRules::from(&settings);
    let mapping = parse_mapping(&declared, None, &rules).expect("a mapping");
    let term = |field| Clause::Term {
        field: FieldPath::new(field),
        term: "a".to_owned(),
    };
    let query = |clauses| Clause::DisMax {
        clauses,
        tie_breaker: 0.0,
    };
    let names = ["named", "plain", "lucene", "tag", "counted", "nowhere"];
    let all = similarities(&settings, &mapping, &query(names.map(term).to_vec()));
    let of = |field| all.of(&FieldPath::new(field));
    assert_eq!(Some(of("named")), Bm25::new(2.0, 0.75));
    assert_eq!(Some(of("plain")), Bm25::new(1.2, 0.1));
    assert_eq!(Some(of("counted")), Bm25::new(2.0, 0.0));
    for field in ["lucene", "tag", "nowhere"] {
        assert_eq!(of(field), Bm25::DEFAULT, "{field}");
    }
    let one = similarities(&settings, &mapping, &term("named"));
    assert_eq!(one.iter().count(), 1, "the query's fields alone");
    let plain = similarities(&IndexSettings::default(), &mapping, &term("plain"));
    assert!(plain.is_empty());
}

#[test]
fn without_norms_the_length_of_a_field_does_not_count() {
    let settings = IndexSettings::default();
    let declared = json!({"properties": {
        "flat": {"type": "text", "norms": false},
        "plain": {"type": "text"},
    }});
    let rules = MappingRules::from(&settings);
    let mapping = parse_mapping(&declared, None, &rules).expect("a mapping");
    let query = Clause::Term {
        field: FieldPath::new("flat"),
        term: "a".to_owned(),
    };
    let all = similarities(&settings, &mapping, &query);
    assert_eq!(Some(all.of(&FieldPath::new("flat"))), Bm25::new(1.2, 0.0));
    assert_eq!(all.of(&FieldPath::new("plain")), Bm25::DEFAULT);
}
