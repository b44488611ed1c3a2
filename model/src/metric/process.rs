//! Metrics of processes, under the names that all programs use for them.

use super::{Metric, MetricKind};

/// Time on processors.
pub const PROCESS_CPU_SECONDS: Metric = Metric {
    name: "process_cpu_seconds_total",
    // A counter by nature: those of the recorder are whole numbers.
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "seconds that the process has spent on processors, in user and system mode",
};

/// Open files.
pub const PROCESS_OPEN_FDS: Metric = Metric {
    name: "process_open_fds",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "file descriptors that the process has open",
};

/// Most open files.
pub const PROCESS_MAX_FDS: Metric = Metric {
    name: "process_max_fds",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "file descriptors that the process may have open",
};

/// Memory of the process.
pub const PROCESS_RESIDENT_MEMORY_BYTES: Metric = Metric {
    name: "process_resident_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of memory that the process has, mapped segments that are in memory included",
};

/// When the process began.
pub const PROCESS_START_TIME_SECONDS: Metric = Metric {
    name: "process_start_time_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "when the process began, in seconds since 1970",
};
