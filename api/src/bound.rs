//! Requests that one root alone can answer: those that go on with a scroll, and those about a task.
//!
//! Does: say which root that is, by what the request names. Does not: need a root; it is for processes ahead of them.
//! Read first: [`Bindings::of`].

use std::fmt;

use bytes::Bytes;
use gleaner_query::json::tree_bytes;
use gleaner_root::point_in_time::Context;
use http::request::Parts;
use serde_json::Value;

use crate::parameters::Parameters;
use crate::paths::{PathMatch, Paths};
use crate::routes::parameter_tables;

/// What a request says of the root that it must go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The root at which this scroll was begun: it knows where clients are that keep to the first id.
    Scroll(Context),
    /// The root with this name: it runs the task.
    Node(String),
}

impl Bound {
    /// Returns whether the root called `name` is meant.
    pub fn is_to(&self, name: &str) -> bool {
        match self {
            Self::Scroll(context) => context.is_begun_at(name),
            Self::Node(node) => node == name,
        }
    }
}

/// Memory of a body as a tree, at most: larger ones are not looked into.
const MOST_TREE_BYTES: usize = 16 << 20;

/// Knows which root can answer a request, by the routes of the dialect.
pub struct Bindings(Paths<()>);

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bindings")
    }
}

impl Default for Bindings {
    fn default() -> Self {
        Self(Paths::new(parameter_tables(), |_| ()))
    }
}

impl Bindings {
    /// Returns which root can answer a request; `None` where any can.
    pub fn of(&self, head: &Parts, body: &Bytes) -> Option<Bound> {
        let PathMatch::Route(route, (), parts) = self.0.find(&head.method, &head.uri) else {
            return None;
        };
        let parts = parts.ok()?;
        let part = |wanted| {
            let mut parts = parts.iter();
            let found = parts.find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.clone())
        };
        if route.name == "scroll" {
            let id = scroll_id(part("scroll_id"), head.uri.query(), body)?;
            // What stands behind the id is its seal.
            let id = id.split('.').next().unwrap_or_default();
            return Context::of(id).map(Bound::Scroll);
        }
        let task = part("task")?;
        let (node, _) = task.rsplit_once(':')?;
        Some(Bound::Node(node.to_owned()))
    }
}

/// Returns the first id that a request for a page names: that of the body holds, as in its route.
fn scroll_id(in_path: Option<String>, query: Option<&str>, body: &Bytes) -> Option<String> {
    let text = body.trim_ascii();
    // Older clients send the bare id.
    if text.first().is_some_and(|byte| *byte != b'{') {
        return Some(String::from_utf8_lossy(text).into_owned());
    }
    // What takes more is no request for a page.
    let is_read = tree_bytes(text) <= MOST_TREE_BYTES;
    let body: Value = match is_read {
        true => serde_json::from_slice(text).unwrap_or_default(),
        false => Value::Null,
    };
    let in_body = match &body["scroll_id"] {
        Value::Array(ids) => ids.first().and_then(Value::as_str),
        id => id.as_str(),
    };
    let in_query = || Some(Parameters::parse(query).ok()?.get("scroll_id")?.to_owned());
    in_body.map(str::to_owned).or(in_path).or_else(in_query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(method: &str, uri: &str, body: &'static str) -> Option<Bound> {
        let request = http::Request::builder().method(method).uri(uri);
        let (head, ()) = request.body(()).expect("a request").into_parts();
        Bindings::default().of(&head, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_task_belongs_to_the_root_that_its_id_names() {
        let node = |name: &str| Some(Bound::Node(name.to_owned()));
        assert_eq!(bound("GET", "/_tasks/root-2:17", ""), node("root-2"));
        assert_eq!(
            bound("POST", "/_tasks/root-2%3a17/_cancel", ""),
            node("root-2")
        );
        for uri in [
            "/_tasks",
            "/_tasks/_cancel",
            "/wiki/_search",
            "/_tasksx/a:1",
        ] {
            assert_eq!(bound("GET", uri, ""), None, "{uri}");
        }
    }

    #[test]
    fn what_is_no_id_of_a_scroll_binds_to_nobody() {
        for (uri, body) in [
            ("/_search/scroll", ""),
            ("/_search/scroll", "{\"scroll_id\":\"nothing\"}"),
            ("/_search/scroll", "{\"scroll_id\":[]}"),
            ("/_search/scroll/abc", ""),
            ("/_search/scroll?scroll_id=abc", ""),
        ] {
            assert_eq!(bound("POST", uri, body), None, "{uri} {body}");
        }
    }
}
