//! Names and wildcards of data streams.

use std::collections::BTreeMap;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ClusterState, DataStream, IndexName};

use super::{ExpandWildcards, not_found};
use crate::error::QueryError;

/// Returns the data streams that names and wildcards, separated by commas, stand for, each once and by name. Wildcards
/// leave out hidden ones, unless `expand` has them or both begin with a dot. What begins with `-`, behind a wildcard, is taken
/// out again.
///
/// # Errors
/// `index_not_found_exception` for a name that no data stream bears.
pub fn resolve_streams<'a>(
    expression: &str,
    state: &'a ClusterState,
    expand: ExpandWildcards,
) -> Result<Vec<(&'a IndexName, &'a DataStream)>, QueryError> {
    let mut found = BTreeMap::new();
    let mut has_wildcard = false;
    for item in expression.split(',').map(str::trim) {
        match item.strip_prefix('-') {
            Some(excluded) if has_wildcard => {
                found.retain(|name: &&IndexName, _| !matches_pattern(excluded, name.as_str()));
            }
            _ if is_pattern(item) => {
                has_wildcard = true;
                let streams = state.data_streams.iter();
                found.extend(
                    streams.filter(|(name, stream)| stands_for(item, name, stream, expand)),
                );
            }
            _ => found.extend([named(item, state)?]),
        }
    }
    Ok(found.into_iter().collect())
}

fn named<'a>(
    name: &str,
    state: &'a ClusterState,
) -> Result<(&'a IndexName, &'a DataStream), QueryError> {
    let stream = state.data_streams.get_key_value(name);
    stream.ok_or_else(|| not_found(name))
}

fn is_pattern(name: &str) -> bool {
    name == "_all" || name.contains('*')
}

fn stands_for(
    pattern: &str,
    name: &IndexName,
    stream: &DataStream,
    expand: ExpandWildcards,
) -> bool {
    let pattern = if pattern == "_all" { "*" } else { pattern };
    let is_dotted = pattern.starts_with('.') && name.as_str().starts_with('.');
    let is_visible = !stream.hidden || expand.hidden || is_dotted;
    (expand.open || expand.hidden) && is_visible && matches_pattern(pattern, name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ClusterState {
        let mut state = ClusterState::default();
        for (name, hidden) in [("logs", false), ("secret", true), (".own", true)] {
            let stream = DataStream {
                hidden,
                ..DataStream::default()
            };
            let name = IndexName::parse(name).expect("a good name");
            state.data_streams.insert(name, stream);
        }
        state
    }

    fn found(expression: &str, expand: ExpandWildcards) -> Vec<String> {
        let state = state();
        let found = resolve_streams(expression, &state, expand).expect("they are there");
        found.iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn wildcards_leave_out_what_is_hidden() {
        let open = ExpandWildcards::default();
        assert_eq!(found("*", open), ["logs"]);
        assert_eq!(found("_all", open), ["logs"]);
        assert_eq!(found("secret", open), ["secret"]);
        assert_eq!(found("s*,logs", open), ["logs"]);
        assert_eq!(found(".*", open), [".own"]);
        assert_eq!(found("*", ExpandWildcards::ALL), [".own", "logs", "secret"]);
        let none = ExpandWildcards {
            open: false,
            ..open
        };
        assert_eq!(found("*,secret", none), ["secret"]);
    }

    #[test]
    fn what_is_excluded_behind_a_wildcard_is_left_out() {
        let all = ExpandWildcards::ALL;
        assert_eq!(found("*,-logs", all), [".own", "secret"]);
        assert_eq!(found("*,-s*,-.*", all), ["logs"]);
        assert_eq!(found("l*,-l*,logs", all), ["logs"]);
        assert!(found("*,-*", all).is_empty());
        assert_eq!(found("_all,-gone", all), [".own", "logs", "secret"]);
        // Nothing was added yet that could be taken out.
        let state = state();
        let refused = resolve_streams("logs,-logs", &state, all);
        assert_eq!(
            refused.expect_err("refused").reason,
            "no such index [-logs]"
        );
    }

    #[test]
    fn a_name_that_no_stream_bears_is_an_error() {
        let state = state();
        let refused = resolve_streams("logs,gone", &state, ExpandWildcards::ALL);
        assert_eq!(refused.expect_err("refused").reason, "no such index [gone]");
    }
}
