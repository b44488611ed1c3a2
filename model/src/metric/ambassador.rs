//! Metrics of ambassadors.

use super::{Metric, MetricKind};

/// Redis servers behind an ambassador.
pub const AMBASSADOR_SERVER_IN: Metric = Metric {
    name: "gleaner_ambassador_server_in",
    kind: MetricKind::Gauge,
    labels: &["server"],
    values: &[],
    help: "whether a Redis server behind the ambassador is used: 1, or 0 while it is out",
};

/// Requests that an ambassador of Redis servers answered.
pub const AMBASSADOR_REQUESTS: Metric = Metric {
    name: "gleaner_ambassador_requests_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["answer", "error"],
    help: "requests to the ambassador of Redis servers: answered, or answered with an error",
};

/// Connections that a broker carried.
pub const AMBASSADOR_CONNECTIONS: Metric = Metric {
    name: "gleaner_ambassador_connections_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["carried", "unreachable"],
    help: "connections to the service broker: carried to the service, or ended as no address of it took them",
};
