//! Views kept alive between the phases of a search, and for scrolls and points in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gleaner_engine::View;
use gleaner_query::answer::ViewId;
use parking_lot::Mutex;

use crate::copy::counters::Counters;

/// How long a view outlives the deadline of the last search that named it: its winners are still fetched
/// then, after a moment.
const AFTER_DEADLINE: Duration = Duration::from_secs(5);

/// Longest time that a phase keeps a view for the next one, whatever the deadline: it may keep merged-away
/// segments on disk. A search that is slower between two phases begins again.
const LONGEST_PHASE: Duration = Duration::from_secs(300);

/// Scrolls and points in time that may hold views of one shard (`search.max_open_scroll_context`).
/// Each may keep merged-away segments on disk.
pub(crate) const MAX_HOLDERS: usize = 500;

/// The views of one shard that someone may still ask for.
#[derive(Default)]
pub(crate) struct Views {
    kept: Mutex<BTreeMap<ViewId, PinnedView>>,
    ended: EndedHolders,
}

/// Figures of the scrolls and points in time of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HolderStats {
    /// Those that hold views.
    pub(crate) num_open: u64,
    /// Those that have ended since the copy was opened.
    pub(crate) num_ended: u64,
    /// How long these held views, together.
    pub(crate) held: Duration,
}

/// What is counted of holders that have ended.
#[derive(Default)]
struct EndedHolders {
    count: AtomicU64,
    held_us: AtomicU64,
}

impl EndedHolders {
    fn note(&self, holder: &Holder, now: Instant) {
        let held = now
            .min(holder.until)
            .saturating_duration_since(holder.since);
        Counters::add(&self.count, &self.held_us, held);
    }
}

/// A scroll or a point in time.
struct Holder {
    since: Instant,
    until: Instant,
}

/// Whether what a copy shows may lack acknowledged writes, as it was before a view of it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Staleness {
    pub(crate) may_be_stale: bool,
    /// When that was looked at.
    pub(crate) at: Instant,
}

/// A view that was kept for those who name it.
pub(crate) struct KeptView {
    pub(crate) view: Arc<View>,
    /// Whether it may lack writes that were acknowledged before it was taken, however the copy stands by now.
    pub(crate) may_be_stale: bool,
}

struct PinnedView {
    view: Arc<View>,
    /// As it was looked at last. Those who had taken the view before began earlier: if it lacked nothing later, it lacked
    /// nothing then.
    staleness: Staleness,
    /// For searches under way, which nobody releases.
    phases_until: Instant,
    /// Scrolls and points in time that hold it, each with its own end.
    holders: BTreeMap<u64, Holder>,
}

impl PinnedView {
    /// Forgets holders whose time is over; returns whether anybody is left.
    fn is_wanted(&mut self, now: Instant, ended: &EndedHolders) -> bool {
        let over = self.holders.extract_if(.., |_, holder| holder.until <= now);
        over.for_each(|(_, holder)| ended.note(&holder, now));
        self.phases_until > now || !self.holders.is_empty()
    }
}

impl Views {
    /// Keeps `view` for the next phases of a search that ends by `deadline`; `staleness` was looked at before the view
    /// was taken.
    pub(crate) fn keep(&self, view: &Arc<View>, staleness: Staleness, deadline: Instant) {
        let until = for_phases(deadline);
        let mut kept = self.kept.lock();
        let entry = entry(&mut kept, view, staleness, until);
        entry.phases_until = entry.phases_until.max(until);
    }

    /// Keeps `view` for `keep_alive` on behalf of `holder`; returns whether there was room for one
    /// more. `staleness` was looked at before the view was taken.
    pub(crate) fn pin(
        &self,
        view: &Arc<View>,
        staleness: Staleness,
        holder: u64,
        keep_alive: Duration,
    ) -> bool {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.retain(|_, kept| kept.is_wanted(now, &self.ended));
        if kept.values().map(|kept| kept.holders.len()).sum::<usize>() >= MAX_HOLDERS {
            return false;
        }
        let times = Holder {
            since: now,
            until: now + keep_alive,
        };
        let entry = entry(&mut kept, view, staleness, now);
        entry.holders.insert(holder, times);
        true
    }

    /// Returns the view of that id, if it is still kept, and keeps it for what comes after in a search
    /// that ends by `deadline`.
    pub(crate) fn find(&self, id: ViewId, deadline: Instant) -> Option<KeptView> {
        let mut kept = self.kept.lock();
        let entry = kept.get_mut(&id)?;
        entry.phases_until = entry.phases_until.max(for_phases(deadline));
        Some(KeptView {
            view: Arc::clone(&entry.view),
            may_be_stale: entry.staleness.may_be_stale,
        })
    }

    /// Keeps a pinned view for another `keep_alive`; returns whether `holder` still held it. A view
    /// of that id that another holder pinned, perhaps in an earlier life of this process, is not it.
    pub(crate) fn renew(&self, id: ViewId, holder: u64, keep_alive: Duration) -> bool {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let found = kept
            .get_mut(&id)
            .and_then(|kept| kept.holders.get_mut(&holder));
        match found.filter(|holder| holder.until > now) {
            Some(holder) => {
                holder.until = (now + keep_alive).max(holder.until);
                true
            }
            None => false,
        }
    }

    /// Takes `holder` off; returns whether it was one. Searches under way keep the view.
    pub(crate) fn release(&self, id: ViewId, holder: u64) -> bool {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(&id) else {
            return false;
        };
        let released = entry.holders.remove(&holder);
        if let Some(holder) = &released {
            self.ended.note(holder, now);
        }
        let was_held = released.is_some_and(|holder| holder.until > now);
        if !entry.is_wanted(now, &self.ended) {
            kept.remove(&id);
        }
        was_held
    }

    /// Forgets views whose time is over.
    pub(crate) fn expire(&self) {
        self.expire_at(Instant::now());
    }

    fn expire_at(&self, now: Instant) {
        let mut kept = self.kept.lock();
        kept.retain(|_, kept| kept.is_wanted(now, &self.ended));
    }

    /// Returns the figures of scrolls and points in time.
    pub(crate) fn holder_stats(&self) -> HolderStats {
        let kept = self.kept.lock();
        HolderStats {
            num_open: kept.values().map(|kept| kept.holders.len() as u64).sum(),
            num_ended: self.ended.count.load(Ordering::Relaxed),
            held: Duration::from_micros(self.ended.held_us.load(Ordering::Relaxed)),
        }
    }
}

/// Returns until when a search that ends by `deadline` may ask for its view again.
fn for_phases(deadline: Instant) -> Instant {
    let longest = Instant::now() + LONGEST_PHASE;
    deadline.min(longest) + AFTER_DEADLINE
}

fn entry<'a>(
    kept: &'a mut BTreeMap<ViewId, PinnedView>,
    view: &Arc<View>,
    staleness: Staleness,
    phases_until: Instant,
) -> &'a mut PinnedView {
    let entry = kept.entry(view.id()).or_insert_with(|| PinnedView {
        view: Arc::clone(view),
        staleness,
        phases_until,
        holders: BTreeMap::new(),
    });
    if staleness.at >= entry.staleness.at {
        entry.staleness = staleness;
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const MINUTE: Duration = Duration::from_secs(60);

    fn view() -> Arc<View> {
        testing::engine(1).view()
    }

    fn soon() -> Instant {
        Instant::now() + MINUTE
    }

    fn current() -> Staleness {
        Staleness {
            may_be_stale: false,
            at: Instant::now(),
        }
    }

    #[test]
    fn a_view_stays_what_it_was_when_it_was_taken_last() {
        let (views, view) = (Views::default(), view());
        let begun = Instant::now();
        let looked = |may_be_stale, after_ms| Staleness {
            may_be_stale,
            at: begun + Duration::from_millis(after_ms),
        };
        let found = || views.find(view.id(), soon()).map(|kept| kept.may_be_stale);
        views.keep(&view, looked(true, 10), soon());
        assert_eq!(found(), Some(true), "whatever the copy may do by now");
        views.keep(&view, looked(false, 5), soon());
        assert_eq!(found(), Some(true), "it was looked at before");
        views.keep(&view, looked(false, 20), soon());
        assert_eq!(found(), Some(false), "it lacks nothing that is newer");
        assert!(views.pin(&view, looked(true, 30), 1, MINUTE));
        assert_eq!(found(), Some(true));
    }

    #[test]
    fn a_view_is_kept_until_the_deadline_of_the_last_search_that_named_it() {
        let (views, view) = (Views::default(), view());
        let begun = Instant::now();
        views.keep(&view, current(), begun + MINUTE);
        views.expire_at(begun + MINUTE);
        let later = begun + 3 * MINUTE;
        assert!(views.find(view.id(), later).is_some(), "to be fetched from");
        views.expire_at(later);
        assert!(views.find(view.id(), begun).is_some(), "another search's");
        views.expire_at(later + 2 * AFTER_DEADLINE);
        assert!(views.find(view.id(), begun).is_none());
    }

    #[test]
    fn a_deadline_far_away_does_not_keep_a_view_for_ever() {
        let (views, view) = (Views::default(), view());
        views.keep(&view, current(), Instant::now() + 1_000 * MINUTE);
        views.expire_at(Instant::now() + LONGEST_PHASE + 2 * AFTER_DEADLINE);
        assert!(views.find(view.id(), soon()).is_none());
    }

    #[test]
    fn a_holder_lets_go_of_its_own_pin_only() {
        let (views, view) = (Views::default(), view());
        assert!(views.pin(&view, current(), 1, MINUTE) && views.pin(&view, current(), 2, MINUTE));
        assert!(views.release(view.id(), 1));
        assert!(!views.release(view.id(), 1), "only once");
        assert!(views.renew(view.id(), 2, MINUTE));
        assert!(!views.renew(view.id(), 3, MINUTE), "never pinned");
        let stats = |views: &Views| {
            let stats = views.holder_stats();
            (stats.num_open, stats.num_ended)
        };
        assert_eq!(stats(&views), (1, 1));
        assert!(views.release(view.id(), 2));
        assert!(views.find(view.id(), soon()).is_none());
        assert_eq!(stats(&views), (0, 2));
    }

    #[test]
    fn a_search_under_way_keeps_the_view_that_its_last_holder_releases() {
        let (views, view) = (Views::default(), view());
        views.keep(&view, current(), soon());
        assert!(views.pin(&view, current(), 1, MINUTE));
        assert!(views.release(view.id(), 1));
        assert!(!views.renew(view.id(), 1, MINUTE));
        assert!(
            views.find(view.id(), soon()).is_some(),
            "for its fetch phase"
        );
    }

    #[test]
    fn a_pin_ends_with_its_time() {
        let (views, view) = (Views::default(), view());
        assert!(views.pin(&view, current(), 1, Duration::ZERO));
        assert!(!views.renew(view.id(), 1, MINUTE));
        views.expire();
        assert!(views.find(view.id(), soon()).is_none());
    }

    #[test]
    fn holders_are_bounded_and_ended_ones_make_room() {
        let (views, view) = (Views::default(), view());
        for holder in 0..MAX_HOLDERS as u64 {
            let keep_alive = if holder == 7 { Duration::ZERO } else { MINUTE };
            assert!(views.pin(&view, current(), holder, keep_alive));
        }
        assert!(
            views.pin(&view, current(), 1_000, MINUTE),
            "in place of the one that ended"
        );
        assert!(!views.pin(&view, current(), 1_001, MINUTE));
    }
}
