//! Metrics of the lines and spans of requests.

use super::{Metric, MetricKind};

/// Lines that were not written.
pub const LOG_LINES_DROPPED: Metric = Metric {
    name: "gleaner_log_lines_dropped_total",
    kind: MetricKind::Counter,
    labels: &["log"],
    values: &["access", "slow"],
    help: "lines of the access log and the slow log that were dropped: the disk was too slow, or refused them",
};

/// Spans that were not exported.
pub const SPANS_DROPPED: Metric = Metric {
    name: "gleaner_spans_dropped_total",
    kind: MetricKind::Counter,
    labels: &["reason"],
    values: &["queue", "collector"],
    help: "spans that were dropped: too many waited (queue), or the collector did not take them",
};

/// Spans that were exported.
pub const SPANS_EXPORTED: Metric = Metric {
    name: "gleaner_spans_exported_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "spans that the collector of `otlp_endpoint` has taken",
};
