//! `_cluster/voting_config_exclusions`: nodes that are to vote for no master.
//!
//! There is no voting configuration: roots agree through the coordinator. Requests are checked and acknowledged, as test
//! suites and programs that take nodes out of a cluster send them; nothing is kept.

use http::Method;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const AT_ONCE: &str = "nothing has to be waited for";

const EXCLUDE: &[Parameter] = &[
    Parameter::honoured("node_ids"),
    Parameter::honoured("node_names"),
    Parameter::no_effect("timeout", AT_ONCE),
    Parameter::no_effect("master_timeout", AT_ONCE),
];
const CLEAR: &[Parameter] = &[
    Parameter::no_effect("wait_for_removal", AT_ONCE),
    Parameter::no_effect("master_timeout", AT_ONCE),
];

pub(in crate::routes) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "cluster.post_voting_config_exclusions",
        methods: &[Method::POST],
        paths: &["/_cluster/voting_config_exclusions"],
        parameters: &[EXCLUDE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exclude(&request) })),
    Route {
        name: "cluster.delete_voting_config_exclusions",
        methods: &[Method::DELETE],
        paths: &["/_cluster/voting_config_exclusions"],
        parameters: &[CLEAR],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::json(&json!({}))) })),
];

fn exclude(request: &Request) -> Answer {
    let names_some = |parameter: &str| {
        let given = request.parameters.get(parameter);
        given.is_some_and(|text| !comma_list(text).is_empty())
    };
    match names_some("node_names") != names_some("node_ids") {
        true => Ok(Reply::json(&json!({}))),
        false => Err(ApiError::illegal(
            "Please set node identifiers correctly. One and only one of [node_name], [node_names] and [node_ids] has \
             to be set",
        )),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn exclusions_are_acknowledged_when_they_name_nodes_in_one_way() {
        let dialect = speaking();
        let path = "/_cluster/voting_config_exclusions";
        for (method, query, expected) in [
            ("POST", "?node_names=a,b", StatusCode::OK),
            ("POST", "?node_ids=a", StatusCode::OK),
            ("DELETE", "", StatusCode::OK),
            ("DELETE", "?wait_for_removal=false", StatusCode::OK),
            ("POST", "", StatusCode::BAD_REQUEST),
            ("POST", "?node_names=", StatusCode::BAD_REQUEST),
            ("POST", "?node_ids=a&node_names=a", StatusCode::BAD_REQUEST),
        ] {
            let target = format!("{path}{query}");
            let (status, answer) = sent(&dialect, (method, &target), &Value::Null).await;
            assert_eq!(status, expected, "{method} {query}: {answer}");
            let reason = answer["error"]["reason"].as_str().unwrap_or_default();
            let is_told = reason.starts_with("Please set node identifiers");
            assert_eq!(is_told, expected != StatusCode::OK, "{answer}");
            assert!(is_told || answer == json!({}), "{answer}");
        }
    }
}
