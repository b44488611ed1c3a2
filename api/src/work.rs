//! What a request costs before anybody has carried it out, for processes ahead of roots that limit their clients.
//!
//! Does: say what kind of work it is, what it has in common with requests that cost about the same, and a guess for the
//! first of them; and by the head alone its kind and what it is for. Does not: need a root, or know what they cost in
//! the end. Read first: [`Workloads::of`].

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hash as _, Hasher};

use bytes::Bytes;
use gleaner_query::json::tree_bytes;
use http::header;
use http::request::Parts;
use serde_json::Value;

use crate::paths::{PathMatch, Paths};
use crate::route::Route;
use crate::routes::parameter_tables;
use crate::security::Right;

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkClass {
    /// Searches and reads of documents.
    Read,
    /// Mappings, settings, tables.
    Metadata,
    /// Documents written.
    Write,
    /// What goes over everything: scrolls, deletions by query.
    Scan,
}

/// The work of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Its kind.
    pub class: WorkClass,
    /// The same for requests of one shape: route, names, clauses, aggregations, size of the page. A number of this
    /// process alone, so that nobody can make two shapes meet.
    pub shape: u64,
    /// Milliseconds of search CPU, at a guess.
    pub guess_ms: f64,
}

/// What the head of a request says of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkTarget {
    /// Its kind.
    pub class: WorkClass,
    /// Name of its route; `None` where the dialect has none for it.
    pub route: Option<&'static str>,
    /// The indices in its path, as they are written there.
    pub index: Option<String>,
}

/// Knows the work of requests by the routes of the dialect.
pub struct Workloads {
    paths: Paths<()>,
    hashes: RandomState,
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workloads")
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            paths: Paths::new(parameter_tables(), |_| ()),
            hashes: RandomState::new(),
        }
    }
}

/// Clauses that look at many terms, whose guess is higher.
const DEAR: [&str; 7] = [
    "wildcard",
    "regexp",
    "fuzzy",
    "prefix",
    "query_string",
    "simple_query_string",
    "match_phrase_prefix",
];

/// Milliseconds at a guess: of a clause, of a dear one, of an aggregation for each level, of a thousand hits, of the
/// 64 KiB of a body that is written.
const CLAUSE_MS: f64 = 0.1;
const DEAR_MS: f64 = 5.0;
const AGGREGATION_MS: f64 = 5.0;
const THOUSAND_HITS_MS: f64 = 5.0;
const WRITTEN_MS: f64 = 2.0;
const SCAN_MS: f64 = 50.0;

/// Memory of a body as a tree, at most: larger ones are not looked into.
const MOST_TREE_BYTES: usize = 16 << 20;

/// Memory of a value in a tree, about.
const VALUE_BYTES: f64 = 256.0;

impl Workloads {
    /// Returns the work of a request; the body is empty where it is not at hand.
    pub fn of(&self, head: &Parts, body: &Bytes) -> Workload {
        let mut hasher = self.hashes.build_hasher();
        head.method.hash(&mut hasher);
        let PathMatch::Route(route, (), parts) = self.paths.find(&head.method, &head.uri) else {
            return Workload {
                class: WorkClass::Metadata,
                shape: hasher.finish(),
                guess_ms: CLAUSE_MS,
            };
        };
        route.name.hash(&mut hasher);
        let parts = parts.unwrap_or_default();
        let index = parts.iter().find(|(name, _)| *name == "index");
        index.hash(&mut hasher);
        let class = class_of(route, index.is_some());
        let mut guess_ms = match class {
            WorkClass::Scan => SCAN_MS,
            WorkClass::Write => WRITTEN_MS * size_of_body(head, body) / f64::from(64 << 10),
            WorkClass::Read | WorkClass::Metadata => 1.0,
        };
        if class != WorkClass::Write && tree_bytes(body) > MOST_TREE_BYTES {
            // As many clauses as it has values, at a guess.
            log2(body.len() as u64).hash(&mut hasher);
            guess_ms += CLAUSE_MS * tree_bytes(body) as f64 / VALUE_BYTES;
        } else if class != WorkClass::Write
            && let Ok(body) = serde_json::from_slice::<Value>(body)
        {
            let mut shape = Shape {
                hasher: &mut hasher,
                guess_ms: 0.0,
            };
            shape.walk(&body, 0);
            guess_ms += shape.guess_ms;
        }
        // Of a search in the URI only the length counts.
        log2(head.uri.query().map_or(0, str::len) as u64).hash(&mut hasher);
        Workload {
            class,
            shape: hasher.finish(),
            guess_ms,
        }
    }
}

impl Workloads {
    /// Returns the class of a request, the name of its route and the indices in its path; the class is that of
    /// [`Self::of`].
    pub fn target(&self, head: &Parts) -> WorkTarget {
        let PathMatch::Route(route, (), parts) = self.paths.find(&head.method, &head.uri) else {
            return WorkTarget {
                class: WorkClass::Metadata,
                route: None,
                index: None,
            };
        };
        let mut parts = parts.unwrap_or_default().into_iter();
        let index = parts.find(|(name, _)| *name == "index");
        WorkTarget {
            class: class_of(route, index.is_some()),
            route: Some(route.name),
            index: index.map(|(_, names)| names),
        }
    }
}

fn class_of(route: &Route, names_indices: bool) -> WorkClass {
    let action = Right::of(route).action;
    let is_scan = action.contains("/scroll")
        || action.contains("byquery")
        // Its right is that of a search.
        || route.name == "reindex"
        || (action.ends_with("/field_caps") && !names_indices);
    if is_scan {
        WorkClass::Scan
    } else if action.starts_with("indices:data/read/") {
        WorkClass::Read
    } else if action.starts_with("indices:data/write/") {
        WorkClass::Write
    } else {
        WorkClass::Metadata
    }
}

fn size_of_body(head: &Parts, body: &Bytes) -> f64 {
    let told = head.headers.get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<f64>().ok());
    told.unwrap_or(body.len() as f64)
}

/// The shape of a body: its keys and how deep they are, numbers and texts by their order of magnitude.
struct Shape<'a, H> {
    hasher: &'a mut H,
    guess_ms: f64,
}

impl<H: Hasher> Shape<'_, H> {
    /// Looks at `value`, below `num_levels` aggregations.
    fn walk(&mut self, value: &Value, num_levels: u32) {
        match value {
            Value::Object(entries) => {
                entries.len().hash(self.hasher);
                for (key, value) in entries {
                    key.hash(self.hasher);
                    self.guess_ms += CLAUSE_MS;
                    if DEAR.contains(&key.as_str()) {
                        self.guess_ms += DEAR_MS;
                    }
                    let is_aggregation = key == "aggs" || key == "aggregations";
                    let below = num_levels + u32::from(is_aggregation);
                    if is_aggregation {
                        let num = value.as_object().map_or(0, serde_json::Map::len);
                        self.guess_ms += AGGREGATION_MS * num as f64 * f64::from(below);
                    }
                    if key == "size" || key == "from" {
                        let hits = value.as_f64().unwrap_or_default().clamp(0.0, 1e6);
                        self.guess_ms += THOUSAND_HITS_MS * hits / 1_000.0;
                    }
                    self.walk(value, below);
                }
            }
            Value::Array(items) => {
                log2(items.len() as u64).hash(self.hasher);
                self.guess_ms += CLAUSE_MS * items.len() as f64;
                // The first few stand for the others.
                items
                    .iter()
                    .take(8)
                    .for_each(|item| self.walk(item, num_levels));
            }
            Value::Number(number) => {
                log2(number.as_f64().unwrap_or_default().abs() as u64).hash(self.hasher);
            }
            Value::String(text) => log2(text.split_whitespace().count() as u64).hash(self.hasher),
            Value::Bool(_) | Value::Null => {}
        }
    }
}

fn log2(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, uri: &str) -> Parts {
        let request = http::Request::builder().method(method).uri(uri).body(());
        request.expect("a request").into_parts().0
    }

    fn work(all: &Workloads, method: &str, uri: &str, body: &str) -> Workload {
        let body = Bytes::copy_from_slice(body.as_bytes());
        all.of(&head(method, uri), &body)
    }

    #[test]
    fn requests_of_one_shape_have_one_number() {
        let all = Workloads::default();
        let shape = |body: &str| work(&all, "POST", "/logs/_search", body).shape;
        let one = shape(r#"{"query":{"match":{"text":"green tea"}},"size":10}"#);
        assert_eq!(
            one,
            shape(r#"{"query":{"match":{"text":"black coffee"}},"size":12}"#)
        );
        for other in [
            r#"{"query":{"match":{"title":"green tea"}},"size":10}"#,
            r#"{"query":{"match":{"text":"green tea"}},"size":1000}"#,
            r#"{"query":{"match":{"text":"a b c d e f g h"}},"size":10}"#,
            r#"{"query":{"match":{"text":"green tea"}},"size":10,"aggs":{}}"#,
        ] {
            assert_ne!(one, shape(other), "{other}");
        }
        let elsewhere = work(&all, "POST", "/books/_search", "{}").shape;
        assert_ne!(elsewhere, work(&all, "POST", "/logs/_search", "{}").shape);
        assert_ne!(
            work(&Workloads::default(), "GET", "/", "").shape,
            work(&all, "GET", "/", "").shape
        );
    }

    #[test]
    fn heavier_requests_have_higher_guesses() {
        let all = Workloads::default();
        let guess = |body: &str| work(&all, "POST", "/logs/_search", body).guess_ms;
        let plain = guess(r#"{"query":{"match_all":{}}}"#);
        let deep = r#"{"aggs":{"a":{"terms":{"field":"x"},"aggs":{"b":{"terms":{"field":"y"}}}}}}"#;
        assert!(guess(deep) > plain + 10.0);
        assert!(guess(r#"{"query":{"wildcard":{"f":"*a*"}}}"#) > plain + 4.0);
        assert!(guess(r#"{"size":10000}"#) > plain + 40.0);
        assert!(guess("no JSON").is_finite());
    }

    #[test]
    fn a_body_of_many_small_values_is_weighed_without_a_tree_of_it() {
        let all = Workloads::default();
        let body = format!(
            r#"{{"query":{{"ids":{{"values":[{}]}}}}}}"#,
            "{},".repeat(100_000)
        );
        let guess = work(&all, "POST", "/logs/_search", &body).guess_ms;
        assert!(guess > 10_000.0, "{guess}");
    }

    #[test]
    fn each_route_has_a_class() {
        let all = Workloads::default();
        for (method, uri, expected) in [
            ("POST", "/logs/_search", WorkClass::Read),
            ("GET", "/logs/_doc/1", WorkClass::Read),
            ("POST", "/_msearch", WorkClass::Read),
            ("POST", "/_bulk", WorkClass::Write),
            ("PUT", "/logs/_doc/1", WorkClass::Write),
            ("POST", "/_search/scroll", WorkClass::Scan),
            ("POST", "/logs/_delete_by_query", WorkClass::Scan),
            ("POST", "/_reindex", WorkClass::Scan),
            ("POST", "/_reindex/a:1/_rethrottle", WorkClass::Metadata),
            ("GET", "/_field_caps", WorkClass::Scan),
            ("GET", "/logs/_field_caps", WorkClass::Read),
            ("GET", "/_cat/indices", WorkClass::Metadata),
            ("PUT", "/logs/_mapping", WorkClass::Metadata),
            ("GET", "/nothing/known/here", WorkClass::Metadata),
        ] {
            assert_eq!(
                work(&all, method, uri, "").class,
                expected,
                "{method} {uri}"
            );
            let target = all.target(&head(method, uri));
            assert_eq!(target.class, expected, "{method} {uri}");
        }
    }
}
