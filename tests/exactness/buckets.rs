//! Aggregations that show, count or order buckets by what is in them: hits and metrics of hits, ranges, cells within
//! bounds, rates, and scripts over buckets.
//!
//! Does: draw them. Does not: search. Called by: `families` and `alike`. Read first: [`FAMILIES`].

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::pick;
use crate::families::{Evidence, Family};
use crate::wide::corners;

/// Scripts over `total`, `mean` and the number of documents.
const SCRIPTS: [&str; 4] = [
    "params.total > 0 && params.n > 1 ? Math.pow(params.mean, 2) : Math.max(params.total, -params.least)",
    "total % 7 + n / 3 - Math.sqrt(mean) * least",
    "!(params.n >= 3) || false ? 1e3 : Math.atan2(params.total, params.mean) + Math.PI",
    "return Math.round(params.total / params.n) + Math.min(Math.E, params.least);",
];

/// The aggregations, by what is in their buckets.
pub(crate) const FAMILIES: &[Family] = &[Family {
    name: "buckets",
    members: &[
        "top_hits",
        "order by top_metrics",
        "counts of ranges",
        "geohash_grid in bounds",
        "geotile_grid in bounds",
        "composite of tiles",
        "rate of documents",
        "rate of values",
        "bucket_script",
        "bucket_selector",
    ],
    evidence: Evidence::Probe,
    draw: of_member,
}];

fn of_member(random: &mut Random, member: &str) -> Value {
    let probe = match member {
        "order by top_metrics" => by_top_metrics(random),
        "counts of ranges" => ranges(random),
        "geohash_grid in bounds" => {
            let precision = pick(random, &[1, 3, 5]);
            json!({"geohash_grid": cells(random, precision), "aggs": total()})
        }
        "geotile_grid in bounds" => {
            let precision = pick(random, &[0, 5, 9]);
            json!({"geotile_grid": cells(random, precision), "aggs": total()})
        }
        "composite of tiles" => tuples(random),
        "bucket_selector" => selected(random),
        // These buckets are there in any case: the probe is in them.
        "top_hits" => return json!({"aggs": {"terms": best(random)}}),
        "bucket_script" => return json!({"aggs": {"weeks": scripted(random, "probe")}}),
        _ => return json!({"aggs": {"months": rates(random, member)}}),
    };
    json!({"aggs": {"probe": probe}})
}

fn total() -> Value {
    json!({"total": {"sum": {"field": "number"}}})
}

/// The best documents of each term.
fn best(random: &mut Random) -> Value {
    let by = pick(random, &["tag", "number", "set", "labels"]);
    json!({"terms": {"field": by, "size": 4}, "aggs": {"probe": {"top_hits": top_hits(random)}}})
}

fn top_hits(random: &mut Random) -> Value {
    let shown = [
        json!({"fields": ["number", {"field": "at", "format": "yyyy-MM"}, "set", "home", "tag", "span"]}),
        json!({"docvalue_fields": ["number", "at", "labels"], "fields": ["parts.name"], "explain": true}),
        json!({"stored_fields": ["wanted", "title"]}),
        json!({"stored_fields": "_none_"}),
        json!({"explain": true, "_source": ["title", "number"]}),
    ];
    let mut request = pick(random, &shown);
    if request.get("_source").is_none() && request.get("stored_fields").is_none() {
        request["_source"] = json!(false);
    }
    request["size"] = json!(1 + random.below(3));
    request["from"] = json!(pick(random, &[0, 0, 1]));
    if random.chance(1, 3) {
        request["sort"] = json!([{"number": pick(random, &["asc", "desc"])}]);
        request["track_scores"] = json!(random.chance(1, 2));
    }
    request
}

/// Terms in the order of a metric of the last document of each.
fn by_top_metrics(random: &mut Random) -> Value {
    let path = pick(
        random,
        &[
            "latest[number]",
            "latest.number",
            "latest[at]",
            "latest[wanted]",
        ],
    );
    let last = pick(random, &[json!({"at": "desc"}), json!({"wanted": "asc"})]);
    json!({
        "terms": {
            "field": pick(random, &["tag", "number", "attrs.size"]),
            "size": pick(random, &[2, 20]),
            "order": {path: pick(random, &["asc", "desc"])},
        },
        "aggs": {
            "latest": {"top_metrics": {
                "metrics": [{"field": "number"}, {"field": "at"}, {"field": "wanted"}],
                "sort": last,
            }},
            "twice": {"bucket_script": {
                "buckets_path": {"number": "latest[number]"}, "script": "params.number * 2",
            }},
        },
    })
}

/// How many documents have ranges, and how many different ones there are.
fn ranges(random: &mut Random) -> Value {
    json!({"terms": {"field": pick(random, &["tag", "number"]), "size": 20}, "aggs": {
        "spans": {"value_count": {"field": "span"}},
        "different": {"cardinality": {
            "field": "span", "precision_threshold": pick(random, &[4, 3_000]),
        }},
        "constants": {"cardinality": {"field": "set"}},
    }})
}

/// The options of cells of which some overlap a box.
fn cells(random: &mut Random, precision: u32) -> Value {
    json!({
        "field": pick(random, &["place", "home"]),
        "precision": precision,
        "bounds": corners(random, 0.0),
    })
}

/// Tiles of which some overlap a box, by months, with what happens there in a time.
fn tuples(random: &mut Random) -> Value {
    json!({"composite": {"size": pick(random, &[2, 7, 200]), "sources": [
        {"tile": {"geotile_grid": {
            "field": pick(random, &["place", "home"]),
            "precision": pick(random, &[4, 7]),
            "bounds": corners(random, 0.0),
            "missing_bucket": random.chance(1, 2),
        }}},
        {"month": {"date_histogram": {
            "field": "at", "calendar_interval": "month", "order": pick(random, &["asc", "desc"]),
        }}},
    ]}, "aggs": {
        "a_day": {"rate": {"unit": "day"}},
        "a_year": {"rate": {"unit": "year", "field": "number"}},
    }})
}

/// Months with how much happens in a time; one of the two is the probe.
fn rates(random: &mut Random, member: &str) -> Value {
    let unit = pick(random, &["second", "day", "month"]);
    let mode = pick(random, &["sum", "value_count"]);
    let (documents, values) = match member {
        "rate of documents" => ("probe", "values"),
        _ => ("documents", "probe"),
    };
    json!({"date_histogram": {"field": "at", "calendar_interval": "month"}, "aggs": {
        documents: {"rate": {"unit": unit}},
        values: {"rate": {"unit": "day", "field": "wanted", "mode": mode}},
    }})
}

/// Weeks with what scripts make of their numbers; `made` names one of them.
fn scripted(random: &mut Random, made: &str) -> Value {
    let smooth = format!(
        "if (values.length > 5) {{ MovingFunctions.holtWinters(values, 0.3, 0.1, 0.2, 3, {}) }}",
        random.chance(1, 2)
    );
    json!({"date_histogram": {"field": "at", "calendar_interval": "week"}, "aggs": {
        "total": {"sum": {"field": "number"}},
        "mean": {"avg": {"field": "wanted"}},
        made: {"bucket_script": {
            "buckets_path": {"total": "total", "mean": "mean", "n": "_count"},
            "script": {"source": pick(random, &SCRIPTS), "params": {"least": 2.5}},
        }},
        "change": {"derivative": {"buckets_path": "total", "unit": "month"}},
        "smooth": {"moving_fn": {"buckets_path": "total", "window": 12, "script": smooth}},
    }})
}

/// Weeks with such numbers, those of them that a script keeps.
fn selected(random: &mut Random) -> Value {
    let conditions = [
        json!("params.n > 2 && params.total != 0"),
        json!({"source": "n - 2", "lang": "expression"}),
    ];
    let mut weeks = scripted(random, "made");
    weeks["aggs"]["kept"] = json!({"bucket_selector": {
        "buckets_path": {"n": "_count", "total": "total"},
        "script": pick(random, &conditions),
    }});
    weeks
}
