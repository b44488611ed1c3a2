//! Aggregations by table, and never a panic.

mod filters;
mod keys;
mod orders;
mod pipelines;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::aggregation::{
    BucketOrder, CalendarUnit, DateInterval, Metric, TermsFilter, ValueSource, ValueType,
};
use crate::dsl::Query;

fn parse(value: &Value) -> Result<Vec<Aggregation>, QueryError> {
    parse_aggregations(value, &Limits::default())
}

fn kind(value: &Value) -> AggregationKind {
    parse(&json!({"a": value})).expect("read").remove(0).kind
}

fn reason(value: &Value) -> String {
    parse(value).expect_err("refused").reason
}

#[test]
fn trees_keep_names_order_and_meta() {
    let aggregations = parse(&json!({
        "z": {"terms": {"field": "tag"}, "meta": {"k": 1}, "aggs": {
            "p": {"avg": {"field": "price"}},
            "h": {"top_hits": {"size": 1, "explain": false, "sort": [{"price": "desc"}], "_source": ["a"]}}
        }},
        "a": {"global": {}, "aggregations": {"f": {"filter": {"term": {"x": 1}}}}}
    }))
    .unwrap();
    let names: Vec<_> = aggregations.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    assert_eq!(aggregations[0].meta, Some(json!({"k": 1})));
    assert_eq!(aggregations[0].sub.len(), 2);
    assert!(matches!(
        aggregations[1].sub[0].kind,
        AggregationKind::Filter(Query::Term(_))
    ));
}

#[test]
fn types_of_values_have_the_dialects_names() {
    let asked = |name: &str| json!({"terms": {"field": "t", "value_type": name}});
    for (name, value_type) in [
        ("string", ValueType::Text),
        ("numeric", ValueType::Long),
        ("short", ValueType::Long),
        ("float", ValueType::Double),
        ("boolean", ValueType::Boolean),
        ("date", ValueType::Date),
        ("ip", ValueType::Ip),
    ] {
        let AggregationKind::Terms(terms) = kind(&asked(name)) else {
            panic!()
        };
        assert_eq!(terms.source.value_type, Some(value_type), "{name}");
    }
    let refused = reason(&json!({"a": asked("geo")}));
    assert_eq!(refused, "Unknown value type [geo]");
}

#[test]
fn terms_have_their_options() {
    let AggregationKind::Terms(plain) = kind(&json!({"terms": {"field": "t"}})) else {
        panic!()
    };
    assert_eq!(
        (plain.size, plain.min_doc_count, plain.shard_size),
        (10, 1, None)
    );
    assert_eq!(plain.order, [(BucketOrder::Count, true)]);
    let AggregationKind::Terms(terms) = kind(&json!({"terms": {
        "field": "t", "size": 3, "shard_size": 9, "min_doc_count": 0, "missing": "none",
        "order": [{"_count": "ASC"}, {"_key": "desc"}], "include": "a.*", "exclude": ["b", 1],
        "show_term_doc_count_error": true, "execution_hint": "map"
    }})) else {
        panic!()
    };
    assert_eq!(
        (terms.size, terms.min_doc_count, terms.shard_size),
        (3, 0, Some(9))
    );
    assert_eq!(
        terms.order,
        [(BucketOrder::Count, false), (BucketOrder::Key, true)]
    );
    assert_eq!(terms.include, Some(TermsFilter::Regex("a.*".to_owned())));
    assert_eq!(
        terms.exclude,
        Some(TermsFilter::Values(vec![json!("b"), json!(1)]))
    );
    assert_eq!(terms.source.missing, Some(json!("none")));
}

#[test]
fn intervals_have_many_forms() {
    let interval = |value: Value| {
        let mut body = json!({"field": "d"});
        body.as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
        match kind(&json!({"date_histogram": body})) {
            AggregationKind::DateHistogram(histogram) => (histogram.interval, histogram.offset_ms),
            _ => panic!(),
        }
    };
    let calendar = DateInterval::Calendar;
    for (value, expected) in [
        (
            json!({"calendar_interval": "month"}),
            (calendar(CalendarUnit::Month), 0),
        ),
        (
            json!({"calendar_interval": "1q", "offset": "+6h"}),
            (calendar(CalendarUnit::Quarter), 21_600_000),
        ),
        (
            json!({"fixed_interval": "30d", "offset": "-1s"}),
            (DateInterval::Fixed(2_592_000_000), -1_000),
        ),
        (
            json!({"interval": "week", "offset": 5}),
            (calendar(CalendarUnit::Week), 5),
        ),
        (
            json!({"interval": "90m"}),
            (DateInterval::Fixed(5_400_000), 0),
        ),
        (json!({"interval": 500}), (DateInterval::Fixed(500), 0)),
        (
            json!({"calendar_interval": "1s"}),
            (DateInterval::Fixed(1_000), 0),
        ),
    ] {
        assert_eq!(interval(value.clone()), expected, "{value}");
    }
}

#[test]
fn other_kinds_are_read() {
    let source = |field: &str| ValueSource {
        field: field.to_owned(),
        value_type: None,
        missing: None,
        format: None,
    };
    assert_eq!(
        kind(&json!({"extended_stats": {"field": "p", "sigma": 2}})),
        AggregationKind::Metric(Metric::ExtendedStats { sigma: 2.0 }, source("p"))
    );
    assert_eq!(
        kind(&json!({"cardinality": {"field": "p", "precision_threshold": 100_000}})),
        AggregationKind::Cardinality {
            source: source("p"),
            precision_threshold: 40_000
        }
    );
    assert_eq!(
        kind(&json!({"percentiles": {"field": "p", "percents": [99, 50, 50], "keyed": false}})),
        AggregationKind::Percentiles {
            source: source("p"),
            percents: vec![50.0, 99.0],
            keyed: false,
            hdr_digits: None,
        }
    );
    assert_eq!(
        kind(&json!({"filters": {"filters": [{"match_all": {}}], "other_bucket_key": "rest"}})),
        AggregationKind::Filters {
            filters: vec![("0".to_owned(), Query::MatchAll { boost: 1.0 })],
            is_keyed: false,
            is_listed: false,
            other_bucket: Some("rest".to_owned()),
        }
    );
    let AggregationKind::Range(range) = kind(&json!({"date_range": {
        "field": "d", "time_zone": "Europe/Paris", "format": "yyyy", "keyed": true,
        "ranges": [{"to": "now-1d/d"}, {"key": "k", "from": 5, "to": null}]
    }})) else {
        panic!()
    };
    assert!(range.is_date && range.keyed);
    assert_eq!(range.ranges[0].to, Some(json!("now-1d/d")));
    assert_eq!(
        (range.ranges[1].key.as_deref(), &range.ranges[1].to),
        (Some("k"), &None)
    );
    let AggregationKind::Histogram(histogram) = kind(&json!({"histogram": {
        "field": "p", "interval": 10, "offset": -3, "extended_bounds": {"min": 0, "max": "50"},
        "hard_bounds": {"max": 90}, "order": {"_key": "desc"}
    }})) else {
        panic!()
    };
    assert_eq!((histogram.interval, histogram.offset), (10.0, -3.0));
    assert_eq!(histogram.extended_bounds, Some((0.0, 50.0)));
    assert_eq!(histogram.hard_bounds, Some((f64::MIN, 90.0)));
    assert_eq!(histogram.order, [(BucketOrder::Key, true)]);
}

#[test]
fn one_of_two_bounds_is_enough() {
    let numbers = |bounds: Value| {
        let body =
            json!({"field": "p", "interval": 1, "extended_bounds": bounds, "hard_bounds": bounds});
        match kind(&json!({ "histogram": body })) {
            AggregationKind::Histogram(read) => (read.extended_bounds, read.hard_bounds),
            _ => panic!(),
        }
    };
    let (none, all) = ((f64::INFINITY, f64::NEG_INFINITY), (f64::MIN, f64::MAX));
    assert_eq!(
        numbers(json!({"min": "3"})),
        (Some((3.0, none.1)), Some((3.0, all.1)))
    );
    assert_eq!(
        numbers(json!({"min": null, "max": 0})),
        (Some((none.0, 0.0)), Some((all.0, 0.0)))
    );
    assert_eq!(numbers(json!({})), (None, None));
    let dates = |bounds: Value| {
        let body = json!({"field": "d", "fixed_interval": "1d", "extended_bounds": bounds, "hard_bounds": bounds});
        match kind(&json!({ "date_histogram": body })) {
            AggregationKind::DateHistogram(read) => (read.extended_bounds, read.hard_bounds),
            _ => panic!(),
        }
    };
    let (first, last) = (json!(i64::MIN), json!(i64::MAX));
    let given = json!("2020");
    assert_eq!(
        dates(json!({"min": "2020"})),
        (
            Some((given.clone(), first.clone())),
            Some((given.clone(), last.clone()))
        )
    );
    assert_eq!(
        dates(json!({"max": "2020"})),
        (Some((last, given.clone())), Some((first, given)))
    );
    assert_eq!(dates(json!({})), (None, None));
}

#[test]
fn wrong_bounds_are_named() {
    for (extended, expected) in [
        (
            json!({"min": 4}),
            "Extended bounds have to be inside hard bounds, hard bounds: [5--20], extended bounds: [4--]",
        ),
        (
            json!({"max": 21}),
            "Extended bounds have to be inside hard bounds, hard bounds: [5--20], extended bounds: [--21]",
        ),
        (
            json!({"min": 7, "max": 6}),
            "bounds: min [7] cannot be greater than max [6]",
        ),
        (
            json!({"min": "x"}),
            "[histogram] bounds must be numbers, found [\"x\"]",
        ),
    ] {
        let body = json!({
            "field": "x", "interval": 5, "hard_bounds": {"min": 5, "max": 20},
            "extended_bounds": extended,
        });
        assert_eq!(reason(&json!({"a": {"histogram": body}})), expected);
    }
}

#[test]
fn wrong_shapes_are_named() {
    for (value, expected) in [
        (
            json!([]),
            "Expected [START_OBJECT] under [aggs], but got a [START_ARRAY]",
        ),
        (
            json!({"a>b": {"avg": {"field": "x"}}}),
            "Invalid aggregation name [a>b]. Aggregation names can contain any character except '[', ']', and '>'",
        ),
        (json!({"a": {}}), "Missing definition for aggregation [a]"),
        (
            json!({"a": {"avg": {"field": "x"}, "min": {"field": "x"}}}),
            "Found two aggregation type definitions in [a]: [avg] and [min]",
        ),
        (
            json!({"a": {"term": {"field": "x"}}}),
            "Unknown aggregation type [term] did you mean [terms]?",
        ),
        (
            json!({"a": {"nested": {"path": "x"}}}),
            "aggregation type [nested] is not supported",
        ),
        (
            json!({"a": {"string_stats": {}}}),
            "aggregation type [string_stats] is not supported",
        ),
        (
            json!({"a": {"moving_avg": {"buckets_path": "x"}}}),
            "aggregation type [moving_avg] is not supported: Moving Average aggregation usage is not supported. \
             Use the [moving_fn] aggregation instead.",
        ),
        (
            json!({"a": {"avg": {}}}),
            "Required one of fields [field, script], but none were specified. ",
        ),
        (
            json!({"a": {"terms": {"field": "_seq_no"}}}),
            "aggregations over the metadata field [_seq_no] are not supported",
        ),
        (
            json!({"a": {"avg": {"script": {}}}}),
            "[avg] [script] is not supported",
        ),
        (
            json!({"a": {"avg": {"field": "x", "foo": 1}}}),
            "[avg] unknown field [foo]",
        ),
        (
            json!({"a": {"avg": {"field": "x"}, "aggs": {"b": {"avg": {"field": "x"}}}}}),
            "Aggregator [a] of type [avg] cannot accept sub-aggregations",
        ),
    ] {
        assert_eq!(reason(&value), expected, "{value}");
    }
}

#[test]
fn wrong_values_are_named() {
    for (value, expected) in [
        (
            json!({"a": {"terms": {"field": "x", "size": 0}}}),
            "[size] must be greater than 0. Found [0] in [a]",
        ),
        (
            json!({"a": {"terms": {"field": "x", "order": {"_key": "up"}}}}),
            "Unknown order direction [up]",
        ),
        (
            json!({"a": {"terms": {"field": "x", "include": {"partition": 0}}}}),
            "Missing [partition] or [num_partitions] parameter for partition-based include",
        ),
        (
            json!({"a": {"histogram": {"field": "x"}}}),
            "[interval] must be >0 for histogram aggregation [a]",
        ),
        (
            json!({"a": {"date_histogram": {"field": "x"}}}),
            "Invalid interval specified, must be non-null and non-empty",
        ),
        (
            json!({"a": {"date_histogram": {"field": "x", "calendar_interval": "2d"}}}),
            "The supplied interval [2d] could not be parsed as a calendar interval.",
        ),
        (
            json!({"a": {"date_histogram": {"field": "x", "calendar_interval": "1d", "time_zone": "Mars"}}}),
            "unknown time-zone ID: [Mars]",
        ),
        (
            json!({"a": {"range": {"field": "x"}}}),
            "No [ranges] specified for the [a] aggregation",
        ),
        (
            json!({"a": {"percentiles": {"field": "x", "percents": [101]}}}),
            "percent must be in [0,100], got [101]: [a]",
        ),
        (
            json!({"a": {"histogram": {
                "field": "x", "interval": 5,
                "hard_bounds": {"max": 20}, "extended_bounds": {"min": 0, "max": 21}
            }}}),
            "Extended bounds have to be inside hard bounds, hard bounds: [--20], extended bounds: [0--21]",
        ),
        (
            json!({"a": {"extended_stats": {"field": "x", "sigma": -1}}}),
            "[sigma] must be greater than or equal to 0. Found [-1.0] in [a]",
        ),
        (
            json!({"a": {"percentiles": {"field": "x", "tdigest": {"compression": -1}}}}),
            "[compression] must be greater than or equal to 0. Found [-1.0]",
        ),
        (
            json!({"a": {"top_hits": {"highlight": {
                "fields": {"x": {}}, "highlight_query": {"match_all": {}}
            }}}}),
            "[top_hits] [highlight_query] is not supported",
        ),
        (
            json!({"a": {"top_hits": {"highlight": {
                "fields": {"x": {"highlight_query": {"match_all": {}}}}
            }}}}),
            "[top_hits] [highlight_query] is not supported",
        ),
        (
            json!({"a": {"filter": {"match_all": {}}, "aggs": {"b": {"global": {}}}}}),
            "Aggregator [b] of type [global] cannot be a sub-aggregation: it can only be at the top level",
        ),
    ] {
        assert_eq!(reason(&value), expected, "{value}");
    }
    let scripted = reason(&json!({"a": {"top_hits": {"script_fields": {}}}}));
    assert_eq!(scripted, "[top_hits] [script_fields] is not supported");
    assert!(reason(&json!({"a": {"top_hits": {"size": 101}}})).contains("[100] but was [101]"));
}

#[test]
fn limits_hold() {
    let mut deep = json!({"a": {"global": {}}});
    for _ in 0..60 {
        deep = json!({"a": {"filter": {}, "aggs": deep}});
    }
    assert!(reason(&deep).contains("nested depth"));
    let wide: serde_json::Map<_, _> = (0..2_000)
        .map(|n| (n.to_string(), json!({"avg": {"field": "x"}})))
        .collect();
    assert!(reason(&Value::Object(wide)).contains("exceeds the maximum of [1024]"));
}

#[test]
fn what_we_say_that_we_have_is_read() {
    for kind in kinds() {
        let read = parse(&json!({"a": {kind: {"field": "f"}}}));
        let reason = read.err().map_or_else(String::new, |error| error.reason);
        let is_refused = reason.contains(&format!("aggregation type [{kind}]"));
        assert!(!is_refused, "{reason}");
    }
}

proptest! {
    #[test]
    fn no_json_panics(
        kind in prop::sample::select(KINDS.to_vec()),
        key in prop::sample::select(vec!["order", "ranges", "filters", "percents", "interval", "offset", "include", "sort", "x"]),
        value in crate::mapping::tests::any_json(),
    ) {
        drop(parse(&value));
        drop(parse(&json!({"a": {kind: value.clone()}})));
        drop(parse(&json!({"a": {kind: {"field": "f", "interval": 1, key: value}}})));
    }

    #[test]
    fn no_interval_panics(text in "[-+]?[0-9]{0,20}[a-zA-Z]{0,3}", number: f64) {
        for key in ["calendar_interval", "fixed_interval", "interval"] {
            drop(parse(&json!({"a": {"date_histogram": {"field": "d", key: text, "offset": text}}})));
        }
        drop(parse(&json!({"a": {"histogram": {"field": "d", "interval": number, "offset": number}}})));
    }
}
