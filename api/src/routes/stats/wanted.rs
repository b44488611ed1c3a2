//! Which sections of statistics a request asks for.

use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::metrics;

/// The sections, by the metric that asks for each.
const METRICS: [(&str, &str); 20] = [
    ("docs", "docs"),
    ("shard_stats", "shard_stats"),
    ("store", "store"),
    ("indexing", "indexing"),
    ("get", "get"),
    ("search", "search"),
    ("merge", "merges"),
    ("refresh", "refresh"),
    ("flush", "flush"),
    ("warmer", "warmer"),
    ("query_cache", "query_cache"),
    ("fielddata", "fielddata"),
    ("completion", "completion"),
    ("segments", "segments"),
    ("translog", "translog"),
    ("request_cache", "request_cache"),
    ("recovery", "recovery"),
    ("bulk", "bulk"),
    ("dense_vector", "dense_vector"),
    ("sparse_vector", "sparse_vector"),
];

/// Metrics of the dialect that no shard has a section of, and that may be asked for.
const EMPTY_METRICS: [&str; 2] = ["mappings", "seq_no"];

/// Which sections to show.
pub(in crate::routes) struct Sections(Option<Vec<String>>);

impl Sections {
    /// Reads a list of names in `path`; `_all` and none are all. `noun` is what errors call one.
    pub(in crate::routes) fn parse(
        path: &str,
        text: Option<&str>,
        noun: &str,
    ) -> Result<Self, ApiError> {
        let known = METRICS.map(|(metric, _)| metric).into_iter();
        let known: Vec<&str> = known.chain(EMPTY_METRICS).collect();
        Ok(Self(metrics::listed(path, text, noun, &known)?))
    }

    /// Leaves out what is not asked for.
    pub(in crate::routes) fn kept(&self, sections: Value) -> Value {
        let (Some(names), Value::Object(sections)) = (&self.0, &sections) else {
            return sections;
        };
        let is_asked = |section: &str| {
            let mut metrics = METRICS.iter();
            let metric = metrics.find(|(_, shown)| *shown == section);
            metric.is_some_and(|(metric, _)| names.iter().any(|name| name == metric))
        };
        let kept = sections.iter().filter(|(name, _)| is_asked(name));
        Value::Object(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cached::Counts;

    #[test]
    fn every_section_has_a_metric_that_asks_for_it() {
        let all = super::super::sections(&std::iter::empty(), &Counts::default());
        let names = METRICS.map(|(metric, _)| metric).join(",");
        let parse = |names: &str| Sections::parse("/_stats/x", Some(names), "metric");
        let asked = parse(&names).expect("known");
        assert_eq!(asked.kept(all.clone()), all);
        let merges = parse("merge,mappings").expect("known");
        let shown = merges.kept(all.clone());
        assert_eq!(shown, json!({"merges": all["merges"]}));
        assert!(parse("merges").is_err());
    }
}
