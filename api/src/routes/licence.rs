//! `_license` and `_xpack`: what clients look up before they begin. There is nothing to buy: the answer is that of
//! a basic licence that is active. Of the features those are named as there that are served. `_xpack/usage` has the
//! sections that say no more than that, or count what there is none of: searches and watches are not counted by feature.

use http::Method;
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
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

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "license.get",
        methods: &[Method::GET],
        paths: &["/_license"],
        parameters: &[LICENCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(licence(&request)) })),
    Route {
        name: "license.get_trial_status",
        methods: &[Method::GET],
        paths: &["/_license/trial_status"],
        parameters: &[STATUS],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(ineligible("eligible_to_start_trial")) })),
    Route {
        name: "license.get_basic_status",
        methods: &[Method::GET],
        paths: &["/_license/basic_status"],
        parameters: &[STATUS],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(ineligible("eligible_to_start_basic")) })),
    Route {
        name: "xpack.info",
        methods: &[Method::GET],
        paths: &["/_xpack"],
        parameters: &[XPACK],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(features(&request)) })),
    Route {
        name: "xpack.usage",
        methods: &[Method::GET],
        paths: &["/_xpack/usage"],
        parameters: &[XPACK],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(usage(&request)) })),
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

/// The features that `_xpack` of Elasticsearch 8.19 names.
const FEATURES: [&str; 27] = [
    "aggregate_metric",
    "analytics",
    "archive",
    "ccr",
    "data_streams",
    "data_tiers",
    "enrich",
    "enterprise_search",
    "eql",
    "esql",
    "frozen_indices",
    "graph",
    "ilm",
    "logsdb",
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
    "universal_profiling",
    "voting_only",
    "watcher",
];

/// Features that are not there, and what `_xpack/usage` counts of each beyond that.
const UNUSED: [(&str, &[&str]); 12] = [
    ("aggregate_metric", &[]),
    ("archive", &["indices_count"]),
    (
        "ccr",
        &["auto_follow_patterns_count", "follower_indices_count"],
    ),
    ("enrich", &[]),
    ("graph", &[]),
    ("logstash", &[]),
    ("rollup", &[]),
    ("searchable_snapshots", &["indices_count"]),
    ("slm", &[]),
    ("spatial", &[]),
    ("transform", &[]),
    ("voting_only", &[]),
];

/// Says of a feature whether it is there.
fn availability(is_there: bool) -> Value {
    json!({"available": is_there, "enabled": is_there})
}

fn usage(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    let unused = UNUSED.iter().map(|(name, counts)| {
        let mut shown = availability(false);
        for count in *counts {
            shown[*count] = 0.into();
        }
        ((*name).to_owned(), shown)
    });
    let mut shown: Map<String, Value> = unused.collect();
    let streams = state.data_streams.values();
    let num_indices: usize = streams.map(|stream| stream.indices.len()).sum();
    let mut data_streams = availability(true);
    data_streams["data_streams"] = state.data_streams.len().into();
    data_streams["indices_count"] = num_indices.into();
    shown.insert("data_streams".to_owned(), data_streams);
    Reply::json(&shown)
}

fn features(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    let is_served = |name: &str| match name {
        "data_streams" | "ilm" => true,
        "security" => state.security.is_some(),
        _ => false,
    };
    let features = FEATURES.map(|name| (name.to_owned(), availability(is_served(name))));
    Reply::json(&json!({
        "build": {"hash": env!("CARGO_PKG_VERSION"), "date": "1970-01-01T00:00:00Z"},
        "license": {
            "uid": state.cluster_uuid, "type": "basic", "mode": "basic", "status": "active",
        },
        "features": Map::from_iter(features),
        "tagline": "You know, for X",
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{FEATURES, UNUSED};
    use crate::testing::{got, speaking};

    /// Features that `_xpack/usage` leaves out: their sections count what this server does not count by feature.
    const WITHOUT_SECTION: [&str; 14] = [
        "analytics",
        "data_tiers",
        "enterprise_search",
        "eql",
        "esql",
        "frozen_indices",
        "ilm",
        "logsdb",
        "ml",
        "monitoring",
        "security",
        "sql",
        "universal_profiling",
        "watcher",
    ];

    fn keys(object: &Value) -> Vec<&str> {
        let members = object.as_object().expect("an object");
        let mut keys: Vec<&str> = members.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[tokio::test]
    async fn every_feature_has_a_section_of_usage_or_is_left_out_on_purpose() {
        let usage = got(&speaking(), "/_xpack/usage").await;
        let mut with_section: Vec<&str> = UNUSED.iter().map(|(name, _)| *name).collect();
        with_section.push("data_streams");
        with_section.sort_unstable();
        assert_eq!(keys(&usage), with_section);
        let mut all = [&with_section[..], &WITHOUT_SECTION[..]].concat();
        all.sort_unstable();
        assert_eq!(all, FEATURES, "each is in one list alone");
    }

    #[tokio::test]
    async fn features_are_there_that_are_served() {
        let features = got(&speaking(), "/_xpack").await["features"].clone();
        assert_eq!(keys(&features), FEATURES);
        for name in FEATURES {
            let is_there = ["data_streams", "ilm"].contains(&name);
            let expected = json!({"available": is_there, "enabled": is_there});
            assert_eq!(features[name], expected, "{name}");
        }
        let usage = got(&speaking(), "/_xpack/usage").await;
        let expected = json!({"available": false, "enabled": false, "indices_count": 0});
        assert_eq!(usage["archive"], expected);
        assert_eq!(
            usage["graph"],
            json!({"available": false, "enabled": false})
        );
        assert_eq!(usage["data_streams"]["data_streams"], 0);
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
