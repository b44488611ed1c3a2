//! Features of the dialect that are not there as a whole: every path below theirs is refused by name.

use super::refused::refused;
use crate::endpoint::Endpoint;

pub(super) static ENDPOINTS: &[Endpoint] = &[
    refused("machine learning", &["/_ml/{*rest}", "/_cat/ml/{*rest}"]),
    refused("watches", &["/_watcher/{*rest}"]),
    refused(
        "transforms",
        &[
            "/_transform",
            "/_transform/{*rest}",
            "/_cat/transforms",
            "/_cat/transforms/{name}",
        ],
    ),
    refused(
        "rollups",
        &[
            "/_rollup/{*rest}",
            "/{index}/_rollup/data",
            "/{index}/_rollup_search",
            "/{index}/_downsample/{target}",
        ],
    ),
    refused(
        "following indices of other clusters",
        &["/_ccr/{*rest}", "/{index}/_ccr/{action}"],
    ),
    refused(
        "enrich policies",
        &[
            "/_enrich/policy",
            "/_enrich/policy/{name}/_execute",
            "/_enrich/_stats",
        ],
    ),
    refused("graph exploration", &["/{index}/_graph/explore"]),
    refused("inference", &["/_inference", "/_inference/{*rest}"]),
    refused("connectors", &["/_connector", "/_connector/{*rest}"]),
    refused(
        "search applications and behavioural analytics",
        &["/_application/{*rest}"],
    ),
    refused("query rules", &["/_query_rules", "/_query_rules/{*rest}"]),
    refused("sets of synonyms", &["/_synonyms", "/_synonyms/{*rest}"]),
    refused("Logstash pipelines", &["/_logstash/{*rest}"]),
    refused(
        "migration",
        &[
            "/_migration/{*rest}",
            "/{index}/_migration/deprecations",
            "/_create_from/{source}/{target}",
        ],
    ),
    refused(
        "searchable snapshots",
        &[
            "/_searchable_snapshots/{*rest}",
            "/{index}/_searchable_snapshots/{*rest}",
        ],
    ),
    refused("the structure of text", &["/_text_structure/{*rest}"]),
    refused("monitoring", &["/_monitoring/{*rest}"]),
    refused("profiling of machines", &["/_profiling/{*rest}"]),
    refused("autoscaling", &["/_autoscaling/{*rest}"]),
    refused("fleet", &["/_fleet/{*rest}", "/{index}/_fleet/{*rest}"]),
    refused("certificates", &["/_ssl/certificates"]),
    refused("streams of logs", &["/_streams/{*rest}"]),
    refused("nodes and shards that are wanted", &["/_internal/{*rest}"]),
    refused(
        "metering of repositories",
        &[
            "/_nodes/{node}/_repositories_metering",
            "/_nodes/{node}/_repositories_metering/{metric}",
        ],
    ),
    refused(
        "starting and stopping snapshot lifecycles",
        &[
            "/_slm/start",
            "/_slm/stop",
            "/_slm/_execute_retention",
            "/_slm/policy/{name}/_execute",
        ],
    ),
    refused(
        "clones of snapshots",
        &["/_snapshot/{name}/{snapshot}/_clone/{target}"],
    ),
    refused(
        "parts of ingest pipelines",
        &[
            "/_ingest/_simulate",
            "/_ingest/{index}/_simulate",
            "/_ingest/processor/grok",
            "/_ingest/geoip/{*rest}",
            "/_ingest/ip_location/{*rest}",
        ],
    ),
    refused(
        "searches and queries that go on",
        &[
            "/_async_search/status/{id}",
            "/_eql/search/status/{id}",
            "/_query/async",
            "/_query/async/{id}",
            "/_query/async/{id}/stop",
            "/_sql/async/{id}",
            "/_sql/async/status/{id}",
            "/_sql/async/delete/{id}",
            "/_sql/close",
        ],
    ),
    refused(
        "queries for users and roles",
        &["/_security/_query/user", "/_security/_query/role"],
    ),
    refused(
        "realms, profiles and single sign-on",
        &[
            "/_security/profile/{*rest}",
            "/_security/saml/{*rest}",
            "/_security/oidc/{*rest}",
            "/_security/enroll/{*rest}",
            "/_security/delegate_pki",
            "/_security/settings",
            "/_security/cross_cluster/api_key",
            "/_security/cross_cluster/api_key/{id}",
        ],
    ),
    refused(
        "privileges and accounts of services",
        &[
            "/_security/privilege/{name}/{privilege}",
            "/_security/service",
            "/_security/service/{name}/{*rest}",
        ],
    ),
    refused(
        "caches of security",
        &[
            "/_security/api_key/{id}/_clear_cache",
            "/_security/privilege/{name}/_clear_cache",
            "/_security/realm/{name}/_clear_cache",
            "/_security/role/{name}/_clear_cache",
        ],
    ),
    refused(
        "plugins",
        &[
            "/_plugins/{*rest}",
            "/_opendistro/{*rest}",
            "/_ltr",
            "/_ltr/{*rest}",
        ],
    ),
    refused(
        "tables of segments elsewhere",
        &[
            "/_cat/pit_segments",
            "/_cat/pit_segments/_all",
            "/_cat/segment_replication",
            "/_cat/segment_replication/{index}",
        ],
    ),
    refused(
        "pages of indices and shards",
        &[
            "/_list",
            "/_list/indices",
            "/_list/indices/{index}",
            "/_list/shards",
            "/_list/shards/{index}",
        ],
    ),
    refused(
        "weights and decommissioning of zones",
        &[
            "/_cluster/routing/awareness/{*rest}",
            "/_cluster/decommission/{*rest}",
        ],
    ),
    refused("workloads", &["/_wlm/{*rest}", "/_insights/{*rest}"]),
    refused(
        "remote stores",
        &["/_remotestore/{*rest}", "/_filecache/prune"],
    ),
    refused(
        "streaming ingestion",
        &[
            "/{index}/_bulk/stream",
            "/_bulk/stream",
            "/{index}/ingestion/{action}",
        ],
    ),
    refused("upgrades of segments", &["/_upgrade", "/{index}/_upgrade"]),
];
