//! Every metric there is: names, labels, units. What a room counts, it names from here.
//!
//! `docs/metrics.md` is written from [`ALL`]. A name never changes its meaning; one that goes out of
//! use is left out of the list, and its name is not given away again.

use std::fmt::Write;

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Many values, shown as quantiles, their sum and their number.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; the unit is its last word but `total`.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// Labels that each of its values has.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Answers to clients.
pub const HTTP_REQUEST_SECONDS: Metric = Metric {
    name: "gleaner_http_request_seconds",
    kind: MetricKind::Histogram,
    labels: &["route", "status"],
    help: "time from a request's head to its answer, by route and status",
};

/// Requests of a root to copies of shards.
pub const SHARD_REQUESTS: Metric = Metric {
    name: "gleaner_shard_requests_total",
    kind: MetricKind::Counter,
    labels: &["phase", "kind"],
    help: "shards asked of leaves, where there are copies to choose from: first, hedge, retry, wait",
};

/// How soon searches end that nobody waits for any more.
pub const SEARCH_CANCELLED_SECONDS: Metric = Metric {
    name: "gleaner_search_cancelled_seconds",
    kind: MetricKind::Histogram,
    labels: &[],
    help: "time from when an evaluation was called off on a leaf until it had ended",
};

/// Evaluations under way.
pub const SEARCHES_RUNNING: Metric = Metric {
    name: "gleaner_searches_running",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "evaluations on the search threads of a leaf; brief ones, which need none, left out",
};

/// Searches that a leaf has turned away.
pub const SEARCH_REJECTED: Metric = Metric {
    name: "gleaner_search_rejected_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "searches refused because too many waited for a thread",
};

/// Writes that a leaf has let wait for room.
pub const WRITE_PACED: Metric = Metric {
    name: "gleaner_write_paced_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "writes that waited because too many bytes were under way",
};

/// Writes that a leaf has turned away.
pub const WRITE_REJECTED: Metric = Metric {
    name: "gleaner_write_rejected_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "writes refused because too many bytes were under way for too long",
};

/// Shards that were left out of searches.
pub const SHARDS_SKIPPED: Metric = Metric {
    name: "gleaner_shards_skipped_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "shards not asked for hits, since nothing in them could match for what they hold",
};

/// Shard copies on a leaf.
pub const SHARDS: Metric = Metric {
    name: "gleaner_shards",
    kind: MetricKind::Gauge,
    labels: &["state"],
    help: "shard copies of this leaf that are open, opening, failed or closing",
};

/// Bitmaps of filters.
pub const FILTER_CACHE_BYTES: Metric = Metric {
    name: "gleaner_filter_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "bytes of the bitmaps in the filter cache",
};

/// Look-ups of filters.
pub const FILTER_CACHE_LOOKUPS: Metric = Metric {
    name: "gleaner_filter_cache_lookups_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    help: "look-ups in the filter cache that hit or missed",
};

/// Documents read lately.
pub const DOCUMENT_CACHE_BYTES: Metric = Metric {
    name: "gleaner_document_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "bytes of the documents in the document cache",
};

/// Look-ups of documents.
pub const DOCUMENT_CACHE_LOOKUPS: Metric = Metric {
    name: "gleaner_document_cache_lookups_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    help: "look-ups in the document cache that hit or missed",
};

/// Memory of queries.
pub const QUERY_MEMORY_BYTES: Metric = Metric {
    name: "gleaner_query_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "bytes that queries under way hold on this leaf",
};

/// Memory of documents that are not in segments yet.
pub const INDEXING_MEMORY_BYTES: Metric = Metric {
    name: "gleaner_indexing_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "bytes of segments in the making, of all shards of this leaf, estimated",
};

/// All of them, by name.
pub const ALL: [Metric; 15] = [
    DOCUMENT_CACHE_BYTES,
    DOCUMENT_CACHE_LOOKUPS,
    FILTER_CACHE_BYTES,
    FILTER_CACHE_LOOKUPS,
    HTTP_REQUEST_SECONDS,
    INDEXING_MEMORY_BYTES,
    QUERY_MEMORY_BYTES,
    SEARCH_CANCELLED_SECONDS,
    SEARCH_REJECTED,
    SEARCHES_RUNNING,
    SHARD_REQUESTS,
    SHARDS,
    SHARDS_SKIPPED,
    WRITE_PACED,
    WRITE_REJECTED,
];

/// Returns the page that lists all metrics, as Markdown.
pub fn page() -> String {
    let mut page = "# Metrics\n\n\
        `GET /metrics` on every role answers in the text format of Prometheus. A leaf looks at its \
        gauges once a second, but for `gleaner_searches_running`, which is as of now. This page is written from the list in `model/src/metric.rs`.\n\n\
        | metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "summary",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let line = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
        line.expect("a String takes all text");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_unique_and_in_the_style_of_prometheus() {
        let names = ALL.map(|metric| metric.name);
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for metric in ALL {
            let is_word = |letter: char| letter.is_ascii_lowercase() || letter == '_';
            let has_style = metric.name.starts_with("gleaner_") && metric.name.chars().all(is_word);
            assert!(has_style, "{}", metric.name);
            let is_total = metric.name.ends_with("_total");
            assert_eq!(
                is_total,
                metric.kind == MetricKind::Counter,
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn the_operators_page_names_metrics_that_there_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
        let page = std::fs::read_to_string(path).expect("the page is there");
        let words = page.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
        let named: Vec<&str> = words.filter(|word| word.starts_with("gleaner_")).collect();
        assert!(!named.is_empty());
        for name in named {
            let is_there = ALL.iter().any(|metric| metric.name == name);
            assert!(is_there, "`{name}` is no metric");
        }
    }

    #[test]
    fn the_page_lists_what_there_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, page()).expect("the page can be written");
        }
        let written = std::fs::read_to_string(path).expect("the page is there");
        assert_eq!(
            written,
            page(),
            "UPDATE=1 cargo test -p gleaner-model --lib"
        );
    }
}
