//! `_license` and `_xpack`: what clients look up before they begin. There is nothing to buy: the answer is that of
//! a basic licence that is active. Of the features those are named as there that are served.

use http::Method;
use serde_json::json;

use crate::request::Request;
use crate::response::Reply;
use crate::route::{Parameter, Route};

const LICENCE: &[Parameter] = &[
    Parameter::no_effect("local", "every node answers alike"),
    Parameter::no_effect("accept_enterprise", "the licence is a basic one"),
];
const STATUS: &[Parameter] = &[Parameter::no_effect("local", "every node answers alike")];
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
        name: "license.get_trial_status",
        methods: &[Method::GET],
        paths: &["/_license/trial_status"],
        parameters: &[STATUS],
        handler: |_| Box::pin(async { Ok(ineligible("eligible_to_start_trial")) }),
        is_refused: false,
    },
    Route {
        name: "license.get_basic_status",
        methods: &[Method::GET],
        paths: &["/_license/basic_status"],
        parameters: &[STATUS],
        handler: |_| Box::pin(async { Ok(ineligible("eligible_to_start_basic")) }),
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

/// Answers that a licence cannot be started: the one there is has begun, and there is no other.
fn ineligible(what: &str) -> Reply {
    Reply::json(&json!({(what): false}))
}

fn features(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    let is_served = |name: &str| match name {
        "data_streams" | "ilm" => true,
        "security" => state.security.is_some(),
        _ => false,
    };
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
    let features = names.map(|name| {
        let is_there = is_served(name);
        let shown = json!({"available": is_there, "enabled": is_there});
        (name.to_owned(), shown)
    });
    Reply::json(&json!({
        "build": {"hash": env!("CARGO_PKG_VERSION"), "date": "1970-01-01T00:00:00Z"},
        "license": {
            "uid": state.cluster_uuid, "type": "basic", "mode": "basic", "status": "active",
        },
        "features": serde_json::Map::from_iter(features),
        "tagline": "You know, for X",
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{got, speaking};

    #[tokio::test]
    async fn features_are_there_that_are_served() {
        let features = got(&speaking(), "/_xpack").await["features"].clone();
        for (name, is_there) in [
            ("data_streams", true),
            ("ilm", true),
            ("security", false),
            ("sql", false),
        ] {
            let expected = json!({"available": is_there, "enabled": is_there});
            assert_eq!(features[name], expected, "{name}");
        }
    }

    #[tokio::test]
    async fn no_licence_can_be_started() {
        let dialect = speaking();
        for (path, expected) in [
            ("trial_status", json!({"eligible_to_start_trial": false})),
            ("basic_status", json!({"eligible_to_start_basic": false})),
        ] {
            let status: Value = got(&dialect, &format!("/_license/{path}")).await;
            assert_eq!(status, expected);
        }
    }
}
