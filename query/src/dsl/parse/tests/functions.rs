//! Functions of scores, and names of queries.

use serde_json::json;

use super::{check_faults, parse};
use crate::dsl::{Query, ScoreMode};

#[test]
fn functions_stand_alone_or_in_a_list() {
    let alone =
        json!({"function_score": {"query": {"match_all": {}}, "random_score": {"seed": 1}}});
    let listed = json!({"function_score": {"functions": [{"random_score": {"seed": 1}}]}});
    assert_eq!(parse(&alone), parse(&listed));
    let Query::FunctionScore(scored) = parse(&json!({"function_score": {
        "functions": [
            {"filter": {"term": {"a": 1}}, "weight": 3},
            {"exp": {"date": {"scale": "10d"}, "multi_value_mode": "avg"}},
        ],
        "score_mode": "max",
        "min_score": 2,
    }})) else {
        panic!("a function score");
    };
    assert_eq!(scored.functions.len(), 2);
    assert_eq!(scored.functions[0].weight, Some(3.0));
    assert_eq!(
        (scored.score_mode, scored.min_score),
        (ScoreMode::Max, Some(2.0))
    );
}

#[test]
fn names_are_taken_from_all_queries() {
    for body in [
        json!({"match_all": {"_name": "n"}}),
        json!({"match": {"f": {"query": "x", "_name": "n"}}}),
        json!({"term": {"f": {"value": "x", "_name": "n"}}}),
        json!({"terms": {"f": ["x"], "_name": "n"}}),
        json!({"span_term": {"f": {"value": "x", "_name": "n"}}}),
        json!({"range": {"f": {"gte": 1, "_name": "n"}}}),
        json!({"bool": {"must": {"match_all": {}}, "_name": "n"}}),
        json!({"constant_score": {"filter": {"match_all": {}}, "_name": "n"}}),
    ] {
        let Query::Named { name, query } = parse(&body) else {
            panic!("{body} has a name");
        };
        assert_eq!(name, "n");
        assert!(!matches!(*query, Query::Named { .. }), "{body}");
    }
    // The name inside is that of the filter.
    let body = json!({"constant_score": {"filter": {"match_all": {"_name": "n"}}}});
    assert!(matches!(parse(&body), Query::ConstantScore { .. }));
}

#[test]
fn faults_of_functions_name_them() {
    let cases = [
        (
            json!({"function_score": {"script_score": {"script": "1"}}}),
            "[function_score] [script_score] is not supported: there are no scripts",
        ),
        (
            json!({"function_score": {"functions": [{"filter": {"match_all": {}}}]}}),
            "missing a function",
        ),
        (
            json!({"function_score": {"weight": 2, "functions": []}}),
            "use [functions] array",
        ),
        (
            json!({"function_score": {"gauss": {"f": {"origin": 1, "scale": 2, "decay": 1}}}}),
            "decay must be in the range (0..1)",
        ),
        (
            json!({"function_score": {"random_score": {}, "boost_mode": "plus"}}),
            "illegal boost_mode [plus]",
        ),
        (
            json!({"function_score": {"random_score": {"field": "_id", "seed": 1}}}),
            "Fielddata access on the _id field is disallowed",
        ),
        (
            json!({"rank_feature": {"field": "f", "log": {"scaling_factor": 0.5}}}),
            "scalingFactor must be >= 1, got: 0.5",
        ),
        (
            json!({"distance_feature": {"field": "f", "origin": "now"}}),
            "Required [pivot]",
        ),
    ];
    check_faults(&cases);
}
