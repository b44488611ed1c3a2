//! Pipeline aggregations of each kind, over weeks and over the values of a field.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::pick;
use crate::families::{Evidence, Family};

/// Pipelines within buckets, beside them, and those that choose among them.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "pipeline in buckets",
        members: &["derivative", "cumulative_sum", "serial_diff"],
        evidence: Evidence::Probe,
        draw: in_buckets,
    },
    Family {
        name: "moving_fn",
        members: &[
            "max(values)",
            "min(values)",
            "sum(values)",
            "stdDev(values, MovingFunctions.unweightedAvg(values))",
            "unweightedAvg(values)",
            "linearWeightedAvg(values)",
            "ewma(values, 0.3)",
            "holt(values, 0.3, 0.1)",
            "holtWinters(values, 0.3, 0.1, 0.2, 2, false)",
            "holtWinters(values, 0.3, 0.1, 0.2, 2, true)",
        ],
        evidence: Evidence::Probe,
        draw: moving,
    },
    Family {
        name: "normalize",
        members: &[
            "rescale_0_1",
            "rescale_0_100",
            "percent_of_sum",
            "mean",
            "z-score",
            "softmax",
        ],
        evidence: Evidence::Probe,
        draw: normalized,
    },
    Family {
        name: "pipeline beside buckets",
        members: &[
            "avg_bucket",
            "max_bucket",
            "min_bucket",
            "sum_bucket",
            "stats_bucket",
            "extended_stats_bucket",
            "percentiles_bucket",
        ],
        evidence: Evidence::Probe,
        draw: beside_buckets,
    },
    Family {
        name: "chosen buckets",
        members: &["bucket_sort", "bucket_selector", "bucket_script"],
        evidence: Evidence::Probe,
        draw: chosen,
    },
];

/// Weeks with the number of documents, a sum, a mean and a pipeline.
fn weeks(random: &mut Random, pipeline: &Value) -> Value {
    let interval = pick(random, &["week", "month"]);
    json!({"aggs": {"steps": {
        "date_histogram": {"field": "at", "calendar_interval": interval},
        "aggs": {
            "total": {"sum": {"field": "number"}},
            "mean": {"avg": {"field": "price"}},
            "probe": pipeline,
        },
    }}})
}

fn path(random: &mut Random) -> &'static str {
    pick(random, &["total", "mean", "_count"])
}

fn gaps(random: &mut Random) -> &'static str {
    pick(random, &["skip", "insert_zeros", "keep_values"])
}

fn in_buckets(random: &mut Random, member: &str) -> Value {
    let mut options = json!({"buckets_path": path(random)});
    match member {
        "derivative" => {
            options["gap_policy"] = json!(gaps(random));
            if random.chance(1, 2) {
                options["unit"] = json!(pick(random, &["day", "week", "1h"]));
            }
        }
        "serial_diff" => {
            options["gap_policy"] = json!(gaps(random));
            options["lag"] = json!(pick(random, &[1, 2, 4]));
        }
        _ => options["format"] = json!("0.000"),
    }
    weeks(random, &json!({member: options}))
}

fn moving(random: &mut Random, member: &str) -> Value {
    let call = format!("MovingFunctions.{member}");
    let script = match member.starts_with("holtWinters") {
        // Two seasons at least.
        true => format!("if (values.length > 3) {{ {call} }}"),
        false => call,
    };
    let options = json!({
        "buckets_path": path(random),
        "window": pick(random, &[4, 5, 12]),
        "shift": pick(random, &[0, 0, 1, -1]),
        "gap_policy": gaps(random),
        "script": script,
    });
    weeks(random, &json!({"moving_fn": options}))
}

fn normalized(random: &mut Random, member: &str) -> Value {
    // Exponentials of sums would be too large for numbers.
    let path = match member {
        "softmax" => "mean",
        _ => path(random),
    };
    weeks(
        random,
        &json!({"normalize": {"buckets_path": path, "method": member}}),
    )
}

/// Numbers of terms and of weeks, each without documents here and there.
fn beside_buckets(random: &mut Random, member: &str) -> Value {
    let path = pick(random, &["steps>total", "steps>mean", "steps._count"]);
    let mut options = json!({"buckets_path": path, "gap_policy": gaps(random)});
    match member {
        "extended_stats_bucket" => options["sigma"] = json!(pick(random, &[0.5, 2.0, 3.0])),
        "percentiles_bucket" => {
            options["percents"] = json!([0, 12.5, 50, 100]);
            options["keyed"] = json!(random.chance(1, 2));
        }
        _ => {}
    }
    let mut steps = pick(
        random,
        &[
            json!({"terms": {"field": "tag"}}),
            json!({"date_histogram": {"field": "at", "calendar_interval": "week"}}),
            json!({"histogram": {"field": "wanted", "interval": 0.5}}),
        ],
    );
    steps["aggs"] = json!({
        "total": {"sum": {"field": "number"}},
        "mean": {"avg": {"field": "price"}},
    });
    json!({"aggs": {"steps": steps, "probe": {member: options}}})
}

/// Buckets in another order, some of them, or with a number that is computed.
fn chosen(random: &mut Random, member: &str) -> Value {
    let options = match member {
        "bucket_sort" => json!({
            "sort": [{path(random): {"order": pick(random, &["asc", "desc"])}}, {"_key": "desc"}],
            "from": pick(random, &[0, 1]),
            "size": pick(random, &[1, 3, 20]),
            "gap_policy": gaps(random),
        }),
        "bucket_selector" => json!({
            "buckets_path": {"n": "_count", "total": "total"},
            "script": pick(random, &["params.n > 2", "params.total < 100 || params.n > 40"]),
            "gap_policy": gaps(random),
        }),
        _ => json!({
            "buckets_path": {"n": "_count", "total": "total", "mean": "mean"},
            "script": {
                "source": "params.total / params.n + params.mean * params.by",
                "params": {"by": 3},
            },
            "gap_policy": gaps(random),
        }),
    };
    let mut outer = match random.chance(1, 2) {
        true => json!({"terms": {"field": pick(random, &["tag", "number"]), "size": 30}}),
        false => json!({"date_histogram": {"field": "at", "calendar_interval": "week"}}),
    };
    let name = match member {
        "bucket_script" => "probe",
        _ => "choice",
    };
    outer["aggs"] = json!({
        "total": {"sum": {"field": "number"}},
        "mean": {"avg": {"field": "price"}},
        name: {member: options},
    });
    match member {
        "bucket_script" => json!({"aggs": {"steps": outer}}),
        // It makes no number: the buckets that it leaves are what is looked at.
        _ => json!({"aggs": {"probe": outer}}),
    }
}
