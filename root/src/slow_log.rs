//! The slow log: searches and writes that passed a threshold of their index, a line each.
//!
//! Called where a search or a write has its answer. Costs nothing where no index has thresholds. The root logs
//! what the client waited for, not each shard; all lines have the target `slow_log`.

use std::time::Duration;

use gleaner_model::{IndexMeta, ShardKey, SlowLevel};
use gleaner_query::search::SearchRequest;
use gleaner_telemetry::{QueryKey, TraceContext};

use crate::origin::{Origin, shown};
use crate::plan::IndexPlan;
use crate::response::SearchResponse;

/// What a search took.
pub(crate) struct SearchTimes {
    /// Until its hits were known.
    pub(crate) query: Duration,
    /// Until its documents were fetched, from then on.
    pub(crate) fetch: Duration,
}

/// Logs a search for each of its indices that calls it slow.
pub(crate) fn note_search(
    plans: &[IndexPlan],
    request: &SearchRequest,
    origin: &Origin,
    response: &SearchResponse,
    times: &SearchTimes,
) {
    for index in plans.iter().map(|plan| &plan.index) {
        let slow_log = &index.settings.slow_log;
        if slow_log.is_off() {
            continue;
        }
        let phases = [
            ("query", slow_log.query, times.query),
            ("fetch", slow_log.fetch, times.fetch),
        ];
        for (phase, thresholds, took) in phases {
            let Some(level) = thresholds.passed_by(took) else {
                continue;
            };
            let asked = gleaner_telemetry::current();
            let line = SlowSearch {
                index: index.name.as_str(),
                phase,
                took,
                response,
                source: source_of(request, origin),
                opaque_id: origin.opaque_id.as_deref().unwrap_or_default(),
                trace_id: asked.context().map(TraceContext::trace_hex),
                query_key: asked.read(|facts| facts.query_key).flatten(),
            };
            line.log(level);
        }
    }
}

/// Returns the start of the body that was sent, or of the query where it came in the URI.
fn source_of(request: &SearchRequest, origin: &Origin) -> String {
    match (origin.source.is_empty(), &request.query) {
        (false, _) => shown(&origin.source),
        (true, Some(query)) => shown(format!("{query:?}").as_bytes()),
        (true, None) => String::new(),
    }
}

/// A line of the slow log.
struct SlowSearch<'a> {
    index: &'a str,
    phase: &'static str,
    took: Duration,
    response: &'a SearchResponse,
    source: String,
    opaque_id: &'a str,
    trace_id: Option<String>,
    query_key: Option<QueryKey>,
}

impl SlowSearch<'_> {
    fn log(&self, level: SlowLevel) {
        let total = self.response.total.as_ref();
        let hits = total.map_or_else(String::new, |total| match total.is_exact {
            true => format!("{}", total.value),
            false => format!("{}+", total.value),
        });
        let shards = &self.response.shards;
        // Levels of a threshold are those of the dialect; what passes one is meant to be seen.
        macro_rules! line {
            ($log:ident) => {
                tracing::$log!(
                    target: "slow_log",
                    index = self.index,
                    phase = self.phase,
                    threshold = level.name(),
                    took_ms = self.took.as_millis() as u64,
                    total_hits = hits,
                    total_shards = shards.total,
                    failed_shards = shards.failures.len(),
                    timed_out = self.response.timed_out,
                    opaque_id = self.opaque_id,
                    trace_id = self.trace_id,
                    query_key = self.query_key.map(tracing::field::display),
                    source = self.source,
                    "slow search"
                )
            };
        }
        match level {
            SlowLevel::Warn => line!(warn),
            SlowLevel::Info | SlowLevel::Debug | SlowLevel::Trace => line!(info),
        }
    }
}

/// Logs what a request wrote to `shard` when the index calls it slow.
pub(crate) fn note_write(index: &IndexMeta, shard: ShardKey, num_documents: usize, took: Duration) {
    let Some(level) = index.settings.slow_log.index.passed_by(took) else {
        return;
    };
    let context = gleaner_telemetry::current().context();
    let trace_id = context.map(TraceContext::trace_hex);
    macro_rules! line {
        ($log:ident) => {
            tracing::$log!(
                target: "slow_log",
                index = index.name.as_str(),
                %shard,
                threshold = level.name(),
                took_ms = took.as_millis() as u64,
                num_documents,
                trace_id,
                "slow write"
            )
        };
    }
    match level {
        SlowLevel::Warn => line!(warn),
        SlowLevel::Info | SlowLevel::Debug | SlowLevel::Trace => line!(info),
    }
}
