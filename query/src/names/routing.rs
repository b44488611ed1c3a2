//! Routing: what comes of the values that a request gives and of those that an alias gives.
//!
//! Does: single documents ([`single_routing`]) and searches ([`search_routing`]). An empty value is
//! none, wherever it comes from.
//! Does not: choose shards, which is `shard-router`'s.
//! Called by: `root`, before anything is routed.

use std::collections::BTreeSet;

use crate::error::QueryError;

/// Longest routing value of a document, in bytes: as long as a term can be in Elasticsearch, where it is
/// one. A record of the log could not hold twice as much.
const MAX_BYTES: usize = 32_766;

/// Returns the routing of a single document that is named by `name`: as the request gives it, or as
/// the alias of that name does.
///
/// # Errors
/// `illegal_argument_exception` where the alias gives another than the request, or several, and for a
/// value that is too long for a document.
pub fn single_routing(
    name: &str,
    asked: Option<String>,
    of_alias: Option<String>,
) -> Result<Option<String>, QueryError> {
    let routing = given_routing(name, asked, of_alias)?;
    match routing.as_ref().map(String::len) {
        Some(num_bytes) if num_bytes > MAX_BYTES => Err(QueryError::illegal(format!(
            "routing value of [{num_bytes}] bytes is too long, it must be no longer than [{MAX_BYTES}] \
             bytes"
        ))),
        _ => Ok(routing),
    }
}

fn given_routing(
    name: &str,
    asked: Option<String>,
    of_alias: Option<String>,
) -> Result<Option<String>, QueryError> {
    let given = |routing: &String| !routing.is_empty();
    let asked = asked.filter(given);
    let Some(of_alias) = of_alias.filter(given) else {
        return Ok(asked);
    };
    if of_alias.contains(',') {
        return Err(QueryError::illegal(format!(
            "index/alias [{name}] provided with routing value [{of_alias}] that resolved to several \
             routing values, rejecting operation"
        )));
    }
    match asked {
        Some(asked) if asked != of_alias => Err(QueryError::illegal(format!(
            "Alias [{name}] has index routing associated with it [{of_alias}], and was provided \
             with routing value [{asked}], rejecting operation"
        ))),
        _ => Ok(Some(of_alias)),
    }
}

/// Returns the routing values of a search, given comma-separated: those of the request, those of the
/// aliases, or where both give some, those that both give. `None` is any value; so the dialect has it
/// where they have none in common, too (Elasticsearch, `IndexNameExpressionResolver`).
pub fn search_routing<'a>(
    asked: Option<&'a str>,
    of_aliases: Option<&'a str>,
) -> Option<BTreeSet<&'a str>> {
    let (asked, of_aliases) = (asked.and_then(values), of_aliases.and_then(values));
    match (asked, of_aliases) {
        (Some(asked), Some(of_aliases)) => {
            let both = &asked & &of_aliases;
            (!both.is_empty()).then_some(both)
        }
        (asked, of_aliases) => asked.or(of_aliases),
    }
}

fn values(routing: &str) -> Option<BTreeSet<&str>> {
    let values = routing.split(',').filter(|value| !value.is_empty());
    let values: BTreeSet<&str> = values.collect();
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(asked: Option<&str>, of_alias: Option<&str>) -> Result<Option<String>, String> {
        let found = single_routing(
            "books",
            asked.map(str::to_owned),
            of_alias.map(str::to_owned),
        );
        found.map_err(|fault| fault.reason)
    }

    #[test]
    fn an_empty_routing_is_none() {
        assert_eq!(single(Some(""), None), Ok(None));
        assert_eq!(single(None, Some("")), Ok(None));
        assert_eq!(single(Some(""), Some("a")), Ok(Some("a".to_owned())));
        assert_eq!(single(Some("b"), None), Ok(Some("b".to_owned())));
        assert_eq!(single(Some("b"), Some("")), Ok(Some("b".to_owned())));
        assert_eq!(search_routing(Some(""), None), None);
        assert_eq!(search_routing(Some(","), Some("")), None);
        assert_eq!(search_routing(Some("a,,b"), None), Some(["a", "b"].into()));
        assert_eq!(search_routing(Some(""), Some("a")), Some(["a"].into()));
    }

    #[test]
    fn a_document_has_the_routing_of_its_alias_and_no_other() {
        assert_eq!(single(None, Some("a")), Ok(Some("a".to_owned())));
        assert_eq!(single(Some("a"), Some("a")), Ok(Some("a".to_owned())));
        let refused = single(Some("b"), Some("a"));
        let reason = "Alias [books] has index routing associated with it [a], and was provided with \
                      routing value [b], rejecting operation";
        assert_eq!(refused, Err(reason.to_owned()));
        let reason = "index/alias [books] provided with routing value [a,b] that resolved to several \
                      routing values, rejecting operation";
        assert_eq!(single(None, Some("a,b")), Err(reason.to_owned()));
    }

    #[test]
    fn a_routing_that_no_record_can_hold_is_refused() {
        let longest = "r".repeat(MAX_BYTES);
        let longer = "r".repeat(1 << 16);
        assert_eq!(single(Some(&longest), None), Ok(Some(longest.clone())));
        for (asked, of_alias) in [(Some(&*longer), None), (None, Some(&*longer))] {
            let refused = single(asked, of_alias).expect_err("it is too long");
            assert!(refused.contains("[65536] bytes is too long"), "{refused}");
        }
    }

    #[test]
    fn a_search_asks_for_what_it_and_its_aliases_both_give() {
        let both = |asked| search_routing(Some(asked), Some("a,b"));
        assert_eq!(both("b,c"), Some(["b"].into()));
        assert_eq!(both("c"), None);
        assert_eq!(both(""), Some(["a", "b"].into()));
    }
}
