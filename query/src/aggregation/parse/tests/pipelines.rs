//! Pipeline aggregations, as they are written.

use serde_json::{Value, json};

use super::super::super::{MovingFunction, PipelineKind, parse_aggregations, parse_pipelines};
use crate::error::QueryError;
use crate::limits::Limits;

fn names(body: &Value) -> Result<Vec<String>, QueryError> {
    let aggregations = parse_aggregations(body, &Limits::default())?;
    let pipelines = parse_pipelines(body, &aggregations)?;
    Ok(pipelines
        .into_iter()
        .map(|pipeline| pipeline.name)
        .collect())
}

fn reason(body: &Value) -> String {
    names(body).expect_err("refused").reason
}

fn by_month(inside: &Value) -> Value {
    json!({"months": {
        "date_histogram": {"field": "date", "calendar_interval": "month"},
        "aggs": inside,
    }})
}

#[test]
fn each_comes_after_those_that_it_is_made_of() {
    let body = by_month(&json!({
        "second": {"derivative": {"buckets_path": "first"}},
        "first": {"derivative": {"buckets_path": "sales"}},
        "sales": {"sum": {"field": "price"}},
    }));
    let aggregations = parse_aggregations(&body, &Limits::default()).expect("good");
    let pipelines = aggregations[0].pipelines.iter();
    let names: Vec<&str> = pipelines.map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(aggregations[0].sub.len(), 1);
}

#[test]
fn those_that_others_are_made_of_come_right_before_them() {
    let body = by_month(&json!({
        "d": {"derivative": {"buckets_path": "c"}},
        "top": {"bucket_sort": {"size": 2}},
        "c": {"cumulative_sum": {"buckets_path": "_count"}},
    }));
    let aggregations = parse_aggregations(&body, &Limits::default()).expect("good");
    let pipelines = aggregations[0].pipelines.iter();
    let names: Vec<&str> = pipelines.map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["c", "d", "top"]);
}

#[test]
fn only_derivatives_need_buckets_without_gaps() {
    let of = |min_doc_count: u64, pipeline: &Value| {
        let body = json!({"months": {
            "date_histogram": {
                "field": "date", "calendar_interval": "month", "min_doc_count": min_doc_count,
            },
            "aggs": {"x": pipeline},
        }});
        names(&body).map(drop).map_err(|error| error.reason)
    };
    for pipeline in [
        json!({"cumulative_sum": {"buckets_path": "_count"}}),
        json!({"serial_diff": {"buckets_path": "_count"}}),
        json!({"moving_fn": {
            "buckets_path": "_count", "window": 2, "script": "MovingFunctions.max(values)",
        }}),
    ] {
        assert_eq!(of(1, &pipeline), Ok(()), "{pipeline}");
    }
    let derivative = json!({"derivative": {"buckets_path": "_count"}});
    let reason = of(1, &derivative).expect_err("refused");
    assert!(reason.contains("must have min_doc_count of 0"), "{reason}");
    assert_eq!(of(0, &derivative), Ok(()));
}

#[test]
fn every_step_of_a_path_must_be_there() {
    let inside = json!({
        "sale": {"stats": {"field": "price"}},
        "times": {"percentiles": {"field": "price", "percents": [99]}},
        "total": {"cumulative_sum": {"buckets_path": "_count"}},
        "tags": {"terms": {"field": "tag"}, "aggs": {"sale": {"sum": {"field": "price"}}}},
    });
    let beside = |path: &str| {
        let mut body = by_month(&inside);
        body["x"] = json!({"sum_bucket": {"buckets_path": path}});
        names(&body).map(drop).map_err(|error| error.reason)
    };
    for path in [
        "months>sale.avg",
        "months>times[99]",
        "months>times.99",
        "months>total",
        "months>tags._bucket_count",
        "months>tags['a']>sale",
        "months>tags['a']._count",
        "months>_count",
        "months._count",
    ] {
        assert_eq!(beside(path), Ok(()), "{path}");
    }
    for (path, step) in [
        ("months>salse", "salse"),
        ("months>salse.avg", "salse"),
        ("months>tags['a']>salse", "salse"),
        ("months>total>sale", "total"),
    ] {
        let expected =
            format!("Validation Failed: 1: No aggregation [{step}] found for path [{path}];");
        assert_eq!(beside(path), Err(expected), "{path}");
    }
    let mut inside = inside;
    inside["x"] =
        json!({"bucket_script": {"buckets_path": {"n": "tags['a']>salse"}, "script": "params.n"}});
    let expected = "No aggregation [salse] found for path [tags['a']>salse]";
    assert!(reason(&by_month(&inside)).contains(expected));
}

#[test]
fn siblings_are_of_the_level_that_they_stand_on() {
    let mut body = by_month(&json!({"sales": {"sum": {"field": "price"}}}));
    body["best"] = json!({"max_bucket": {"buckets_path": "months>sales"}});
    assert_eq!(names(&body).expect("good"), ["best"]);
}

#[test]
fn what_leads_nowhere_is_refused_by_its_path() {
    let inside = json!({"x": {"cumulative_sum": {"buckets_path": "none"}}});
    assert!(reason(&by_month(&inside)).contains("No aggregation found for path [none]"));
    let circle = json!({
        "a": {"derivative": {"buckets_path": "b"}},
        "b": {"derivative": {"buckets_path": "a"}},
    });
    assert!(reason(&by_month(&circle)).contains("Cyclical dependency"));
    let top = json!({"x": {"derivative": {"buckets_path": "_count"}}});
    assert!(reason(&top).contains("must be declared inside of another aggregation"));
    let of_terms = json!({"tags": {
        "terms": {"field": "tag"},
        "aggs": {"x": {"derivative": {"buckets_path": "_count"}}},
    }});
    assert!(reason(&of_terms).contains("must have a histogram"));
    let of_one = json!({
        "mean": {"avg": {"field": "price"}},
        "x": {"sum_bucket": {"buckets_path": "mean"}},
    });
    assert!(reason(&of_one).contains("Path must include a multi-bucket aggregation"));
    let inside = json!({"x": {"derivative": {"buckets_path": "_count", "gap_policy": "guess"}}});
    assert!(reason(&by_month(&inside)).contains("Invalid gap policy: [guess]"));
    let inside = json!({"x": {"moving_fn": {
        "buckets_path": "_count", "window": 3, "script": "values.length",
    }}});
    assert!(reason(&by_month(&inside)).contains("[values.length] is not supported"));
}

#[test]
fn siblings_reach_buckets_through_single_ones_and_keys() {
    let of = |path: &str| {
        let months = by_month(&json!({"sales": {"sum": {"field": "price"}}}));
        let body = json!({
            "tags": {"terms": {"field": "tag"}, "aggs": months},
            "all": {"global": {}, "aggs": {"old": {"filter": {"match_all": {}}, "aggs": months}}},
            "x": {"sum_bucket": {"buckets_path": path}},
        });
        names(&body).map_err(|error| error.reason)
    };
    for path in [
        "tags['a']>months>sales",
        "tags['a']>months._count",
        "all>old>months.sales",
        "tags>months['2020']>sales",
    ] {
        assert_eq!(of(path), Ok(vec!["x".to_owned()]), "{path}");
    }
    for (path, expected) in [
        ("tags['a']>months['b']>sales", "Unable to find unqualified"),
        ("tags['a']>_count", "Unable to find unqualified"),
        ("all>old", "Unable to find unqualified"),
        ("_count", "Unable to find unqualified"),
        ("new>months>sales", "No aggregation found for path [new"),
        (
            "all>new>months>sales",
            "No aggregation [new] found for path [all>new>months>sales]",
        ),
        ("tags", "got: [Object[]] at aggregation [tags]"),
        ("all>old>months", "got: [Object[]] at aggregation [months]"),
    ] {
        let reason = of(path).expect_err(path);
        assert!(reason.contains(expected), "{path}: {reason}");
    }
}

#[test]
fn formats_of_pipelines_are_patterns_of_numbers() {
    let inside = json!({"x": {"cumulative_sum": {"buckets_path": "_count", "format": "0.0.0"}}});
    let expected = "Multiple decimal separators in pattern \"0.0.0\"";
    assert_eq!(reason(&by_month(&inside)), expected);
}

#[test]
fn moving_functions_are_read_from_their_calls() {
    let inside = json!({"x": {"moving_fn": {
        "buckets_path": "_count",
        "window": 3,
        "script": "MovingFunctions.stdDev(values, MovingFunctions.unweightedAvg(values))",
    }}});
    let aggregations = parse_aggregations(&by_month(&inside), &Limits::default()).expect("good");
    let kind = &aggregations[0].pipelines[0].kind;
    assert!(matches!(
        kind,
        PipelineKind::MovingFunction {
            window: 3,
            shift: 0,
            ..
        }
    ));
}

#[test]
fn moving_functions_of_seasons_may_wait_for_enough_numbers() {
    let read = |script: &str| {
        let inside = json!({"x": {"moving_fn": {
            "buckets_path": "_count", "window": 10, "script": script,
        }}});
        let aggregations = parse_aggregations(&by_month(&inside), &Limits::default());
        let kind = aggregations.map(|mut all| all.remove(0).pipelines.remove(0).kind);
        kind.map(|kind| match kind {
            PipelineKind::MovingFunction {
                function, fewest, ..
            } => (function, fewest),
            other => panic!("not a function: {other:?}"),
        })
    };
    let function = MovingFunction::HoltWinters {
        alpha: 0.3,
        beta: 0.1,
        gamma: 0.2,
        period: 5,
        is_multiplicative: true,
    };
    let call = "MovingFunctions.holtWinters(values, 0.3, 0.1, 0.2, 5, true)";
    for (script, fewest) in [
        (call.to_owned(), 0),
        (format!("if (values.length > 5*2) {{{call}}}"), 11),
        (format!("if (values.length >= 10) {{ return {call}; }}"), 10),
    ] {
        assert_eq!(read(&script).expect("good"), (function, fewest), "{script}");
    }
    for script in [
        "MovingFunctions.holtWinters(values, 0.3, 0.1, 0.2, 0, true)",
        "MovingFunctions.holtWinters(values, 0.3, 0.1, 0.2, 5)",
        "if (values.length > x) {MovingFunctions.max(values)}",
        "if (values.length > 1) MovingFunctions.max(values)",
    ] {
        let refused = read(script).expect_err("it is refused").reason;
        assert!(refused.contains("is not supported"), "{refused}");
    }
}

#[test]
fn scripts_have_numbers_of_their_own() {
    let of = |script: Value| {
        let inside = json!({"x": {"bucket_selector": {
            "buckets_path": {"n": "_count"}, "script": script,
        }}});
        let aggregations = parse_aggregations(&by_month(&inside), &Limits::default());
        aggregations.map(|mut all| all.remove(0).pipelines.remove(0).kind)
    };
    let params = json!({"least": 5, "share": 0.5});
    let script = json!({"source": "n > least", "lang": "expression", "params": params});
    let PipelineKind::Selector(script) = of(script).expect("good") else {
        panic!("not a selector");
    };
    let expected = [("least".to_owned(), 5.0), ("share".to_owned(), 0.5)];
    assert_eq!(script.params, expected);
    assert!(script.is_lucene);
    for (script, expected) in [
        (
            json!({"source": "n", "params": {"a": "x"}}),
            "[params] [a] of [\"x\"] is not supported",
        ),
        (json!({"source": "n", "params": 1}), "expected an object"),
        (
            json!({"source": "n", "lang": "mustache"}),
            "script_lang not supported [mustache]",
        ),
    ] {
        let reason = of(script).expect_err("it is refused").reason;
        assert!(reason.contains(expected), "{reason}");
    }
}
