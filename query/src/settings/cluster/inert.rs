//! Settings of the dialect that are kept and shown and change nothing.
//!
//! Does: say why each changes nothing ([`why`]), and refuse values that Elasticsearch refuses ([`check`]).
//! Does not: refuse a name that the dialect does not know, in the families that it has.
//! Source: Elasticsearch reference, *Cluster-level shard allocation and routing settings*, *Index recovery settings* and
//! *Circuit breaker settings*.

use gleaner_model::mapping::matches_pattern;

use super::refused;
use crate::error::QueryError;
use crate::units::{parse_bytes, parse_time};

/// The settings, by name or by what their names begin with, and why they change nothing.
const INERT: [(&str, &str); 14] = [
    (
        "cluster.routing.*",
        "copies are placed when an index is made or its number of replicas changes, and stay",
    ),
    ("indices.recovery.*", "recoveries are not limited"),
    (
        "indices.breaker.*",
        "`query_memory` and `memory_per_query` of each node bound what requests hold",
    ),
    (
        "network.breaker.*",
        "`body_memory` of each node bounds what bodies hold",
    ),
    ("indices.id_field_data.enabled", "there is no field data"),
    (
        "cluster.info.update.interval",
        "disks are looked at when they are asked after",
    ),
    (
        "search.max_open_scroll_context",
        "how many contexts a shard holds open is fixed",
    ),
    (
        "cluster.auto_shrink_voting_configuration",
        "there is no voting configuration",
    ),
    (
        "search.default_keep_alive",
        "a search holds nothing once it is answered, and scrolls and points in time say how long they are kept",
    ),
    (
        "search.low_level_cancellation",
        "when a search that is cancelled stops cannot be chosen",
    ),
    (
        "data_streams.lifecycle.poll_interval",
        "`indices.lifecycle.poll_interval` says how often lifecycles of data streams are looked at",
    ),
    (
        "data_streams.lifecycle.retention.*",
        "a data stream keeps its documents as long as its own lifecycle says",
    ),
    (
        "cluster.lifecycle.default.rollover",
        "when the lifecycle of a data stream begins its next index cannot be changed",
    ),
    (
        "indices.lifecycle.history_index_enabled",
        "there is no history of policies",
    ),
];

/// What a value has to be.
enum Form {
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number from -1.
    Count,
    /// A number from 0.
    Number,
    /// A time; -1 is none.
    Time,
    /// A size in bytes; -1 is none.
    Bytes,
    /// A percentage, a ratio of 1, or a size in bytes.
    Share,
}

const ENABLED: Form = Form::Word(&["all", "primaries", "new_primaries", "none"]);
const REBALANCED: Form = Form::Word(&["all", "primaries", "replicas", "none"]);
const ALLOWED: Form = Form::Word(&["always", "indices_primaries_active", "indices_all_active"]);

/// Forms of values, by patterns of names; the first that matches counts. Values of other names are any text.
#[rustfmt::skip]
const FORMS: [(&str, Form); 29] = [
    ("cluster.routing.allocation.enable", ENABLED),
    ("cluster.routing.rebalance.enable", REBALANCED),
    ("cluster.routing.allocation.allow_rebalance", ALLOWED),
    ("cluster.routing.allocation.*_recoveries", Form::Count),
    ("cluster.routing.allocation.cluster_concurrent_rebalance", Form::Count),
    ("cluster.routing.allocation.total_shards_per_node", Form::Count),
    ("cluster.routing.allocation.same_shard.host", Form::Flag),
    ("cluster.routing.allocation.balance.*", Form::Number),
    ("cluster.routing.allocation.disk.threshold_enabled", Form::Flag),
    ("cluster.routing.allocation.disk.include_relocations", Form::Flag),
    ("cluster.routing.allocation.disk.reroute_interval", Form::Time),
    ("cluster.routing.allocation.disk.watermark.*.max_headroom", Form::Bytes),
    ("cluster.routing.allocation.disk.watermark.enable_for_single_data_node", Form::Flag),
    ("cluster.routing.allocation.disk.watermark.*", Form::Share),
    ("cluster.routing.use_adaptive_replica_selection", Form::Flag),
    ("indices.recovery.*bytes_per_sec", Form::Bytes),
    ("indices.recovery.max_concurrent_*", Form::Count),
    ("indices.recovery.*timeout", Form::Time),
    ("*.breaker.*.limit", Form::Share),
    ("*.breaker.*.overhead", Form::Number),
    ("indices.id_field_data.enabled", Form::Flag),
    ("cluster.info.update.interval", Form::Time),
    ("search.max_open_scroll_context", Form::Count),
    ("cluster.auto_shrink_voting_configuration", Form::Flag),
    ("search.default_keep_alive", Form::Time),
    ("search.low_level_cancellation", Form::Flag),
    ("data_streams.lifecycle.poll_interval", Form::Time),
    ("data_streams.lifecycle.retention.*", Form::Time),
    ("indices.lifecycle.history_index_enabled", Form::Flag),
];

/// Returns why a setting changes nothing; `None` for one that is acted on, and for one that is not kept.
pub(super) fn why(key: &str) -> Option<&'static str> {
    let mut inert = INERT.iter();
    let found = inert.find(|(pattern, _)| matches_pattern(pattern, key));
    found.map(|(_, why)| *why)
}

/// Checks the value of a setting that changes nothing.
///
/// # Errors
/// `illegal_argument_exception` for what is no value of such a setting.
pub(super) fn check(key: &str, text: &str) -> Result<(), QueryError> {
    let mut forms = FORMS.iter();
    let Some((_, form)) = forms.find(|(pattern, _)| matches_pattern(pattern, key)) else {
        return Ok(());
    };
    let is_fine = match form {
        Form::Word(words) => {
            let mut known = words.iter();
            if !known.any(|word| word.eq_ignore_ascii_case(text)) {
                return Err(QueryError::illegal(format!(
                    "Failed to parse value [{text}] for setting [{key}] must be one of [{}]",
                    words.join(", ")
                )));
            }
            true
        }
        Form::Flag => text.parse::<bool>().is_ok(),
        Form::Count => text.parse::<i32>().is_ok_and(|number| number >= -1),
        Form::Number => is_within(text, f64::MAX),
        Form::Time => parse_time(text, key).map(|_| true)?,
        Form::Bytes => text == "-1" || parse_bytes(text, key).map(|_| true)?,
        Form::Share => match text.strip_suffix('%') {
            Some(percentage) => is_within(percentage, 100.0),
            None => is_within(text, 1.0) || parse_bytes(text, key).map(|_| true)?,
        },
    };
    match is_fine {
        true => Ok(()),
        false => Err(refused(key, text)),
    }
}

/// Is it a number between 0 and `most`?
fn is_within(text: &str, most: f64) -> bool {
    let number = text.trim().parse::<f64>();
    number.is_ok_and(|number| (0.0..=most).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_though_they_change_nothing() {
        for (key, good, bad) in [
            (
                "cluster.routing.allocation.enable",
                &["all", "NONE", "new_primaries"][..],
                &["some", "", "true"][..],
            ),
            (
                "cluster.routing.allocation.disk.watermark.low",
                &["85%", "0.85", "50gb"][..],
                &["lots", "101%", "-1%", "50", "nan"][..],
            ),
            (
                "cluster.routing.allocation.disk.watermark.low.max_headroom",
                &["-1", "200gb"][..],
                &["85%", "much"][..],
            ),
            (
                "cluster.routing.allocation.node_concurrent_recoveries",
                &["2", "-1"][..],
                &["few", "-2", "1.5"][..],
            ),
            (
                "cluster.routing.allocation.disk.threshold_enabled",
                &["true", "false"][..],
                &["yes"][..],
            ),
            (
                "cluster.routing.allocation.balance.shard",
                &["0.45"][..],
                &["-1", "heavy"][..],
            ),
            (
                "indices.recovery.max_bytes_per_sec",
                &["40mb", "0", "-1"][..],
                &["40", "fast"][..],
            ),
            (
                "indices.breaker.total.limit",
                &["70%", "1gb"][..],
                &["70"][..],
            ),
            (
                "network.breaker.inflight_requests.overhead",
                &["2"][..],
                &["two"][..],
            ),
            ("cluster.info.update.interval", &["30s"][..], &["30"][..]),
            (
                "data_streams.lifecycle.retention.max",
                &["30d", "-1"][..],
                &["long"][..],
            ),
            ("search.low_level_cancellation", &["true"][..], &["on"][..]),
            (
                "cluster.routing.allocation.exclude._ip",
                &["10.*"][..],
                &[][..],
            ),
        ] {
            assert!(why(key).is_some(), "{key}");
            for text in good {
                assert_eq!(check(key, text), Ok(()), "{key}: {text}");
            }
            for text in bad {
                let fault = check(key, text).expect_err(key);
                assert!(fault.reason.contains(key), "{fault}");
                assert!(fault.reason.contains(&format!("[{text}]")), "{fault}");
            }
        }
        for (pattern, _) in &FORMS {
            let key = pattern.replacen('*', "indices", 1).replace('*', "x");
            assert!(why(&key).is_some(), "{pattern}");
        }
    }
}
