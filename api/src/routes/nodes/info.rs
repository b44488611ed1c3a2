//! `_nodes`: enough for clients that sniff.

use gleaner_root::read::ShardStates;
use serde_json::{Map, Value, json};

use super::members::{Member, members, members_of};
use super::{host, selection, told};
use crate::error::ApiError;
use crate::parameters::{comma_list, metrics as metric_names};
use crate::request::Request;
use crate::route::Answer;

/// What can be asked for: the metric, and the sections of it. Those without have nothing to tell here.
const METRICS: [(&str, &[&str]); 14] = [
    ("_all", &[]),
    ("_none", &[]),
    ("aggregations", &[]),
    ("http", &["http"]),
    ("indices", &[]),
    ("ingest", &["ingest"]),
    ("jvm", &[]),
    ("os", &["os"]),
    ("plugins", &["plugins", "modules"]),
    ("process", &["process"]),
    ("remote_cluster_server", &[]),
    ("settings", &[]),
    ("thread_pool", &[]),
    ("transport", &["transport"]),
];

fn is_metric(word: &str) -> bool {
    METRICS.iter().any(|(metric, _)| *metric == word)
}

/// What a path asks for.
struct Asked {
    /// Which nodes; `None` is all.
    nodes: Option<String>,
    /// Which sections; `None` is all.
    metrics: Option<Vec<String>>,
}

impl Asked {
    /// Reads a path. A word alone is a metric if all of its parts are, else it names nodes.
    fn of(request: &Request) -> Result<Self, ApiError> {
        let first = request.part("node");
        let (nodes, metrics) = match request.part("metric") {
            Some(metrics) => (first, Some(comma_list(metrics))),
            None => match first.map(comma_list) {
                Some(words) if words.iter().all(|word| is_metric(word)) => (None, Some(words)),
                _ => (first, None),
            },
        };
        let metrics = metrics.unwrap_or_default();
        let known = METRICS.map(|(metric, _)| metric);
        metric_names::check(request.path(), &metrics, "metric", &known)?;
        let is_all = metrics.is_empty() || metrics.iter().any(|metric| metric == "_all");
        Ok(Self {
            nodes: nodes.map(str::to_owned),
            metrics: (!is_all).then_some(metrics),
        })
    }

    /// Does the path ask for addresses alone? So do clients that sniff, and wait for a part of a second.
    fn is_sniffing(&self) -> bool {
        let metrics = self.metrics.as_deref();
        metrics.is_some_and(|metrics| metrics.len() == 1 && metrics[0] == "http")
    }

    /// Returns whether a section is asked for.
    fn shows(&self, section: &str) -> bool {
        let Some(asked) = &self.metrics else {
            return true;
        };
        let mut metrics = METRICS.iter();
        let metric = metrics.find(|(_, sections)| sections.contains(&section));
        metric.is_some_and(|(metric, _)| asked.iter().any(|asked| asked == metric))
    }
}

pub(super) async fn info(request: Request) -> Answer {
    let asked = Asked::of(&request)?;
    let members = match asked.is_sniffing() {
        // Leaves have no address for clients: whether they are there is not waited for.
        true => members_of(&request, &ShardStates::default()),
        false => members(&request).await,
    };
    let mut nodes = Map::new();
    for member in selection::named(&request, asked.nodes.as_deref(), members)? {
        let mut node = described(&request, &member);
        let sections = sections(&request, &member).into_iter();
        for (name, section) in sections.filter(|(name, _)| asked.shows(name)) {
            node[name] = section;
        }
        nodes.insert(member.id, node);
    }
    told(&request, &nodes)
}

/// Returns what is always told of a node.
fn described(request: &Request, member: &Member) -> Value {
    let host = host(&member.address);
    json!({
        "name": member.name,
        "transport_address": member.address,
        "host": host,
        "ip": host,
        "version": request.app.options.distribution.version(),
        "build_flavor": "default",
        "build_type": "gleaner",
        "build_hash": env!("CARGO_PKG_VERSION"),
        "roles": member.roles,
        "attributes": {},
    })
}

/// Returns the sections of a node, by name. Only the node that answers tells the number of its process.
fn sections(request: &Request, member: &Member) -> Vec<(&'static str, Value)> {
    let options = &request.app.options;
    let address = &member.address;
    let num_processors = gleaner_machine::num_processors();
    let os = json!({
        "name": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "available_processors": num_processors,
        "allocated_processors": num_processors,
    });
    let transport = json!({
        "bound_address": [address],
        "publish_address": address,
        "profiles": {},
    });
    let mut sections = vec![
        ("os", os),
        ("plugins", json!([])),
        ("modules", json!([])),
        ("ingest", json!({"processors": []})),
        ("transport", transport),
    ];
    if member.name == options.node_name {
        let process = json!({"id": std::process::id(), "mlockall": false});
        sections.push(("process", process));
    }
    if let Some(address) = &member.http_address {
        let http = json!({
            "bound_address": [address],
            "publish_address": address,
            "max_content_length_in_bytes": options.max_bulk_bytes,
        });
        sections.push(("http", http));
    }
    sections
}
