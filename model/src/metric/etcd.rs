//! Metrics of the etcd that has the cluster state, as each process sees it.

use super::{Metric, MetricKind};

/// Whether etcd answers.
pub const ETCD_CONNECTED: Metric = Metric {
    name: "gleaner_etcd_connected",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "whether etcd answers this process with a majority of its members: 1, or 0 while it does not",
};

/// The size of databases.
pub const ETCD_DATABASE_BYTES: Metric = Metric {
    name: "gleaner_etcd_database_bytes",
    kind: MetricKind::Gauge,
    labels: &["member"],
    values: &[],
    help: "bytes of the database of each member of etcd, free pages included: what etcd compares with the quota",
};

/// The limit of databases.
pub const ETCD_QUOTA_BYTES: Metric = Metric {
    name: "gleaner_etcd_quota_bytes",
    kind: MetricKind::Gauge,
    labels: &["member"],
    values: &[],
    help: "bytes that the database of each member of etcd may have; `etcd_quota` of members before etcd 3.6, which do not tell",
};

/// Alarms.
pub const ETCD_ALARMS: Metric = Metric {
    name: "gleaner_etcd_alarms",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "alarms of etcd that are set: out of its quota (NOSPACE), or damaged (CORRUPT)",
};

/// How old the state is.
pub const STATE_AGE_SECONDS: Metric = Metric {
    name: "gleaner_state_age_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "time since etcd last gave a sign of life, every 5 s or sooner: the cluster state that this process has may lack changes as old as that",
};
