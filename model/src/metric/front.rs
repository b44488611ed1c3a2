//! Metrics of fronts.

use super::{Metric, MetricKind};

/// Requests that a front took.
pub const FRONT_REQUESTS: Metric = Metric {
    name: "gleaner_front_requests_total",
    kind: MetricKind::Counter,
    labels: &["class", "outcome"],
    values: &[],
    help: "requests that a front took, by class (`read`, `metadata`, `write`, `scan`; `none` where the head is \
        refused) and outcome: `forwarded` to a backend or answered from what is kept, `refused`, `failed`",
};

/// Requests that a front sent twice.
pub const FRONT_RETRIES: Metric = Metric {
    name: "gleaner_front_retries_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "requests that a front sent to a second backend, as the first gave no answer",
};

/// Time of a front's requests.
pub const FRONT_SECONDS: Metric = Metric {
    name: "gleaner_front_seconds",
    kind: MetricKind::Histogram,
    labels: &["cache", "outcome"],
    values: &[],
    help: "time from a request's head to the head of its answer, at a front; `cache` is what the front's own answer \
        cache did: `hit`, `miss`, `bypass` or `stale`, and `none` where the answer may not be kept",
};

/// Requests that wait for a place among those that backends answer.
pub const FRONT_WAITING: Metric = Metric {
    name: "gleaner_front_waiting",
    kind: MetricKind::Gauge,
    labels: &["class"],
    values: &["read", "metadata", "write", "scan"],
    help: "requests that wait at a front until fewer of their class are with backends",
};

/// Leases that a front holds.
pub const FRONT_LEASES_HELD: Metric = Metric {
    name: "gleaner_front_leases_held",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "leases of a front on what shards show, from all roots together; without them it answers nothing from \
        what is kept",
};

/// Requests that a front refused for now.
pub const FRONT_LIMITED: Metric = Metric {
    name: "gleaner_front_limited_total",
    kind: MetricKind::Counter,
    labels: &["code"],
    values: &["requests", "cost", "auth_failures", "concurrency"],
    help: "requests that a front refused with 429, by the limit that was reached",
};

/// Copies of requests for a shadow.
pub const FRONT_SHADOWED: Metric = Metric {
    name: "gleaner_front_shadowed_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["compared", "dropped", "failed"],
    help: "copies of requests for a shadow: compared, dropped for want of room, without an answer",
};

/// Requests that a rule sent another way.
pub const FRONT_SPLIT: Metric = Metric {
    name: "gleaner_front_split_total",
    kind: MetricKind::Counter,
    labels: &["arm"],
    values: &["main", "other"],
    help: "requests under a rule that splits traffic, by the way that they went",
};
