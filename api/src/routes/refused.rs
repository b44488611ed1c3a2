//! Routes of the dialect that are known but not there yet: refused by name.

use http::Method;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::response::Reply;
use crate::route::{Parameter, Route};

const ALL: &[Method] = &[
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
];

const ALL_BUT_HEAD: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::DELETE];

/// Returns a route of something that can be asked after: it is never there, and not made.
const fn absent(name: &'static str, paths: &'static [&'static str]) -> Endpoint {
    Route {
        name,
        methods: &[Method::HEAD],
        paths,
        parameters: &[ABSENT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::exists(false)) }))
}

/// Returns a route that refuses all but to be asked whether something is there.
const fn refused_but_asked_after(name: &'static str, paths: &'static [&'static str]) -> Endpoint {
    let Endpoint { route, handler } = refused(name, paths);
    Route {
        methods: ALL_BUT_HEAD,
        ..route
    }
    .answered_by(handler)
}

/// Returns a route that refuses whatever it is asked.
pub(super) const fn refused(name: &'static str, paths: &'static [&'static str]) -> Endpoint {
    Route {
        name,
        methods: ALL,
        paths,
        parameters: &[],
        is_refused: true,
    }
    .answered_by(|request| Box::pin(async move { Err(ApiError::unsupported(request.route.name)) }))
}

const ABSENT: &[Parameter] = &[
    Parameter::no_effect("local", "there are none"),
    Parameter::no_effect("flat_settings", "there are none"),
    Parameter::no_effect("master_timeout", "there are none"),
    Parameter::no_effect("cluster_manager_timeout", "there are none"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    absent(
        "policies.exists",
        &[
            "/_slm/policy/{name}",
            "/_enrich/policy/{name}",
            "/_plugins/_ism/policies/{name}",
        ],
    ),
    refused_but_asked_after(
        "policies",
        &[
            "/_slm/policy/{name}",
            "/_enrich/policy/{name}",
            "/_plugins/_ism/policies/{name}",
        ],
    ),
    refused(
        "snapshot lifecycles",
        &["/_slm/policy", "/_slm/stats", "/_slm/status"],
    ),
    refused(
        "snapshots",
        &[
            "/_snapshot",
            "/_snapshot/{name}",
            "/_snapshot/{name}/{snapshot}",
            "/_snapshot/{name}/{snapshot}/{action}",
        ],
    ),
    refused(
        "ingest pipelines",
        &[
            "/_ingest/pipeline",
            "/_ingest/pipeline/{name}",
            "/_ingest/pipeline/_simulate",
            "/_ingest/pipeline/{name}/_simulate",
        ],
    ),
    refused(
        "stored scripts",
        &["/_scripts/{name}", "/_scripts/{name}/{context}"],
    ),
    refused(
        "search templates",
        &[
            "/_search/template",
            "/{index}/_search/template",
            "/_msearch/template",
            "/{index}/_msearch/template",
            "/_render/template",
            "/_render/template/{name}",
        ],
    ),
    refused(
        "asynchronous search",
        &[
            "/_async_search",
            "/_async_search/{id}",
            "/{index}/_async_search",
        ],
    ),
    refused(
        "shard stores",
        &["/_shard_stores", "/{index}/_shard_stores"],
    ),
    refused("dangling indices", &["/_dangling", "/_dangling/{uuid}"]),
    refused(
        "frozen indices",
        &["/{index}/_freeze", "/{index}/_unfreeze"],
    ),
    refused(
        "usage of disk and fields",
        &["/{index}/_disk_usage", "/{index}/_field_usage_stats"],
    ),
    refused(
        "reloading of search analyzers",
        &["/{index}/_reload_search_analyzers"],
    ),
    refused(
        "data streams made of aliases or followed",
        &[
            "/_data_stream/_migrate/{name}",
            "/_data_stream/_promote/{name}",
        ],
    ),
    refused(
        "settings, mappings and options of data streams",
        &[
            "/_data_stream/{name}/_settings",
            "/_data_stream/{name}/_mappings",
            "/_data_stream/{name}/_options",
        ],
    ),
    refused(
        "languages and contexts of scripts",
        &["/_script_language", "/_script_context"],
    ),
    refused("statistics of all nodes together", &["/_info/{target}"]),
    refused("data tiers", &["/_ilm/migrate_to_data_tiers"]),
    refused(
        "statistics of data stream lifecycles",
        &["/_lifecycle/stats"],
    ),
    refused(
        "remote clusters",
        &["/_resolve/cluster", "/_resolve/cluster/{name}"],
    ),
    refused("features", &["/_features", "/_features/_reset"]),
    refused(
        "secure settings",
        &[
            "/_nodes/reload_secure_settings",
            "/_nodes/{node}/reload_secure_settings",
        ],
    ),
    refused(
        "users, roles and tokens",
        &[
            "/_security/user",
            "/_security/user/{name}",
            "/_security/user/{name}/{action}",
            "/_security/role",
            "/_security/role/{name}",
            "/_security/role_mapping",
            "/_security/role_mapping/{name}",
            "/_security/privilege",
            "/_security/privilege/{name}",
            "/_security/oauth2/token",
            "/_security/service/{name}",
        ],
    ),
    refused(
        "updating several API keys at once",
        &["/_security/api_key/_bulk_update"],
    ),
    refused("making API keys for others", &["/_security/api_key/grant"]),
    refused("vector search", &["/{index}/_knn_search"]),
    refused("ES|QL", &["/_query"]),
    refused("SQL", &["/_sql", "/_sql/translate"]),
    refused(
        "SQL and PPL",
        &[
            "/_plugins/_sql",
            "/_plugins/_sql/{action}",
            "/_plugins/_ppl",
            "/_plugins/_ppl/{action}",
        ],
    ),
    refused("EQL", &["/{index}/_eql/search", "/_eql/search/{id}"]),
    refused("vector tiles", &["/{index}/_mvt/{field}/{zoom}/{x}/{y}"]),
    refused(
        "search pipelines",
        &["/_search/pipeline", "/_search/pipeline/{name}"],
    ),
    refused(
        "snapshots in tables",
        &["/_cat/snapshots", "/_cat/snapshots/{name}"],
    ),
];

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use crate::routes::parameter_tables;
    use crate::testing::{sent, speaking};

    /// Returns a path with something in place of what stands in braces.
    fn filled_in(path: &str) -> String {
        let parts = path.split('/').map(|part| match part {
            "{*rest}" => "some/more",
            part if part.starts_with('{') => "some",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    #[tokio::test]
    async fn every_refused_path_is_refused_by_the_name_of_its_feature() {
        let dialect = speaking();
        let refused = parameter_tables().filter(|route| route.is_refused);
        for (route, path) in
            refused.flat_map(|route| route.paths.iter().map(move |path| (route, path)))
        {
            let path = filled_in(path);
            for method in route
                .methods
                .iter()
                .filter(|method| *method != http::Method::HEAD)
            {
                let (status, answer) =
                    sent(&dialect, (method.as_str(), path.as_str()), &Value::Null).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {path}: {answer}");
                let expected = format!("[{}] is not supported by this version", route.name);
                assert_eq!(answer["error"]["reason"], expected, "{method} {path}");
            }
        }
    }

    /// Paths of Elasticsearch's and OpenSearch's clients.
    const OF_CLIENTS: &str = "/_ml/anomaly_detectors/a/model_snapshots/b/_upgrade/_stats \
        /_ml/trained_models/a/deployment/cache/_clear /_ml/info /_cat/ml/data_frame/analytics/a /_watcher/watch/a/_ack/b \
        /_watcher/_query/watches /_transform/a/_schedule_now /_cat/transforms /_rollup/job/a/_start /a/_rollup/data \
        /a/_rollup_search /a/_downsample/b /_ccr/auto_follow/a/pause /a/_ccr/follow /_enrich/policy/a/_execute \
        /_enrich/_stats /a/_graph/explore /_inference/completion/a /_inference /_connector/a/_filtering/_validation \
        /_application/search_application/a/_search /_query_rules/a/_rule/b /_synonyms/a/b /_logstash/pipeline/a \
        /_migration/deprecations /a/_migration/deprecations /_create_from/a/b /a/_searchable_snapshots/stats \
        /_text_structure/find_structure /_monitoring/bulk /_profiling/status /_autoscaling/capacity \
        /a/_fleet/global_checkpoints /_ssl/certificates /_streams/logs/_enable /_internal/desired_nodes/a/1 \
        /_nodes/a/_repositories_metering /_slm/start /_slm/policy/a/_execute /_snapshot/a/b/_clone/c \
        /_ingest/processor/grok /_ingest/geoip/stats /_async_search/status/a /_query/async/a/stop /_sql/close \
        /_security/_query/user /_security/saml/metadata/a /_security/profile/a/_enable \
        /_security/service/a/b/credential/token/c /_security/role/a/_clear_cache /_plugins/_knn/stats \
        /_plugins/_security/api/roles /_opendistro/_alerting/monitors /_ltr/a/_featureset/b /_cat/pit_segments \
        /_list/indices /_cluster/routing/awareness/zone/weights /_wlm/query_group/a /_remotestore/_restore";

    #[tokio::test]
    async fn no_path_of_a_client_has_no_handler() {
        let dialect = speaking();
        for path in OF_CLIENTS.split_whitespace() {
            let (status, answer) = sent(&dialect, ("POST", path), &Value::Null).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
            let reason = answer["error"]["reason"].as_str().unwrap_or_default();
            assert!(
                reason.ends_with("is not supported by this version"),
                "{path}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_known_and_not_there_is_refused_by_name() {
        let dialect = speaking();
        for (method, path, name) in [
            ("GET", "/_shard_stores", "shard stores"),
            ("GET", "/books/_shard_stores", "shard stores"),
            ("POST", "/books/_freeze", "frozen indices"),
            ("POST", "/books/_unfreeze", "frozen indices"),
            ("GET", "/_slm/policy", "snapshot lifecycles"),
            ("GET", "/_slm/stats", "snapshot lifecycles"),
            ("GET", "/_slm/status", "snapshot lifecycles"),
            ("GET", "/_security/privilege", "users, roles and tokens"),
            ("GET", "/_security/role_mapping", "users, roles and tokens"),
            (
                "POST",
                "/_security/api_key/_bulk_update",
                "updating several API keys at once",
            ),
            (
                "POST",
                "/_security/api_key/grant",
                "making API keys for others",
            ),
            ("POST", "/_sql/translate", "SQL"),
            ("POST", "/_plugins/_sql", "SQL and PPL"),
            ("POST", "/_plugins/_ppl/_explain", "SQL and PPL"),
            ("POST", "/books/_eql/search", "EQL"),
            ("POST", "/books/_mvt/place/3/1/2", "vector tiles"),
            ("PUT", "/_search/pipeline/p", "search pipelines"),
            ("GET", "/_dangling", "dangling indices"),
            ("DELETE", "/_dangling/a", "dangling indices"),
            ("GET", "/_features", "features"),
            ("POST", "/books/_disk_usage", "usage of disk and fields"),
            (
                "GET",
                "/books/_field_usage_stats",
                "usage of disk and fields",
            ),
            (
                "POST",
                "/books/_reload_search_analyzers",
                "reloading of search analyzers",
            ),
            (
                "POST",
                "/_data_stream/_migrate/a",
                "data streams made of aliases or followed",
            ),
            (
                "POST",
                "/_data_stream/_promote/a",
                "data streams made of aliases or followed",
            ),
            (
                "PUT",
                "/_data_stream/a/_settings",
                "settings, mappings and options of data streams",
            ),
            (
                "GET",
                "/_data_stream/a/_options",
                "settings, mappings and options of data streams",
            ),
            (
                "GET",
                "/_script_context",
                "languages and contexts of scripts",
            ),
            ("GET", "/_info/http", "statistics of all nodes together"),
            ("POST", "/_ilm/migrate_to_data_tiers", "data tiers"),
            ("GET", "/_resolve/cluster/a", "remote clusters"),
            (
                "GET",
                "/_lifecycle/stats",
                "statistics of data stream lifecycles",
            ),
        ] {
            let (status, answer) = sent(&dialect, (method, path), &Value::Null).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
            let expected = format!("[{name}] is not supported by this version");
            assert_eq!(answer["error"]["reason"], expected, "{path}");
        }
    }
}
