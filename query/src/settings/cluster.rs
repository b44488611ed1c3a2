//! Settings of the cluster that requests change (`PUT /_cluster/settings`), and what they are read as.

mod inert;

use std::time::Duration;

use gleaner_model::ClusterSettings;
use serde_json::Value;

use super::auto_create::{self, AUTO_CREATE_INDEX};
use crate::error::QueryError;
use crate::limits::Limits;
use crate::units::parse_time;

/// Largest number of buckets of aggregations in one answer; a whole number, 0 or more.
pub const MAX_BUCKETS: &str = "search.max_buckets";
/// What holds where [`MAX_BUCKETS`] is not set.
pub const DEFAULT_MAX_BUCKETS: usize = 65_536;
/// Longest `keep_alive` of scrolls and points in time.
pub const MAX_KEEP_ALIVE: &str = "search.max_keep_alive";
/// Deadline of searches that name none; `-1` is what the node's own settings say.
pub const DEFAULT_SEARCH_TIMEOUT: &str = "search.default_search_timeout";

/// Whether searches that do not say it are answered without shards that fail; true where it is not set.
pub const ALLOW_PARTIAL_RESULTS: &str = "search.default_allow_partial_results";

/// Whether indices may be closed; true where it is not set.
pub const CLOSE_ENABLED: &str = "cluster.indices.close.enable";

/// Whether indices may be deleted, closed, opened and blocked by their whole names only; true where it is not set.
pub const DESTRUCTIVE_REQUIRES_NAME: &str = "action.destructive_requires_name";

/// Most clauses of a query; as [`Limits::clauses`].
pub const MAX_CLAUSES: &str = "indices.query.bool.max_clause_count";
/// Deepest nesting of queries; as [`Limits::query_depth`].
pub const MAX_NESTED_DEPTH: &str = "indices.query.bool.max_nested_depth";
/// Most terms that one scored pattern stands for; as [`Limits::expansions`].
pub const MAX_EXPANSIONS: &str = "indices.query.max_expansions";
/// Longest query string in bytes; as [`Limits::query_string_bytes`].
pub const MAX_QUERY_STRING: &str = "search.query.max_query_string_length";

/// How often policies and lifecycles of data streams are looked at, a second or more.
pub const LIFECYCLE_POLL_INTERVAL: &str = "indices.lifecycle.poll_interval";
/// What holds where [`LIFECYCLE_POLL_INTERVAL`] is not set, as in Elasticsearch.
pub const DEFAULT_LIFECYCLE_POLL_INTERVAL: Duration = Duration::from_secs(600);

/// Most copies of shards for each leaf, 1 or more; an index that would make more is not created.
pub const MAX_SHARDS_PER_NODE: &str = "cluster.max_shards_per_node";
/// What holds where [`MAX_SHARDS_PER_NODE`] is not set, as in Elasticsearch.
pub const DEFAULT_MAX_SHARDS_PER_NODE: usize = 1_000;

/// Settings that are taken with this one value, which is how things are.
const FIXED: [(&str, &str); 4] = [
    ("search.allow_expensive_queries", "true"),
    ("cluster.blocks.read_only", "false"),
    ("cluster.blocks.read_only_allow_delete", "false"),
    ("xpack.monitoring.collection.enabled", "false"),
];

/// What users keep in the cluster for themselves.
const METADATA: &str = "cluster.metadata.";

/// What the settings of features begin with that are not there.
const FEATURES: &str = "xpack.";

/// How levels of the log are set: by node, when it is started.
const LOGGER: &str = "logger.";

/// Returns why a setting that is kept and shown changes nothing; `None` for one that is acted on, and for one that is
/// not kept.
pub fn without_effect(key: &str) -> Option<&'static str> {
    inert::why(key)
}

/// Where a limit is kept.
type Place = fn(&mut Limits) -> &mut usize;

/// The limits on requests that can be set, each with the most that it may be; the least is 1.
const LIMITS: [(&str, usize, Place); 4] = [
    (MAX_CLAUSES, Limits::MAX_CLAUSES, |limits| {
        &mut limits.clauses
    }),
    (MAX_NESTED_DEPTH, Limits::MAX_QUERY_DEPTH, |limits| {
        &mut limits.query_depth
    }),
    (MAX_EXPANSIONS, Limits::MAX_EXPANSIONS, |limits| {
        &mut limits.expansions
    }),
    (MAX_QUERY_STRING, Limits::MAX_QUERY_STRING_BYTES, |limits| {
        &mut limits.query_string_bytes
    }),
];

/// Returns `limits` as `settings` change them. Bodies may nest as deep as their queries need.
pub fn limits(settings: ClusterSettings<'_>, mut limits: Limits) -> Limits {
    if settings.is_empty() {
        return limits;
    }
    for (key, most, place) in LIMITS {
        if let Some(given) = number(settings, key) {
            *place(&mut limits) = given.clamp(1, most);
        }
    }
    if limits.query_depth > Limits::default().query_depth {
        limits.json_depth = MOST_JSON_DEPTH;
    }
    limits
}

/// Levels at which the JSON reader itself stops.
const MOST_JSON_DEPTH: usize = 127;

/// Returns the value of a setting as it is kept and shown: as text. `kind` is `persistent` or `transient`.
///
/// # Errors
/// `illegal_argument_exception` where nothing reads such a setting, or not such a value.
pub fn checked(kind: &str, key: &str, value: &Value) -> Result<Value, QueryError> {
    if key == AUTO_CREATE_INDEX {
        return auto_create::checked(value).map(Value::String);
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => return Err(refused(key, &other.to_string())),
    };
    match key {
        // A pattern resets settings, and is none.
        _ if key.contains('*') => check_as_it_is(kind, key, &text)?,
        MAX_BUCKETS => {
            let most = text.parse::<u32>();
            most.map_err(|_| refused(key, &text))?;
        }
        _ if let Some((_, most, _)) = LIMITS.iter().find(|limit| limit.0 == key) => {
            let given = text.parse::<usize>().map_err(|_| refused(key, &text))?;
            if !(1..=*most).contains(&given) {
                return Err(QueryError::illegal(format!(
                    "Failed to parse value [{text}] for setting [{key}] must be between 1 and {most}"
                )));
            }
        }
        MAX_KEEP_ALIVE => {
            parse_time(&text, key)?.ok_or_else(|| refused(key, &text))?;
        }
        LIFECYCLE_POLL_INTERVAL => {
            let least = Duration::from_secs(1);
            if parse_time(&text, key)?.is_none_or(|every| every < least) {
                return Err(QueryError::illegal(format!(
                    "failed to parse value [{text}] for setting [{key}], must be >= [1s]"
                )));
            }
        }
        DEFAULT_SEARCH_TIMEOUT => {
            parse_time(&text, key)?;
        }
        MAX_SHARDS_PER_NODE => {
            let most = text.parse::<u32>().map_err(|_| refused(key, &text))?;
            if most == 0 {
                return Err(QueryError::illegal(format!(
                    "Failed to parse value [{text}] for setting [{key}] must be >= 1"
                )));
            }
        }
        DESTRUCTIVE_REQUIRES_NAME | ALLOW_PARTIAL_RESULTS | CLOSE_ENABLED => {
            text.parse::<bool>().map_err(|_| refused(key, &text))?;
        }
        _ if without_effect(key).is_some() => inert::check(key, &text)?,
        _ if key.starts_with(METADATA) => {}
        _ => check_as_it_is(kind, key, &text)?,
    }
    Ok(Value::String(text))
}

/// Takes a setting whose value says how things are; refuses all others. What nothing would read must not be acknowledged.
fn check_as_it_is(kind: &str, key: &str, text: &str) -> Result<(), QueryError> {
    let mut fixed = FIXED.iter();
    let why = match fixed.find(|(fixed, _)| *fixed == key) {
        Some((_, value)) if *value == text => return Ok(()),
        Some((_, value)) => format!(" of [{text}] is not supported, only [{value}] is"),
        None if key.starts_with(LOGGER) => {
            " is not supported: a node takes the levels of its log from `--log` when it is started"
                .to_owned()
        }
        None if key.starts_with(FEATURES) => " is not supported".to_owned(),
        None => ", not recognized".to_owned(),
    };
    Err(QueryError::illegal(format!("{kind} setting [{key}]{why}")))
}

/// Returns the time that `settings` have under `key`, `None` where they leave it to the node.
pub fn time(settings: ClusterSettings<'_>, key: &str) -> Option<Duration> {
    parse_time(settings.get(key)?.as_str()?, key).ok().flatten()
}

/// Returns the number that `settings` have under `key`, `None` where they leave it to the node.
pub fn number(settings: ClusterSettings<'_>, key: &str) -> Option<usize> {
    settings.get(key)?.as_str()?.parse().ok()
}

/// Returns the flag that `settings` have under `key`, `None` where they leave it to the node.
pub fn flag(settings: ClusterSettings<'_>, key: &str) -> Option<bool> {
    settings.get(key)?.as_str()?.parse().ok()
}

/// Refuses an expression that would delete, close, open or block what it does not name, unless `settings` ask for no names.
///
/// # Errors
/// `illegal_argument_exception`.
pub fn check_destructive(
    settings: ClusterSettings<'_>,
    expression: &str,
) -> Result<(), QueryError> {
    let is_set = flag(settings, DESTRUCTIVE_REQUIRES_NAME) != Some(false);
    let is_wide = |name: &str| name.is_empty() || name == "_all" || name.contains('*');
    // It names nothing, and says so.
    if is_set && expression != "*,-*" && expression.split(',').any(is_wide) {
        return Err(QueryError::illegal(
            "Wildcard expressions or all indices are not allowed",
        ));
    }
    Ok(())
}

fn refused(key: &str, text: &str) -> QueryError {
    QueryError::illegal(format!(
        "Failed to parse value [{text}] for setting [{key}]"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::{Map, json};

    use super::*;

    fn checked(key: &str, value: &Value) -> Result<Value, QueryError> {
        super::checked("persistent", key, value)
    }

    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

    fn persistent(settings: &Map<String, Value>) -> ClusterSettings<'_> {
        ClusterSettings::new(settings, &NONE)
    }

    #[test]
    fn limits_are_those_that_are_set() {
        let mut settings = Map::new();
        for (key, most, place) in LIMITS {
            for given in [0, most + 1] {
                assert!(checked(key, &json!(given)).is_err(), "{key}: {given}");
            }
            let most_text = checked(key, &json!(most)).expect("taken");
            settings.insert(key.to_owned(), most_text);
            let set = &mut limits(persistent(&settings), Limits::default());
            assert_eq!(*place(set), most, "{key}");
            settings.insert(key.to_owned(), checked(key, &json!("1")).expect("taken"));
            let set = &mut limits(persistent(&settings), Limits::default());
            assert_eq!(*place(set), 1, "{key}");
        }
        assert_eq!(
            limits(persistent(&Map::new()), Limits::default()),
            Limits::default(),
            "nothing is set"
        );
    }

    #[test]
    fn the_page_tells_limits_as_they_are() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let page = page.replace(',', "");
        for (key, most, place) in LIMITS {
            let default = *place(&mut Limits::default());
            let row = format!("| `{key}` | `{default}` | 1 to {most} |");
            assert!(page.contains(&row), "{row}");
        }
        for row in [
            format!("| `{MAX_BUCKETS}` | `{DEFAULT_MAX_BUCKETS}` |"),
            format!("| `{MAX_SHARDS_PER_NODE}` | `{DEFAULT_MAX_SHARDS_PER_NODE}` |"),
            format!("| `{MAX_KEEP_ALIVE}` | `24h` |"),
            format!("| `{DEFAULT_SEARCH_TIMEOUT}` | `-1` |"),
            format!("| `{DESTRUCTIVE_REQUIRES_NAME}` | `true` |"),
            format!("| `{ALLOW_PARTIAL_RESULTS}` | `true` |"),
            format!("| `{CLOSE_ENABLED}` | `true` |"),
        ] {
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn what_is_taken_can_be_read_and_nothing_else_is_taken() {
        let mut settings = Map::new();
        for (key, value) in [
            (MAX_BUCKETS, json!(12)),
            (MAX_KEEP_ALIVE, json!("2m")),
            (DEFAULT_SEARCH_TIMEOUT, json!("-1")),
            (DESTRUCTIVE_REQUIRES_NAME, json!(true)),
            (ALLOW_PARTIAL_RESULTS, json!(false)),
            (CLOSE_ENABLED, json!("false")),
            ("search.default_keep_alive", json!("5m")),
            ("cluster.routing.allocation.enable", json!("none")),
            ("indices.breaker.total.limit", json!("70%")),
            (MAX_SHARDS_PER_NODE, json!("2000")),
            ("search.allow_expensive_queries", json!(true)),
            ("cluster.blocks.read_only", json!(false)),
            ("cluster.metadata.administrator", json!("kim")),
            ("indices.id_field_data.enabled", json!(false)),
        ] {
            let kept = checked(key, &value).expect("taken");
            settings.insert(key.to_owned(), kept);
        }
        assert_eq!(number(persistent(&settings), MAX_BUCKETS), Some(12));
        assert_eq!(
            time(persistent(&settings), MAX_KEEP_ALIVE),
            Some(Duration::from_secs(120))
        );
        assert_eq!(time(persistent(&settings), DEFAULT_SEARCH_TIMEOUT), None);
        for key in [ALLOW_PARTIAL_RESULTS, CLOSE_ENABLED] {
            assert_eq!(flag(persistent(&settings), key), Some(false), "{key}");
            assert_eq!(flag(persistent(&Map::new()), key), None, "{key}");
        }
        let unset = Map::new();
        let mut off = Map::new();
        off.insert(DESTRUCTIVE_REQUIRES_NAME.to_owned(), json!("false"));
        for (expression, is_named) in [
            ("a,b", true),
            ("*,-*", true),
            ("a*,b", false),
            ("_all", false),
            ("*", false),
            ("*,-b", false),
            ("", false),
        ] {
            for settings in [&settings, &unset] {
                let checked = check_destructive(persistent(settings), expression);
                assert_eq!(checked.is_ok(), is_named, "{expression}");
            }
            assert!(check_destructive(persistent(&off), expression).is_ok());
        }
        for (key, value) in [
            (MAX_BUCKETS, json!(-1)),
            (MAX_BUCKETS, json!("many")),
            (MAX_BUCKETS, json!(true)),
            (MAX_KEEP_ALIVE, json!("-1")),
            (MAX_KEEP_ALIVE, json!("2")),
            (DEFAULT_SEARCH_TIMEOUT, json!("soon")),
            (DESTRUCTIVE_REQUIRES_NAME, json!("perhaps")),
            (ALLOW_PARTIAL_RESULTS, json!("perhaps")),
            ("search.default_keep_alive", json!("long")),
            (MAX_SHARDS_PER_NODE, json!(0)),
            (MAX_SHARDS_PER_NODE, json!("all")),
            ("logger.index.search", json!("debug")),
            ("search.unheard_of", json!(1)),
            ("search.unheard_of", json!(true)),
            ("search.allow_expensive_queries", json!(false)),
            ("cluster.blocks.read_only", json!(true)),
            ("cluster.routing.allocation.enable", json!("some")),
            ("cluster.metadata.teams", json!(["a"])),
            ("cluster.metadata.*", json!("a")),
            ("cluster.routing.*", json!("a")),
        ] {
            let fault = checked(key, &value).expect_err("refused");
            assert!(fault.reason.contains(key), "{fault}");
            let fault = super::checked("transient", key, &value).expect_err("refused");
            assert!(!fault.reason.contains("persistent"), "{fault}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_supported() {
        for (key, value, expected) in [
            (
                "xpack.monitoring.collection.enabled",
                json!(true),
                "persistent setting [xpack.monitoring.collection.enabled] of [true] is not supported, only [false] is",
            ),
            (
                "cluster.blocks.read_only",
                json!("true"),
                "persistent setting [cluster.blocks.read_only] of [true] is not supported, only [false] is",
            ),
            (
                "xpack.watcher.enabled",
                json!(true),
                "persistent setting [xpack.watcher.enabled] is not supported",
            ),
        ] {
            let fault = checked(key, &value).expect_err("refused");
            assert_eq!(fault.reason, expected);
        }
    }
}
