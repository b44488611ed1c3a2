//! `/topz`: what a process is busy with, in one page of JSON.
//!
//! Does: put together what the process and its machine use, the requests that are open, queues, what took most of the last
//! two minutes. Does not: count (`telemetry` and the metrics do). Called by the route `topz` and by [`crate::probes`].

use std::sync::Arc;

use gleaner_machine::Probe;
use gleaner_model::metric::{self, Metric};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};
use tokio::task::JoinError;

/// Metrics that tell how full a process is.
const GAUGES: [&Metric; 10] = [
    &metric::CONNECTIONS,
    &metric::SEARCHES_RUNNING,
    &metric::SEARCH_REJECTED,
    &metric::WRITE_PACED,
    &metric::WRITE_REJECTED,
    &metric::QUERY_MEMORY_BYTES,
    &metric::INDEXING_MEMORY_BYTES,
    &metric::CACHE_BYTES,
    &metric::REPLICA_LAG_OPERATIONS,
    &metric::SHARDS,
];

/// The process that a page describes.
#[derive(Debug, Clone)]
pub struct TopzPage {
    /// What the process does: `serve`, `root`, `leaf`, `front`, …
    pub role: String,
    /// Name of the node.
    pub node: String,
    /// Looks at the process and its machine.
    pub probe: Arc<Probe>,
}

impl TopzPage {
    /// Returns that of a process without a disk of its own.
    pub fn new(role: &str, node: &str) -> Self {
        Self {
            role: role.to_owned(),
            node: node.to_owned(),
            probe: Arc::default(),
        }
    }

    /// Returns the page. It is made on a thread that may block: a file system on a network may take long to answer.
    ///
    /// # Errors
    /// [`JoinError`] when that panicked, or the process ends.
    pub(crate) async fn page(self, metrics: Option<PrometheusHandle>) -> Result<Value, JoinError> {
        tokio::task::spawn_blocking(move || self.read(metrics.as_ref())).await
    }

    fn read(&self, metrics: Option<&PrometheusHandle>) -> Value {
        let stats = self.probe.read();
        let process = stats.process.map(|of| {
            json!({
                "pid": of.pid,
                "cpu_percent": of.cpu_percent,
                "cpu_seconds": of.cpu.as_secs_f64(),
                "resident_bytes": of.resident_bytes,
                "threads": of.num_threads,
                "open_files": of.num_open_files,
                "max_open_files": of.max_open_files,
            })
        });
        let machine = stats.machine.map(|of| {
            json!({
                "processors": of.num_processors,
                "cpu_percent": of.cpu_percent,
                "load": of.load,
                "memory_bytes": of.memory_bytes,
                "available_memory_bytes": of.available_memory_bytes,
            })
        });
        json!({
            "node": self.node,
            "role": self.role,
            "version": stats.build_version,
            "uptime_ms": u64::try_from(stats.uptime.as_millis()).unwrap_or(u64::MAX),
            "process": process,
            "machine": machine,
            "queues": metrics.map(|metrics| gauges(&metrics.render())),
            "busy": gleaner_telemetry::top(),
        })
    }
}

/// Returns the values of [`GAUGES`] on a page of metrics, by name and labels.
fn gauges(page: &str) -> Map<String, Value> {
    let values = page.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let bare = name.split('{').next()?;
        GAUGES.iter().find(|metric| metric.name == bare)?;
        Some((name.to_owned(), value.parse::<f64>().ok()?.into()))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_found_by_their_names() {
        let text = "# HELP gleaner_connections connections\ngleaner_connections{port=\"clients\"} 3\n\
                    gleaner_connections_closed_total{port=\"clients\",reason=\"idle\"} 7\ngleaner_searches_running 2\n";
        let expected =
            json!({"gleaner_connections{port=\"clients\"}": 3.0, "gleaner_searches_running": 2.0});
        assert_eq!(Value::from(gauges(text)), expected);
    }

    #[tokio::test]
    async fn a_page_has_what_the_process_uses() {
        let page = TopzPage::new("leaf", "leaf-1").page(None).await;
        let page = page.expect("read");
        assert_eq!(page["role"], "leaf");
        assert!(
            page["process"]["threads"]
                .as_u64()
                .is_some_and(|threads| threads > 0),
            "{page}"
        );
        assert!(page["busy"]["num_running"].is_u64(), "{page}");
    }
}
