//! The flags of `gleaner serve`, each with its variable.
//!
//! A flag that is absent leaves its setting to the file and to the defaults of [`super::Config`],
//! whose fields bear the same names; a test compares them. Only `data` has another variable,
//! `GLEANER_DATA_DIR`: `GLEANER_DATA` is where shared collections are read from, and a server must
//! never take that folder for its own.

use std::path::PathBuf;

use serde::Serialize;

use super::{ByteSize, Distribution, LogFormat, Span};

/// Settings given on the command line or in the environment.
#[derive(Debug, Clone, Default, Serialize, clap::Args)]
pub(crate) struct Flags {
    /// Folder of everything that is kept; made when absent [default: gleaner-data]
    #[arg(long, env = "GLEANER_DATA_DIR", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:9200]
    #[arg(long, env = "GLEANER_LISTEN", value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Address advertised to clients that use node discovery (sniffing) [default: the one listened on]
    #[arg(long, env = "GLEANER_PUBLISH_ADDRESS", value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_address: Option<String>,
    /// Address at which probes and metrics are answered too, by a thread of its own [default: none]
    #[arg(long, env = "GLEANER_PROBE_LISTEN", value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_listen: Option<String>,
    /// Encrypt connections of clients, with certificates made in the data folder where none is given, and require API keys of them [default: false]
    #[arg(long, env = "GLEANER_SECURE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    secure: Option<bool>,
    /// Leave the API keys out of what --secure asks for: who reaches the address may read and write all documents [default: false]
    #[arg(long, env = "GLEANER_NO_KEYS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    no_keys: Option<bool>,
    /// Listen on an address that other machines reach without encrypting connections, or without API keys [default: false]
    #[arg(long, env = "GLEANER_INSECURE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
    /// Certificate to show, with those between it and its authority, in PEM [default: none]
    #[arg(long, env = "GLEANER_TLS_CERTIFICATE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_certificate: Option<PathBuf>,
    /// Key of the certificate, in PEM [default: none]
    #[arg(long, env = "GLEANER_TLS_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// Authority whose certificates other nodes must show, in PEM [default: none]
    #[arg(long, env = "GLEANER_TLS_CA", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ca: Option<PathBuf>,
    /// How long keys are taken after the cluster state was last heard of: 7s and more, or -1 for ever [default: 300s]
    #[arg(
        long,
        env = "GLEANER_SECURITY_MAX_AGE",
        value_name = "TIME",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    security_max_age: Option<Span>,
    /// Names by which clients may call this node beside its own, with commas; `*.NAME`, `*` [default: none]
    #[arg(long, env = "GLEANER_ALLOWED_HOSTS", value_name = "NAMES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_hosts: Option<String>,
    /// Clusters that `_reindex` may copy from, HOST:PORT with commas; `*` stands for anything [default: none]
    #[arg(
        long,
        env = "GLEANER_REINDEX_REMOTE_WHITELIST",
        value_name = "ADDRESSES"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    reindex_remote_whitelist: Option<String>,
    /// Name of the cluster, given when its folder is made [default: gleaner]
    #[arg(long, env = "GLEANER_CLUSTER_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<String>,
    /// Name of this node [default: gleaner-1]
    #[arg(long, env = "GLEANER_NODE_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    /// Whose dialect the server says it speaks [default: elasticsearch]
    #[arg(long, env = "GLEANER_DISTRIBUTION", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution: Option<Distribution>,
    /// What to log: error, warn, info, debug, trace, or per module [default: info,tantivy=warn]
    #[arg(long, env = "GLEANER_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "GLEANER_LOG_FORMAT", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// File with a line of JSON for each request, `-` for standard output [default: none]
    #[arg(long, env = "GLEANER_ACCESS_LOG", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<PathBuf>,
    /// File that the lines of the slow log go to instead of the log, `-` for standard output [default: none]
    #[arg(long, env = "GLEANER_SLOW_LOG", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_log: Option<PathBuf>,
    /// Collector that spans are sent to, as OTLP over HTTP [default: none]
    #[arg(long, env = "GLEANER_OTLP_ENDPOINT", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_endpoint: Option<String>,
    /// Share of the traces that clients do not record themselves that is recorded [default: 0.01]
    #[arg(long, env = "GLEANER_TRACE_SHARE", value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_share: Option<f64>,
    /// Does a write to an unknown index make it? [default: true]
    #[arg(long, env = "GLEANER_AUTO_CREATE_INDEX", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_create_index: Option<bool>,
    /// Copies beside the primary of indices that do not say [default: 1]
    #[arg(long, env = "GLEANER_DEFAULT_REPLICAS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    default_replicas: Option<u32>,
    /// Deadline of searches that name none [default: 60s]
    #[arg(long, env = "GLEANER_SEARCH_TIMEOUT", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search_timeout: Option<Span>,
    /// Share of shard requests that may go to a second copy as well [default: 0.05]
    #[arg(long, env = "GLEANER_HEDGE_SHARE", value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge_share: Option<f64>,
    /// Is the copy to ask chosen by load? Else the primary is asked first [default: true]
    #[arg(long, env = "GLEANER_CHOOSE_COPIES", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    choose_copies: Option<bool>,
    /// Threads for short queries, and as many for long ones; 0 is one per core [default: 0]
    #[arg(long, env = "GLEANER_SEARCH_THREADS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search_threads: Option<usize>,
    /// Calls that may wait for each kind of thread, up to one a shard a search [default: 1000]
    #[arg(long, env = "GLEANER_SEARCH_QUEUE", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search_queue: Option<usize>,
    /// For how long a shard that has nothing for a query shows nothing newer, so that roots need not ask it
    /// again; 0s turns that off [default: 500ms]
    #[arg(long, env = "GLEANER_SEARCH_LEASE", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search_lease: Option<Span>,
    /// How long a shard must have shown the same before it does so [default: 30s]
    #[arg(long, env = "GLEANER_SEARCH_LEASE_AFTER", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search_lease_after: Option<Span>,
    /// Memory of all queries together [default: 1gb]
    #[arg(long, env = "GLEANER_QUERY_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    query_memory: Option<ByteSize>,
    /// Memory of one query [default: 256mb]
    #[arg(long, env = "GLEANER_MEMORY_PER_QUERY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_per_query: Option<ByteSize>,
    /// Memory of cached filters [default: 128mb]
    #[arg(long, env = "GLEANER_FILTER_CACHE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_cache: Option<ByteSize>,
    /// Memory of documents that searches read lately [default: 64mb]
    #[arg(long, env = "GLEANER_DOCUMENT_CACHE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    document_cache: Option<ByteSize>,
    /// Answers to searches and counts that are kept at a root; 0 keeps none [default: 256mb]
    #[arg(long, env = "GLEANER_CACHE_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_memory: Option<ByteSize>,
    /// Largest answer that is kept, at most a 64th of all [default: 1mb]
    #[arg(long, env = "GLEANER_CACHE_ENTRY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_entry: Option<ByteSize>,
    /// Redis server, or ambassador, for answers that fall out of memory: redis://HOST:PORT [default: none]
    #[arg(long, env = "GLEANER_CACHE_OVERFLOW", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_overflow: Option<String>,
    /// File with the password of that server [default: none]
    #[arg(
        long,
        env = "GLEANER_CACHE_OVERFLOW_PASSWORD_FILE",
        value_name = "FILE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_overflow_password_file: Option<PathBuf>,
    /// Posting lists that all searches scattered by terms hold at a root [default: 1gb]
    #[arg(long, env = "GLEANER_TERM_LISTS_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    term_lists_memory: Option<ByteSize>,
    /// Posting lists that a root remembers [default: 64mb]
    #[arg(long, env = "GLEANER_TERM_LISTS_CACHE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    term_lists_cache: Option<ByteSize>,
    /// Documents not yet in segments, of all shards together [default: 128mb]
    #[arg(long, env = "GLEANER_INDEXING_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    indexing_memory: Option<ByteSize>,
    /// Writes under way before they are rejected [default: 512mb]
    #[arg(long, env = "GLEANER_WRITE_QUEUE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    write_queue: Option<ByteSize>,
    /// Operations after which a shard commits durably [default: 500000]
    #[arg(long, env = "GLEANER_FLUSH_OPERATIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_operations: Option<u64>,
    /// Longest wait for a durable commit; a restart replays the rest [default: 60s]
    #[arg(long, env = "GLEANER_FLUSH_INTERVAL", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_interval: Option<Span>,
    /// Check all files of a shard before it serves [default: true]
    #[arg(long, env = "GLEANER_VERIFY_AT_OPENING", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_at_opening: Option<bool>,
    /// Bytes a second at which files of open shards are checked, 0 for never [default: 8mb]
    #[arg(long, env = "GLEANER_SCRUB_RATE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    scrub_rate: Option<ByteSize>,
    /// Share of the disk in use from which indices refuse writes [default: 0.95]
    #[arg(long, env = "GLEANER_FLOOD_STAGE", value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flood_stage: Option<f64>,
    /// Share of the disk in use below which they take them again [default: 0.9]
    #[arg(long, env = "GLEANER_HIGH_WATERMARK", value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    high_watermark: Option<f64>,
    /// Longest first line of a request: method, path and parameters [default: 4kb]
    #[arg(long, env = "GLEANER_MAX_LINE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_line: Option<ByteSize>,
    /// Largest body of a bulk request, unpacked [default: 100mb]
    #[arg(long, env = "GLEANER_MAX_BULK", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bulk: Option<ByteSize>,
    /// Largest body of any other request, unpacked [default: 32mb]
    #[arg(long, env = "GLEANER_MAX_BODY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body: Option<ByteSize>,
    /// Bodies of all requests that are being read or answered [default: 1gb]
    #[arg(long, env = "GLEANER_BODY_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_memory: Option<ByteSize>,
    /// Connections at once, half of the open files allowed at most; others wait [default: 8192]
    #[arg(long, env = "GLEANER_MAX_CONNECTIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Connections from one address at once; 0 is half of all [default: 0]
    #[arg(long, env = "GLEANER_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections_per_address: Option<usize>,
    /// Connections of other nodes at once [default: 1024]
    #[arg(long, env = "GLEANER_MAX_RPC_CONNECTIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rpc_connections: Option<usize>,
    /// Time in which a client must take some of its answer [default: 30s]
    #[arg(long, env = "GLEANER_WRITE_TIMEOUT", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    write_timeout: Option<Span>,
    /// May pages of other origins send requests? [default: false]
    #[arg(long, env = "GLEANER_HTTP_CORS_ENABLED", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_enabled: Option<bool>,
    /// Which origins: a list with commas, `*`, or an expression between slashes [default: none]
    #[arg(long, env = "GLEANER_HTTP_CORS_ALLOW_ORIGIN", value_name = "ORIGINS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_allow_origin: Option<String>,
    /// Methods that they may use [default: OPTIONS,HEAD,GET,POST,PUT,DELETE]
    #[arg(long, env = "GLEANER_HTTP_CORS_ALLOW_METHODS", value_name = "METHODS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_allow_methods: Option<String>,
    /// Headers that they may send [default: those that clients use]
    #[arg(long, env = "GLEANER_HTTP_CORS_ALLOW_HEADERS", value_name = "HEADERS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_allow_headers: Option<String>,
    /// Headers that they may read [default: X-elastic-product]
    #[arg(long, env = "GLEANER_HTTP_CORS_EXPOSE_HEADERS", value_name = "HEADERS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_expose_headers: Option<String>,
    /// May their requests carry credentials? [default: false]
    #[arg(long, env = "GLEANER_HTTP_CORS_ALLOW_CREDENTIALS", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_allow_credentials: Option<bool>,
    /// Seconds for which browsers may remember what is allowed [default: 1728000]
    #[arg(long, env = "GLEANER_HTTP_CORS_MAX_AGE", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_cors_max_age: Option<u64>,
    /// Time that open requests have to end at shutdown [default: 30s]
    #[arg(long, env = "GLEANER_SHUTDOWN_GRACE", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown_grace: Option<Span>,
}
