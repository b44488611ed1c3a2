//! Which requests to a root change nothing, so that a front may send them to another root, which one root alone can
//! answer, and which only all of them together.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_api::{Bindings, Gather, GatheredRoutes, RootAnswer};
use gleaner_front::{Binding, Join};
use gleaner_model::Role;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, Uri};

use crate::node::membership::Membership;

/// The names of the roots, in the order of the backends.
#[derive(Debug)]
pub(super) struct RootNames {
    names: Arc<[String]>,
    bindings: Bindings,
    gathered: GatheredRoutes,
}

/// Joins what all roots answered.
struct JoinedRoots {
    names: Arc<[String]>,
    gather: Gather,
}

impl RootNames {
    /// Returns those of a cluster.
    pub(super) fn of(membership: &Membership) -> Self {
        let members = membership.nodes.iter();
        let roots = members.filter(|member| member.role == Role::Root);
        Self {
            names: roots.map(|member| member.name.clone()).collect(),
            bindings: Bindings::default(),
            gathered: GatheredRoutes::default(),
        }
    }
}

impl Join for JoinedRoots {
    fn asked(&self, uri: &Uri) -> Option<PathAndQuery> {
        self.gather.asked(uri)
    }

    fn refusal(&self) -> Option<Response<Bytes>> {
        self.gather.refusal()
    }

    fn join(&self, answers: Vec<Result<Response<Bytes>, String>>) -> Response<Bytes> {
        let answers = self.names.iter().cloned().zip(answers);
        let answers = answers.map(|(root, answer)| RootAnswer { root, answer });
        self.gather.join(answers.collect())
    }
}

impl Binding for RootNames {
    fn backend_of(&self, head: &Parts, body: &Bytes) -> Option<usize> {
        let bound = self.bindings.of(head, body)?;
        self.names.iter().position(|name| bound.is_to(name))
    }

    fn join_of(&self, head: &Parts, body: &Bytes) -> Option<Box<dyn Join>> {
        let gather = self.gathered.of(head, body)?;
        let names = Arc::clone(&self.names);
        Some(Box::new(JoinedRoots { names, gather }))
    }
}

/// Last words of paths that read although they are sent with POST.
const READS: [&str; 9] = [
    "_search",
    "_count",
    "_msearch",
    "_mget",
    "_explain",
    "_field_caps",
    "_validate",
    "_analyze",
    "_termvectors",
];

/// Does a request change nothing? Contexts of scrolls and points in time count as changes.
pub(crate) fn is_read(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => !is_of_context(path),
        Method::POST => !is_of_context(path) && path.split('/').any(|word| READS.contains(&word)),
        _ => false,
    }
}

/// Words of paths behind which the id of one document stands.
const OF_DOCUMENT: [&str; 2] = ["/_doc/", "/_source/"];

/// Headers by which a root knows a bulk that it is sent again.
const KEYS: [&str; 2] = ["idempotency-key", "x-gleaner-idempotency-key"];

/// Returns by what part of their path requests that may be sent twice make a root do the same work: reads of a document, and
/// bulks that a root knows again.
pub(super) fn same_work(head: &Parts) -> Option<&str> {
    let path = head.uri.path();
    match head.method {
        Method::GET | Method::HEAD => {
            let mut ends = OF_DOCUMENT.iter();
            ends.find_map(|word| Some(&path[..path.find(word)? + word.len()]))
        }
        Method::POST | Method::PUT => {
            let has_key = KEYS.iter().any(|key| head.headers.contains_key(*key));
            (has_key && path.ends_with("/_bulk")).then_some(path)
        }
        _ => None,
    }
}

fn is_of_context(path: &str) -> bool {
    path.contains("/scroll") || path.ends_with("_pit") || path.contains("point_in_time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn reads_of_documents_and_bulks_with_a_key_make_the_same_work() {
        let work = |method: Method, path: &str, key: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = match key {
                "" => request,
                key => request.header(key, "k"),
            };
            let (head, ()) = request.body(()).expect("a request").into_parts();
            same_work(&head).map(str::to_owned)
        };
        for (method, path, key, expected) in [
            (
                Method::GET,
                "/wiki/_doc/1?routing=a",
                "",
                Some("/wiki/_doc/"),
            ),
            (Method::HEAD, "/wiki/_source/1", "", Some("/wiki/_source/")),
            (Method::GET, "/wiki/_search", "", None),
            (Method::PUT, "/wiki/_doc/1", "Idempotency-Key", None),
            (Method::POST, "/wiki/_bulk", "", None),
            (
                Method::POST,
                "/wiki/_bulk",
                "Idempotency-Key",
                Some("/wiki/_bulk"),
            ),
            (
                Method::PUT,
                "/_bulk",
                "X-Gleaner-Idempotency-Key",
                Some("/_bulk"),
            ),
        ] {
            assert_eq!(work(method, path, key).as_deref(), expected, "{path} {key}");
        }
    }

    #[test]
    fn what_changes_nothing_may_be_sent_again() {
        for (method, path, expected) in [
            (Method::GET, "/wiki/_doc/1", true),
            (Method::POST, "/wiki/_search", true),
            (Method::POST, "/wiki/_validate/query", true),
            (Method::POST, "/_search/scroll", false),
            (Method::GET, "/_search/scroll/abc", false),
            (Method::POST, "/wiki/_pit", false),
            (Method::POST, "/wiki/_doc", false),
            (Method::PUT, "/wiki/_doc/1", false),
            (Method::POST, "/_bulk", false),
            (Method::DELETE, "/wiki", false),
        ] {
            assert_eq!(is_read(&method, path), expected, "{method} {path}");
        }
    }
}
