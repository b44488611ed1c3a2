//! What the REST interface may use up and how it presents itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gleaner_cache::Beyond;
use gleaner_machine::Probe;
use gleaner_server::ServerOptions;

use crate::distribution::Distribution;
use crate::guard::Guard;
use crate::security::Audit;

/// A place where answers go that fall out of memory. Clones share it.
#[derive(Clone)]
pub struct CacheBeyond(pub Arc<dyn Beyond>);

impl fmt::Debug for CacheBeyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheBeyond")
    }
}

/// The clusters elsewhere that `_reindex` may copy documents from; by default none.
#[derive(Debug, Clone, Default)]
pub struct RemoteClusters {
    /// Their addresses, `HOST:PORT`; `*` stands for any run of characters (`reindex.remote.whitelist`).
    pub allowed: Vec<String>,
    /// Asks them; `None` where none is allowed. It must follow no redirection.
    pub client: Option<reqwest::Client>,
}

/// Shares of a disk in use, 0 to 1, as the settings of the cluster show them. Leaves go by their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskWatermarks {
    /// Below it the indices of a leaf take writes again; default 0.90.
    pub high: f64,
    /// From it on they refuse writes; default 0.95.
    pub flood_stage: f64,
}

impl Default for DiskWatermarks {
    fn default() -> Self {
        Self {
            high: 0.90,
            flood_stage: 0.95,
        }
    }
}

/// Settings of the REST interface; every number has a default.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Name of this node for people.
    pub node_name: String,
    /// Address that clients which sniff are told, `HOST:PORT`.
    pub publish_address: String,
    /// Whose dialect the server says it speaks; default Elasticsearch.
    pub distribution: Distribution,
    /// Longest first line of a request in bytes: method, target and version; default 4 KiB, as
    /// `http.max_initial_line_length`.
    pub max_line_bytes: usize,
    /// Largest body of `_bulk` in bytes, after unpacking; default 100 MiB, as
    /// `http.max_content_length`.
    pub max_bulk_bytes: usize,
    /// Largest body of any other request in bytes, after unpacking; default 32 MiB. It is held in
    /// memory while the request is read.
    pub max_body_bytes: usize,
    /// Bytes of the bodies of all requests that are being read or answered; default 1 GiB. A bulk counts
    /// with the lines that are not taken yet, and with what is packed of its answer. Beyond it requests
    /// are refused with 429, as by the dialect's breaker `in_flight_requests`.
    pub body_memory_bytes: usize,
    /// Which requests pass; default those that no web page of another origin can have sent.
    pub guard: Arc<Guard>,
    /// Largest ratio of unpacked to packed bytes of a gzip body, looked at from 1 MiB unpacked on;
    /// default 250 (gzip can reach 1,032; real bulk bodies stay below 60).
    pub max_gzip_ratio: usize,
    /// Items of a bulk that are written together; default 1,000.
    pub bulk_chunk_items: usize,
    /// Bytes of a bulk's body that are written together; default 4 MiB.
    pub bulk_chunk_bytes: usize,
    /// Searches of one `_msearch` that run at once, when the request does not say; default 8.
    pub max_concurrent_searches: usize,
    /// Longest pause between two pieces of a body; default 60 s.
    pub body_read_timeout: Duration,
    /// Time that may be spent waiting for a body, beside a second for each KiB of it; default 30 s.
    pub body_read_grace: Duration,
    /// How connections are taken, and when they end.
    pub server: ServerOptions,
    /// Bytes of the answers that are kept; default 0: none is. A root that is not in one process with its leaf
    /// asks the leaves before each is served.
    pub cache_bytes: u64,
    /// Bytes of the largest answer that is kept; default 1 MiB.
    pub cache_entry_bytes: u64,
    /// Where answers go that fall out of memory; default nowhere.
    pub cache_beyond: Option<CacheBeyond>,
    /// For how long keys are taken after the cluster state was last heard of; default 5 min. Afterwards every request
    /// except probes is refused with 503, where the cluster has keys. It should be longer than an etcd that is well is
    /// silent, which is 6 s.
    pub security_max_age: Duration,
    /// Where denials are written down; default nowhere.
    pub audit: Option<Arc<Audit>>,
    /// How full disks may be, to be told.
    pub disk_watermarks: DiskWatermarks,
    /// The clusters that documents may be copied from.
    pub remote_clusters: RemoteClusters,
    /// Reads what this process and its machine say of themselves; by default of no disk.
    pub probe: Arc<Probe>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            node_name: "gleaner-1".to_owned(),
            publish_address: "127.0.0.1:9200".to_owned(),
            distribution: Distribution::default(),
            max_line_bytes: 4 << 10,
            max_bulk_bytes: 100 << 20,
            max_body_bytes: 32 << 20,
            body_memory_bytes: 1 << 30,
            guard: Arc::default(),
            max_gzip_ratio: 250,
            bulk_chunk_items: 1_000,
            bulk_chunk_bytes: 4 << 20,
            max_concurrent_searches: 8,
            body_read_timeout: Duration::from_secs(60),
            body_read_grace: Duration::from_secs(30),
            server: ServerOptions::default(),
            cache_bytes: 0,
            cache_entry_bytes: 1 << 20,
            cache_beyond: None,
            security_max_age: Duration::from_secs(300),
            audit: None,
            disk_watermarks: DiskWatermarks::default(),
            remote_clusters: RemoteClusters::default(),
            probe: Arc::default(),
        }
    }
}
