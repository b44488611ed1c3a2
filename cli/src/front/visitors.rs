//! Who sends requests to a front and what they ask for, as far as limits go.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use gleaner_api::security::{Caller, caller};
use gleaner_api::{WorkClass, Workloads};
use gleaner_front::{RequestClass, Target, Visitor, Visitors, Work};
use http::Method;
use http::request::Parts;

use super::kept::KnownCluster;
use crate::serve::node::now_ms;

/// Those who send requests of the dialect to a cluster whose keys are known.
pub(super) struct KnownVisitors {
    pub(super) known: Arc<KnownCluster>,
    pub(super) workloads: Workloads,
}

impl Visitors for KnownVisitors {
    fn visitor(&self, head: &Parts) -> Visitor {
        let Some(state) = self.known.state() else {
            return Visitor::Stranger;
        };
        match caller(&head.headers, &state, now_ms()) {
            Caller::Stranger => Visitor::Stranger,
            Caller::Key(id, limits) => Visitor::Key { id, limits },
            Caller::Refused => Visitor::Refused,
        }
    }

    fn target(&self, head: &Parts) -> Target {
        let target = self.workloads.target(head);
        Target {
            class: request_class(target.class),
            route: target.route,
            index: target.index,
        }
    }

    fn work(&self, head: &Parts, body: &Bytes) -> Work {
        let work = self.workloads.of(head, body);
        Work {
            class: request_class(work.class),
            shape: work.shape,
            guess_ms: work.guess_ms,
        }
    }
}

fn request_class(class: WorkClass) -> RequestClass {
    match class {
        WorkClass::Read => RequestClass::Read,
        WorkClass::Metadata => RequestClass::Metadata,
        WorkClass::Write => RequestClass::Write,
        WorkClass::Scan => RequestClass::Scan,
    }
}

/// Those who send requests to any service: nobody is known, and a request is told by its method and the beginning of its
/// path.
#[derive(Default)]
pub(super) struct Strangers(RandomState);

/// Parts of a path that tell requests apart.
const NUM_PARTS: usize = 3;

impl Visitors for Strangers {
    fn visitor(&self, _: &Parts) -> Visitor {
        Visitor::Stranger
    }

    fn work(&self, head: &Parts, _: &Bytes) -> Work {
        let parts: Vec<&str> = head
            .uri
            .path()
            .splitn(NUM_PARTS + 1, '/')
            .take(NUM_PARTS)
            .collect();
        Work {
            class: match head.method {
                Method::GET | Method::HEAD | Method::OPTIONS => RequestClass::Read,
                _ => RequestClass::Write,
            },
            shape: self.0.hash_one((&head.method, parts)),
            guess_ms: 1.0,
        }
    }
}
