//! Scrolls and points in time opened through this node, so that "all" can be listed and ended, and
//! so that clients may keep to a scroll's first id.
//!
//! The ids themselves carry all state; nothing is lost with this list but that. Ids of one context change
//! from page to page and with its time to live; they are told by the number they share. The list is bounded:
//! of more than [`MAX_LISTED`], or with ids of more than [`MAX_ID_BYTES`] together, the oldest are no longer
//! listed, but live on until they expire.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gleaner_root::point_in_time::Context;
use parking_lot::Mutex;

/// Most contexts listed.
const MAX_LISTED: usize = 10_000;

/// Bytes of the ids of those that are listed, at most. The id of a scroll carries its body, and the documents that its
/// queries name.
const MAX_ID_BYTES: usize = 64 << 20;

/// What kind of context it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Scroll,
    PointInTime,
}

/// An id with the context that it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContextId<'a> {
    text: &'a str,
    /// `None` for what is no id.
    context: Option<Context>,
}

impl<'a> ContextId<'a> {
    /// Reads an id.
    pub(crate) fn of(text: &'a str) -> Self {
        let context = Context::of(text);
        Self { text, context }
    }
}

/// A context that was opened.
#[derive(Debug, Clone)]
pub(crate) struct OpenedContext {
    kind: ContextKind,
    number: u64,
    /// Id that it was opened with.
    pub(crate) first: String,
    /// Id that the latest answer gave.
    pub(crate) newest: String,
    pub(crate) created_ms: i64,
    pub(crate) keep_alive: Duration,
    until: Instant,
}

impl OpenedContext {
    /// Returns the bytes of its ids.
    fn id_bytes(&self) -> usize {
        self.first.len() + self.newest.len()
    }

    /// Begins its time anew; a shorter one than is left changes nothing, as on the leaves.
    fn renew(&mut self, keep_alive: Duration) {
        // What an id says may be beyond what the clock can tell; no leaf lives by that.
        if let Some(until) = Instant::now().checked_add(keep_alive) {
            self.keep_alive = keep_alive;
            self.until = self.until.max(until);
        }
    }
}

/// The contexts opened and not known to be gone.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    opened: Mutex<VecDeque<OpenedContext>>,
}

impl Contexts {
    /// Lists a new context.
    pub(crate) fn add(&self, kind: ContextKind, id: ContextId<'_>, created_ms: i64) {
        let Some(context) = id.context else {
            return;
        };
        let mut opened = self.opened.lock();
        leave_out_expired(&mut opened);
        opened.push_back(OpenedContext {
            kind,
            number: context.number,
            first: id.text.to_owned(),
            newest: id.text.to_owned(),
            created_ms,
            keep_alive: context.keep_alive,
            until: Instant::now() + context.keep_alive,
        });
        leave_out_oldest(&mut opened);
    }

    /// Notes that a request uses a context, so that it is still listed when the answer comes.
    pub(crate) fn renew(&self, id: ContextId<'_>) {
        let mut opened = self.opened.lock();
        if let Some((known, context)) = find(&mut opened, id) {
            known.renew(context.keep_alive);
        }
    }

    /// Returns the id to go on with: a client that keeps to the first id of a scroll goes on where
    /// it was; any later id stands for itself.
    pub(crate) fn newest(&self, id: &str) -> String {
        let opened = self.opened.lock();
        let known = opened.iter().find(|known| known.first == id);
        known.map_or_else(|| id.to_owned(), |known| known.newest.clone())
    }

    /// Notes that a request with `id` was answered with the id `next`. Asked for a page again, a scroll
    /// does not go back for those who keep to its first id.
    pub(crate) fn advance(&self, id: &str, next: ContextId<'_>) {
        let mut opened = self.opened.lock();
        if let Some((known, context)) = find(&mut opened, next) {
            known.renew(context.keep_alive);
            if known.kind == ContextKind::PointInTime || known.newest == id {
                next.text.clone_into(&mut known.newest);
                // A later id may be longer.
                leave_out_oldest(&mut opened);
            }
        }
    }

    /// Leaves out contexts that were ended, whichever of their ids are given.
    pub(crate) fn forget<'a>(&self, ids: impl IntoIterator<Item = ContextId<'a>>) {
        let ended: BTreeSet<u64> = ids
            .into_iter()
            .filter_map(|id| id.context.map(|context| context.number))
            .collect();
        let mut opened = self.opened.lock();
        opened.retain(|known| !ended.contains(&known.number));
    }

    /// Returns all of a kind that are alive, the oldest first.
    pub(crate) fn all(&self, kind: ContextKind) -> Vec<OpenedContext> {
        let mut opened = self.opened.lock();
        leave_out_expired(&mut opened);
        opened
            .iter()
            .filter(|known| known.kind == kind)
            .cloned()
            .collect()
    }
}

fn leave_out_expired(opened: &mut VecDeque<OpenedContext>) {
    let now = Instant::now();
    opened.retain(|known| known.until > now);
}

/// Leaves out the oldest until the others are within the bounds of the list.
fn leave_out_oldest(opened: &mut VecDeque<OpenedContext>) {
    let mut num_bytes: usize = opened.iter().map(OpenedContext::id_bytes).sum();
    while opened.len() > MAX_LISTED || num_bytes > MAX_ID_BYTES {
        let Some(oldest) = opened.pop_front() else {
            return;
        };
        num_bytes -= oldest.id_bytes();
    }
}

/// Returns what is known of the context of `id` if it is alive, and what the id says.
fn find<'a>(
    opened: &'a mut VecDeque<OpenedContext>,
    id: ContextId<'_>,
) -> Option<(&'a mut OpenedContext, Context)> {
    let (context, now) = (id.context?, Instant::now());
    let known = opened
        .iter_mut()
        .find(|known| known.number == context.number && known.until > now)?;
    Some((known, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NO_TIME: Duration = Duration::ZERO;

    fn id(text: &str, number: u64, keep_alive: Duration) -> ContextId<'_> {
        let context = Some(Context { number, keep_alive });
        ContextId { text, context }
    }

    fn listed(contexts: &Contexts, kind: ContextKind) -> Vec<String> {
        let all = contexts.all(kind).into_iter();
        all.map(|known| known.newest).collect()
    }

    #[test]
    fn the_first_id_of_a_scroll_goes_on_where_it_was() {
        let contexts = Contexts::default();
        contexts.add(ContextKind::Scroll, id("1", 7, HOUR), 1);
        contexts.advance("1", id("2", 7, HOUR));
        contexts.advance("2", id("3", 7, HOUR));
        assert_eq!(contexts.newest("1"), "3");
        assert_eq!(contexts.newest("2"), "2");
        contexts.advance("1", id("2", 7, HOUR));
        assert_eq!(contexts.newest("1"), "3", "an old page again");
        contexts.forget([id("2", 7, HOUR)]);
        assert_eq!(contexts.newest("1"), "1");
    }

    #[test]
    fn a_context_lives_as_long_as_its_latest_id_says() {
        let contexts = Contexts::default();
        let soon = Duration::from_secs(60);
        contexts.add(ContextKind::Scroll, id("1", 7, soon), 1);
        contexts.advance("1", id("2", 7, HOUR));
        contexts.add(ContextKind::Scroll, id("other", 8, HOUR), 2);
        let all = contexts.all(ContextKind::Scroll);
        assert_eq!(all[0].keep_alive, HOUR);
        assert!(all[0].until > Instant::now() + HOUR / 2);
        assert_eq!(contexts.newest("1"), "2");
    }

    #[test]
    fn contexts_are_listed_until_they_are_ended() {
        let contexts = Contexts::default();
        contexts.add(ContextKind::Scroll, id("s", 1, HOUR), 1);
        contexts.add(ContextKind::PointInTime, id("p", 2, HOUR), 2);
        assert_eq!(listed(&contexts, ContextKind::Scroll), ["s"]);
        contexts.forget([id("s", 1, HOUR)]);
        assert!(listed(&contexts, ContextKind::Scroll).is_empty());
        assert_eq!(listed(&contexts, ContextKind::PointInTime), ["p"]);
    }

    #[test]
    fn expired_contexts_are_not_listed() {
        let contexts = Contexts::default();
        contexts.add(ContextKind::PointInTime, id("p", 1, NO_TIME), 1);
        contexts.renew(id("p", 1, HOUR));
        assert!(listed(&contexts, ContextKind::PointInTime).is_empty());
    }

    #[test]
    fn the_oldest_are_left_out_where_their_ids_are_long() {
        let contexts = Contexts::default();
        let kind = ContextKind::Scroll;
        let long = |name: &str, num_bytes: usize| format!("{name}{}", "x".repeat(num_bytes));
        // Each is kept twice: as the first id and as the newest.
        let part = MAX_ID_BYTES / 8;
        for number in 1..=4 {
            let text = long(&number.to_string(), part - 1);
            contexts.add(kind, id(&text, number, HOUR), 1);
        }
        assert_eq!(contexts.all(kind).len(), 4);
        contexts.add(kind, id("5", 5, HOUR), 1);
        let numbers = || contexts.all(kind).into_iter().map(|known| known.number);
        assert_eq!(numbers().collect::<Vec<_>>(), [2, 3, 4, 5]);
        contexts.advance("5", id(&long("5", 3 * part), 5, HOUR));
        assert_eq!(numbers().collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn a_point_in_time_is_followed_through_its_ids() {
        let contexts = Contexts::default();
        let kind = ContextKind::PointInTime;
        contexts.add(kind, id("p", 1, HOUR), 1);
        contexts.advance("p", id("p2", 1, 2 * HOUR));
        contexts.advance("p", id("p3", 1, 3 * HOUR));
        assert_eq!(listed(&contexts, kind), ["p3"]);
        assert_eq!(contexts.all(kind)[0].keep_alive, 3 * HOUR);
        contexts.forget([id("p2", 1, HOUR)]);
        assert!(listed(&contexts, kind).is_empty());
    }
}
