//! Clauses of the dialect that are refused by name, and values that are refused.

use serde_json::{Value, json};

use super::{fault, parse};

#[test]
fn clauses_of_models_and_other_languages_are_refused_by_name() {
    for name in [
        "kql",
        "semantic",
        "sparse_vector",
        "text_expansion",
        "weighted_tokens",
    ] {
        let reason = fault(&json!({name: {"field": "f", "query": "q"}}));
        assert_eq!(reason, format!("[{name}] query is not supported"));
    }
}

#[test]
fn a_circle_has_a_radius() {
    let circle =
        |distance: Value| json!({"geo_distance": {"distance": distance, "p": [4.9, 52.4]}});
    for distance in [json!("0km"), json!(0), json!("-0.0m")] {
        let reason = fault(&circle(distance));
        assert_eq!(reason, "distance must be greater than zero");
    }
    parse(&circle(json!("1m")));
}
