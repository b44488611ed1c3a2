//! How often each route was asked since this node started.
//!
//! Called by: the dispatcher of requests, which counts, and `_nodes/usage`, which shows. Read first: [`RouteUsage::note`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use crate::route::Route;

/// A counter for each route.
pub(crate) struct RouteUsage {
    since_ms: i64,
    counts: HashMap<&'static str, AtomicU64>,
}

impl RouteUsage {
    /// Returns counters of `routes` that begin at `now_ms`, milliseconds since the epoch.
    pub(crate) fn of(routes: impl Iterator<Item = &'static Route>, now_ms: i64) -> Self {
        Self {
            since_ms: now_ms,
            counts: routes
                .map(|route| (route.name, AtomicU64::new(0)))
                .collect(),
        }
    }

    /// Counts one more request of a route.
    pub(crate) fn note(&self, route: &Route) {
        if let Some(count) = self.counts.get(route.name) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns since when requests are counted, milliseconds since the epoch.
    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Returns the counts of the routes that were asked, by name.
    pub(crate) fn shown(&self) -> Value {
        let counts = self.counts.iter();
        let counts = counts.map(|(name, count)| (*name, count.load(Ordering::Relaxed)));
        let mut asked: Vec<(&str, u64)> = counts.filter(|(_, count)| *count > 0).collect();
        asked.sort_unstable();
        let shown = asked
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()));
        Value::Object(shown.collect::<Map<_, _>>())
    }
}
