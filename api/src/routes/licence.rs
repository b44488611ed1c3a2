//! `_license` and `_xpack`: what clients look up before they begin. There is nothing to buy: the answer is that of
//! a basic licence that is active, without any of the features that would need another one.

use http::Method;
use serde_json::json;

use crate::request::Request;
use crate::response::Reply;
use crate::route::{Parameter, Route};

const LICENCE: &[Parameter] = &[
    Parameter::no_effect("local", "every node answers alike"),
    Parameter::no_effect("accept_enterprise", "the licence is a basic one"),
];
const XPACK: &[Parameter] = &[
    Parameter::no_effect("categories", "all are answered"),
    Parameter::no_effect("accept_enterprise", "the licence is a basic one"),
    Parameter::no_effect("master_timeout", "every node answers alike"),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "license.get",
        methods: &[Method::GET],
        paths: &["/_license"],
        parameters: &[LICENCE],
        handler: |request| Box::pin(async move { Ok(licence(&request)) }),
        is_refused: false,
    },
    Route {
        name: "xpack.info",
        methods: &[Method::GET],
        paths: &["/_xpack"],
        parameters: &[XPACK],
        handler: |request| Box::pin(async move { Ok(features(&request)) }),
        is_refused: false,
    },
    Route {
        name: "xpack.usage",
        methods: &[Method::GET],
        paths: &["/_xpack/usage"],
        parameters: &[XPACK],
        handler: |_| Box::pin(async { Ok(Reply::json(&json!({}))) }),
        is_refused: false,
    },
];

fn licence(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    Reply::json(&json!({"license": {
        "status": "active",
        "uid": state.cluster_uuid,
        "type": "basic",
        "issue_date": "1970-01-01T00:00:00.000Z",
        "issue_date_in_millis": 0,
        "max_nodes": 1_000,
        "max_resource_units": null,
        "issued_to": state.cluster_name,
        "issuer": "gleaner",
        "start_date_in_millis": -1,
    }}))
}

fn features(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    let absent = json!({"available": false, "enabled": false});
    let names = [
        "aggregate_metric",
        "analytics",
        "ccr",
        "data_streams",
        "enrich",
        "eql",
        "esql",
        "graph",
        "ilm",
        "logstash",
        "ml",
        "monitoring",
        "rollup",
        "searchable_snapshots",
        "security",
        "slm",
        "spatial",
        "sql",
        "transform",
        "voting_only",
        "watcher",
    ];
    let features = names.map(|name| (name.to_owned(), absent.clone()));
    Reply::json(&json!({
        "build": {"hash": env!("CARGO_PKG_VERSION"), "date": "1970-01-01T00:00:00Z"},
        "license": {
            "uid": state.cluster_uuid, "type": "basic", "mode": "basic", "status": "active",
        },
        "features": serde_json::Map::from_iter(features),
        "tagline": "You know, for X",
    }))
}
