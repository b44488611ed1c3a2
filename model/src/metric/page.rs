//! The page of all metrics.

use std::fmt::Write;

use super::{ALL, MetricKind};

/// Returns the page that lists all metrics, as Markdown.
pub fn page() -> String {
    let mut page = "# Metrics\n\n\
        `GET /metrics` on every role answers in the text format of Prometheus. A leaf sets its \
        gauges once a second, `gleaner_searches_running` at each change; sizes on disk and `process_*` are \
        set every 5 seconds. Histograms have buckets, which can be added up over nodes. Counters are there from \
        the start, histograms from their first value on. This page is written from the list in \
        `model/src/metric.rs`.\n\n\
        | metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let line = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
        line.expect("a String takes all text");
    }
    page
}
