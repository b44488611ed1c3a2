//! Groups of parameters that several routes share.

use crate::route::{Header, Parameter};

/// Of `preference`.
pub(crate) const ANY_COPY: &str =
    "every copy gives the same answer; `_shards:`, `_only_nodes:` and `_prefer_nodes:` are refused";
pub(crate) const AT_ONCE: &str = "metadata is changed at once or not at all";
pub(crate) const ONE_ROUND: &str = "all shards are asked in one round";
const SAME_ANSWERS: &str = "nodes of different versions give the same answers";
pub(crate) const NO_PRE_FILTER: &str =
    "shards known not to match are left out without a round of their own";

/// What every route takes.
pub(crate) const COMMON: &[Parameter] = &[
    Parameter::honoured("pretty").in_form(),
    Parameter::honoured("filter_path").in_form(),
    Parameter::honoured("format").in_form(),
    Parameter::honoured("human").in_form(),
    Parameter::no_effect("error_trace", "errors carry no stack traces"),
];

/// Names a request, for sending it again.
pub(crate) const IDEMPOTENCY_KEY: Header = Header {
    routes: &["bulk"],
    names: &["Idempotency-Key", "X-Gleaner-Idempotency-Key"],
    effect: "the same items sent again under the same key are answered as at first and not applied twice, as \
             long as the log holds them and the key is among the last 4,096 of a shard; another body under \
             it is refused with 409, as long as the key is among the last 16,384 pieces that the node was \
             sent since it started",
};

/// A body given in the URI.
pub(crate) const SOURCE: &[Parameter] = &[
    Parameter::honoured("source").in_request(),
    Parameter::honoured("source_content_type").in_request(),
];

/// How names of indices are resolved.
pub(crate) const INDICES: &[Parameter] = &[
    Parameter::honoured("ignore_unavailable").in_request(),
    Parameter::honoured("allow_no_indices").in_request(),
    Parameter::honoured("expand_wildcards").in_request(),
    Parameter::no_effect("ignore_throttled", "no index is frozen"),
];

/// Changes of metadata.
pub(crate) const METADATA: &[Parameter] = &[
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
    Parameter::no_effect("timeout", AT_ONCE),
];

/// Readings of metadata.
pub(crate) const METADATA_READ: &[Parameter] = &[
    Parameter::no_effect("local", "every node answers from the agreed state"),
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
];

/// Waiting for copies.
pub(crate) const ACTIVE_SHARDS: &[Parameter] = &[Parameter::honoured("wait_for_active_shards")];

/// Mapping types of older versions.
pub(crate) const TYPES: &[Parameter] = &[Parameter::refused(
    "include_type_name",
    "a mapping type (removed in version 8)",
)];

/// What of `_source` is returned.
pub(crate) const SOURCE_FILTER: &[Parameter] = &[
    Parameter::honoured("_source").in_request(),
    Parameter::honoured("_source_includes").in_request(),
    Parameter::honoured("_source_excludes").in_request(),
    Parameter::no_effect("_source_exclude_vectors", "there are no vectors"),
];

/// URI search.
pub(crate) const URI_QUERY: &[Parameter] = &[
    Parameter::honoured("q").in_request(),
    Parameter::honoured("df").in_request(),
    Parameter::honoured("default_operator").in_request(),
    Parameter::honoured("analyzer").in_request(),
    Parameter::honoured("analyze_wildcard").in_request(),
    Parameter::honoured("lenient").in_request(),
];

/// Which copies are asked.
pub(crate) const COPIES: &[Parameter] = &[
    Parameter::honoured("routing").in_request(),
    Parameter::no_effect("preference", ANY_COPY),
];

/// A search's own.
pub(crate) const SEARCH: &[Parameter] = &[
    Parameter::honoured("from").in_request(),
    Parameter::honoured("size").in_request(),
    Parameter::honoured("sort").in_request(),
    Parameter::honoured("track_scores").in_request(),
    Parameter::honoured("track_total_hits").in_request(),
    Parameter::honoured("explain").in_request(),
    Parameter::honoured("version").in_request(),
    Parameter::honoured("seq_no_primary_term").in_request(),
    Parameter::honoured("timeout").in_request(),
    Parameter::honoured("terminate_after").in_request(),
    Parameter::honoured("min_score").in_request(),
    Parameter::honoured("include_named_queries_score").in_request(),
    Parameter::honoured("stats").in_request(),
    Parameter::honoured("stored_fields").in_request(),
    Parameter::honoured("docvalue_fields").in_request(),
    Parameter::honoured("scroll").alone(),
    Parameter::honoured("rest_total_hits_as_int").in_form(),
    Parameter::honoured("typed_keys").in_form(),
    Parameter::honoured("allow_partial_search_results").neutral(),
    Parameter::honoured("allow_stale").neutral(),
    Parameter::honoured("min_coverage").alone(),
    Parameter::honoured("search_type").neutral(),
    Parameter::honoured("request_cache").neutral(),
    Parameter::no_effect("batched_reduce_size", ONE_ROUND),
    Parameter::no_effect("max_concurrent_shard_requests", ONE_ROUND),
    Parameter::no_effect("pre_filter_shard_size", NO_PRE_FILTER),
    Parameter::no_effect("ccs_minimize_roundtrips", "there are no remote clusters"),
    Parameter::no_effect("cancel_after_time_interval", "`timeout` bounds a search"),
    Parameter::no_effect("phase_took", "`profile` shows the phases"),
    Parameter::no_effect("force_synthetic_source", "`_source` is kept as received"),
    Parameter::no_effect("min_compatible_shard_node", SAME_ANSWERS),
    Parameter::refused("suggest_field", "suggest"),
    Parameter::refused("suggest_mode", "suggest"),
    Parameter::refused("suggest_size", "suggest"),
    Parameter::refused("suggest_text", "suggest"),
    Parameter::refused("search_pipeline", "a search pipeline"),
];

/// A write of one document.
pub(crate) const WRITE: &[Parameter] = &[
    Parameter::honoured("refresh"),
    Parameter::honoured("routing"),
    Parameter::honoured("timeout"),
    Parameter::honoured("require_alias"),
    Parameter::honoured("require_data_stream"),
    Parameter::refused("pipeline", "an ingest pipeline"),
];

/// A write of a document that the request holds.
pub(crate) const DOCUMENT_ERRORS: &[Parameter] = &[Parameter::no_effect(
    "include_source_on_error",
    "errors show the value that is wrong, never the document",
)];

/// What must hold for a write.
pub(crate) const CONDITIONS: &[Parameter] = &[
    Parameter::honoured("if_seq_no"),
    Parameter::honoured("if_primary_term"),
    Parameter::honoured("version"),
    Parameter::honoured("version_type"),
];

/// A table of `_cat`.
pub(crate) const CAT: &[Parameter] = &[
    Parameter::honoured("v"),
    Parameter::honoured("h"),
    Parameter::honoured("s"),
    Parameter::honoured("help"),
    Parameter::honoured("bytes"),
    Parameter::honoured("time"),
    Parameter::honoured("ts"),
    Parameter::no_effect("size", "counts are shown whole"),
    Parameter::no_effect("local", "every node answers from the agreed state"),
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
];
