//! A server in one process: coordinator, log, leaf, root and the dialect, wired.
//!
//! The same layers as on many machines; only the thick arrows are calls.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use gleaner_api::{
    ApiOptions, CacheBeyond, DiskWatermarks, Distribution as Dialect, RemoteClusters,
};
use gleaner_client::http::http_client;
use gleaner_coordinator::{Coordinator, Embedded};
use gleaner_leaf::{Leaf, LeafOptions};
use gleaner_log::{LocalLog, LogOptions, OpenReport, ShardLog};
use gleaner_model::{ClusterState, NodeId};
use gleaner_proto::LeafClient;
use gleaner_root::{LeafHandle, Root, RootOptions, leaves::SingleLeaf};
use gleaner_server::ServerOptions;
use gleaner_telemetry::AccessLog;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, task::block_in_place};

use super::edge::{self, Probes};
use super::folder::DataFolder;
use super::metrics;
use crate::config::{Config, Distribution};
use crate::descriptors;
use crate::node::membership::Membership;
use crate::overflow;
use crate::security;
use crate::tls::NodeTls;

/// A server that has its folder and its shards, and does not listen yet.
pub(crate) struct Node {
    leaf: Arc<Leaf>,
    root: Arc<Root>,
    metrics: PrometheusHandle,
    /// `None` where connections are plain.
    tls: Option<NodeTls>,
    /// What watches requests; `None` where nothing does.
    access_log: Option<AccessLog>,
    /// Kept until all else has ended.
    folder: DataFolder,
}

impl Node {
    /// Opens what lies in the folder; shards recover in the background.
    ///
    /// # Errors
    /// When the cluster state or the log cannot be opened. A damaged shard stops only itself.
    pub(crate) fn start(folder: DataFolder, config: &Config, tls: Option<NodeTls>) -> Result<Self> {
        let metrics = metrics::install()?;
        let (coordinator, log) = block_in_place(|| open(&folder, config))?;
        let options = leaf_options(&folder, config);
        let leaf = Leaf::start(options, Arc::clone(&coordinator), log);
        let leaf = leaf.context("cannot start the leaf's threads")?;
        let client: Arc<dyn LeafClient> = Arc::clone(&leaf) as Arc<dyn LeafClient>;
        let located = LeafHandle {
            node: NodeId(config.node_name.as_str().into()),
            client,
        };
        let leaves = Arc::new(SingleLeaf::new(located));
        let (options, memory) = (root_options(config), Arc::clone(leaf.memory()));
        let root = Root::with_memory(coordinator, leaves, options, now_ms, memory);
        Ok(Self {
            leaf,
            root: Arc::new(root),
            metrics,
            tls,
            access_log: None,
            folder,
        })
    }

    /// Returns it with what watches its requests.
    pub(crate) fn with_access_log(self, access_log: AccessLog) -> Self {
        Self {
            access_log: Some(access_log),
            ..self
        }
    }

    /// Answers requests until `stop` completes, then ends in order: no new connections, open
    /// requests get their grace, everything applied is committed durably.
    ///
    /// # Errors
    /// When the server itself fails; what was acknowledged is in the log either way.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        config: &Config,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let members = Membership::default();
        if config.requires_keys() {
            let coordinator = self.root.cluster().coordinator();
            security::require_keys(&**coordinator, self.folder.path()).await?;
        }
        let mut options = api_options(&listener, config, &members, self.tls.as_ref())?;
        options.server.access_log = self.access_log.clone();
        let _fresh = self.tls.as_ref().map(NodeTls::keep_fresh);
        let dialect = gleaner_api::dialect(
            Arc::clone(&self.root),
            options.clone(),
            Some(self.metrics.clone()),
        );
        let _probes = Probes::start(&config.probe_listen, dialect.clone(), &options).await?;
        let folders = self.folder.path().to_path_buf();
        let upkeep = tokio::spawn(metrics::upkeep(self.metrics.clone(), folders));
        let root = Arc::clone(&self.root);
        let lifecycles = tokio::spawn(async move { root.carry_out_lifecycles().await });
        // Clients that wait for a task are told what it did, within the grace of their requests.
        let stop = async {
            stop.await;
            self.root.tasks().begin_stop();
        };
        let served = gleaner_api::serve(listener, dialect, &options, stop).await;
        upkeep.abort();
        lifecycles.abort();
        self.root.tasks().stop().await;
        self.leaf.stop().await;
        served.context("the server failed")
    }
}

fn open(folder: &DataFolder, config: &Config) -> Result<(Arc<dyn Coordinator>, Arc<dyn ShardLog>)> {
    let initial = ClusterState {
        cluster_uuid: format!("{:032x}", rand::random::<u128>()),
        cluster_name: config.cluster_name.clone(),
        ..ClusterState::default()
    };
    folder.check_of_one_process()?;
    folder.check_whole()?;
    let coordinator =
        Embedded::open(folder.path(), initial).context("cannot open the cluster state")?;
    Ok((Arc::new(coordinator), open_log(folder)?))
}

/// Opens the log in the folder and says what was found.
pub(crate) fn open_log(folder: &DataFolder) -> Result<Arc<dyn ShardLog>> {
    let (log, report) =
        LocalLog::open(&folder.log(), LogOptions::default()).context("cannot open the log")?;
    tell(&report);
    Ok(Arc::new(log))
}

/// Says what opening the log found; a torn tail was never acknowledged, damage stops its shard.
fn tell(report: &OpenReport) {
    for shard in &report.shards {
        if let Some(cut) = &shard.cut {
            tracing::warn!(
                shard = %shard.shard,
                segment = %cut.segment.display(),
                offset = cut.offset,
                num_bytes = cut.num_bytes,
                reason = cut.reason,
                "a torn tail was cut off the log; none of it was acknowledged"
            );
        }
        if let Some(error) = &shard.failed {
            tracing::error!(shard = %shard.shard, %error, "the log of a shard is damaged");
        }
    }
}

pub(crate) fn leaf_options(folder: &DataFolder, config: &Config) -> LeafOptions {
    let defaults = LeafOptions::new(folder.indices(), now_ms);
    LeafOptions {
        search_threads: match config.search_threads {
            0 => defaults.search_threads,
            threads => threads,
        },
        search_queue: config.search_queue,
        lease: config.search_lease.0,
        lease_after: config.search_lease_after.0,
        query_memory_bytes: config.query_memory.0,
        memory_per_query_bytes: config.memory_per_query.0,
        filter_cache_bytes: config.filter_cache.0,
        document_cache_bytes: config.document_cache.0,
        indexing_memory_bytes: config.indexing_memory.in_memory(),
        write_queue_bytes: config.write_queue.in_memory(),
        flush_operations: config.flush_operations,
        flush_interval: config.flush_interval.0,
        verify_at_opening: config.verify_at_opening,
        scrub_rate: config.scrub_rate.0,
        flood_stage: config.flood_stage,
        high_watermark: config.high_watermark,
        ..defaults
    }
}

pub(crate) fn root_options(config: &Config) -> RootOptions {
    RootOptions {
        node: NodeId(config.node_name.as_str().into()),
        default_timeout: config.search_timeout.0,
        auto_create_index: config.auto_create_index,
        default_replicas: config.default_replicas,
        term_lists_memory_bytes: config.term_lists_memory.0,
        term_lists_cache_bytes: config.term_lists_cache.0,
        query_memory_bytes: config.query_memory.0,
        memory_per_query_bytes: config.memory_per_query.0,
        ..RootOptions::default()
    }
}

/// Returns how a node treats those who connect; `members` are those of its cluster.
pub(crate) fn edge_options(
    config: &Config,
    members: &Membership,
    tls: Option<&NodeTls>,
) -> Result<ApiOptions> {
    Ok(ApiOptions {
        server: ServerOptions {
            max_connections: descriptors::connections(config.max_connections),
            max_connections_per_address: config.max_connections_per_address,
            write_timeout: config.write_timeout.0,
            shutdown_grace: config.shutdown_grace.0,
            tls: tls.map(NodeTls::client_acceptor).transpose()?,
            ..ServerOptions::default()
        },
        guard: edge::guard(config, members)?,
        ..ApiOptions::default()
    })
}

pub(crate) fn api_options(
    listener: &TcpListener,
    config: &Config,
    members: &Membership,
    tls: Option<&NodeTls>,
) -> Result<ApiOptions> {
    let publish_address = match config.publish_address.as_str() {
        "" => listener
            .local_addr()
            .context("the listener has no address")?
            .to_string(),
        address => address.to_owned(),
    };
    Ok(ApiOptions {
        node_name: config.node_name.clone(),
        publish_address,
        distribution: match config.distribution {
            Distribution::Elasticsearch => Dialect::Elasticsearch,
            Distribution::Opensearch => Dialect::OpenSearch,
        },
        max_line_bytes: config.max_line.in_memory(),
        max_bulk_bytes: config.max_bulk.in_memory(),
        max_body_bytes: config.max_body.in_memory(),
        body_memory_bytes: config.body_memory.in_memory(),
        disk_watermarks: DiskWatermarks {
            high: config.high_watermark,
            flood_stage: config.flood_stage,
        },
        remote_clusters: remote_clusters(config)?,
        cache_bytes: config.cache_memory.0,
        cache_entry_bytes: config.cache_entry.0,
        cache_beyond: cache_beyond(config)?,
        security_max_age: config.security_max_age.0,
        audit: match config.secure {
            true => Some(security::audit(&config.data)?),
            false => None,
        },
        ..edge_options(config, members, tls)?
    })
}

/// Returns where answers go that fall out of the memory of the cache.
fn cache_beyond(config: &Config) -> Result<Option<CacheBeyond>> {
    let file = Some(config.cache_overflow_password_file.as_path());
    let file = file.filter(|path| !path.as_os_str().is_empty());
    let url = config.overflow_url()?.filter(|_| config.cache_memory.0 > 0);
    let beyond = url.map(|url| overflow::beyond(url, file)).transpose()?;
    Ok(beyond.map(CacheBeyond))
}

/// Returns the clusters that documents may be copied from, and what asks them.
fn remote_clusters(config: &Config) -> Result<RemoteClusters> {
    let allowed = config.reindex_remote_whitelist.split(',').map(str::trim);
    let allowed: Vec<String> = allowed
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect();
    if allowed.is_empty() {
        return Ok(RemoteClusters::default());
    }
    // A redirection would take credentials to an address that nobody allowed.
    let client = http_client(true, None)?
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot prepare the HTTP client")?;
    Ok(RemoteClusters {
        allowed,
        client: Some(client),
    })
}

/// Returns milliseconds since the epoch: the clock of the whole process.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
