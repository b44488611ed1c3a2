//! `_nodes/usage`: how often each route was asked of this node since it started.
//!
//! Leaves answer no clients, so they have counted nothing. Roots do not call each other: the answer names other roots as
//! failed. Aggregations are not counted by kind.

use serde_json::{Map, Value, json};

use super::members::members;
use super::selection;
use crate::parameters::metrics;
use crate::request::{Answer, Request};
use crate::response::Reply;

const METRICS: [&str; 2] = ["rest_actions", "aggregations"];

pub(super) async fn answer(request: Request) -> Answer {
    let asked = metrics::listed(request.path(), request.part("metric"), "metric", &METRICS)?;
    let is_asked = |metric: &str| {
        let asked = asked.as_ref();
        asked.is_none_or(|asked| asked.iter().any(|asked| asked == metric))
    };
    let members = selection::named(&request, request.part("node"), members(&request).await)?;
    let num_members = members.len();
    let (state, usage) = (request.root().cluster().state(), &request.app.usage);
    let mut nodes = Map::new();
    for member in members {
        let actions = match member.http_address {
            None => json!({}),
            Some(_) if member.name == request.app.options.node_name => usage.shown(),
            Some(_) => continue,
        };
        let mut node = json!({
            "timestamp": request.root().cluster().now_ms(),
            "since": usage.since_ms(),
        });
        for (metric, shown) in [("rest_actions", actions), ("aggregations", json!({}))] {
            if is_asked(metric) {
                node[metric] = shown;
            }
        }
        nodes.insert(member.id, node);
    }
    let num_told = nodes.len();
    Ok(Reply::json(&json!({
        "_nodes": {"total": num_members, "successful": num_told, "failed": num_members - num_told},
        "cluster_name": state.cluster_name,
        "nodes": Value::Object(nodes),
    })))
}
