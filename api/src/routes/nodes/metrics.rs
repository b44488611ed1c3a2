//! Which statistics of nodes are asked for.

use gleaner_query::json::did_you_mean;
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::request::Request;
use crate::routes::stats::Sections;

/// The sections of the dialect; [`super::process`] says which of them have something to tell here.
const KNOWN: [&str; 18] = [
    "adaptive_selection",
    "allocations",
    "breaker",
    "discovery",
    "fs",
    "http",
    "indexing_pressure",
    "indices",
    "ingest",
    "jvm",
    "os",
    "process",
    "repositories",
    "script",
    "script_cache",
    "thread_pool",
    "transport",
    "_all",
];

/// Sections of a node, and of its indices.
pub(super) struct Metrics {
    /// `None` is all.
    names: Option<Vec<String>>,
    indices: Sections,
}

impl Metrics {
    /// Reads both places of the path.
    pub(super) fn parse(request: &Request) -> Result<Self, ApiError> {
        let names = request.part("metric").map(comma_list).unwrap_or_default();
        for name in &names {
            if !KNOWN.contains(&name.as_str()) {
                let hint = match did_you_mean(name, KNOWN) {
                    hint if hint.is_empty() => hint,
                    hint => format!(" ->{hint}"),
                };
                return Err(ApiError::illegal(format!(
                    "request [/_nodes/stats/{}] contains unrecognized metric: [{name}]{hint}",
                    names.join(",")
                )));
            }
        }
        let is_all = names.is_empty() || names.iter().any(|name| name == "_all");
        Ok(Self {
            names: (!is_all).then_some(names),
            indices: Sections::parse(request.part("index_metric"))?,
        })
    }

    /// Returns whether a section is asked for.
    pub(super) fn shows(&self, section: &str) -> bool {
        match &self.names {
            None => true,
            Some(names) => names.iter().any(|name| name == section),
        }
    }

    /// Keeps what is asked for of the section `indices`.
    pub(super) fn of_indices(&self, sections: Value) -> Value {
        self.indices.kept(sections)
    }
}
