//! Routes of the dialect that are known but not there yet: refused by name.

use http::Method;

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
const fn absent(name: &'static str, paths: &'static [&'static str]) -> Route {
    Route {
        name,
        methods: &[Method::HEAD],
        paths,
        parameters: &[ABSENT],
        handler: |_| Box::pin(async { Ok(Reply::exists(false)) }),
        is_refused: false,
    }
}

/// Returns a route that refuses all but to be asked whether something is there.
const fn refused_but_asked_after(name: &'static str, paths: &'static [&'static str]) -> Route {
    Route {
        methods: ALL_BUT_HEAD,
        ..refused(name, paths)
    }
}

/// Returns a route that refuses whatever it is asked.
const fn refused(name: &'static str, paths: &'static [&'static str]) -> Route {
    Route {
        name,
        methods: ALL,
        paths,
        parameters: &[],
        handler: |request| Box::pin(async move { Err(ApiError::unsupported(request.route.name)) }),
        is_refused: true,
    }
}

const ABSENT: &[Parameter] = &[
    Parameter::no_effect("local", "there are none"),
    Parameter::no_effect("flat_settings", "there are none"),
    Parameter::no_effect("master_timeout", "there are none"),
    Parameter::no_effect("cluster_manager_timeout", "there are none"),
];

pub(super) static ROUTES: &[Route] = &[
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
    refused("allocation", &["/_cluster/reroute"]),
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
            "/_security/role_mapping/{name}",
            "/_security/privilege/{name}",
            "/_security/oauth2/token",
            "/_security/service/{name}",
            "/_security/api_key/{id}",
            "/_security/api_key/grant",
            "/_security/_query/api_key",
        ],
    ),
    refused("vector search", &["/{index}/_knn_search"]),
    refused("ES|QL", &["/_query"]),
    refused("SQL", &["/_sql"]),
    refused(
        "snapshots in tables",
        &["/_cat/snapshots", "/_cat/snapshots/{name}"],
    ),
];
