//! `_nodes`: enough for clients that sniff, and what programs that watch clusters look up once.

mod sections;

use gleaner_root::read::ShardStates;
use serde_json::{Map, Value, json};

use super::members::{INDEX_VERSIONS, Member, members, members_of};
use super::{Reports, selection, told};
use crate::parameters::comma_list;
use crate::request::{Answer, Request};
use crate::routes::address::host;
use sections::Subject;

/// What can be asked for: the metric, and the sections of it. Those without have nothing to tell here.
const METRICS: [(&str, &[&str]); 14] = [
    ("_all", &[]),
    ("_none", &[]),
    ("aggregations", &["aggregations"]),
    ("http", &["http"]),
    ("indices", &["total_indexing_buffer"]),
    ("ingest", &["ingest"]),
    ("jvm", &["jvm"]),
    ("os", &["os"]),
    ("plugins", &["plugins", "modules"]),
    ("process", &["process"]),
    ("remote_cluster_server", &[]),
    ("settings", &["settings"]),
    ("thread_pool", &["thread_pool"]),
    ("transport", &["transport"]),
];

/// The transport version of Elasticsearch 8.19.0, of `TransportVersions.csv` there. Clients read it as a number; it says
/// which dialect is spoken, not how nodes call each other.
const TRANSPORT_VERSION: u32 = 8_841_064;

/// The sections that nodes are asked for, each for its own; the others are known without.
const TOLD_BY_NODES: [&str; 4] = ["total_indexing_buffer", "jvm", "process", "thread_pool"];

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
    /// Reads a path. A word alone is a metric if all of its parts are, else it names nodes. A metric that is not known
    /// has no section, as in the dialect: Metricbeat asks for one of that kind.
    fn of(request: &Request) -> Self {
        let first = request.part("node");
        let (nodes, metrics) = match request.part("metric") {
            Some(metrics) => (first, Some(comma_list(metrics))),
            None => match first.map(comma_list) {
                Some(words) if words.iter().all(|word| is_metric(word)) => (None, Some(words)),
                _ => (first, None),
            },
        };
        let metrics = metrics.unwrap_or_default();
        let is_all = metrics.is_empty() || metrics.iter().any(|metric| metric == "_all");
        Self {
            nodes: nodes.map(str::to_owned),
            metrics: (!is_all).then_some(metrics),
        }
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
    let asked = Asked::of(&request);
    let is_flat = request.parameters.is_set("flat_settings")?;
    let listing = async {
        match asked.is_sniffing() {
            // Leaves have no address for clients: whether they are there is not waited for.
            true => members_of(&request, &ShardStates::default()),
            false => members(&request).await,
        }
    };
    let reporting = async {
        match TOLD_BY_NODES.iter().any(|section| asked.shows(section)) {
            true => Some(Reports::gather(&request).await),
            false => None,
        }
    };
    let (members, reports) = tokio::join!(listing, reporting);
    let mut nodes = Map::new();
    for member in selection::named(&request, asked.nodes.as_deref(), members)? {
        let mut node = described(&request, &member);
        let subject = Subject {
            request: &request,
            member: &member,
            told: reports.as_ref().and_then(|reports| reports.of(&member)),
        };
        let sections = subject.sections(is_flat).into_iter();
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
    let [_, newest_index] = INDEX_VERSIONS;
    json!({
        "name": member.name,
        "transport_address": member.address,
        "host": host,
        "ip": host,
        "version": request.app.options.distribution.version(),
        "transport_version": TRANSPORT_VERSION,
        "index_version": newest_index,
        "component_versions": {},
        "build_flavor": "default",
        "build_type": "gleaner",
        "build_hash": env!("CARGO_PKG_VERSION"),
        "roles": member.roles,
        "attributes": {},
    })
}
