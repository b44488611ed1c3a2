//! Requests that one root alone can answer: those that go on with a scroll, and those about a task.
//!
//! Does: say which root that is, by what the request names. Does not: need a root; it is for processes ahead of them.
//! Read first: [`bound_to`].

use bytes::Bytes;
use gleaner_root::point_in_time::Context;
use http::Method;
use http::request::Parts;
use serde_json::Value;

use crate::parameters::Parameters;

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

/// Returns which root can answer a request; `None` where any can.
pub fn bound_to(head: &Parts, body: &Bytes) -> Option<Bound> {
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/_search/scroll") {
        let is_next = head.method == Method::GET || head.method == Method::POST;
        let id = is_next.then(|| scroll_id(rest, head.uri.query(), body))??;
        return Context::of(&id).map(Bound::Scroll);
    }
    let task = path.strip_prefix("/_tasks/")?.split('/').next()?;
    let (node, _) = task.rsplit_once(':').or_else(|| task.rsplit_once("%3A"))?;
    Some(Bound::Node(node.to_owned()))
}

/// Returns the first id that a request for a page names.
fn scroll_id(rest: &str, query: Option<&str>, body: &Bytes) -> Option<String> {
    let in_path = rest.strip_prefix('/').filter(|id| !id.is_empty());
    if let Some(id) = in_path {
        return Some(id.to_owned());
    }
    let parameters = Parameters::parse(query).ok()?;
    if let Some((_, id)) = parameters
        .pairs()
        .iter()
        .find(|(name, _)| name == "scroll_id")
    {
        return Some(id.clone());
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    match &body["scroll_id"] {
        Value::Array(ids) => Some(ids.first()?.as_str()?.to_owned()),
        id => Some(id.as_str()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(method: &str, uri: &str, body: &'static str) -> Option<Bound> {
        let request = http::Request::builder().method(method).uri(uri);
        let (head, ()) = request.body(()).expect("a request").into_parts();
        bound_to(&head, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_task_belongs_to_the_root_that_its_id_names() {
        let node = |name: &str| Some(Bound::Node(name.to_owned()));
        assert_eq!(bound("GET", "/_tasks/root-2:17", ""), node("root-2"));
        assert_eq!(
            bound("POST", "/_tasks/root-2%3A17/_cancel", ""),
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
