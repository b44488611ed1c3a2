//! Metrics of refreshes.

use super::{Metric, MetricKind};

/// What refreshes waited for.
pub const REFRESH_WAITED_SECONDS: Metric = Metric {
    name: "gleaner_refresh_waited_seconds",
    kind: MetricKind::Histogram,
    labels: &[],
    values: &[],
    help: "time from when a primary had refreshed until its replicas showed the same and the refresh could be \
        acknowledged, on its leaf",
};
