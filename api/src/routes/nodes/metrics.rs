//! Which statistics of nodes are asked for.

use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::metrics;
use crate::request::Request;
use crate::routes::stats::Sections;

/// The sections of the dialect; [`super::process`] says which of them have something to tell here.
const KNOWN: [&str; 17] = [
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
];

/// Sections of a node, and of its indices.
pub(super) struct Metrics {
    /// `None` is all.
    names: Option<Vec<String>>,
    indices: Sections,
}

impl Metrics {
    /// Reads both places of the path. The second is for the section `indices` alone.
    pub(super) fn parse(request: &Request) -> Result<Self, ApiError> {
        let path = request.path();
        let names = metrics::listed(path, request.part("metric"), "metric", &KNOWN)?;
        let of_indices = request.part("index_metric");
        if let Some(of_indices) = of_indices {
            let why = match &names {
                None => "all stats requested",
                Some(names) if names.iter().any(|name| name == "indices") => "",
                Some(_) => "indices stats not requested",
            };
            if !why.is_empty() {
                return Err(ApiError::illegal(format!(
                    "request [{path}] contains index metrics [{of_indices}] but {why}"
                )));
            }
        }
        Ok(Self {
            names,
            indices: Sections::parse(path, of_indices, "index metric")?,
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
