//! The dashboard for Grafana asks for metrics that there are, by labels that they have, and shows all but a few.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// Labels that Prometheus adds, or makes of a histogram.
const ADDED: [&str; 3] = ["instance", "job", "le"];

/// Words of PromQL that are no labels.
const WORDS: [&str; 8] = [
    "sum",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "search",
    "bulk",
    "hit",
];

/// Metrics that are on no panel, with the reason.
const NOT_SHOWN: [(&Metric, &str); 4] = [
    (&BUILD_INFO, "a version is no line over time"),
    (&DISK_USED_BYTES, "what is free is shown"),
    (&PROCESS_START_TIME_SECONDS, "a moment is no line over time"),
    (&SPANS_EXPORTED, "spans that are lost are shown"),
];

/// Returns the expressions of a page with the legends of their lines.
fn targets() -> Vec<(String, String)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/grafana/gleaner.json"
    );
    let text = std::fs::read_to_string(path).expect("the dashboard is there");
    let page: Value = serde_json::from_str(&text).expect("JSON");
    let panels = page["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    targets
        .map(|target| (text(&target["expr"]), text(&target["legendFormat"])))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    words.filter(|word| !word.is_empty())
}

/// Returns the metric that a name in an expression is of.
fn metric_of(name: &str) -> Option<&'static Metric> {
    let find = |name: &str, is_histogram: bool| {
        ALL.iter()
            .find(|metric| metric.name == name)
            .filter(|metric| (metric.kind == MetricKind::Histogram) == is_histogram)
    };
    let ends = ["_bucket", "_sum", "_count"];
    let of_histogram = ends.iter().find_map(|end| name.strip_suffix(end));
    match of_histogram.and_then(|name| find(name, true)) {
        Some(found) => Some(found),
        None => find(name, false),
    }
}

#[test]
fn every_panel_asks_for_metrics_that_there_are_by_labels_that_they_have() {
    let targets = targets();
    assert!(targets.len() > 20, "{}", targets.len());
    for (expression, legend) in targets {
        // Variables of Grafana.
        let bare = expression.replace("$__rate_interval", "");
        let is_metric = |word: &&str| word.starts_with("gleaner_") || word.starts_with("process_");
        let (names, rest): (Vec<&str>, Vec<&str>) = words(&bare).partition(is_metric);
        assert!(!names.is_empty(), "{expression}");
        let mut labels: BTreeSet<&str> = ADDED.into();
        for name in names {
            let metric = metric_of(name);
            let metric = metric.unwrap_or_else(|| panic!("`{name}` is no metric: {expression}"));
            labels.extend(metric.labels);
        }
        let in_legend = legend.split("{{").skip(1);
        let in_legend = in_legend.filter_map(|rest| rest.split("}}").next());
        for label in rest.into_iter().chain(in_legend) {
            let is_known = labels.contains(label) || WORDS.contains(&label);
            assert!(is_known, "`{label}` is no label: {expression}, {legend}");
        }
    }
}

#[test]
fn every_metric_is_on_a_panel_or_named_as_not_shown() {
    let targets = targets();
    let expressions = targets.iter().flat_map(|(expression, _)| words(expression));
    let on_panels: BTreeSet<&str> = expressions
        .filter_map(metric_of)
        .map(|metric| metric.name)
        .collect();
    let not_shown: BTreeSet<&str> = NOT_SHOWN.iter().map(|(metric, _)| metric.name).collect();
    for metric in &ALL {
        let is_on_panel = on_panels.contains(metric.name);
        let is_not_shown = not_shown.contains(metric.name);
        assert_ne!(is_on_panel, is_not_shown, "{}", metric.name);
    }
}
