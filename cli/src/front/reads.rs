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

fn is_of_context(path: &str) -> bool {
    path.contains("/scroll") || path.ends_with("_pit") || path.contains("point_in_time")
}

#[cfg(test)]
mod tests {
    use super::*;

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
