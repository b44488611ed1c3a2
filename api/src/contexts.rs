//! Scrolls and points in time opened through this node, so that "all" can be listed and ended.
//!
//! The ids themselves carry all state; this list only answers `_all`. It is bounded: of more than
//! [`MAX_LISTED`] the oldest are no longer listed, but live on until they expire.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Most contexts listed.
const MAX_LISTED: usize = 10_000;

/// What kind of context it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Scroll,
    PointInTime,
}

/// A context that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    kind: ContextKind,
    pub(crate) id: String,
    pub(crate) created_ms: i64,
    pub(crate) keep_alive: Duration,
    since: Instant,
}

/// The contexts opened and not known to be gone.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    opened: Mutex<VecDeque<Opened>>,
}

impl Contexts {
    /// Lists a new context.
    pub(crate) fn add(&self, kind: ContextKind, id: &str, keep_alive: Duration, created_ms: i64) {
        let mut opened = self.opened.lock();
        opened.retain(|known| known.since.elapsed() <= known.keep_alive);
        if opened.len() == MAX_LISTED {
            opened.pop_front();
        }
        let since = Instant::now();
        opened.push_back(Opened {
            kind,
            id: id.to_owned(),
            created_ms,
            keep_alive,
            since,
        });
    }

    /// Notes that a context was used: its time begins again.
    pub(crate) fn renew(&self, id: &str, keep_alive: Option<Duration>) {
        let mut opened = self.opened.lock();
        if let Some(known) = opened.iter_mut().find(|known| known.id == id) {
            known.since = Instant::now();
            known.keep_alive = keep_alive.unwrap_or(known.keep_alive);
        }
    }

    /// Leaves out contexts that were ended.
    pub(crate) fn forget(&self, ids: &[String]) {
        self.opened.lock().retain(|known| !ids.contains(&known.id));
    }

    /// Returns all of a kind, the oldest first.
    pub(crate) fn all(&self, kind: ContextKind) -> Vec<Opened> {
        let opened = self.opened.lock();
        opened
            .iter()
            .filter(|known| known.kind == kind)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_listed_until_they_are_ended() {
        let contexts = Contexts::default();
        let minute = Duration::from_secs(60);
        contexts.add(ContextKind::Scroll, "s", minute, 1);
        contexts.add(ContextKind::PointInTime, "p", minute, 2);
        let ids = |kind| {
            contexts
                .all(kind)
                .into_iter()
                .map(|known| known.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(ContextKind::Scroll), ["s"]);
        contexts.forget(&["s".to_owned()]);
        assert_eq!(ids(ContextKind::Scroll), Vec::<String>::new());
        assert_eq!(ids(ContextKind::PointInTime), ["p"]);
    }
}
