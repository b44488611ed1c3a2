//! Routing: what comes of the values that a request gives and of those that an alias gives.
//!
//! Does: single documents ([`single_routing`]) and searches ([`search_routing`]). An empty value is
//! none, wherever it comes from.
//! Does not: choose shards, which is `shard-router`'s.
//! Called by: `root`, before anything is routed.

use std::collections::BTreeSet;

/// Returns the routing of a single document: as the request gives it, else as the alias does.
pub fn single_routing(asked: Option<String>, of_alias: Option<String>) -> Option<String> {
    let given = |routing: &String| !routing.is_empty();
    asked.filter(given).or(of_alias.filter(given))
}

/// Returns the routing values of a search, given comma-separated: those of the request, else those
/// of the aliases; `None` is any value.
pub fn search_routing<'a>(
    asked: Option<&'a str>,
    of_aliases: Option<&'a str>,
) -> Option<BTreeSet<&'a str>> {
    asked.and_then(values).or(of_aliases.and_then(values))
}

fn values(routing: &str) -> Option<BTreeSet<&str>> {
    let values = routing.split(',').filter(|value| !value.is_empty());
    let values: BTreeSet<&str> = values.collect();
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_routing_is_none() {
        let single = |asked: Option<&str>, of_alias: Option<&str>| {
            single_routing(asked.map(str::to_owned), of_alias.map(str::to_owned))
        };
        assert_eq!(single(Some(""), None), None);
        assert_eq!(single(None, Some("")), None);
        assert_eq!(single(Some(""), Some("a")), Some("a".to_owned()));
        assert_eq!(single(Some("b"), None), Some("b".to_owned()));
        assert_eq!(search_routing(Some(""), None), None);
        assert_eq!(search_routing(Some(","), Some("")), None);
        assert_eq!(search_routing(Some("a,,b"), None), Some(["a", "b"].into()));
        assert_eq!(search_routing(Some(""), Some("a")), Some(["a"].into()));
    }
}
