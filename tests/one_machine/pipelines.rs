//! Pipeline aggregations over one small table, with numbers that were computed by hand.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use serde_json::{Value, json};

use super::asking::{LAYOUTS, answer, ok};

/// Steps and values of documents: the sums by step are 1, 3, 2 and 6, the numbers of documents 1, 2, 1 and 2.
const DOCUMENTS: [(i64, i64); 6] = [(0, 1), (1, 1), (1, 2), (2, 2), (3, 5), (3, 1)];

/// What each bucket has of a pipeline; `None` where it has no number.
type Series = [Option<f64>; 4];

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Server::start(&folder.path().join("data")).await?;
    let integer = json!({"type": "integer"});
    for (index, shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": shards},
            "mappings": {"properties": {"step": integer, "value": integer}},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, (step, value)) in DOCUMENTS.into_iter().enumerate() {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            let document = json!({"step": step, "value": value});
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok(server)
}

/// Steps with their sums, and more aggregations in each.
fn steps(more: &Value) -> Value {
    let mut aggregations = json!({"total": {"sum": {"field": "value"}}});
    for (name, aggregation) in more.as_object().into_iter().flatten() {
        aggregations[name.as_str()] = aggregation.clone();
    }
    json!({"histogram": {"field": "step", "interval": 1}, "aggs": aggregations})
}

async fn aggregated(server: &Server, aggregations: &Value) -> Result<Value> {
    let body = json!({"size": 0, "aggs": aggregations});
    Ok(answer(server, &body).await?["aggs"].take())
}

/// Returns the value of the aggregation `name` in each bucket.
async fn values(server: &Server, more: &Value, name: &str) -> Result<Vec<Option<f64>>> {
    let found = aggregated(server, &json!({"steps": steps(more)})).await?;
    let buckets = found["steps"]["buckets"].as_array().context("buckets")?;
    let values = buckets.iter().map(|bucket| bucket[name]["value"].as_f64());
    Ok(values.collect())
}

fn are_near(found: &[Option<f64>], expected: &[Option<f64>]) -> bool {
    let is_near = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-8,
        (a, b) => a.is_none() && b.is_none(),
    };
    found.len() == expected.len() && found.iter().zip(expected).all(is_near)
}

/// Checks pipelines of the path `total`, each by its kind, its other options, and what each bucket must have of it.
async fn check(server: &Server, cases: &[(&str, Value, Series)]) -> Result<()> {
    for (kind, options, expected) in cases {
        let mut options = options.clone();
        options["buckets_path"] = json!("total");
        let found = values(server, &json!({"it": {*kind: options}}), "it").await?;
        ensure!(
            are_near(&found, expected),
            "{kind} {options}: {found:?}, not {expected:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_in_a_row_have_differences_and_sums() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let cases = [
        (
            "derivative",
            json!({}),
            [None, Some(2.0), Some(-1.0), Some(4.0)],
        ),
        ("cumulative_sum", json!({}), [1.0, 4.0, 6.0, 12.0].map(Some)),
        (
            "serial_diff",
            json!({}),
            [None, Some(2.0), Some(-1.0), Some(4.0)],
        ),
        (
            "serial_diff",
            json!({"lag": 2}),
            [None, None, Some(1.0), Some(3.0)],
        ),
    ];
    check(&server, &cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_move_over_the_buckets_before() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let moving = |window: u64, call: &str, expected: Series| {
        let script = format!("MovingFunctions.{call}");
        let options = json!({"window": window, "script": script});
        ("moving_fn", options, expected)
    };
    let later = |numbers: [f64; 3]| {
        let [b, c, d] = numbers.map(Some);
        [None, b, c, d]
    };
    // The windows of two are: none, 1, 1 and 3, 3 and 2; that of three in the last bucket is 1, 3 and 2.
    let deviation = "stdDev(values, MovingFunctions.unweightedAvg(values))";
    let cases = [
        moving(2, "max(values)", later([1.0, 3.0, 3.0])),
        moving(2, "min(values)", later([1.0, 1.0, 2.0])),
        moving(2, "sum(values)", [0.0, 1.0, 4.0, 5.0].map(Some)),
        moving(2, "unweightedAvg(values)", later([1.0, 2.0, 2.5])),
        moving(2, deviation, later([0.0, 1.0, 0.5])),
        // (1×3 + 2×2) / (1 + 1 + 2): one more than the weights, as Elasticsearch divides.
        moving(2, "linearWeightedAvg(values)", later([0.5, 1.75, 1.75])),
        moving(2, "ewma(values, 0.5)", later([1.0, 2.0, 2.5])),
        // The level is 2 and the trend 0.5 after 3: 0.5 × 2 + 0.5 × 2.5.
        moving(3, "holt(values, 0.5, 0.5)", later([1.0, 2.0, 2.25])),
    ];
    check(&server, &cases).await?;
    // Of all four numbers: the window ends with its bucket, those before have too few.
    let seasons = |kind: &str, last: f64| {
        let call = format!("MovingFunctions.holtWinters(values, 0.5, 0.5, 0.5, 2, {kind})");
        let script = format!("if (values.length > 3) {{ {call} }}");
        let options = json!({"window": 4, "shift": 1, "script": script});
        let expected = [0.0, 0.0, 0.0, last].map(Some);
        ("moving_fn", options, expected)
    };
    // Level 3.0625, trend 0.59375, season 0.25; and (3.75 + 0.625) × 0.75.
    let cases = [seasons("false", 3.906_25), seasons("true", 3.281_25)];
    check(&server, &cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_related_to_all_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let related = |method: &str, expected: [f64; 4]| {
        let expected = expected.map(Some);
        ("normalize", json!({"method": method}), expected)
    };
    // Least 1, greatest 6, mean 3, sum 12, deviation √3.5.
    let cases = [
        related("rescale_0_1", [0.0, 0.4, 0.2, 1.0]),
        related("rescale_0_100", [0.0, 40.0, 20.0, 100.0]),
        related("percent_of_sum", [1.0 / 12.0, 0.25, 1.0 / 6.0, 0.5]),
        related("mean", [-0.4, 0.0, -0.2, 0.6]),
        related(
            "z-score",
            [-1.069_044_967_6, 0.0, -0.534_522_483_8, 1.603_567_451_5],
        ),
        related(
            "softmax",
            [
                0.006_268_786_9,
                0.046_320_418_0,
                0.017_040_329_5,
                0.930_370_465_7,
            ],
        ),
    ];
    check(&server, &cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_come_to_one_result_beside_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let mut aggregations = json!({"steps": steps(&json!({}))});
    for kind in ["avg", "max", "min", "sum", "stats", "extended_stats"] {
        let pipeline = format!("{kind}_bucket");
        aggregations[kind] = json!({pipeline: {"buckets_path": "steps>total"}});
    }
    aggregations["percentiles"] = json!({"percentiles_bucket": {
        "buckets_path": "steps>total", "percents": [0, 25, 50, 100],
    }});
    aggregations["documents"] = json!({"sum_bucket": {"buckets_path": "steps._count"}});
    let found = aggregated(&server, &aggregations).await?;
    for (path, expected) in [
        ("/avg/value", 3.0),
        ("/max/value", 6.0),
        ("/min/value", 1.0),
        ("/sum/value", 12.0),
        ("/documents/value", 6.0),
        ("/stats/count", 4.0),
        ("/stats/min", 1.0),
        ("/stats/max", 6.0),
        ("/stats/avg", 3.0),
        ("/stats/sum", 12.0),
        // 1 + 9 + 4 + 36, and (4 + 0 + 1 + 9) / 4.
        ("/extended_stats/sum_of_squares", 50.0),
        ("/extended_stats/variance", 3.5),
        ("/extended_stats/std_deviation", 1.870_828_693_4),
        // 3 ± 2 × √3.5.
        (
            "/extended_stats/std_deviation_bounds/upper",
            6.741_657_386_8,
        ),
        (
            "/extended_stats/std_deviation_bounds/lower",
            -0.741_657_386_8,
        ),
        // The nearest of 1, 2, 3 and 6: places 0, 0.75, 1.5 and 3.
        ("/percentiles/values/0.0", 1.0),
        ("/percentiles/values/25.0", 2.0),
        ("/percentiles/values/50.0", 3.0),
        ("/percentiles/values/100.0", 6.0),
    ] {
        let number = found.pointer(path).and_then(Value::as_f64);
        ensure!(
            are_near(&[number], &[Some(expected)]),
            "{path}: {number:?}, not {expected}: {found}"
        );
    }
    ensure!(found["max"]["keys"] == json!(["3.0"]), "{found}");
    ensure!(found["min"]["keys"] == json!(["0.0"]), "{found}");
    Ok(())
}

/// Values with their sums, of the documents in a bucket.
fn values_within(mut bucket: Value) -> Value {
    let total = json!({"total": {"sum": {"field": "value"}}});
    let values = json!({"histogram": {"field": "value", "interval": 1}, "aggs": total});
    bucket["aggs"] = json!({"values": values});
    bucket
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_reached_through_single_ones_and_by_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let late = values_within(json!({"filter": {"range": {"step": {"gte": 2}}}}));
    let sum = |path: &str| json!({"sum_bucket": {"buckets_path": path}});
    let aggregations = json!({
        "steps": values_within(json!({"terms": {"field": "step"}})),
        "late": late,
        "all": {"global": {}, "aggs": {"late": late}},
        "of_key": sum("steps['3']>values>total"),
        "of_filter": sum("late>values>total"),
        "of_both": sum("all>late>values>total"),
        "of_none": sum("steps['9']>values>total"),
    });
    let found = aggregated(&server, &aggregations).await?;
    for (name, expected) in [
        ("of_key", 6.0),
        ("of_filter", 8.0),
        ("of_both", 8.0),
        ("of_none", 0.0),
    ] {
        ensure!(found[name]["value"] == json!(expected), "{name}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_filters_without_names_and_of_pairs_are_known() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let total = json!({"total": {"sum": {"field": "value"}}});
    let parts = json!({
        "filters": {"filters": [{"term": {"step": 0}}, {"term": {"step": 3}}], "other_bucket": true},
        "aggs": total,
    });
    let term = |field: &str| json!({field: {"terms": {"field": field}}});
    let pairs = json!({
        "composite": {"sources": [term("step"), term("value")]},
        "aggs": total,
    });
    // The sums are 1 and 6, and 5 of the others.
    let script = json!({
        "buckets_path": {"second": "parts['1']>total", "others": "parts['_other_']>total"},
        "script": "params.second - params.others",
    });
    let aggregations = json!({
        "parts": parts,
        "best_part": {"max_bucket": {"buckets_path": "parts>total"}},
        "pairs": pairs,
        "best_pair": {"max_bucket": {"buckets_path": "pairs>total"}},
        "every": {
            "filters": {"filters": [{"match_all": {}}]},
            "aggs": {"parts": parts, "made": {"bucket_script": script}},
        },
    });
    let found = aggregated(&server, &aggregations).await?;
    ensure!(found["best_part"]["keys"] == json!(["1"]), "{found}");
    let pair = json!(["{step=3, value=5}"]);
    ensure!(found["best_pair"]["keys"] == pair, "{found}");
    let made = &found["every"]["buckets"][0]["made"]["value"];
    ensure!(*made == json!(1.0), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_chosen_by_their_numbers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let paths = json!({"total": "total", "n": "_count"});
    let scripted = |script: &str| json!({"buckets_path": paths, "script": script});
    let sort = json!({"sort": [{"total": "desc"}], "from": 1, "size": 2});
    for (more, name, expected) in [
        (
            json!({"order": {"bucket_sort": sort}}),
            "total",
            vec![3.0, 2.0],
        ),
        (
            json!({"some": {"bucket_selector": scripted("params.total > 2")}}),
            "total",
            vec![3.0, 6.0],
        ),
        (
            json!({"mean": {"bucket_script": scripted("params.total / params.n")}}),
            "mean",
            vec![1.0, 1.5, 2.0, 3.0],
        ),
    ] {
        let found = values(&server, &more, name).await?;
        let expected: Vec<Option<f64>> = expected.into_iter().map(Some).collect();
        ensure!(
            are_near(&found, &expected),
            "{more}: {found:?}, not {expected:?}"
        );
    }
    Ok(())
}
