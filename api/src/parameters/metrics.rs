//! Lists of metrics in paths: the sections of statistics that a request asks for; names that are not known.
//!
//! Source: Elasticsearch, `RestIndicesStatsAction` and `BaseRestHandler.unrecognized`.

use std::collections::BTreeSet;

use gleaner_query::json::did_you_mean;

use super::comma_list;
use crate::error::ApiError;

/// Returns the metrics that a part of `path` lists; `None` is all of them. `noun` is what errors call one.
///
/// # Errors
/// 400 naming the metrics that are not `known`, or saying that `_all` stands beside others.
pub(crate) fn listed(
    path: &str,
    text: Option<&str>,
    noun: &str,
    known: &[&str],
) -> Result<Option<Vec<String>>, ApiError> {
    let names = text.map(comma_list).unwrap_or_default();
    let is_all = |name: &String| name == "_all";
    if names.iter().all(is_all) {
        return Ok(None);
    }
    if names.iter().any(is_all) {
        return Err(ApiError::illegal(format!(
            "request [{path}] contains _all and individual {noun}s [{}]",
            text.unwrap_or_default()
        )));
    }
    check(path, &names, noun, known)?;
    Ok(Some(names))
}

/// Refuses `names` that are not `known`.
///
/// # Errors
/// 400 naming them, with the known ones that are alike.
pub(crate) fn check(
    path: &str,
    names: &[String],
    noun: &str,
    known: &[&str],
) -> Result<(), ApiError> {
    let names = names.iter().map(String::as_str);
    let unknown: BTreeSet<&str> = names.filter(|name| !known.contains(name)).collect();
    let described = unknown.iter().map(|name| {
        let hint = did_you_mean(name, known.iter().copied());
        match hint.is_empty() {
            true => format!("[{name}]"),
            false => format!("[{name}] ->{hint}"),
        }
    });
    let described: Vec<String> = described.collect();
    let plural = match described.len() {
        0 => return Ok(()),
        1 => "",
        _ => "s",
    };
    Err(ApiError::illegal(format!(
        "request [{path}] contains unrecognized {noun}{plural}: {}",
        described.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_metrics_are_named_with_those_that_are_alike() {
        const KNOWN: &[&str] = &["docs", "store", "merge"];
        let of = |text: &str| listed("/_stats/x", Some(text), "metric", KNOWN);
        let refused = |text: &str| of(text).expect_err("refused").reason().to_owned();
        assert_eq!(of("_all").expect("known"), None);
        let both = Some(vec!["docs".to_owned(), "store".to_owned()]);
        assert_eq!(of("docs, store").expect("known"), both);
        assert_eq!(
            refused("foo"),
            "request [/_stats/x] contains unrecognized metric: [foo]"
        );
        assert_eq!(
            refused("stor,merges,docs,foo"),
            "request [/_stats/x] contains unrecognized metrics: [foo], [merges] -> did you mean [merge]?, \
             [stor] -> did you mean [store]?"
        );
        assert_eq!(
            refused("docs,_all"),
            "request [/_stats/x] contains _all and individual metrics [docs,_all]"
        );
    }
}
