//! Clauses of the dialect that are refused by name.

use serde_json::json;

use super::fault;

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
