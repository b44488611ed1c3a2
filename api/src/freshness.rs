//! Names and metadata as they are in force, also on a root that hears of changes late.
//!
//! A change is acknowledged once all roots and fronts show it, save those that hear nothing from etcd for a second.
//! Roots cannot tell whether they are such a one. So a root asks who keeps the cluster state before it answers what is
//! read from that, and before it says that a name does not exist. Searches by names that are known ask nobody: leaves
//! tell a root whose mapping is too old.
//!
//! Does: decide which requests ask, and ask once for all that wait. Does not: fail a request; where nobody answers in
//! time it is answered by what is known. Called by: [`crate::service`]. Read first: [`Freshness::assure`].

use std::time::{Duration, Instant};

use gleaner_query::names::{self, ResolveOptions};
use gleaner_root::Root;
use http::Method;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::route::Route;

/// Longest wait for who keeps the state.
const PATIENCE: Duration = Duration::from_secs(1);

/// Beginnings of the names of routes whose `GET` and `HEAD` are answered from the cluster state.
const OF_STATE: [&str; 9] = [
    "indices.get",
    "indices.exists",
    "indices.resolve",
    "indices.data_streams",
    "indices.explain_data",
    "cluster.",
    "cat.",
    "field_caps",
    // What tasks did lies in an index, which may be new.
    "tasks.get",
];

/// When who keeps the cluster state was last asked for it.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// When the last call that was answered had begun. Held while one is under way: those who wait meanwhile share the
    /// next one.
    asked: Mutex<Option<Instant>>,
}

impl Freshness {
    /// Sees to it that `root` knows what was acknowledged before now, where the request needs that.
    pub(crate) async fn assure(
        &self,
        root: &Root,
        route: &Route,
        method: &Method,
        parts: &[(&'static str, String)],
    ) {
        // Names need not be looked up where nobody would be asked.
        if is_current(root) {
            return;
        }
        if is_of_state(route, method) || is_missing(root, parts) {
            self.renew(root).await;
        }
    }

    /// Sees to it that `root` knows what was acknowledged before now.
    pub(crate) async fn renew(&self, root: &Root) {
        if is_current(root) {
            return;
        }
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked >= came) {
            return;
        }
        let begun = Instant::now();
        let latest = root.cluster().coordinator().latest();
        *asked = Some(match timeout(PATIENCE, latest).await {
            Ok(Ok(_)) => begun,
            // Those who have waited for this have waited enough.
            Ok(Err(_)) | Err(_) => Instant::now(),
        });
    }
}

/// Is the state in force the one that is known? In one process it is.
fn is_current(root: &Root) -> bool {
    root.knows_editions()
}

fn is_of_state(route: &Route, method: &Method) -> bool {
    let is_reading = *method == Method::GET || *method == Method::HEAD;
    is_reading && OF_STATE.iter().any(|start| route.name.starts_with(start))
}

/// Does the path name an index that is not known here?
fn is_missing(root: &Root, parts: &[(&'static str, String)]) -> bool {
    let mut parts = parts.iter();
    let Some((_, expression)) = parts.find(|(name, _)| *name == "index") else {
        return false;
    };
    let state = root.cluster().state();
    names::resolve(expression, &state, &ResolveOptions::default()).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::parameter_tables;

    #[test]
    fn each_beginning_is_that_of_a_route() {
        for start in OF_STATE {
            let mut routes = parameter_tables();
            assert!(routes.any(|route| route.name.starts_with(start)), "{start}");
        }
    }

    #[test]
    fn what_reads_the_state_asks_for_it_and_searches_do_not() {
        let asks = |name: &str, method| {
            let route = parameter_tables().find(|route| route.name == name);
            is_of_state(route.unwrap_or_else(|| panic!("no {name}")), &method)
        };
        assert!(asks("indices.get_mapping", Method::GET));
        assert!(asks("indices.exists", Method::HEAD));
        assert!(asks("cat.indices", Method::GET));
        assert!(!asks("search", Method::GET));
        assert!(!asks("indices.put_mapping", Method::PUT));
    }
}
