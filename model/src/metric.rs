//! Every metric there is: names, labels, units. What a room counts, it names from here.
//!
//! `docs/metrics.md` is written from [`ALL`]. A name never changes its meaning; one that goes out of
//! use is left out of the list, and its name is not given away again.

mod ambassador;
mod etcd;
mod front;
mod page;
mod process;
mod refresh;
mod telemetry;

pub use ambassador::{AMBASSADOR_CONNECTIONS, AMBASSADOR_REQUESTS, AMBASSADOR_SERVER_IN};
pub use etcd::{
    ETCD_ALARMS, ETCD_CONNECTED, ETCD_DATABASE_BYTES, ETCD_QUOTA_BYTES, STATE_AGE_SECONDS,
};
pub use front::{
    FRONT_LEASES_HELD, FRONT_LIMITED, FRONT_REQUESTS, FRONT_RETRIES, FRONT_SECONDS, FRONT_SHADOWED,
    FRONT_SPLIT, FRONT_WAITING,
};
pub use page::page;
pub use process::{
    PROCESS_CPU_SECONDS, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY_BYTES,
    PROCESS_START_TIME_SECONDS,
};
pub use refresh::REFRESH_WAITED_SECONDS;
pub use telemetry::{LOG_LINES_DROPPED, SPANS_DROPPED, SPANS_EXPORTED};

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Many times in seconds, shown as how many took up to each of [`BUCKETS_S`], their sum and number.
    Histogram,
}

/// Upper bounds of the buckets of all histograms, in seconds. Buckets of all nodes can be added up.
pub const BUCKETS_S: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; the unit is its last word but `total`.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// Labels that each of its values has.
    pub labels: &'static [&'static str],
    /// The values of its only label, where they are few; they are there from the start.
    pub values: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Answers to clients.
pub const HTTP_REQUEST_SECONDS: Metric = Metric {
    name: "gleaner_http_request_seconds",
    kind: MetricKind::Histogram,
    labels: &["route", "status"],
    values: &[],
    help: "time from a request's head to its answer, by route and status",
};

/// Connections that are open.
pub const CONNECTIONS: Metric = Metric {
    name: "gleaner_connections",
    kind: MetricKind::Gauge,
    labels: &["port"],
    values: &["clients", "probes", "nodes"],
    help: "connections that are open, by port: clients, probes, nodes",
};

/// Connections that the server closed.
pub const CONNECTIONS_CLOSED: Metric = Metric {
    name: "gleaner_connections_closed_total",
    kind: MetricKind::Counter,
    labels: &["port", "reason"],
    values: &[],
    help: "connections that the server closed: silent, slow, idle or unread for too long, quiet when room was \
        needed, one too many of an address, without a PROXY header where one must come (proxy), plain where TLS is \
        spoken, without a handshake, flooded with frames of HTTP/2 that ask for nothing (flood)",
};

/// Requests that were answered from what is kept, or by the evaluation of an equal one.
pub const CACHE_HITS: Metric = Metric {
    name: "gleaner_cache_hits_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "searches and counts that were answered from the answer cache, or with an equal one under way",
};

/// Requests that could have been answered so and were evaluated.
pub const CACHE_MISSES: Metric = Metric {
    name: "gleaner_cache_misses_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "searches and counts whose answers may be kept and that were evaluated",
};

/// Answers that were dropped for others.
pub const CACHE_EVICTIONS: Metric = Metric {
    name: "gleaner_cache_evictions_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "answers that were dropped from the answer cache, or not taken into it, for want of room",
};

/// Bytes of answers that are kept.
pub const CACHE_BYTES: Metric = Metric {
    name: "gleaner_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the answers that the answer cache holds",
};

/// Answers that fell out of memory.
pub const CACHE_OVERFLOW: Metric = Metric {
    name: "gleaner_cache_overflow_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["hit", "miss", "stale", "failed", "written", "dropped"],
    help: "answers that were looked for beyond the memory of the answer cache (`stale`: of another edition; `failed`: no answer in time, or none of this cluster) and put there (`written`, `dropped`)",
};

/// Calls of other nodes that were refused for their role.
pub const NODE_CALLS_REFUSED: Metric = Metric {
    name: "gleaner_node_calls_refused_total",
    kind: MetricKind::Counter,
    labels: &["service", "role"],
    values: &[],
    help: "calls of other nodes refused because the role in the caller's certificate is not one that the service \
        answers",
};

/// Requests of a root to copies of shards.
pub const SHARD_REQUESTS: Metric = Metric {
    name: "gleaner_shard_requests_total",
    kind: MetricKind::Counter,
    labels: &["phase", "kind"],
    values: &[],
    help: "shards asked of leaves, where there are copies to choose from: first, hedge, retry, wait",
};

/// How soon searches end that nobody waits for any more.
pub const SEARCH_CANCELLED_SECONDS: Metric = Metric {
    name: "gleaner_search_cancelled_seconds",
    kind: MetricKind::Histogram,
    labels: &[],
    values: &[],
    help: "time from when an evaluation was called off on a leaf until it had ended",
};

/// Evaluations under way.
pub const SEARCHES_RUNNING: Metric = Metric {
    name: "gleaner_searches_running",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "evaluations on the search threads of both lanes of a leaf; brief ones, which need none, left out",
};

/// Searches that a leaf has turned away.
pub const SEARCH_REJECTED: Metric = Metric {
    name: "gleaner_search_rejected_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "searches refused because too many waited for a thread of their lane",
};

/// What the check of files has read.
pub const SCRUBBED_BYTES: Metric = Metric {
    name: "gleaner_scrubbed_bytes_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "bytes of open copies that were read and compared with their checksums",
};

/// How old the oldest check is.
pub const OLDEST_CHECK_SECONDS: Metric = Metric {
    name: "gleaner_oldest_check_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "time since the files of the open copy that was checked longest ago were checked",
};

/// Copies found damaged.
pub const COPIES_DAMAGED: Metric = Metric {
    name: "gleaner_copies_damaged_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "times that a copy was found damaged and closed, mended afterwards or not",
};

/// Copies found to lack what was acknowledged.
pub const COPIES_FORGOTTEN: Metric = Metric {
    name: "gleaner_copies_forgotten_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "times that the last copy in sync of a shard was found to lack what was acknowledged, and was not opened",
};

/// Writes that a leaf has let wait for room.
pub const WRITE_PACED: Metric = Metric {
    name: "gleaner_write_paced_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "writes that waited because too many bytes were under way",
};

/// Writes that a leaf has turned away.
pub const WRITE_REJECTED: Metric = Metric {
    name: "gleaner_write_rejected_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "writes refused because too many bytes were under way for too long",
};

/// Shards that were left out of searches.
pub const SHARDS_SKIPPED: Metric = Metric {
    name: "gleaner_shards_skipped_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "shards not asked for hits, since nothing in them could match for what they hold",
};

/// Shard copies on a leaf.
pub const SHARDS: Metric = Metric {
    name: "gleaner_shards",
    kind: MetricKind::Gauge,
    labels: &["state"],
    values: &["open", "opening", "failed", "closing"],
    help: "shard copies of this leaf that are open, opening, failed or closing",
};

/// Bitmaps of filters.
pub const FILTER_CACHE_BYTES: Metric = Metric {
    name: "gleaner_filter_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the bitmaps in the filter cache",
};

/// Look-ups of filters.
pub const FILTER_CACHE_LOOKUPS: Metric = Metric {
    name: "gleaner_filter_cache_lookups_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["hit", "miss"],
    help: "look-ups in the filter cache that hit or missed",
};

/// Documents read lately.
pub const DOCUMENT_CACHE_BYTES: Metric = Metric {
    name: "gleaner_document_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the documents in the document cache",
};

/// Look-ups of documents.
pub const DOCUMENT_CACHE_LOOKUPS: Metric = Metric {
    name: "gleaner_document_cache_lookups_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    values: &["hit", "miss"],
    help: "look-ups in the document cache that hit or missed",
};

/// Memory of queries.
pub const QUERY_MEMORY_BYTES: Metric = Metric {
    name: "gleaner_query_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes that queries under way hold on this leaf",
};

/// Memory of documents that are not in segments yet.
pub const INDEXING_MEMORY_BYTES: Metric = Metric {
    name: "gleaner_indexing_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of segments in the making, of all shards of this leaf, estimated",
};

/// The version that runs.
pub const BUILD_INFO: Metric = Metric {
    name: "gleaner_build_info",
    kind: MetricKind::Gauge,
    labels: &["version"],
    values: &[],
    help: "1, with the version that runs",
};

/// Room on the disk.
pub const DISK_FREE_BYTES: Metric = Metric {
    name: "gleaner_disk_free_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the disk of the data folder that this process may still use",
};

/// The disk in use, by whatever.
pub const DISK_USED_BYTES: Metric = Metric {
    name: "gleaner_disk_used_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the disk of the data folder that are in use, by whatever",
};

/// Documents on a leaf.
pub const DOCUMENTS: Metric = Metric {
    name: "gleaner_documents",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "documents that searches see, of all shard copies of this leaf, replicas included",
};

/// Logs on the disk.
pub const LOG_BYTES: Metric = Metric {
    name: "gleaner_log_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the write-ahead logs in the data folder, room taken in advance included",
};

/// Merges of segments.
pub const MERGES: Metric = Metric {
    name: "gleaner_merges_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "merges of segments that were begun by themselves, of all shard copies of this leaf",
};

/// How far replicas are behind.
pub const REPLICA_LAG_OPERATIONS: Metric = Metric {
    name: "gleaner_replica_lag_operations",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "operations that the replica lacks which is furthest behind its primary, of the primaries on this leaf",
};

/// Searches of shards on a leaf.
pub const SHARD_QUERY_SECONDS: Metric = Metric {
    name: "gleaner_shard_query_seconds",
    kind: MetricKind::Histogram,
    labels: &[],
    values: &[],
    help: "time of a call to this leaf for the hits of one or more of its shards, waiting for a thread included",
};

/// Segments on the disk.
pub const STORE_BYTES: Metric = Metric {
    name: "gleaner_store_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    values: &[],
    help: "bytes of the shard copies in the data folder",
};

/// Requests, or parts of one, that were denied.
pub const SECURITY_DENIALS: Metric = Metric {
    name: "gleaner_security_denials_total",
    kind: MetricKind::Counter,
    labels: &["kind"],
    values: &["unauthenticated", "forbidden"],
    help: "requests, or parts of one, that were denied: without a valid key, or without a right",
};

/// How long certificates last.
pub const TLS_CERTIFICATE_EXPIRES_SECONDS: Metric = Metric {
    name: "gleaner_tls_certificate_expires_seconds",
    kind: MetricKind::Gauge,
    labels: &["file"],
    values: &[],
    help: "seconds until the certificate in use ends, by the file that it was read from",
};

/// Certificates that were not taken.
pub const TLS_RELOAD_FAILURES: Metric = Metric {
    name: "gleaner_tls_reload_failures_total",
    kind: MetricKind::Counter,
    labels: &[],
    values: &[],
    help: "looks at files of certificates that found none to use; those in use stay",
};

/// All of them, by name.
pub const ALL: [Metric; 64] = [
    AMBASSADOR_CONNECTIONS,
    AMBASSADOR_REQUESTS,
    AMBASSADOR_SERVER_IN,
    BUILD_INFO,
    CACHE_BYTES,
    CACHE_EVICTIONS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_OVERFLOW,
    CONNECTIONS,
    CONNECTIONS_CLOSED,
    COPIES_DAMAGED,
    COPIES_FORGOTTEN,
    DISK_FREE_BYTES,
    DISK_USED_BYTES,
    DOCUMENT_CACHE_BYTES,
    DOCUMENT_CACHE_LOOKUPS,
    DOCUMENTS,
    ETCD_ALARMS,
    ETCD_CONNECTED,
    ETCD_DATABASE_BYTES,
    ETCD_QUOTA_BYTES,
    FILTER_CACHE_BYTES,
    FILTER_CACHE_LOOKUPS,
    FRONT_LEASES_HELD,
    FRONT_LIMITED,
    FRONT_REQUESTS,
    FRONT_RETRIES,
    FRONT_SECONDS,
    FRONT_SHADOWED,
    FRONT_SPLIT,
    FRONT_WAITING,
    HTTP_REQUEST_SECONDS,
    INDEXING_MEMORY_BYTES,
    LOG_BYTES,
    LOG_LINES_DROPPED,
    MERGES,
    NODE_CALLS_REFUSED,
    OLDEST_CHECK_SECONDS,
    QUERY_MEMORY_BYTES,
    REFRESH_WAITED_SECONDS,
    REPLICA_LAG_OPERATIONS,
    SCRUBBED_BYTES,
    SEARCH_CANCELLED_SECONDS,
    SEARCH_REJECTED,
    SEARCHES_RUNNING,
    SECURITY_DENIALS,
    SHARD_QUERY_SECONDS,
    SHARD_REQUESTS,
    SHARDS,
    SHARDS_SKIPPED,
    SPANS_DROPPED,
    SPANS_EXPORTED,
    STATE_AGE_SECONDS,
    STORE_BYTES,
    TLS_CERTIFICATE_EXPIRES_SECONDS,
    TLS_RELOAD_FAILURES,
    WRITE_PACED,
    WRITE_REJECTED,
    PROCESS_CPU_SECONDS,
    PROCESS_MAX_FDS,
    PROCESS_OPEN_FDS,
    PROCESS_RESIDENT_MEMORY_BYTES,
    PROCESS_START_TIME_SECONDS,
];

#[cfg(test)]
mod tests;
