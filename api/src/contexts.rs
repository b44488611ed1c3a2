//! Scrolls and points in time opened through this node, so that "all" can be listed and ended, and
//! so that clients may keep to a scroll's first id.
//!
//! The ids themselves carry all state; nothing is lost with this list but that. It is bounded: of more than
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
    /// Id of the newest page, where pages have been asked for.
    newest: String,
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
            newest: id.to_owned(),
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

    /// Returns the id to go on with: a client that keeps to the first id of a scroll goes on where
    /// it was; any later id stands for itself.
    pub(crate) fn newest(&self, id: &str) -> String {
        let opened = self.opened.lock();
        let known = opened.iter().find(|known| known.id == id);
        known.map_or_else(|| id.to_owned(), |known| known.newest.clone())
    }

    /// Notes that the page after `id` has the id `next`.
    pub(crate) fn advance(&self, id: &str, next: &str) {
        let mut opened = self.opened.lock();
        if let Some(known) = opened.iter_mut().find(|known| known.newest == id) {
            next.clone_into(&mut known.newest);
            known.since = Instant::now();
        }
    }

    /// Leaves out contexts that were ended.
    pub(crate) fn forget(&self, ids: &[String]) {
        let is_named = |known: &Opened| ids.contains(&known.id) || ids.contains(&known.newest);
        self.opened.lock().retain(|known| !is_named(known));
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
    fn the_first_id_of_a_scroll_goes_on_where_it_was() {
        let contexts = Contexts::default();
        contexts.add(ContextKind::Scroll, "1", Duration::from_secs(60), 1);
        contexts.advance("1", "2");
        contexts.advance("2", "3");
        assert_eq!(contexts.newest("1"), "3");
        assert_eq!(contexts.newest("2"), "2");
        contexts.forget(&["3".to_owned()]);
        assert_eq!(contexts.newest("1"), "1");
    }

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
