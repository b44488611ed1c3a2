//! Orders by what is below a bucket.

use super::*;

#[test]
fn orders_by_metrics_need_the_metric() {
    let with = |order: &str| {
        parse(
            &json!({"a": {"terms": {"field": "t", "order": {order: "asc"}}, "aggs": {
                "avg.x": {"avg": {"field": "p"}},
                "s": {"stats": {"field": "p"}},
                "f": {"filter": {"match_all": {}}, "aggs": {"m": {"max": {"field": "p"}}}},
                "t": {"terms": {"field": "u"}}
            }}}),
        )
    };
    for good in ["avg.x", "s.max", "s[max]", "f", "f>m", "f>m.value"] {
        assert!(with(good).is_ok(), "{good}");
    }
    for bad in ["nope", "t", "t>m", "f>n", "s>max"] {
        let reason = with(bad).expect_err(bad).reason;
        assert!(reason.starts_with(&format!("Invalid aggregator order path [{bad}]")));
    }
}

#[test]
fn orders_by_statistics_need_one_of_them() {
    let with = |order: &str| {
        parse(
            &json!({"a": {"terms": {"field": "t", "order": {order: "asc"}}, "aggs": {
                "m": {"max": {"field": "p"}},
                "s": {"stats": {"field": "p"}},
                "e": {"extended_stats": {"field": "p"}}
            }}}),
        )
    };
    for good in [
        "m",
        "m.value",
        "s.avg",
        "s[count]",
        "e.sum",
        "e.std_upper",
        "e.variance",
    ] {
        assert!(with(good).is_ok(), "{good}");
    }
    for (bad, expected) in [
        ("s", "When ordering on a multi-value"),
        ("e", "When ordering on a multi-value"),
        ("s.foo", "Unknown metric name [foo]"),
        ("s.variance", "Unknown metric name [variance]"),
        ("e.value", "Unknown metric name [value]"),
        ("m.max", "Ordering on a single-value"),
    ] {
        let refused = with(bad).expect_err(bad);
        let wanted = format!("Invalid aggregation order path [{bad}]. {expected}");
        assert!(refused.reason.starts_with(&wanted), "{}", refused.reason);
    }
}

#[test]
fn orders_by_top_metrics_need_one_of_the_metrics() {
    let with = |size: u64, order: &str| {
        parse(
            &json!({"a": {"terms": {"field": "t", "order": {order: "desc"}}, "aggs": {
                "m": {"top_metrics": {"metrics": [{"field": "p"}, {"field": "x.y"}], "sort": "d", "size": size}},
                "f": {"filter": {"match_all": {}}, "aggs": {
                    "m": {"top_metrics": {"metrics": {"field": "p"}, "sort": "d"}}
                }}
            }}}),
        )
    };
    for good in ["m.p", "m[p]", "m[x.y]", "f>m.p", "f>m[p]"] {
        assert!(with(1, good).is_ok(), "{good}");
    }
    for (size, bad, expected) in [
        (1, "m", "When ordering on a multi-value"),
        (1, "m.q", "Unknown metric name [q]"),
        (1, "f>m[x.y]", "Unknown metric name [x.y]"),
        (
            2,
            "m.p",
            "[top_metrics] can only be the target if [size] is [1] but was [2]",
        ),
    ] {
        let refused = with(size, bad).expect_err(bad);
        let wanted = format!("Invalid aggregation order path [{bad}]. {expected}");
        assert!(refused.reason.starts_with(&wanted), "{}", refused.reason);
    }
}

#[test]
fn orders_by_percentiles_need_one_of_the_percents() {
    let with = |kind: &str, order: &str| {
        let mut body = json!({"field": "t", "order": {order: "asc"}});
        if kind != "terms" {
            body["interval"] = json!(5);
        }
        parse(&json!({"a": {kind: body, "aggs": {
            "p": {"percentiles": {"field": "p", "percents": [50, 99.9]}},
            "p.q": {"percentiles": {"field": "p"}},
            "f": {"filter": {"match_all": {}}, "aggs": {"p": {"percentiles": {"field": "p"}}}}
        }}}))
    };
    for kind in ["terms", "histogram"] {
        for good in [
            "p.50", "p[50]", "p[50.0]", "p[99.9]", "p.q.5", "p.q[99]", "f>p[25]",
        ] {
            assert!(with(kind, good).is_ok(), "{good}");
        }
        let there = "on multi-value metrics aggregation [p]; the percents there are [50.0, 99.9]";
        for (bad, expected) in [
            ("p[55]", format!("Unknown metric name [55] {there}")),
            ("p.55", format!("Unknown metric name [55] {there}")),
            ("p[99]", format!("Unknown metric name [99] {there}")),
            ("p[NaN]", format!("Unknown metric name [NaN] {there}")),
            ("p.value", format!("Unknown metric name [value] {there}")),
            ("p", "When ordering on a multi-value".to_owned()),
            ("f>p[50.1]", "Unknown metric name [50.1]".to_owned()),
        ] {
            let refused = with(kind, bad).expect_err(bad);
            assert_eq!(refused.kind, ErrorType::IllegalArgument);
            let wanted = format!("Invalid aggregation order path [{bad}]. {expected}");
            assert!(refused.reason.starts_with(&wanted), "{}", refused.reason);
        }
    }
}
